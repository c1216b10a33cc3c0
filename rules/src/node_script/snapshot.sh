# An etcd snapshot, taken by etcd's own tools and verified by them.

# Where the host has no etcdctl, the one in etcd's container is used; its data folder is the same folder as here.
if command -v etcdctl >/dev/null && command -v etcdutl >/dev/null; then
    scratch="$directory/snapshots/$token.part"
    tool() { "$@"; }
else
    scratch="$root/var/lib/etcd/lockkeeper-$token.part"
    tool() {
        local container
        container=$(crictl ps --name '^etcd$' --state Running --quiet | head -n 1)
        crictl exec "$container" "$@"
    }
fi

work() {
    local folder="$directory/snapshots" file="$directory/snapshots/lockkeeper-$token.db" status hash access
    mkdir -p "$folder"
    trap 'rm -f "$scratch" "$scratch.part"' EXIT
    access=(--endpoints="$etcd_endpoints")
    if [ -n "$etcd_ca_file" ]; then access+=(--cacert="$etcd_ca_file"); fi
    if [ -n "$etcd_cert_file" ]; then access+=(--cert="$etcd_cert_file" --key="$etcd_key_file"); fi
    tool etcdctl "${access[@]}" snapshot save "$scratch"
    status=$(tool etcdutl snapshot status "$scratch" --write-out=json)
    echo "$status"
    hash=$(echo "$status" | sed -n 's/.*"hash":\([0-9][0-9]*\).*/\1/p')
    [ -n "$hash" ]
    [ -s "$scratch" ]
    cp "$scratch" "$file"
    cmp "$scratch" "$file"
    sync "$file"
    sync "$folder"
    {
        echo "path=$file"
        echo "size_bytes=$(stat -c %s "$file")"
        echo "hash=$hash"
    } >"$report"
    sync "$report"
    # Ours only, and only what five newer ones have replaced.
    find "$folder" -maxdepth 1 -name 'lockkeeper-*.db' -printf '%T@ %p\n' | sort -rn | tail -n +6 | cut -d ' ' -f 2- |
        xargs -r -d '\n' rm -f
}
