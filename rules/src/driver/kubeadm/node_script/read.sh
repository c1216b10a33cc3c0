# Piped into `bash -s`. Prints what the node knows of one token, and changes nothing.
# The ledger is read before and after the unit is asked, until both times it says the same: a start that comes between
# a unit and its ledger looks like one whose unit is gone, an end like one that was cut.

known() {
    facts | awk -v token="$token" '$3 == token { print "fact " $0 }'
}

echo "lockkeeper 1"
echo "machine $(tr -d '[:space:]' <"$root/etc/machine-id")"
echo "now $(date +%s)"
echo "sequence $(newest_sequence)"
for _ in 1 2 3 4 5; do
    before=$(known)
    state=$(systemctl show --property=LoadState --property=ActiveState --property=SubState "$unit" | sort)
    after=$(known)
    [ "$before" != "$after" ] || break
done
# Without its last line this is no answer, and the node is asked again.
[ "$before" = "$after" ]
echo "unit $(echo "$state" | tr '\n' ' ')"
echo "$after"
if [ -e "$report" ]; then sed 's/^/report /' "$report"; fi
if [ -e "$log" ]; then tail -c 4000 "$log" | tr '\r' '\n' | sed 's/^/output /'; echo; fi
echo end
