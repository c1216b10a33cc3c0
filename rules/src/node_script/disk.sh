# The room that an upgrade needs on the node's disks.

# kubeadm copies etcd's whole data to /etc/kubernetes/tmp before it changes anything, and leaves there what it could not
# finish. Prints how many MiB that will be: none without a local etcd, or once kubeadm's part is done.
etcd_copy_mib() {
    local manifest="$root/etc/kubernetes/manifests/etcd.yaml" data
    if [ ! -e "$manifest" ] || { is_done kubeadm && manifests_are_at_target >/dev/null; }; then
        echo 0
        return
    fi
    data=$(sed -nE '/^ *- --data-dir=/ { s/^[^=]*=//p; q }' "$manifest")
    # etcd removes files while they are counted, which du calls an error.
    { du -sm --apparent-size "$root${data:-/var/lib/etcd}" 2>/dev/null || true; } | cut -f 1
}

# The packages and the images, what runs on them, and what kubeadm writes: any of these may be a mount.
places=(/var/lib /var/lib/kubelet /var/lib/containerd /var/lib/containers /var/lib/dpkg /var/cache/apt /usr /etc/kubernetes)
# An image or a package may have hundreds of files.
inodes_free_min=1000

# Prints where the least stays free: how many MiB, and the place. What cannot be measured takes all, and what has no inodes
# left takes no file.
least_disk() {
    local place free copy inodes
    for place in "${places[@]}"; do
        [ -d "$root$place" ] || continue
        free=$(df -Pk "$root$place" | awk 'NR == 2 { print int($4 / 1024) }')
        # Some filesystems, such as btrfs, count none.
        inodes=$(df -Pi "$root$place" | awk 'NR == 2 { print $2 == 0 ? "" : $4 }') || inodes=0
        if [ "$place" = /etc/kubernetes ]; then
            copy=$(etcd_copy_mib)
            free=$((free > ${copy:-$free} ? free - copy : 0))
            if [ "$copy" != 0 ]; then place+=", beside kubeadm's copy of etcd's data"; fi
        fi
        if [ -n "$inodes" ] && ! [ "$inodes" -ge "$inodes_free_min" ]; then
            free=0 place+=", which has $inodes inodes left and $inodes_free_min are wanted"
        fi
        echo "$free $place"
    done | sort -n | sed -n 1p
}

has_disk() {
    local free place
    read -r free place <<<"$(least_disk)"
    # What is no number is not enough.
    if [ "$free" -ge "$disk_free_mib_min" ]; then return 0; fi
    echo "$free MiB would be free in $place, and $disk_free_mib_min are wanted" >&2
    return 1
}
