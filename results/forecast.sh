#!/bin/sh
# forecast.sh - the forecasting runs that the tables ltsf-linear and itransformer are held against
#
#     results/forecast.sh                        the jobs, and how many cells of each are done
#     results/forecast.sh JOB... [-- OPTION...]  run them one after the other; options go to `seqarena run`
#     results/forecast.sh all -- --dry-run       only list the cells
#
# A job is one run directory below $RUNS (results/runs/forecast). One that was stopped, by a kill too, goes on where it was
# when the same line is given again; so, to work through them in the background:
#
#     nohup nice results/forecast.sh all >forecast.log 2>&1 &
#
# Then: seqarena table ltsf-linear results/runs/forecast/*, and the same with itransformer. The data lie in $SEQARENA_DATA;
# $SEQARENA is the program. Settings are those of the recipes; seeds and what else is asked for stand here.
set -eu
cd "$(dirname "$0")/.."
SEQARENA=${SEQARENA:-build/seqarena}
RUNS=${RUNS:-results/runs/forecast}

# Tasks of a set at horizons (the four of most papers when none is given): tasks etth1 ,lookback=336 96 192
tasks() {
    set_=$1 with=$2
    shift 2
    [ $# -gt 0 ] || set -- 96 192 336 720
    for h in "$@"; do printf ' --task %s:horizon=%s%s' "$set_" "$h" "$with"; done
}

# NAME, then what `run` is told. patchtst has its horizon 96 with three seeds and the others with one.
jobs_() {
    for s in etth1 etth2; do
        echo "nlinear-$s --model nlinear --scale ltsf --seeds 3$(tasks $s ,lookback=336,drop_last_batch=32)"
        echo "dlinear-$s --model dlinear --scale ltsf --seeds 5$(tasks $s ,lookback=336,drop_last_batch=32)"
    done
    for s in etth1 etth2; do
        echo "itransformer-$s --model itransformer --scale itransformer --seeds 3$(tasks $s '')"
    done
    echo "nlinear-exchange --model nlinear --scale ltsf --seeds 3$(tasks exchange ,lookback=336,drop_last_batch=8 96 192)$(
        tasks exchange ,lookback=336,drop_last_batch=32 336 720)"
    echo "nlinear-ili --model nlinear --scale ltsf --seeds 3$(tasks ili ,lookback=104,drop_last_batch=32 24 36 48 60)"
    echo "itransformer-exchange --model itransformer --scale itransformer --seeds 3$(tasks exchange '')"
    echo "itransformer-ili --model itransformer --scale itransformer --seeds 3$(tasks ili '' 24 36 48 60)"
    echo "informer-etth1 --model informer --scale informer --seeds 1$(tasks etth1 ,drop_last_batch=32 96)"
    patch='--model patchtst --scale patchtst --train patience=20'
    for s in etth1 etth2; do
        echo "patchtst-$s $patch --seeds 3$(tasks $s ,lookback=336,drop_last_batch=128 96)"
        echo "patchtst-$s-long $patch --seeds 1$(tasks $s ,lookback=336,drop_last_batch=128 192 336 720)"
    done
}

if [ $# -eq 0 ]; then
    jobs_ | while read -r name what; do
        done_=0
        # shellcheck disable=SC2086
        planned=$("$SEQARENA" run $what --dry-run | sed -n 's/^\([0-9]*\) cells$/\1/p')
        [ ! -f "$RUNS/$name/cells.csv" ] || done_=$(tail -n +2 "$RUNS/$name/cells.csv" | cut -d , -f 2 | sort -u | wc -l)
        printf '%-24s %2d of %2d cells\n' "$name" "$done_" "$planned"
    done
    exit
fi

wanted=
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    [ "$1" = all ] || jobs_ | grep -q "^$1 " || {
        echo "forecast.sh: no job '$1'; results/forecast.sh lists them" >&2
        exit 2
    }
    if [ "$1" = all ]; then wanted="$wanted $(jobs_ | cut -d ' ' -f 1 | tr '\n' ' ')"; else wanted="$wanted $1"; fi
    shift
done
[ $# -eq 0 ] || shift

for name in $wanted; do
    echo "== $name"
    # shellcheck disable=SC2046
    "$SEQARENA" run $(jobs_ | sed -n "s/^$name //p") --rounds 0 -o "$RUNS/$name" "$@"
done
