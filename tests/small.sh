#!/bin/bash
# A part of every verb in a few seconds, for sanitizers: a run, its report, weights out and in. usage: tests/small.sh PROGRAM
set -u
program=${1:?usage: tests/small.sh PROGRAM}
TEST_TIMEOUT=300
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 4
small=listops:min=4,max=20,train=60,valid=20,test=20
works '^run1$' run --models '^(transformer|local|s4d)$' --task $small --train steps=4,eval_every=2 --rounds 1 --jobs 2 -o run1
works '^run2$' run --model dlinear --model nlinear --task mackey_glass --train steps=4 --rounds 1 -o run2
works '' bench --models . --lengths 64 --batch 2 --rounds 1 -q -o bench1
is 'no child wrote to its log' test -z "$(cat run1/parts/*/log.txt run2/parts/*/log.txt bench1/parts/*/log.txt 2>/dev/null)"
works 'Local attention' report run1 run2 bench1
works 'series from 3 runs' history run1 run2 bench1 --plot changes.svg
works 'seqarena.history/1' history run1 run2 bench1 --json
for format in google-benchmark benchstat github-smaller github-bigger otava; do
    works '' report run1 --format $format
done
works 'Local Attention' table lra-1 run1
works '<svg' table lra-figure run1 --format svg
works 'missing' table lite run1 --plan
works 'lra-1' list tables
works '' export local --task $small --train steps=3 -o w.safetensors
works '' export transformer --task $small --init-only -o pytorch.safetensors --pytorch pytorch.py
works '' data export $small -o arrays
works '' predict --weights w.safetensors --input arrays/test_tokens.npy -o y.npy
echo '{"name": "the labels"}' >m.json
works 'accuracy 100.00 %' score $small --pred arrays/test_labels.npy --meta m.json -o scored
works 'the labels' report scored
works 'examples' data verify $small
for i in $(seq 0 79); do echo $((i % 8 + i)); done >series.txt
works 'repeat_last' forecast --csv series.txt --horizon 3 --train steps=4 -o ahead.csv
works '' explain s4d --length 64 --batch 2
works '' list models
works '' describe listops
fails 3 'No such file' predict --weights nothing --input x -o y
"$top/tests/nomem.sh" "$program" 40 >nomem.log 2>&1
is 'without memory' test $? -eq 0
grep -A 20 '^not ok' nomem.log
finish
