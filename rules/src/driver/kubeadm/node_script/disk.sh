# The room that an upgrade needs on the node's disks.

etcd_data() {
    local data
    data=$(sed -nE '/^ *- --data-dir=/ { s/^[^=]*=//p; q }' "$root/etc/kubernetes/manifests/etcd.yaml") || return 1
    echo "${data:-/var/lib/etcd}"
}

# kubeadm copies etcd's whole data to /etc/kubernetes/tmp before it changes anything, and leaves there what it could not
# finish. Prints how many MiB that will be: none without a local etcd, or once kubeadm's part is done; nothing where nobody
# can say.
etcd_copy_mib() {
    local data
    if is_absent /etc/kubernetes/manifests/etcd.yaml || { is_done kubeadm && manifests_are_at_target >/dev/null; }; then
        echo 0
        return
    fi
    data=$(etcd_data) || return 1
    # etcd removes files while they are counted, which du calls an error.
    { du -sm --apparent-size "$root$data" 2>/dev/null || true; } | cut -f 1
}

# The packages and the images, what runs on them, and what kubeadm writes: any of these may be a mount.
places=(/var/lib /var/lib/kubelet /var/lib/containerd /var/lib/containers /var/lib/docker /var/lib/dpkg /var/cache/apt /usr /etc/kubernetes)
# An image or a package may have hundreds of files.
inodes_free_min=1000

# Whether it is certain that there is no such place. A disk that is broken says something else.
is_absent() {
    local said
    ! said=$(LC_ALL=C stat -L "$root$1" 2>&1 >/dev/null) && [[ $said == *"No such file or directory"* ]]
}

# Prints how many MiB stay free in a place, and the place. What has no inodes left takes no file.
room_in() {
    local place=$1 free inodes copy
    free=$(df -k --output=avail "$root$place" | awk 'NR == 2 { print int($1 / 1024) }') || return 1
    # Some filesystems, such as btrfs, count none.
    inodes=$(df --output=itotal,iavail "$root$place" | awk 'NR == 2 { print $1 == 0 ? "" : $2 }') || return 1
    if [ "$place" = /etc/kubernetes ]; then
        copy=$(etcd_copy_mib) && [ -n "$copy" ] || return 1
        free=$((free > copy ? free - copy : 0))
        if [ "$copy" -ne 0 ]; then place+=", beside kubeadm's copy of etcd's data"; fi
    fi
    if [ -n "$inodes" ] && ! [ "$inodes" -ge "$inodes_free_min" ]; then
        free=0 place+=", which has $inodes inodes left and $inodes_free_min are wanted"
    fi
    echo "$free $place"
}

# etcd's own volume is often a small one: an upgrade needs nothing of it but, where it fails, the copy that kubeadm puts back
# beside the data. As much again must stay free, since a full volume stops etcd. Prints nothing if it has that.
room_for_etcd() {
    local data copy free
    copy=$(etcd_copy_mib) && [ -n "$copy" ] || return 1
    if [ "$copy" -eq 0 ]; then return 0; fi
    data=$(etcd_data) || return 1
    free=$(df -k --output=avail "$root$data" | awk 'NR == 2 { print int($1 / 1024) }') || return 1
    if [ "$free" -ge $((2 * copy)) ]; then return 0; fi
    echo "0 $data, which has $free MiB left and twice etcd's data of $copy MiB is wanted"
}

# Prints where the least stays free: how many MiB, and the place. What cannot be measured takes all.
least_disk() {
    local place
    {
        for place in "${places[@]}"; do
            if is_absent "$place"; then continue; fi
            room_in "$place" || echo "0 $place, which cannot be measured"
        done
        room_for_etcd || echo "0 etcd's data, which cannot be measured"
    } | sort -n | sed -n 1p
}

has_disk() {
    local free place
    read -r free place <<<"$(least_disk)"
    # What is no number is not enough.
    if [ "$free" -ge "$disk_free_mib_min" ]; then return 0; fi
    echo "$free MiB would be free in $place, and $disk_free_mib_min are wanted" >&2
    return 1
}
