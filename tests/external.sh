#!/bin/bash
# docs/examples/external_torch.py from export to report, small; exit status 4 where there is no PyTorch.
# usage: tests/external.sh PROGRAM
program=${1:?usage: tests/external.sh PROGRAM}
case $program in /*) ;; *) program=$PWD/$program ;; esac
for python in python3 /usr/bin/python3 none; do
    command -v "$python" >/dev/null && "$python" -c 'import torch, numpy' 2>/dev/null && break
done
[ "$python" = none ] && echo "no Python with PyTorch (apt-get install python3-torch)" && exit 4
example=$(cd "$(dirname "$0")/.." && pwd)/docs/examples/external_torch.py
tmp=$(mktemp -d "${TMPDIR:-/tmp}/seqarena-external.XXXXXX") || exit 4
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 4
set -e
task=listops:min=4,max=20,train=200,valid=40,test=40
"$program" data export $task -o d
"$python" "$example" d . 1 1
"$python" "$example" d . 1 2
"$program" score $task --pred logits1.npy --meta model1.json --pred logits2.npy --meta model2.json -o out
"$program" report out | grep '^| `torch transformer` (external) *| *2 |'
