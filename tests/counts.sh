#!/bin/bash
# The project's own gate: what a step of a few models costs, counted under valgrind, against results/counts. Fails when
# FLOPs, bytes or planned memory grow, or instructions by more than 0.5 %. A change that is meant to cost more writes the
# new counts with SEQARENA_UPDATE_REF=1 and says why. usage: tests/counts.sh PROGRAM
set -u
program=${1:?usage: tests/counts.sh PROGRAM}
. "$(dirname "$0")/lib.sh"
limit=600
base=$top/results/counts
what='counts of a step against results/counts'
compiler() { sed -n 's/^ *"compiler": "\(.*\)",*$/\1/p' "$1/run.json"; }

if ! command -v valgrind >/dev/null; then
    skip "$what" 'no valgrind (apt-get install valgrind)'
    finish
    exit
fi
cd "$tmp" || exit 4
works '' bench --model transformer --model local --model linear_transformer --model s4d --count -q -o counts
if [ -n "${SEQARENA_UPDATE_REF:-}" ] && [ $bad -eq 0 ]; then
    mkdir -p "$base" && cp counts/cells.csv "$base/" && sed "s|\"$program\"|\"seqarena\"|" counts/run.json >"$base/run.json" || exit 4
fi
if [ ! -s "$base/cells.csv" ] || [ ! -s "$base/run.json" ]; then
    fail "$what" "$base is not there; write it with SEQARENA_UPDATE_REF=1"
elif [ "$(compiler "$base")" != "$(compiler counts)" ]; then
    skip "$what" "those are of $(compiler "$base"), this build is of $(compiler counts)"
else
    seqarena gate "$base" counts --across-machines
    # a cell that is in one of the two alone is compared with nothing
    if [ $status -eq 0 ] && ! grep -q '^- only in' "$tmp/out"; then pass "$what"; else fail "$what" "$(cat "$tmp/out" "$tmp/err")"; fi
fi
finish
