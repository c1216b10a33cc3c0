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

supervise() {
    local reason code=0
    is_this_machine || exit 65
    exec 9>"$directory/lock"
    if ! flock --wait "$lock_seconds_max" 9; then
        record refuse node_busy
        exit 65
    fi
    reason=$(reason_to_refuse)
    if [ -z "$reason" ]; then reason=$(reason_not_to_write); fi
    if [ -n "$reason" ]; then
        record refuse "$reason"
        exit 65
    fi
    record start "$generation $kind v$target $checked_at"
    # Being told to stop ends the work, but not the writing down of how it ended.
    trap : TERM INT HUP
    timeout --kill-after=30 "$unit_seconds_max" /bin/bash "$script" work </dev/null >"$log" 2>&1 || code=$?
    record exit "$code"
    exit "$code"
}
