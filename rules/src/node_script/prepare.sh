# Everything that can be fetched ahead. Nothing here disturbs a running pod.

reason_not_to_begin() { :; }

# The repository of another minor release has another path; the file that names the old one names the new one.
switch_repository() {
    minor_sources | while read -r file; do
        name_minor "$file"
    done
}

# A repository that is mirrored, or renamed, is named in kubeadm's own configuration only.
pull_images() {
    local folder=$1 kubeadm
    kubeadm=$(target_kubeadm "$folder")
    kubectl --kubeconfig "$root/etc/kubernetes/admin.conf" --namespace kube-system get configmap kubeadm-config \
        --output 'jsonpath={.data.ClusterConfiguration}' >"$folder/config.yaml"
    sed -i -E "s/^kubernetesVersion:.*/kubernetesVersion: v$target/" "$folder/config.yaml"
    with_environment "$kubeadm" config images pull --config "$folder/config.yaml"
}

# What kubeadm does not know of, such as the images of what a person has put in the place of an add-on.
pull_extra_images() {
    local image
    for image in "${extra_images[@]}"; do
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

work() {
    local folder
    folder=$(mktemp -d "$directory/prepare.XXXXXX")
    # shellcheck disable=SC2064
    trap "rm -rf '$folder'" EXIT
    mend_packages
    switch_repository
    apt_update
    # Downloading touches no hold.
    apt_get --download-only --allow-change-held-packages install "${packages[@]/%/=$target-*}"
    prune_scratch
    if is_control_plane; then pull_images "$folder"; fi
    pull_extra_images
}
