# kubeadm, with what the site tells it.

# kubeadm writes every proxy of its environment into its manifests. Only those of the settings are meant, and not those
# that a connection or a shell's profile brings along: they would be in an answer and not in what a unit does.
kubeadm_env=(env)
for name in $(compgen -e); do
    case ${name,,} in *_proxy) kubeadm_env+=(-u "$name") ;; esac
done
kubeadm_env+=("${environment[@]}")

# Writes down what is told in a file, if anything is, and lets every question name it.
tell_kubeadm() {
    [ -n "$upgrade_configuration" ] || return 0
    printf '%s' "$upgrade_configuration" >"$1"
    plan_words+=(--config "$1")
    apply_words+=(--config "$1")
    node_words+=(--config "$1")
}
