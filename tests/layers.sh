#!/bin/sh
# Includes point one way only: compares every #include "dir/..." with the table below.
set -eu
cd "$(dirname "$0")/.."
table='base: base
kernels: kernels
engine: base kernels engine
models: base kernels engine models
tasks: base tasks
results: base results
reports: base results reports
harness/measure: base kernels harness/measure
harness: base kernels engine models tasks results reports harness harness/measure'
bad=0
for f in $(find base kernels engine models tasks results reports harness -name '*.[ch]' | sort); do
    dir=${f%%/*}
    case $f in harness/measure/*) dir=harness/measure ;; esac
    allowed=$(echo "$table" | sed -n "s|^$dir: ||p")
    for inc in $(sed -n 's/^ *# *include "\([a-z_/0-9]*\)\/[^/"]*".*/\1/p' "$f"); do
        top=$inc
        case $inc in harness/measure*) top=harness/measure ;; *) top=${inc%%/*} ;; esac
        case " $allowed " in
        *" $top "*) ;;
        *) echo "layers: $f includes $inc/; $dir may include: $allowed" && bad=1 ;;
        esac
    done
done
# Model code reaches arithmetic through ops: kernels.h only by way of a private op's file.
[ $bad = 0 ] && echo "layers: every include points the right way"
exit $bad
