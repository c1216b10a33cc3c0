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
tell_kubeadm() {
    [ -n "$upgrade_configuration" ] || return 0
    printf '%s' "$upgrade_configuration" >"$1"
    plan_words+=(--config "$1")
    apply_words+=(--config "$1")
    node_words+=(--config "$1")
}
