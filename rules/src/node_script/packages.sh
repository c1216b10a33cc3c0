# apt and dpkg, as a machine that others use too needs them.

packages=(kubeadm kubelet kubectl)

apt_get() {
    DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -q -y --no-remove \
        -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"
}

# The lists have a lock of their own, for which apt-get does not wait.
apt_update() {
    local try
    for try in 1 2 3 4 5 6; do
        if apt_get update; then return 0; fi
        echo "apt-get update failed, try $try of 6"
        sleep 10
    done
    return 1
}

packages_are_cut() {
    [ -n "$(dpkg --audit)" ] || [ -n "$(ls -A "$root/var/lib/dpkg/updates" 2>/dev/null)" ]
}

# An install that was cut leaves every later one refused until this is done. Somebody else's that is under way looks the
# same, and dpkg waits for no lock: this waits for as long as apt-get does.
mend_packages() {
    local try code said
    for try in $(seq 60); do
        packages_are_cut || return 0
        code=0
        said=$(DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
            dpkg --force-confdef --force-confold --configure -a 2>&1) || code=$?
        echo "$said"
        if [ "$code" -eq 0 ]; then return 0; fi
        case $said in *"locked by another process"*) ;; *) return "$code" ;; esac
        if [ "$try" -lt 60 ]; then sleep 5; fi
    done
    echo "another process has held dpkg's lock for five minutes; wait until it has ended, or end it"
    return 1
}

is_control_plane() {
    [ -e "$root/etc/kubernetes/manifests/kube-apiserver.yaml" ]
}

installed_kubeadm() {
    kubeadm version -o short
}

installed_kubelet() {
    kubelet --version | awk '{ print $NF }'
}

# Files of sources that name the repository of a minor release, by the path that all of its mirrors share.
minor_sources() {
    grep -lsE '/v[0-9]+\.[0-9]+/deb' "$root/etc/apt/sources.list" "$root"/etc/apt/sources.list.d/*.list \
        "$root"/etc/apt/sources.list.d/*.sources || true
}

# Makes sources name the target's minor. Other products that number their repositories alike are left alone.
name_minor() {
    sed -i -E "/addons:/!s#/v[0-9]+\.[0-9]+/deb#/v$minor/deb#g" "$@"
}

# Fetches and unpacks the target's kubeadm into a folder, installing nothing, and prints where it is.
# The arguments behind the folder are options of apt-get.
target_kubeadm() {
    local folder=$1
    shift
    if [ "$(installed_kubeadm)" = "v$target" ]; then
        command -v kubeadm
        return
    fi
    # Callers test the result, which switches `set -e` off in here.
    (cd "$folder" && apt_get "$@" download "kubeadm=$target-*") >&2 || return 1
    mkdir -p "$folder/unpacked" || return 1
    dpkg-deb -x "$folder"/kubeadm_*.deb "$folder/unpacked" >&2 || return 1
    echo "$folder/unpacked/usr/bin/kubeadm"
}
