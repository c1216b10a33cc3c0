# Piped into `bash -s`. Writes the unit's script and starts it, so that it outlives this connection.
# Prints `started`, or `refused <reason>`; any other ending means that nobody knows.

refused() {
    echo "refused $1"
    exit 0
}

# Not our machine: nothing is written on it.
is_this_machine || refused machine_id_mismatch
mkdir -p "$directory"
reason=$(reason_to_refuse)
[ -z "$reason" ] || refused "$reason"
loaded=$(systemctl show --property=LoadState --value "$unit")
[ "$loaded" = not-found ] || refused token_already_seen
flock --nonblock "$directory/lock" true || refused node_busy

unit_script >"$script.new"
sync "$script.new"
mv "$script.new" "$script"
sync "$directory"
# RemainAfterExit: a unit that ended well would otherwise look like one that never was.
systemd-run --quiet --unit="$unit" --description="Lockkeeper $kind v$target" \
    --property=Type=exec --property=RemainAfterExit=yes --property=RuntimeMaxSec="$((unit_seconds_max + 120))" \
    -- /bin/bash "$script" >&2
echo started
