#!/bin/sh
# fair.sh - the mixers under one budget (docs/protocols.md, "Fair"), a task at a time
#
#     results/fair.sh train TASK FIRST SEEDS [OPTION...]  train seeds FIRST, FIRST + 1, ...; options go to `seqarena run`
#     results/fair.sh cost TASK [OPTION...]               time, FLOPs and memory of a step, at the rates that were chosen
#     results/fair.sh table                               the table of all that is there
#
# TASK is listops, mqar or reverse. Run directories lie below $RUNS (results/runs/fair); one that was stopped goes on when
# the same line is given again. Seeds may be added later: the trials of the rate are taken over from the first directory of
# the task. `cost` wants a quiet machine and the options that `train` had; $SEQARENA is the program.
set -eu
cd "$(dirname "$0")/.."
SEQARENA=${SEQARENA:-build/seqarena}
RUNS=${RUNS:-results/runs/fair}
MODELS='transformer|local|sparse_transformer|longformer|linformer|reformer|sinkhorn_transformer|synthesizer|bigbird'
MODELS="$MODELS|linear_transformer|performer|nystromformer|luna|cosformer|skyformer|rfa|flowformer|combiner"
MODELS="$MODELS|htransformer1d|mega|s4|s4d|s5|lru|dss|mamba|retnet|gla|deltanet|hyena|fnet|poolformer|gru|lstm"

usage() {
    sed -n 's/^#     //p' "$0" >&2
    exit 2
}

what=${1:-}
[ "$what" = table ] || [ $# -ge 2 ] || usage
case ${2:-} in
listops) task=listops:min=16,max=64 ;;
mqar) task=mqar:length=64,pairs=8 ;;
reverse | '') task=reverse ;;
*) usage ;;
esac

case $what in
train)
    [ $# -ge 4 ] || usage
    dir=$RUNS/$2-$3 first=$3 seeds=$4 trials=$RUNS/$2-1
    shift 4
    if [ ! -e "$dir/run.json" ] && [ "$dir" != "$trials" ] && [ -d "$trials/parts" ]; then
        mkdir -p "$dir"
        cp -r "$trials/parts" "$dir/"
    fi
    exec "$SEQARENA" run --models "^($MODELS)\$" --task "$task" --scale fair --seed "$first" --seeds "$seeds" --rounds 0 \
        -o "$dir" "$@"
    ;;
cost)
    name=$2
    shift 2
    for rate in 3e-4 1e-3 3e-3; do
        chosen=$("$SEQARENA" table fair "$RUNS/$name-1" |
            awk -F ' *[|] *' -v rate="$rate" '/ rate / { for (i = 1; i <= NF; i++) if ($i == "rate") at = i }
                /^[|] `/ && at && $at + 0 == rate + 0 { split($2, model, "`"); print model[2] }' | paste -sd '|')
        [ -z "$chosen" ] || "$SEQARENA" bench --models "^($chosen)\$" --task "$task" --scale fair --phase train \
            --train "rate=$rate" --threads 1 --rounds 5 -o "$RUNS/$name-cost-$rate" "$@"
    done
    ;;
table)
    exec "$SEQARENA" table fair "$RUNS"/*-*
    ;;
*) usage ;;
esac
