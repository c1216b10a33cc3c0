# Piped into `bash -s`. Prints what preflight asks of a node, and changes nothing outside a scratch folder.

# Lists of the target's repository that are the question's own, so that the machine's stay as they are.
list_target() {
    local folder=$1 of uri file
    mkdir -p "$folder"/sources "$folder"/lists/partial "$folder"/cache/archives/partial
    options=(-o Dir::Cache="$folder/cache" -o APT::Sandbox::User=root)
    read -r of uri file <<<"$(source_of_kubeadm "${options[@]}")"
    options+=(-o Dir::State::lists="$folder/lists")
    if [ -z "$of" ]; then
        apt_get "${options[@]}" update || return 1
        read -r of uri file <<<"$(source_of_kubeadm "${options[@]}")"
        [ -n "$of" ] || return 0
    fi
    # apt reads nothing of a folder but *.list and *.sources.
    with_minor "$uri" "$file" >"$folder/sources/kubeadm.${file##*.}" || return 1
    options+=(-o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$folder/sources")
    apt_get "${options[@]}" update
}

# The target's own kubeadm, fetched and not installed.
ask_kubeadm() {
    local folder=$1 kubeadm options code=0
    {
        list_target "$folder" && kubeadm=$(target_kubeadm "$folder" "${options[@]}")
    } >"$folder/fetch" 2>&1 || code=$?
    echo "kubeadm fetch $code"
    sed 's/^/output /' "$folder/fetch" | tail -n 20
    [ "$code" -eq 0 ] || return 0
    write_upgrade_configuration "$folder/upgrade-configuration.yaml"
    ask "$folder" plan "$kubeadm" upgrade plan "${plan_words[@]}" "v$target"
    ask "$folder" apply "$kubeadm" upgrade apply --dry-run -y "${apply_words[@]}" "v$target"
}

ask() {
    local folder=$1 name=$2 code=0
    shift 2
    with_environment timeout --kill-after=10 "$kubeadm_seconds_max" "$@" </dev/null >"$folder/$name" 2>"$folder/errors" || code=$?
    echo "kubeadm $name $code"
    # A dry run prints each object and each file that it would write, with values that may be secrets. What it did is told
    # in lines that begin with a bracket, and what went wrong beside them.
    if [ "$name" = apply ]; then sed -i '/^\[/!d' "$folder/$name"; fi
    { tail -n 20 "$folder/$name"; tail -n 10 "$folder/errors"; } | sed 's/^/output /'
    echo
}

# The installed kubeadm, which has written the manifests if it is of the version that runs: what differs from what it
# would write now is a person's.
ask_installed() {
    local folder=$1 installed code=0
    # Before the question: what changes while it is asked is another file than the one that is told here.
    print_files
    installed=$(installed_kubeadm) || installed=
    echo "installed $installed"
    if [ -z "$patches_directory" ]; then
        echo "written $installed"
        with_environment timeout --kill-after=10 "$kubeadm_seconds_max" kubeadm upgrade diff "$installed" \
            </dev/null >"$folder/differences" 2>"$folder/errors" || code=$?
    else
        write_patched "$folder" "$installed" || code=$?
        echo "written $(grep -ohE 'to version "v[^"]+"' "$folder/written" | sed -n '1 s/^to version "\(.*\)"$/\1/p')"
        : >"$folder/differences"
        if [ "$code" -eq 0 ]; then compare_manifests "$folder" >"$folder/differences" 2>"$folder/errors" || code=$?; fi
    fi
    : >"$folder/differences-of-etcd"
    if [ "$code" -eq 0 ]; then ask_etcd "$folder" "$installed" 2>"$folder/errors" || code=$?; fi
    echo "manifests $code"
    sed 's/^/difference /' "$folder/differences" "$folder/differences-of-etcd"
    tail -n 10 "$folder/errors" | sed 's/^/manifests-output /'
    echo
}

# What kubeadm would make manifests of, and each manifest as it lies there: its hash, and the tag of its image. One that is
# missing is not told.
print_files() {
    local component file inputs
    inputs=$(inputs_hash) || inputs=
    echo "inputs $inputs"
    for component in kube-apiserver kube-controller-manager kube-scheduler; do
        file="$root/etc/kubernetes/manifests/$component.yaml"
        if [ -f "$file" ]; then
            echo "file $component $(sha256sum <"$file" | cut -d ' ' -f 1) $(sed -nE '/^ *image:/ { s/.*:(v[^:@ "]+)"?$/\1/p; q }' "$file")"
        fi
    done
}

# `upgrade diff` takes no notice of patches; a dry run of this one phase prints each manifest with them, and asks nothing
# else. Before 1.32 only `node` has phases: it writes for the version in kubeadm-config, and is worth nothing once that is
# another one.
write_patched() {
    local folder=$1 installed=$2 phase=(upgrade apply phase control-plane) minor
    minor=$(sed -nE 's/^v1\.([0-9]+)\..*/\1/p' <<<"$installed")
    if [ "${minor:-0}" -lt 32 ]; then
        phase=(upgrade node phase control-plane)
        installed=
    fi
    with_environment timeout --kill-after=10 "$kubeadm_seconds_max" \
        kubeadm "${phase[@]}" --dry-run --patches "$patches_directory" ${installed:+"$installed"} \
        </dev/null >"$folder/written" 2>"$folder/errors"
}

# An upgrade writes etcd's manifest anew too, and no question about an upgrade shows it. The phase of `init` that writes it
# does, for this node's name and address; as a dry run it writes to our folder only, and asks nobody.
ask_etcd() {
    local folder=$1 installed=$2 manifests="$root/etc/kubernetes/manifests" address
    # An etcd elsewhere is nothing to an upgrade.
    [ -e "$manifests/etcd.yaml" ] || return 0
    cluster_configuration "$folder/init.yaml" "$installed" || return 2
    address=$(sed -n 's|^ *kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint: ||p' "$manifests/kube-apiserver.yaml" |
        tr -d "[]'\"" | sed 's/:[0-9]*$//')
    if [ -z "$address" ]; then
        echo "kube-apiserver.yaml does not say which address this node advertises" >&2
        return 2
    fi
    # Without a socket it would look for one, and end where a machine has two; this phase has no use for it.
    cat >>"$folder/init.yaml" <<END

---
$(grep -m 1 '^apiVersion:' "$folder/init.yaml")
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: "$address"}
nodeRegistration: {name: "$node_name", criSocket: "unix:///run/containerd/containerd.sock"}
END
    # It takes no flag beside its configuration.
    if [ -n "$patches_directory" ]; then
        echo "patches: {directory: '${patches_directory//\'/\'\'}'}" >>"$folder/init.yaml"
    fi
    with_environment timeout --kill-after=10 "$kubeadm_seconds_max" kubeadm init phase etcd local --dry-run \
        --config "$folder/init.yaml" </dev/null >"$folder/printed" || return 2
    compare_manifest etcd "$(find "$folder/init" -name etcd.yaml)" >"$folder/differences-of-etcd"
}

# What is on the disk against what was printed; a manifest that was not printed, or a diff that fails, is no answer.
compare_manifests() {
    local folder=$1 component
    mkdir -p "$folder/manifests"
    # The line before the first file has no end. Before 1.32 each line of a file has a tab before it.
    awk -v into="$folder/manifests/" '
        match($0, /\[dryrun\] Would write file "[^"]*" with content:$/) {
            file = substr($0, RSTART); sub(/" with content:$/, "", file); sub(/.*\//, "", file); next
        }
        file ~ /^kube-(apiserver|controller-manager|scheduler)\.yaml$/ { sub(/^\t/, ""); print > (into file) }
    ' "$folder/written"
    for component in kube-apiserver kube-controller-manager kube-scheduler; do
        compare_manifest "$component" "$folder/manifests/$component.yaml" || return 2
    done
}

# One of them. The members that an etcd began with are of no matter to one that has its data: whoever was there when it
# joined, and after an upgrade itself alone.
compare_manifest() {
    local old="$root/etc/kubernetes/manifests/$1.yaml" new=$2 code=0 members='/^ *- --initial-cluster(-state)?=/d'
    if [ ! -s "$old" ] || [ ! -s "$new" ]; then return 2; fi
    # As kubeadm does, it ends the last line of a file that a person has saved without an end.
    diff -U 0 --label "/etc/kubernetes/manifests/$1.yaml" --label "new manifest" \
        <(sed -E -e "$members" -e '$a\' "$old") <(sed -E -e "$members" -e '$a\' "$new") || code=$?
    if [ "$code" -gt 1 ]; then return 2; fi
}

# Whether the target can be installed: a node that was never prepared does not know it yet, and what somebody holds beside
# our own packages may stand in its way. What was fetched may have been cleared away since: a drained node must not wait for
# a mirror.
print_packages() {
    local package output code=0 held install=(--allow-change-held-packages install "${packages[@]/%/=$target-*}")
    for package in "${packages[@]}"; do
        if ! apt-cache madison "$package" | awk -v v="$target-" 'index($3, v) == 1 { found = 1 } END { exit !found }'; then
            echo "packages missing"
            return
        fi
    done
    output=$(apt_get --simulate "${install[@]}" 2>&1) || code=$?
    held=$(awk '/^The following held packages will be changed:$/ { on = 1; next } /^[^ ]/ { on = 0 }
        on { for (i = 1; i <= NF; i++) print $i }' <<<"$output" | grep -vxE 'kubeadm|kubelet|kubectl' | tr '\n' ' ') || true
    if [ "$code" -ne 0 ]; then
        echo "packages blocked $(grep '^E: ' <<<"$output" | head -n 3 | tr '\n' ' ')"
    elif [ -n "$held" ]; then
        echo "packages blocked held: $held"
    else
        # Names what it would fetch, one in quotes a line, and fetches nothing. What lies in a folder it never fetches.
        output=$(apt_get -qq --print-uris "${install[@]}") || code=$?
        if [ "$code" -ne 0 ] || awk "/^'/ && !/^'file:/ { found = 1 } END { exit !found }" <<<"$output"; then
            echo "packages unfetched"
        else
            echo "packages ready"
        fi
    fi
}

# What an upgrade needs of the machine and does not find there.
lacking() {
    local program
    for program in apt-get apt-cache apt-mark dpkg dpkg-query dpkg-deb; do
        command -v "$program" >/dev/null || printf '%s ' "$program"
    done
    # A kubelet that was put there otherwise stays, and its unit with it, beside the one that apt installs.
    case $(dpkg-query -W -f '${db:Status-Abbrev}' kubelet 2>/dev/null) in
        ?[!nc]*) ;;
        *) printf 'package:kubelet ' ;;
    esac
    # It may be installed and not run.
    timeout 10 systemctl show >/dev/null 2>&1 || printf 'systemd '
}

echo "lockkeeper 1"
echo "machine $(tr -d '[:space:]' <"$root/etc/machine-id")"
echo "now $(date +%s)"
echo "btime $(awk '$1 == "btime" { print $2 }' "$root/proc/stat")"
echo "disk $(least_disk)"
echo "sequence $(newest_sequence)"
echo "lacking $(lacking)"
# kubeadm takes a folder that is not there for an error, in the middle of the node's upgrade.
if [ -n "$patches_directory" ] && [ ! -d "$patches_directory" ]; then echo "patches missing"; fi
if [ "$with_kubeadm" = yes ] || [ "$with_manifests" = yes ]; then
    # What a look has left that was killed; none takes a day.
    find "$root/var/tmp" -maxdepth 1 -type d -name 'lockkeeper.*' -mmin +1440 -exec rm -rf {} +
    scratch=$(mktemp -d "$root/var/tmp/lockkeeper.XXXXXX")
    # shellcheck disable=SC2064
    trap "rm -rf '$scratch'" EXIT
    # What kubeadm would write goes there too, and not below /etc/kubernetes, where it would stay.
    export KUBEADM_UPGRADE_DRYRUN_DIR="$scratch/dry-run" KUBEADM_INIT_DRYRUN_DIR="$scratch/init"
fi
if [ "$with_packages" = yes ]; then print_packages; fi
if [ "$with_manifests" = yes ]; then ask_installed "$scratch"; fi
if [ "$with_kubeadm" = yes ]; then ask_kubeadm "$scratch"; fi
echo end
