# kubeadm, with what the site tells it.

# Runs a command with the site's environment. kubeadm writes every proxy of its environment into its manifests. Only those
# of the settings are meant, and not those that a connection or a shell's profile brings along: they would be in an answer
# and not in what a unit does. No value becomes an argument, which everybody on the machine could read.
with_environment() (
    for name in $(compgen -e); do
        case ${name,,} in *_proxy) unset "$name" ;; esac
    done
    for variable in "${environment[@]}"; do export "${variable?}"; done
    exec "$@"
)

# Writes down what is told in a file, if anything is, and lets every question name it.
write_upgrade_configuration() {
    [ -n "$upgrade_configuration" ] || return 0
    printf '%s' "$upgrade_configuration" >"$1"
    plan_words+=(--config "$1")
    apply_words+=(--config "$1")
    node_words+=(--config "$1")
}

# kubeadm's own configuration, as if the cluster were of this version. A repository that is mirrored, or renamed, is named
# nowhere else.
cluster_configuration() {
    kubectl --kubeconfig "$root/etc/kubernetes/admin.conf" --request-timeout=20s --namespace kube-system \
        get configmap kubeadm-config --output 'jsonpath={.data.ClusterConfiguration}' >"$1" &&
        sed -i -E "s/^kubernetesVersion:.*/kubernetesVersion: $2/" "$1"
}

is_at_target() {
    grep -qE "image: .*:v${target//./\\.}(@sha256:[0-9a-f]+)?\"?\$" "$root/etc/kubernetes/manifests/$1.yaml"
}

is_done() {
    local count
    count=$(facts | awk -v run="$run" -v part="$1" -v target="v$target" \
        '$1 == "did" && $4 == part && $5 == target && $NF == "." { split($3, t, "."); if (t[1] == run) n++ }
         END { print n + 0 }')
    [ "$count" -ne 0 ]
}

manifests_are_at_target() {
    local component
    is_control_plane || return 0
    for component in kube-apiserver kube-controller-manager kube-scheduler; do
        if ! is_at_target "$component"; then
            echo "the manifest of $component is not at v$target"
            return 1
        fi
    done
}

# Whether an attempt of this run before this one may have let kubeadm write here.
was_begun_before() {
    local count
    count=$(facts | awk -v run="$run" -v token="$token" \
        '$1 == "start" && $3 != token && $5 ~ /^upgrade-/ { split($3, t, "."); if (t[1] == run) n++ } END { print n + 0 }')
    [ "$count" -ne 0 ]
}

# One hash over what kubeadm makes manifests of besides the cluster's own configuration: its environment, and its patches by
# name and content.
inputs_hash() {
    {
        printf '%s\n' "${environment[@]}"
        if [ -n "$patches_directory" ]; then
            cd "$patches_directory" && find -L . -type f -print0 | sort -z | xargs -0 -r sha256sum --
        fi
    } | sha256sum | cut -d ' ' -f 1
}

# A person may have changed a manifest, or what kubeadm makes of it, after it was looked at: between that and this lie the drain and every hold. One
# that has come to the target since was written by the kubeadm of an attempt that was cut. One that was never looked at
# is not known to be as it was.
manifests_are_as_looked_at() {
    local component looked_at found
    if [ "${#manifests_looked_at[@]}" -eq 0 ] && ! is_control_plane; then return 0; fi
    found=$(inputs_hash) || found=
    if [ -z "$found" ] || [ "$found" != "$inputs_looked_at" ]; then
        echo "kubeadm's environment or its patches are not known to be as they were looked at" >&2
        return 1
    fi
    for component in kube-apiserver kube-controller-manager kube-scheduler; do
        looked_at=$(printf '%s\n' "${manifests_looked_at[@]}" | sed -n "s/^$component //p")
        if [ -z "$looked_at" ]; then
            echo "the manifest of $component was not looked at" >&2
            return 1
        fi
        found=$(sha256sum <"$root/etc/kubernetes/manifests/$component.yaml" | cut -d ' ' -f 1) || found=
        if [ "$found" = "$looked_at" ]; then continue; fi
        if [ "$manifests_of" != "v$target" ] && was_begun_before && is_at_target "$component"; then continue; fi
        echo "the manifest of $component was changed after it was looked at" >&2
        return 1
    done
}
