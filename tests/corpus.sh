#!/bin/bash
# Replays tests/corpus/fuzz_* through each fuzz target without a fuzzer. usage: tests/corpus.sh BUILD
set -u
build=${1:?usage: tests/corpus.sh BUILD}
cd "$(dirname "$0")/.." || exit 4
n=0 bad=0
for target in "$build"/tests/replay_*; do
    name=fuzz_${target##*/replay_}
    case $target in *.o | *.d | *"*") continue ;; esac
    n=$((n + 1))
    if said=$(timeout 60 "$target" tests/corpus/"$name"/* 2>&1); then
        echo "ok $n - $name: $said"
    else
        bad=1
        echo "not ok $n - $name" && echo "$said" | tail -n 5 | sed 's/^/# /'
    fi
done
[ $n -gt 0 ] || { echo "ok 1 # SKIP corpus: no fuzz target is built" && n=1; }
echo "1..$n"
exit $bad
