#!/bin/sh
# Runs every fuzz target for a while. usage: tests/fuzz.sh BUILD SECONDS
set -u
cd "$(dirname "$0")/.."
bad=0
for t in "$1"/tests/fuzz_*; do
    [ -x "$t" ] || continue
    case $t in *.o|*.d) continue ;; esac
    name=$(basename "$t")
    mkdir -p "$1/corpus/$name"
    seed=tests/corpus/$name
    echo "fuzz: $name for $2 s"
    "$t" -max_total_time="$2" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 "$1/corpus/$name" $([ -d "$seed" ] && echo "$seed") \
        >"$1/$name.log" 2>&1 || { echo "fuzz: $name found something; see $1/$name.log"; bad=1; }
    grep -E 'number_of_executed_units' "$1/$name.log" | sed 's/^/  /'
done
exit $bad
