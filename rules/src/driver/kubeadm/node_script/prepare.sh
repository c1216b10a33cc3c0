# Everything that can be fetched ahead. Nothing here disturbs a running pod.

# Pods run here: what fills a disk evicts them.
reason_not_to_begin() {
    has_disk || echo disk_too_small
}

# Writes a file of sources whole or not at all, as what it is: its mode and its owner stay.
put_source() {
    local file
    file=$(readlink -f "$2")
    cp -p "$file" "$file.lockkeeper"
    cat "$1" >"$file.lockkeeper"
    sync "$file.lockkeeper"
    mv "$file.lockkeeper" "$file"
    # What follows may lie on another disk, and must not outrun this.
    sync "${file%/*}"
}

# Whether the source names what a prepare has switched it to.
is_switched() {
    [ -d "$kept" ] && cmp -s "$kept/written" "$(cat "$kept/path")"
}

# The repository of another minor release has another path; the source that names the old one names the new one. What it
# was is kept until the node's packages have been changed.
switch_source() {
    local of uri file
    # One that is switched already is not switched again, whatever apt has lists of: what is kept is what it was.
    if is_switched; then return 0; fi
    read -r of uri file <<<"$(source_of_kubeadm)"
    if [ -z "$of" ] || [ "$of" = "v$minor" ]; then return 0; fi
    rm -rf "$kept.new"
    mkdir "$kept.new"
    echo "$file" >"$kept.new/path"
    echo "v$minor" >"$kept.new/minor"
    cp -p "$file" "$kept.new/original"
    with_minor "$uri" "$file" >"$kept.new/written"
    if cmp -s "$kept.new/original" "$kept.new/written"; then
        echo "apt reads kubeadm of $of from $file, and its URI is not found there; name that of v$minor there" >&2
        return 1
    fi
    sync "$kept.new"/* "$kept.new"
    rm -rf "$kept"
    mv "$kept.new" "$kept"
    sync "$directory"
    put_source "$kept/written" "$file"
    has_switched=yes
}

# Puts the source back that a prepare has switched, unless somebody has changed it since.
restore_source() {
    local file
    [ -d "$kept" ] || return 0
    file=$(cat "$kept/path")
    if is_switched; then
        put_source "$kept/original" "$file"
    else
        echo "$file was changed after it was switched to $(cat "$kept/minor"); it stays as it is"
    fi
    rm -rf "$kept"
}

# What an earlier prepare has switched for another target that this node was not brought to.
restore_source_of_another_target() {
    [ -d "$kept" ] && [ "$(cat "$kept/minor")" != "v$minor" ] || return 0
    case $(installed_kubeadm) in
        "$(cat "$kept/minor")".*) rm -rf "$kept" ;;
        *) restore_source ;;
    esac
}

pull_images() {
    local folder=$1 kubeadm
    kubeadm=$(target_kubeadm "$folder")
    cluster_configuration "$folder/config.yaml" "v$target"
    with_environment "$kubeadm" config images pull --config "$folder/config.yaml"
}

# What kubeadm does not know of, such as the images of what a person has put in the place of an add-on.
pull_extra_images() {
    local image
    for image in "${extra_images[@]}"; do
        has_disk
        crictl pull "$image"
    done
}

# Every upgrade leaves a copy of etcd's data there, and nobody clears them away: the two newest of a kind stay.
prune_scratch() {
    local kind folder="$root/etc/kubernetes/tmp"
    [ -d "$folder" ] || return 0
    for kind in kubeadm-backup-etcd kubeadm-backup-manifests kubeadm-upgraded-manifests kubeadm-kubelet-config; do
        find "$folder" -maxdepth 1 -name "$kind*" -printf '%T@ %p\n' | sort -rn | tail -n +3 | cut -d ' ' -f 2- |
            xargs -r -d '\n' rm -rf
    done
}

give_up() {
    rm -rf "$folder"
    if [ "$is_prepared" = no ]; then restore_source; fi
}

work() {
    folder=$(mktemp -d "$directory/prepare.XXXXXX") has_switched=no is_prepared=no
    trap give_up EXIT
    wait_for_packages
    restore_source_of_another_target
    switch_source
    apt_update
    # Without lists of it, as after such a return, nobody could tell the source until now.
    if [ "$has_switched" = no ]; then
        switch_source
        if [ "$has_switched" = yes ]; then apt_update; fi
    fi
    # Downloading touches no hold.
    apt_get --download-only --allow-change-held-packages install "${packages[@]/%/=$target-*}"
    prune_scratch
    # What has been fetched by now has taken its room, and nobody knows how large an image is.
    has_disk
    if is_control_plane; then pull_images "$folder"; fi
    pull_extra_images
    # What the end of the run has to put back, if this node is not changed by then.
    if [ -d "$kept" ]; then echo source_switched=yes; else echo source_switched=no; fi >"$report"
    sync "$report"
    is_prepared=yes
}
