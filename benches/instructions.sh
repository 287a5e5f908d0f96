#!/bin/bash
# instructions.sh [--update]: counts the instructions that the hot path (scan, convert, digest, form tuples) takes for a fixed
# table, and fails where they are over 5 percent more than benches/instructions.txt says. --update writes the file anew.
#
# No clock is read, so a busy machine gives the same answer. valgrind's callgrind counts what happens inside the function
# `load` of benches/load_path.rs; making the database is not counted.
set -euo pipefail
cd "$(dirname "$0")/.."
committed=benches/instructions.txt
rows=20000
tolerance=5

command -v valgrind > /dev/null || { echo "instructions.sh: valgrind is missing: run 'make deps'" >&2; exit 1; }
# With resolver 1 a feature belongs to the package of the current folder.
program=$(cd src/sqlite && cargo build --quiet --release --bench load_path --features fixture --message-format json |
    python3 -c 'import json, sys
print(*(m["executable"] for m in map(json.loads, sys.stdin) if m.get("executable")), sep="\n")' | tail -n 1)
counts=$(mktemp)
trap 'rm -f "$counts"' EXIT
for table in orders narrow; do
    log=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='load_path::load' "$program" $rows $table 2>&1)
    count=$(sed -n 's/.*Collected : \([0-9]*\).*/\1/p' <<< "$log")
    [ "${count:-0}" -gt 0 ] || { printf '%s\n' "$log" "instructions.sh: nothing was counted" >&2; exit 1; }
    echo "$table $count" >> "$counts"
done
if [ "${1:-}" = --update ]; then
    { echo "# Instructions for $rows rows of each table of benches/load_path.rs, by benches/instructions.sh --update"; cat "$counts"; } > "$committed"
    cat "$committed"
    exit 0
fi
status=0
while read -r table count; do
    before=$(awk -v table="$table" '$1 == table { print $2 }' "$committed")
    change=$(awk -v a="$before" -v b="$count" 'BEGIN { printf "%+.1f", (b - a) * 100 / a }')
    echo "$table: $((count / rows)) instructions a row, $change percent against the committed figure"
    if awk -v change="$change" -v limit=$tolerance 'BEGIN { exit !(change > limit) }'; then
        echo "instructions.sh: $table grew by more than $tolerance percent; look at it with callgrind_annotate, or commit --update with the reason" >&2
        status=1
    fi
done < "$counts"
exit $status
