#!/bin/bash
# export --pytorch: for every variant the file that is written gives the logits of the C graph (tests/pytorch.py says how).
# usage: tests/pytorch.sh PROGRAM [REGEX of models]
set -u
program=${1:?usage: tests/pytorch.sh PROGRAM [REGEX]}
. "$(dirname "$0")/lib.sh"
export SEQARENA_PYTORCH=$top/models/pytorch OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive PYTHONDONTWRITEBYTECODE=1
python=
for p in python3 /usr/bin/python3; do
    [ -z "$python" ] && "$p" -c 'import numpy, torch' 2>/dev/null && python=$p
done
if [ -z "$python" ]; then
    skip 'models in PyTorch' 'no Python with PyTorch (apt-get install python3-torch)'
    finish
    exit
fi
nice "$python" "$top/tests/pytorch.py" "$program" "$top/tests/pytorch.cases" "$tmp" "${2:-.}"
