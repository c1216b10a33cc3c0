# The unit's own guard: what the launcher asked is asked again under the lock, and nothing is done before the start
# is on the disk.

# Appends one fact and returns when it is durable. The full stop tells a whole line from a torn one.
record() {
    if [ -s "$ledger" ] && [ "$(tail -c 1 "$ledger" | tr '\n\000' 'n0')" != n ]; then
        echo >>"$ledger"
    fi
    echo "$1 $(date +%s) $token $2 ." >>"$ledger"
    sync "$ledger"
    sync "$directory"
}

# How many units leave their script, log and report for people who look into a failure, and how large a log may be then.
units_kept=20
log_bytes_max=1048576

cut_logs() {
    find "$directory" -maxdepth 1 -name '*.log' -size +"${log_bytes_max}c" | while read -r file; do
        tail -c "$log_bytes_max" "$file" >"$file.new"
        mv "$file.new" "$file"
    done
}

# What a unit has left goes, but not its lines in the ledger, which is never cut: it refuses a token twice. systemd keeps a
# unit that has ended in mind too; one of which no end is known stays there, as a mark that it was begun.
forget() {
    local old=$1 ended
    ended=$(facts | awk -v token="$old" '$3 == token && ($1 == "exit" || $1 == "refuse") && $NF == "." { n++ } END { print n + 0 }')
    if [ "$ended" -ne 0 ]; then
        # The one that has ended well is stopped, the one that has failed is let go; only one of them is there.
        timeout 10 systemctl stop "lockkeeper-$old.service" 2>/dev/null || true
        timeout 10 systemctl reset-failed "lockkeeper-$old.service" 2>/dev/null || true
    fi
    rm -f "$directory/$old.log" "$directory/$old.report" "$directory/$old.sh"
}

# What killed snapshots have left, on etcd's own volume too.
drop_parts() {
    rm -f "$snapshots"/*.part* "$root"/var/lib/etcd/lockkeeper-*.part*
}

# Whoever has the lock is the only one at work: what others have left half done is nobody's any more. A launcher needs no
# lock, but no hour either.
tidy() {
    local old
    # This one is kept too.
    find "$directory" -maxdepth 1 -name '*.sh' ! -name "$token.sh" -printf '%T@ %f\n' | sort -rn |
        tail -n "+$units_kept" | cut -d ' ' -f 2- | while read -r old; do forget "${old%.sh}"; done
    cut_logs
    drop_parts
    rm -rf "$directory"/prepare.*
    find "$directory" -maxdepth 1 -name '*.new' -mmin +60 -exec rm -rf {} +
}

supervise() {
    local reason code=0
    is_this_machine || exit 65
    exec 9>"$directory/lock"
    if ! flock --wait "$lock_seconds_max" 9; then
        record refuse node_busy
        exit 65
    fi
    reason=$(reason_to_refuse)
    if [ -z "$reason" ]; then reason=$(reason_not_to_begin); fi
    # That may have taken its time, and what begins must begin in time.
    if [ -z "$reason" ]; then reason=$(reason_to_refuse); fi
    if [ -n "$reason" ]; then
        record refuse "$reason"
        exit 65
    fi
    record start "$generation $kind v$target $checked_at"
    tidy || echo "what earlier units have left could not be cleared away" >&2
    # Being told to stop ends the work, but not the writing down of how it ended.
    trap : TERM INT HUP
    timeout --kill-after=30 "$unit_seconds_max" /bin/bash "$script" work </dev/null >"$log" 2>&1 || code=$?
    cut_logs || true
    record exit "$code"
    exit "$code"
}
