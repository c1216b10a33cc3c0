set -euo pipefail
shopt -s inherit_errexit
umask 077
export LC_ALL=C HOME="${HOME:-/root}"
export PATH="${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}"

directory="$root/var/lib/lockkeeper"
ledger="$directory/ledger"
script="$directory/$token.sh"
log="$directory/$token.log"
report="$directory/$token.report"
unit="lockkeeper-$token.service"
snapshots="$directory/snapshots"
# A source of packages that prepare has switched: what it was (original), where (path), and to what (minor, written).
kept="$directory/source"

# Everything that the ledger holds. After a power cut a file may end in zeros, which would hide what follows them.
facts() {
    if [ -e "$ledger" ]; then tr -d '\000' <"$ledger"; fi
}

is_this_machine() {
    [ "$(tr -d '[:space:]' <"$root/etc/machine-id")" = "$machine_id" ]
}

# The highest sequence among the tokens of this run that this node has seen, 0 if there is none.
newest_sequence() {
    facts | awk -v run="$run" '{ if (split($3, t, ".") == 4 && t[1] == run && t[2] + 0 > max) max = t[2] + 0 }
        END { printf "%.0f", max }'
}

# Prints the code of the first reason not to start this token, or nothing. A torn line counts as seen. A run counts its
# tokens upwards: one that is behind what the node has seen was under way for too long, or the run's state is an old one.
reason_to_refuse() {
    local seen highest sequence newest
    seen=$(facts | awk -v token="$token" '$3 == token { n++ } END { print n + 0 }')
    highest=$(facts | awk '$1 == "start" && $NF == "." && $4 + 0 > max { max = $4 + 0 } END { printf "%.0f", max }')
    sequence=${token#*.} sequence=${sequence%%.*}
    newest=$(newest_sequence)
    if ! is_this_machine; then
        echo machine_id_mismatch
    elif [ "$seen" -ne 0 ]; then
        echo token_already_seen
    elif ! [ "$sequence" -ge "$newest" ]; then
        echo state_went_backwards
    elif [ "$generation" -lt "$highest" ]; then
        echo generation_too_old
    elif [ "$(date +%s)" -gt "$not_after" ]; then
        echo check_expired
    fi
}
