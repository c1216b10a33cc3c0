# Piped into `bash -s`. Prints what preflight asks of a node, and changes nothing outside a scratch folder.

# The target's own kubeadm: fetched with lists of its own, so that the machine's stay as they are.
ask_kubeadm() {
    local folder kubeadm options file
    folder=$(mktemp -d "$root/var/tmp/lockkeeper.XXXXXX")
    # shellcheck disable=SC2064
    trap "rm -rf '$folder'" EXIT
    mkdir -p "$folder"/sources "$folder"/lists/partial "$folder"/cache/archives/partial
    minor_sources | while read -r file; do
        cp "$file" "$folder/sources/"
    done
    options=()
    if [ -n "$(ls -A "$folder/sources")" ]; then
        # apt reads nothing of a folder but *.list and *.sources.
        if [ -e "$folder/sources/sources.list" ]; then mv "$folder/sources/sources.list" "$folder/sources/main.list"; fi
        name_minor "$folder"/sources/*
        options=(-o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$folder/sources")
    fi
    options+=(-o Dir::State::lists="$folder/lists" -o Dir::Cache="$folder/cache" -o APT::Sandbox::User=root)
    code=0
    {
        apt_get "${options[@]}" update && kubeadm=$(target_kubeadm "$folder" "${options[@]}")
    } >"$folder/fetch" 2>&1 || code=$?
    echo "kubeadm fetch $code"
    sed 's/^/output /' "$folder/fetch" | tail -n 20
    [ "$code" -eq 0 ] || return 0
    tell_kubeadm "$folder/upgrade-configuration.yaml"
    # What it would write goes into the scratch folder too, and not below /etc/kubernetes, where it would stay.
    kubeadm_env+=(KUBEADM_UPGRADE_DRYRUN_DIR="$folder/dry-run")
    ask "$folder" plan "$kubeadm" upgrade plan "${plan_words[@]}" "v$target"
    ask "$folder" apply "$kubeadm" upgrade apply --dry-run -y "${apply_words[@]}" "v$target"
    ask "$folder" diff "$kubeadm" upgrade diff "v$target"
    sed 's/^/diff /' "$folder/diff"
    echo
}

ask() {
    local folder=$1 name=$2 code=0
    shift 2
    timeout --kill-after=10 "$kubeadm_seconds_max" "${kubeadm_env[@]}" "$@" </dev/null >"$folder/$name" 2>"$folder/errors" || code=$?
    echo "kubeadm $name $code"
    { tail -n 20 "$folder/$name"; tail -n 10 "$folder/errors"; } | sed 's/^/output /'
    echo
}

echo "lockkeeper 1"
echo "machine $(tr -d '[:space:]' <"$root/etc/machine-id")"
echo "now $(date +%s)"
echo "btime $(awk '$1 == "btime" { print $2 }' "$root/proc/stat")"
# The fullest of the places that an upgrade writes to.
places=("$root/var/lib")
if [ -d "$root/etc/kubernetes" ]; then places+=("$root/etc/kubernetes"); fi
echo "disk $(df -Pk "${places[@]}" | awk 'NR > 1 { free = int($4 / 1024); if (NR == 2 || free < min) min = free } END { print min }')"
facts | awk -v run="$run" '{ if (split($3, t, ".") == 4 && t[1] == run && t[2] + 0 > max) max = t[2] + 0 }
    END { printf "sequence %.0f\n", max }'
# kubeadm takes a folder that is not there for an error, in the middle of the node's upgrade.
if [ -n "$patches_directory" ] && [ ! -d "$patches_directory" ]; then echo "patches missing"; fi
if [ "$with_kubeadm" = yes ]; then ask_kubeadm; fi
echo end
