#!/bin/sh
# fair.sh - the mixers under one budget (docs/protocols.md, "Fair"), a task at a time
#
#     results/fair.sh train TASK FIRST SEEDS [OPTION...]  train seeds FIRST, FIRST + 1, ...; options go to `seqarena run`
#     results/fair.sh cost TASK [K=V,...]                 time, FLOPs and memory of a step, at the rates that were chosen
#     results/fair.sh table                               the table of all that is there
#
# TASK is listops, mqar or reverse. Run directories lie below $RUNS (results/runs/fair); one that was stopped goes on when
# the same line is given again. Seeds may be added later: the trials of the rate are taken over from the first directory of
# the task. `cost` wants a quiet machine and the settings that `train` was told by --train; $SEQARENA is the program.
set -eu
cd "$(dirname "$0")/.."
SEQARENA=${SEQARENA:-build/seqarena}
RUNS=${RUNS:-results/runs/fair}
file=results/tables/fair.ini # its rows and columns

usage() {
    sed -n 's/^#     //p' "$0" >&2
    exit 2
}

what=${1:-}
case $what:${2:-} in
table:) ;;
train:listops | cost:listops) column=ListOps ;;
train:mqar | cost:mqar | train:reverse | cost:reverse) column=$2 ;;
*) usage ;;
esac
task=$(sed -n "/^\[column ${column:-}\]/,/^\[/s/^task = //p" $file)
models=$(sed -n 's/^model = //p' $file | paste -sd '|')

case $what in
train)
    [ $# -ge 4 ] || usage
    dir=$RUNS/$2-$3 first=$3 seeds=$4 trials=$RUNS/$2-1
    shift 4
    if [ ! -e "$dir/run.json" ] && [ "$dir" != "$trials" ] && [ -d "$trials/parts" ]; then
        mkdir -p "$dir"
        cp -r "$trials/parts" "$dir/"
    fi
    exec "$SEQARENA" run --models "^($models)\$" --task "$task" --scale fair --seed "$first" --seeds "$seeds" --rounds 0 \
        -o "$dir" "$@"
    ;;
cost)
    name=$2 settings=${3:-}
    rates=$("$SEQARENA" table fair "$RUNS/$name-1")
    for rate in 3e-4 1e-3 3e-3; do
        chosen=$(echo "$rates" |
            awk -F ' *[|] *' -v rate="$rate" '/ rate / { for (i = 1; i <= NF; i++) if ($i == "rate") at = i }
                /^[|] `/ && at && $at + 0 == rate + 0 { split($2, model, "`"); print model[2] }' | paste -sd '|')
        [ -z "$chosen" ] || "$SEQARENA" bench --models "^($chosen)\$" --task "$task" --scale fair --phase train \
            --train "rate=$rate${settings:+,$settings}" --threads 1 --rounds 5 -o "$RUNS/$name-cost-$rate"
    done
    ;;
table)
    exec "$SEQARENA" table fair "$RUNS"/*-*
    ;;
esac
