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

# The packages that are neither wholly there nor wholly gone. dpkg --audit names whole ones too, for want of checksums.
packages_are_cut() {
    [ -n "$(dpkg-query -W -f '${db:Status-Abbrev}|${Package}\n' | grep -E '^(.[HUFWt]|..R)')" ] ||
        [ -n "$(ls -A "$root/var/lib/dpkg/updates" 2>/dev/null)" ]
}

# What somebody has left half installed is not ours to finish on a node in service: that may restart its container runtime
# or its kubelet. An install that is under way looks the same, and is waited for as long as apt-get does.
wait_for_packages() {
    local try
    for try in $(seq 60); do
        packages_are_cut || return 0
        if [ "$try" -lt 60 ]; then sleep 5; fi
    done
    echo "packages are half installed; drain this node and finish them with dpkg --configure -a:"
    dpkg --audit
    return 1
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

# The source that provides kubeadm from the repository of a minor release: that minor, the URI and the file, or nothing.
# Only apt knows it, by the lists that it has: others number their repositories alike. Of several it is the target's, or
# else the newest. The arguments are options of apt.
source_of_kubeadm() {
    local sites site uri entry all
    sites=$(apt-cache "$@" madison kubeadm | awk -F '|' '{ split($3, words, " "); print words[1] }')
    all=$(apt-get "$@" indextargets --format '$(SITE) $(REPO_URI) $(SOURCESENTRY)' 'Created-By: Packages' |
        while read -r site uri entry; do
            if [[ $uri =~ /(v[0-9]+\.[0-9]+)/deb(/|$) ]] && grep -qxF -e "$site" <<<"$sites"; then
                # apt puts the number of the line, or of the paragraph, behind the file.
                echo "${BASH_REMATCH[1]} $uri ${entry%:*}"
            fi
        done)
    { grep -F "v$minor " <<<"$all" || sort -V <<<"$all"; } | tail -n 1
}

# Prints a file of sources with the target's minor in this URI, and in no other. No URI is an argument, which everybody on
# the machine could read: there may be a password in it.
with_minor() {
    local from=${1%/} file=$2
    [[ $from =~ ^(.*)/v[0-9]+\.[0-9]+/deb(/.*)?$ ]]
    from=$from to="${BASH_REMATCH[1]}/v$minor/deb${BASH_REMATCH[2]}" awk '{
        line = $0
        shown = ""
        while ((at = index(line, ENVIRON["from"])) > 0) {
            rest = substr(line, at + length(ENVIRON["from"]))
            shown = shown substr(line, 1, at - 1) ENVIRON[rest ~ /^\/*([ \t]|$)/ ? "to" : "from"]
            line = rest
        }
        print shown line
    }' "$file"
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
