#!/bin/sh
# The main job at smoke scale: six classifiers on generated ListOps, two linear forecasters on the Mackey-Glass series,
# floors and controls beside them; trained, measured, reported. usage: tests/demo.sh PROGRAM
set -eu
program=$1
dir=results/runs/demo-$(date -u +%Y%m%d-%H%M%S)
echo "demo: training and measuring six classifiers on ListOps ..."
"$program" run --models '^(transformer|local|linformer|linear_transformer|performer|s4d)$' \
    --task listops:min=16,max=64,train=5000,valid=500,test=1000 --scale smoke -o "$dir/listops"
echo "demo: training and measuring two forecasters on Mackey-Glass ..."
"$program" run --models '^(dlinear|nlinear)$' --task mackey_glass --scale smoke -o "$dir/mackey_glass"
"$program" report "$dir/listops" "$dir/mackey_glass" -o "$dir/report.md"
sed -n '/^What stands out/,/^## Cost/p' "$dir/report.md" | sed '$d'
echo "demo: the whole report is in $dir/report.md"
