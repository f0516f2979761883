#!/bin/bash
# compare and gate on made-up rows and on stand-ins for programs: nothing here is timed. usage: tests/compare.sh PROGRAM
set -u
program=${1:?usage: tests/compare.sh PROGRAM}
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 4
header=schema,key,phase,model,task,length,batch,dtype,threads,seed,status,message,flops,mem_planned_bytes,instructions,latency_ns_median,cpu_ns_median,test_accuracy

# row NS [NAME=VALUE...]: one row of cells.csv
row() {
    local model=local task=listops phase=infer length=64 seed=1 status=ok flops=1000 mem=4096 instructions= accuracy= ns=$1 v
    shift
    for v; do local "$v"; done
    echo "1,k$seed,$phase,$model,$task,$length,8,f32,1,$seed,$status,,$flops,$mem,$instructions,$ns,$ns,$accuracy"
}
# times FILE NS [NAME=VALUE...]: 20 blocks that scatter by 0.3 %, otherwise in each file
times() {
    local file=$1 ns=$2 i
    shift 2
    echo $header >"$file"
    for i in $(seq 20); do row $((ns + ns / 1000 * ((i * 7 + ${#file} * i) % 7 - 3) / 1)) "$@"; done >>"$file"
}
times base.csv 1000000
times again.csv 1000000
times same.csv 1001000
times slower.csv 1060000
times slower-still.csv 1060000
times faster.csv 900000
times between.csv 1015000
times drifted.csv 1100000

# Times: each verdict

verdict() { # name pattern args...: status 0, the table's line of local says so
    local name=$1 pattern=$2
    shift 2
    works "^local .*  $pattern" compare "$@"
}
verdict same 'same$' base.csv same.csv --control again.csv
verdict faster 'faster$' base.csv faster.csv --control again.csv
verdict slower 'slower, not confirmed$' base.csv slower.csv --control again.csv
is 'it says what would confirm it' grep -q 'give --confirm RUN' out
verdict 'cannot tell' 'cannot tell: neither beyond' base.csv between.csv --control again.csv
verdict unfit 'unfit: the base differs from itself by more than 1 %$' base.csv slower.csv --control drifted.csv
verdict 'without a control' 'cannot tell: no floor' base.csv slower.csv
is 'it says what is missing' grep -q 'give --control RUN' out
verdict 'a stated floor' 'slower, not confirmed$' base.csv slower.csv --floor 1
verdict 'a stated floor' 'cannot tell' base.csv slower.csv --floor 2.9
fails 1 '1 of 1 cells became worse; local on listops, infer, length 64, batch 8: time 1.06.*confirmed by a second look' \
    compare base.csv slower.csv --control again.csv --confirm slower-still.csv
verdict 'a second look that disagrees' 'cannot tell: slower at the first look, not at the second$' \
    base.csv slower.csv --control again.csv --confirm same.csv
verdict 'the other clock' 'same$' base.csv same.csv --control again.csv --clock cpu
for n in 1 2 3 4 5; do
    head -n $((n + 1)) base.csv >few-base.csv && head -n $((n + 1)) slower.csv >few.csv && head -n $((n + 1)) again.csv >few-again.csv
    verdict "$n blocks" "cannot tell: fewer than 6 blocks; $((6 - n)) more round" few-base.csv few.csv --control few-again.csv
done
sed '1s/$/,unfit/; 2,$s/$/,another run worked beside it/' slower.csv >disturbed.csv
verdict 'a run that says it was disturbed' 'unfit: another run worked beside it' base.csv disturbed.csv --control again.csv
sed -E 's/,[0-9]+,[0-9]+,$/,,,/' base.csv >untimed.csv
works '1 cell compared, 0 timed' compare base.csv untimed.csv
head -n 1 base.csv >none.csv
fails 3 'no cell of base.csv is in none.csv' compare base.csv none.csv
echo a,b >bad.csv
fails 3 'no column "key"' compare base.csv bad.csv
is 'no colour in a file' test -z "$(tr -cd '\033' <out)"

# Counts, memory, instructions, scores, cells that broke or have no partner

counted() { (echo $header && row 1000 "$@"); }
counted instructions=100000 >c.csv
counted instructions=100400 >c1.csv
works 'flops, bytes and memory are the same' compare c.csv c1.csv
(echo $header && row '' instructions=100000) >c8.csv
(echo $header && row '' instructions=100400) >c9.csv
works '\| instructions \+0\.40 %, other counts the same \|' gate c8.csv c9.csv
counted instructions=100600 >c2.csv
fails 1 'instructions 100000 -> 100600 \(\+0.6 %\): worse' compare c.csv c2.csv
counted flops=1001 >c3.csv
fails 1 'flops 1000 -> 1001 \(\+0.1 %\): worse' compare c.csv c3.csv
counted mem=4032 >c4.csv
works 'mem_planned_bytes 4096 -> 4032 \(-1.56 %\): better' compare c.csv c4.csv
counted status=failed >c5.csv
fails 1 'ok in the base, here failed' compare c.csv c5.csv
(counted && row 1000 length=128) >c6.csv
works 'only in new: local on listops, infer, length 128, batch 8' compare c.csv c6.csv
scored() { # FILE accuracies...
    local file=$1 seed=0 a
    shift
    echo $header >"$file"
    for a; do seed=$((seed + 1)) && row '' phase=train seed=$seed accuracy=$a; done >>"$file"
}
scored s.csv .50 .51 .52 .53
scored s1.csv .501 .509 .521 .529
scored s2.csv .45 .46 .475 .48
scored s3.csv .55 .56 .575 .58
scored s4.csv .40 .60 .52 .53
works '0.5150 -> 0.5150, .* over 4 seeds, margin 1: not worse' compare s.csv s1.csv
fails 1 'accuracy 0.5150 -> 0.4662, -4.88 .*: worse' compare s.csv s2.csv
works 'over 4 seeds, margin 10: not worse' compare s.csv s2.csv --margin 10
works ': better' compare s.csv s3.csv
works ': cannot tell' compare s.csv s4.csv
works 'margin 1: same' compare s.csv s.csv
sed '1s/$/,model_full,recipe/; 2,$s/$/,local:a=1,seed=7;rate=0.1;steps=5/' s.csv >r.csv
sed '1s/$/,model_full,recipe/; 2,$s/$/,local:a=1,seed=8;rate=0.1;steps=5/' s.csv >r1.csv
sed '1s/$/,model_full,recipe/; 2,$s/$/,local:a=2,seed=8;rate=0.2;steps=5/' s.csv >r2.csv
works '1 cell compared' compare r.csv r1.csv
is 'another seed is no other recipe' test -z "$(grep 'other settings' out)"
works 'trained by other settings' compare r.csv r2.csv
is 'another full form is said' grep -q 'built as local:a=1 in the base, as local:a=2 here' out

# Run directories

for arm in a b; do
    mkdir $arm && counted >$arm/cells.csv && echo schema,key,phase,round,index,ns,cpu_ns >$arm/samples.csv
    for r in $(seq 0 9); do
        for i in 0 1 2; do echo "1,k1,infer,$r,$i,$((1000000 + r * 1000 + i)),$((1000000 + r * 1000))"; done
    done >>$arm/samples.csv
    echo "{\"commit\": \"$arm\", \"environment\": {\"fingerprint\": \"$arm\"}}" >$arm/run.json
done
fails 3 'of different machines \(a, b\); measure both on one, or add --across-machines' compare a b
works '  10  same$' compare a b --across-machines --control a
is 'commits are shown' grep -q '^base a at a, new b at b$' out
echo '{' >b/run.json
fails 3 'b/run.json: line 2:.*damaged' compare a b

# JSON, CSV, gate

seqarena compare base.csv slower.csv --control again.csv --confirm slower-still.csv --csv all.csv --json -o all.json
is 'status 1 with both files' test $status -eq 1
is 'the CSV is whole' csv_whole all.csv
is 'its line of time' grep -q '^local,listops,infer,.*,wall_ns,.*,slower,1,' all.csv
gates() { fails 1 "$1" gate "${@:2}"; }
gates 'gate: 1 of 1 cells became worse; local' all.json --junit junit.xml --summary summary.md --github
is 'an annotation' grep -qxE '::error title=local on listops%2C infer%2C length 64%2C batch 8::time 1\.0.*%25.*' out
is 'a summary' grep -q '^| local on listops, infer, length 64, batch 8 | \*\*worse\*\* | time 1.0' summary.md
is 'a failure in JUnit' grep -q '<failure message="time 1.*type="regression"/>' junit.xml
gates 'gate: 1 of 1' base.csv slower.csv --control again.csv --confirm slower-still.csv --junit direct.xml
is 'the same from the runs themselves' cmp junit.xml direct.xml
is 'the summary on standard output' cmp out summary.md
for i in $(seq 14); do row 1000 length=$i flops=1000; done | (echo $header && cat) >many.csv
(sed 's/,1000,4096/,2000,4096/' many.csv && row 1000 'task="a<b>&""c"' length=99) >more.csv
gates '14 of 14 cells' many.csv more.csv --github --junit many.xml
is 'ten annotations' test "$(grep -c '^::error' out)" -eq 10
is 'the last counts the rest' grep -qx '::error title=seqarena::5 more; the summary has them all' out
works '^## seqarena: no regression' gate base.csv between.csv --control again.csv --junit skipped.xml
is 'not settled: skipped' grep -q '<skipped message="time 1.01' skipped.xml
counted >c7.csv
gates 'ok in the base' c7.csv c5.csv --junit broken.xml
is 'a cell that broke: error' grep -q '<error message="ok in the base, here failed' broken.xml
if command -v xmllint >/dev/null; then
    for f in junit many skipped broken; do is "$f.xml is XML" xmllint --noout $f.xml; done
    count() { test "$(xmllint --xpath "$1" "$2")" = "$3"; }
    is 'counts of the suite' count 'string(//testsuite[@name="listops"]/@failures)' many.xml 14
    is 'as many failures as it says' count 'count(//failure)' many.xml 14
    is 'what only one has' count 'string(//testsuite[@name="unmatched"]/testcase/@name)' many.xml \
        'local on a<b>&"c, infer, length 99, batch 8'
    is 'properties' count 'count(//property[@name="ratio"])' junit.xml 1
else
    skip 'JUnit XML' 'no xmllint'
fi
echo '{}' >empty.json
fails 3 'no comparison \(schema seqarena.compare/1\)' gate empty.json
echo '{' >torn.json
fails 3 'torn.json: line 2' gate torn.json
echo '{"schema": "seqarena.compare/1", "cells": [{}]}' >hollow.json
fails 3 'cell 1 lacks name' gate hollow.json
if command -v python3 >/dev/null; then
    is 'the JSON is strict' python3 -c 'import json, sys; json.load(open("all.json"), parse_constant=sys.exit)'
else
    skip 'strict JSON' 'no python3'
fi

# Live: stand-ins that write cells.csv; NS of a run depends on the program and, a little, on the padding

stand_in() { # FILE NS: a program
    { echo '#!/bin/bash'; echo "header=$header ns=$2"; } >"$1"
    cat >>"$1" <<'END'
[ "$1" = bench ] || exit 2
echo "$0 ${#SEQARENA_PADDING} $*" >>"${CALLS:-/dev/null}"
[ -z "${SLEEP:-}" ] || { : >started && exec sleep "$SLEEP"; }
[ -z "${BREAK:-}" ] || { echo 'seqarena: it broke' >&2; exit 3; }
while [ $# -gt 0 ]; do [ "$1" = -o ] && dir=$2; shift; done
mkdir "$dir" && ns=$((ns + ns * (${#SEQARENA_PADDING} % 5) / 2000))
state=ok && [ -n "${FLAKY:-}" ] && echo >>flaky && [ $(wc -l <flaky) -eq $FLAKY ] && state=failed
[ -z "${UNTIMED:-}" ] || ns=
{ echo "$header"; echo "1,k,infer,local,random,64,8,f32,1,1,$state,,1000,4096,,$ns,$ns,"; } >"$dir/cells.csv"
END
    chmod +x "$1"
}
stand_in old 1000000
stand_in new 1000000
stand_in slow 1050000
export TMPDIR=$tmp/scratch && mkdir scratch
CALLS=$tmp/calls seqarena compare ./old ./new --rounds 8 --seed 5 --json -o live.json -- --model local
is 'a live comparison' test $status -eq 0
is '8 rounds of 6 processes' test "$(grep -c . calls)" -eq 48
is 'twice as many of the base' test "$(grep -c /old calls)" -eq 32
is 'arguments passed on' grep -q ' bench --model local --rounds 1 --quiet -o ' calls
is 'padding differs' test "$(cut -d' ' -f2 calls | sort -u | wc -l)" -gt 20
is 'and is recorded' test "$(cut -d' ' -f2 calls | tr '\n' ' ')" = "$(sed -n 's/.*"padding_bytes": \([0-9]*\).*/\1/p' live.json | tr '\n' ' ')"
awk '{ print /old/ }' calls | head -48 | paste -sd ' ' | fold -w 12 >orders
is 'every round is a palindrome' test -z "$(awk '{ for (i = 1; i <= 6; i++) if ($i != $(7 - i)) print }' orders)"
is 'more than one order' test "$(sort -u orders | wc -l)" -gt 1
rm calls
CALLS=$tmp/calls seqarena compare ./old ./new --rounds 8 --seed 5 --json -o again.json -- --model local
is 'the same seed, the same session' cmp <(grep -v seconds live.json) <(grep -v seconds again.json)
fails 1 'confirmed by a second look' compare ./old ./slow --rounds 6 -- --model local
seqarena compare ./old ./slow --until-settled 30s --json -o settled.json -- --model local
is 'settled: 6 rounds, and 6 to confirm' grep -q '"rounds": \[ *6, *6 *\]' <(tr -d '\n' <settled.json)
FLAKY=7 seqarena compare ./old ./new --rounds 8 --json -o flaky.json -- --model local
is 'one process that fails breaks nothing' test $status -eq 0
BREAK=1 fails 3 'compare: ./(old|new): bench ended with status 3: seqarena: it broke' compare ./old ./new -- --model local
rm -f calls
CALLS=$tmp/calls UNTIMED=1 works '1 cell compared, 0 timed' compare ./old ./new -- --model local --count
is 'counts take one round' test "$(grep -c . calls)" -eq 6
SLEEP=30 "$program" compare ./old ./new -- --model local >/dev/null 2>interrupted &
pid=$!
for i in $(seq 100); do
    [ -e started ] && break
    sleep 0.05
done
kill -INT $pid
wait $pid
is 'interrupted: status 130' test $? -eq 130
is 'and a sentence' grep -q 'nothing is kept, run again' interrupted
is 'nothing stays behind' test -z "$(ls scratch)"

# Revisions

if command -v git >/dev/null; then
    export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
    mkdir repo && cd repo && git init -q . && cp ../old it && git add it && git commit -qm one && cp ../slow it && git commit -qam two
    make='mkdir build && cp it build/seqarena'
    fails 1 'confirmed by a second look' compare -q --build HEAD~1 --build HEAD --make "$make" --rounds 6 -- --model local
    works 'base HEAD, new ../slow' compare -q --build HEAD ../slow --make "$make" --rounds 6 -- --model local
    fails 2 -- '--build nope: no such revision' compare -q --build nope -- --model local
    fails 4 -- "--build HEAD: 'echo no; false' failed: no" compare -q --build HEAD --make 'echo no; false' -- --model local
    fails 4 "'true' made no build/seqarena" compare -q --build HEAD --make true -- --model local
    is 'no worktree stays' test "$(git worktree list | wc -l)" -eq 1
    is 'nothing stays behind' test -z "$(ls ../scratch)"
else
    skip 'revisions' 'no git'
fi
finish
