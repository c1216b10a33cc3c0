# kubeadm first, then what it says, then the kubelet. It stops at the first failure: a kubelet is never restarted past
# a kubeadm that failed. What is done is written down, so that another attempt of the same run does the rest only.

# Prints the code of the first reason not to let kubeadm write here, or nothing.
reason_not_to_begin() {
    if [ -n "$patches_directory" ] && [ ! -d "$patches_directory" ]; then
        echo patches_missing
    elif ! manifests_are_as_looked_at; then
        echo manifests_unknown
    elif ! has_disk; then
        echo disk_too_small
    fi
}

# The holds are written down as they were found before the first is changed, and put back whatever happens. What another
# run has left, whose unit died, says nothing of now: people may have finished the node since.
remember_holds() {
    if [ "$(sed -n 1p "$directory/holds" 2>/dev/null)" != "run $run" ]; then
        {
            echo "run $run"
            apt-mark showhold "${packages[@]}"
        } >"$directory/holds.new"
        sync "$directory/holds.new"
        mv "$directory/holds.new" "$directory/holds"
        sync "$directory"
    fi
}

restore_holds() {
    local package
    [ -e "$directory/holds" ] || return 0
    for package in "${packages[@]}"; do
        if grep -qx "$package" "$directory/holds"; then
            apt-mark hold "$package"
        else
            apt-mark unhold "$package"
        fi
    done
    rm "$directory/holds"
}

# Installs some packages of the target, the others held, so that none of them pulls another one along.
install_only() {
    apt-mark hold "${packages[@]}"
    apt-mark unhold "$@"
    apt_get install "${@/%/=$target-*}"
    apt-mark hold "$@"
}

work() {
    local is_changed=no
    remember_holds
    trap restore_holds EXIT
    mend_packages
    if [ "$(installed_kubeadm)" != "v$target" ]; then
        # Once it is replaced, nobody can ask the kubeadm that wrote the manifests what a person has changed.
        manifests_are_as_looked_at
        install_only kubeadm
    fi
    [ "$(installed_kubeadm)" = "v$target" ]
    # From here on this node belongs to the source as prepare has switched it.
    rm -rf "$kept"
    if ! is_done kubeadm || ! manifests_are_at_target; then
        # Packages take their time.
        manifests_are_as_looked_at
        write_upgrade_configuration "$directory/upgrade-configuration.yaml"
        case $kind in
            upgrade-first) with_environment kubeadm upgrade apply -y "${apply_words[@]}" "v$target" ;;
            upgrade-node) with_environment kubeadm upgrade node "${node_words[@]}" ;;
        esac
        # A kubelet must not be newer than the API server of its own node, whatever kubeadm says of its success.
        manifests_are_at_target
        record did "kubeadm v$target"
        is_changed=yes
    fi
    if [ "$(installed_kubelet)" != "v$target" ]; then install_only kubelet kubectl; fi
    [ "$(installed_kubelet)" = "v$target" ]
    if [ "$is_changed" = yes ] || ! is_done kubelet; then
        systemctl daemon-reload
        systemctl restart kubelet
        record did "kubelet v$target"
    fi
    trap - EXIT
    restore_holds
}
