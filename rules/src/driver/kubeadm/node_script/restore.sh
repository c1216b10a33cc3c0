# Piped into `bash -s`. Gives the node the source of packages back that a prepare has switched, as it was.
# Prints what became of it, or `refused <reason>`; any other ending means that nobody knows.

answer() {
    echo "$*"
    exit 0
}

restore() {
    local reason said
    # Not our machine: nothing is written on it.
    is_this_machine || answer refused machine_id_mismatch
    mkdir -p "$directory"
    # A prepare may still be at work.
    exec 9>"$directory/lock"
    flock --nonblock 9 || answer refused node_busy
    reason=$(reason_to_refuse)
    if [ "$reason" = token_already_seen ]; then
        # It is written down once it is done: only the answer was lost. A torn line says nothing, and it is done again.
        said=$(facts | awk -v token="$token" '$1 == "restore" && $3 == token && $NF == "." { said = $4 } END { print said }')
        [ -z "$said" ] || answer "$said"
    elif [ -n "$reason" ]; then
        answer refused "$reason"
    fi
    if ! [ -d "$kept" ]; then
        said=nothing
    elif was_begun_before; then
        said=begun
    elif [[ $(installed_kubeadm) == "$(cat "$kept/minor")".* ]]; then
        # Somebody has brought the node there: the source belongs to it.
        rm -rf "$kept"
        said=nothing
    elif is_switched; then
        restore_source
        said=restored
    elif cmp -s "$kept/original" "$(cat "$kept/path")"; then
        rm -rf "$kept"
        said=nothing
    else
        # What it was stays too, for whoever wants it back.
        said=changed
    fi
    # A prepare of this run that comes late is behind this, and the node refuses it.
    record restore "$said"
    answer "$said"
}

# Nothing in it may read the rest of this text.
restore </dev/null
