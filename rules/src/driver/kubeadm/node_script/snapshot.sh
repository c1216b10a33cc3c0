# An etcd snapshot, taken by etcd's own tools and verified by them.

# Where the host has no etcdctl, the one in etcd's container is used; its data folder is the same folder as here.
if command -v etcdctl >/dev/null && command -v etcdutl >/dev/null; then
    scratch="$snapshots/$token.part"
    tool() { timeout --kill-after=10 "$tool_seconds_max" "$@"; }
else
    scratch="$root/var/lib/etcd/lockkeeper-$token.part"
    tool() {
        local container
        container=$(etcd_container) || return 1
        timeout --kill-after=10 "$tool_seconds_max" crictl exec "$container" "$@"
    }
fi
tool_seconds_max=$unit_seconds_max

# The one of the control plane: anybody's pod may have a container of this name.
etcd_container() {
    local found
    found=$(crictl ps --label io.kubernetes.container.name=etcd --label io.kubernetes.pod.namespace=kube-system \
        --state Running --quiet)
    if [ "$(grep -c . <<<"$found")" -ne 1 ]; then
        echo "one container etcd of kube-system must run here, and these do: ${found//$'\n'/ }" >&2
        return 1
    fi
    echo "$found"
}

access=(--endpoints="$etcd_endpoints")
if [ -n "$etcd_ca_file" ]; then access+=(--cacert="$etcd_ca_file"); fi
if [ -n "$etcd_cert_file" ]; then access+=(--cert="$etcd_cert_file" --key="$etcd_key_file"); fi

# A snapshot is as large as the database. As much again must stay free wherever one is written: etcd goes on writing beside
# it, and a full volume stops etcd.
has_room() {
    local size n other needed shares free=() devices=() places=("${scratch%/*}")
    size=$(tool etcdctl "${access[@]}" endpoint status --write-out=json |
        sed -n 's/.*"dbSize":\([0-9][0-9]*\)[,}].*/\1/p')
    if [ -z "$size" ]; then
        echo "etcd does not say how large its database is" >&2
        return 2
    fi
    if ! is_one_filesystem "${scratch%/*}" "$snapshots"; then places+=("$snapshots"); fi
    if [ -n "$snapshot_directory" ]; then places+=("$snapshot_directory"); fi
    mapfile -t free < <(df -B1 --output=avail "${places[@]}" | tail -n +2 | tr -d ' ')
    mapfile -t devices < <(stat -c %d "${places[@]}")
    for n in "${!places[@]}"; do
        shares=0
        for other in "${!places[@]}"; do
            # Filesystems of one pool, such as btrfs' and ZFS's, are different devices with the same room.
            if [ "${devices[n]:-}" = "${devices[other]:-}" ] || [ "${free[n]:-}" = "${free[other]:-}" ]; then
                shares=$((shares + 1))
            fi
        done
        needed=$(((1 + shares) * size))
        # What is no number is not enough.
        if ! [ "${free[n]:-}" -ge "$needed" ]; then
            echo "${places[n]} has ${free[n]:-no known} bytes free, and $needed are needed: etcd's database has $size" >&2
            return 1
        fi
    done
}

is_one_filesystem() {
    [ "$(stat -c %d "$1")" = "$(stat -c %d "$2")" ]
}

# Prints the code of the first reason not to begin, or nothing. What cannot be measured yet is measured again in the work,
# whose log tells why.
reason_not_to_begin() {
    local code=0 tool_seconds_max=5
    if [ -n "$snapshot_directory" ] && [ ! -d "$snapshot_directory" ]; then return 0; fi
    mkdir -p "$snapshots"
    drop_parts
    has_room || code=$?
    if [ "$code" -eq 1 ]; then echo snapshot_disk_too_small; fi
}

# A copy under another name, whole and on the disk, or none.
copy() {
    cp "$1" "$2.part"
    chmod 600 "$2.part"
    cmp "$1" "$2.part"
    sync "$2.part"
    mv "$2.part" "$2"
    sync "${2%/*}"
}

# Off etcd's volume. What stays on one filesystem is not written twice.
move() {
    if is_one_filesystem "$1" "${2%/*}"; then
        chmod 600 "$1"
        sync "$1"
        mv "$1" "$2"
        sync "${2%/*}"
    else
        copy "$1" "$2"
        rm "$1"
    fi
}

# Ours only, and only what five newer ones have replaced.
prune_snapshots() {
    find "$1" -maxdepth 1 -name "$2" -printf '%T@ %p\n' | sort -rn | tail -n +6 | cut -d ' ' -f 2- | xargs -r -d '\n' rm -f
}

work() {
    local file="$snapshots/lockkeeper-$token.db" status hash
    # Other nodes, and other clusters, may put theirs into the same directory: what is pruned there is this machine's.
    local own="lockkeeper-$machine_id" copied=''
    if [ -n "$snapshot_directory" ] && [ ! -d "$snapshot_directory" ]; then
        echo "$snapshot_directory (etcd.snapshotDirectory) is no folder on this node; make it or mount it" >&2
        return 1
    fi
    mkdir -p "$snapshots"
    has_room
    trap 'rm -f "$scratch" "$scratch.part"' EXIT
    # A snapshot is what this one member has, however far it is behind. Its health is a read that the whole cluster agrees on,
    # for which it catches up first.
    tool etcdctl "${access[@]}" endpoint health
    tool etcdctl "${access[@]}" snapshot save "$scratch"
    status=$(tool etcdutl snapshot status "$scratch" --write-out=json)
    echo "$status"
    hash=$(echo "$status" | sed -n 's/.*"hash":\([0-9][0-9]*\).*/\1/p')
    [ -n "$hash" ]
    [ -s "$scratch" ]
    move "$scratch" "$file"
    if [ -n "$snapshot_directory" ]; then
        rm -f "$snapshot_directory/$own"-*.part
        copied="$snapshot_directory/$own-$token.db"
        copy "$file" "$copied"
    fi
    {
        echo "path=$file"
        echo "size_bytes=$(stat -c %s "$file")"
        echo "hash=$hash"
        if [ -n "$copied" ]; then echo "copied=$copied"; fi
    } >"$report"
    sync "$report"
    prune_snapshots "$snapshots" 'lockkeeper-*.db'
    if [ -n "$copied" ]; then prune_snapshots "$snapshot_directory" "$own-*.db"; fi
}
