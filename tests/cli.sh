#!/bin/bash
# The command line from outside: every error is one line on stderr with the documented exit status, every promise of
# --help holds. usage: tests/cli.sh PROGRAM
set -u
program=${1:?usage: tests/cli.sh PROGRAM}
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 4
small=listops:min=4,max=20,train=60,valid=20,test=20
quick=(--train steps=4 --rounds 1 -q)

# Help, version, completion

works '^seqarena [0-9]' --version
works '^usage: seqarena VERB' --help
works '^usage: seqarena VERB' help
for verb in list describe run bench explain kernels verify report table claim history export predict data score forecast fidelity doctor completion; do
    works "^usage: seqarena $verb" "$verb" --help
    works "^usage: seqarena $verb" help "$verb"
done
seqarena completion
is "completion is bash" bash -n out

# Names that do not exist

fails 2 'no verb; see seqarena --help'
fails 2 "'frob' is no verb" frob
fails 2 "did you mean 'run'" runn
fails 2 "'--' is no verb" -- list
fails 2 "no option '--frob'" list --frob models
fails 2 "did you mean --rounds" bench --round 3
fails 2 "no option '-x'" run -x
fails 2 'one argument too many' run extra
fails 2 'something is missing' list
fails 2 "'modls'; give models" list modls
fails 2 'one argument too many' list models a b
fails 2 "nothing matches 'zzz'" list models zzz
fails 2 "'transfrmer' is unknown; did you mean 'transformer'" describe transfrmer
fails 2 "'qqqqqqqq' is unknown" describe qqqqqqqq
fails 2 'something is missing' describe
fails 2 "no model 'transforme'; did you mean 'transformer'" run --model transforme --task $small
fails 2 "'mlp' is a channel, not a model" run --model mlp --task $small
fails 2 "no parameter 'dimm'; did you mean 'dim'" run --model transformer:dimm=3 --task $small
fails 2 "no slot 'mixr'; did you mean 'mixer'" run --model transformer+mixr=local --task $small
fails 2 "no mixer 'nope'" run --model transformer+mixer=nope --task $small
fails 2 "'local' is a mixer, not a norm" run --model transformer+norm=local --task $small
fails 2 "task 'lstops': unknown; did you mean 'listops'" run --model local --task lstops
fails 2 "no parameter 'mn'; did you mean 'min'" run --model local --task listops:mn=3
fails 2 'no recipe of that name; choose one of .*smoke' run --model local --task $small --scale nope
fails 2 "no parameter 'foo'" run --model local --task $small --train foo=1
fails 2 'no model selected' run
fails 2 'no task selected' run --model transformer
fails 2 'no model selected' run --task mackey_glass --task listops
works '^10 cells' run --task mackey_glass --dry-run
works '^9 cells' run --task csv:file=never.csv,lookback=8 --dry-run
works '1 left out: their models do not take the task' run --task csv:file=never.csv,lookback=8 --dry-run
fails 2 'no model selected' bench
fails 2 "'5..3' is no length" bench --model local --lengths 5..3
fails 2 "'1K..' is no length" bench --model local --lengths 1K..
fails 2 "no case matches 'zzz'" kernels zzz
fails 2 'missing closing parenthesis' kernels '('
fails 2 'matches no model' run --models zzz --task $small
fails 2 'matches no task' run --model local --tasks zzz
fails 2 "nothing matches 'zzz'" verify --models zzz
fails 2 'something is missing' report
fails 2 'unknown format' report . --format docx
fails 2 'did you mean benchstat.*use md, html, latex, csv, json, google-benchmark' report . --format benchstats
fails 2 'did you mean html\?' report . --format htm
fails 3 'nowhere: cannot be read' report nowhere --format otava
fails 2 'something is missing' table
fails 2 'no table of that name; did you mean lra-1. Else choose one of audit, combiner' table lra1
fails 2 'no table of that name' table ../lra-1
fails 2 'unknown format' table lra-1 --format docx
works 'toprule' table lra-1 --format latex
works '<table>' table lra-1 --format html
fails 2 'it is no figure; use md, html, latex or csv' table lra-1 --format svg
fails 2 'it is drawn from tables lra-1 and lra-2; plan those' table lra-figure --plan
fails 3 'no such run directory' table lra-1 nowhere
fails 2 "'lra-11' is unknown; did you mean 'lra-1'" describe lra-11
fails 2 "'frob'; give list, make, show, export or verify" data frob
fails 2 'no task' data show
fails 2 "task 'nope': unknown" data show nope
fails 2 -- '--split foo' data show $small --split foo
fails 2 -- '-o is missing' data export $small
fails 2 -- '--task is missing' export transformer
fails 2 -- '-o is missing' export transformer --task $small
fails 2 'MODEL is missing' export
fails 2 -- '--weights FILE goes with --pytorch' export --weights a
fails 2 -- '--weights FILE goes with --pytorch' export transformer --weights a --pytorch a.py
fails 3 'a.st: No such file' export --weights a.st --pytorch a.py
fails 2 -- '--weights is missing' predict
fails 2 -- '--input is missing' predict --weights a
SEQARENA_TEST_SLOW=linear fails 2 'SEQARENA_TEST_SLOW: .linear. is not OP:LOOPS' list models
SEQARENA_TEST_SLOW=linear:9 works '' bench --model local --lengths 16 --phase infer --rounds 1 -q -o slow
is 'a row made slower on purpose says so' grep -q 'made slower on purpose (SEQARENA_TEST_SLOW, linear)' slow/cells.csv
fails 2 'give infer, train or step' explain transformer --phase x
fails 2 'give infer, train, step or several' bench --model transformer --phase foo
fails 2 -- '--dtype bf15; give f32, bf16 or bf16-emulated' bench --model transformer --dtype bf15
fails 2 -- '--dtype F32; give f32' explain transformer --dtype F32

# Values and texts

fails 2 'dim=0; give a whole number from 1' run --model transformer:dim=0 --task $small
fails 2 'dim=abc; give a whole number' run --model transformer:dim=abc --task $small
fails 2 'dim=63 is not a multiple of heads=2' run --model transformer:dim=63,heads=2 --task $small
fails 2 'window=0; give a whole number' run --model local:window=0 --task $small
fails 2 'the preset is missing' run --model '' --task $small
fails 2 'is not closed' run --model 'transformer+mixer=(' --task $small
fails 2 'the stack is empty' run --model 'transformer+mixer=()' --task $small
fails 2 'is given twice' run --model transformer:dim=64,dim=32 --task $small
fails 2 'the id is missing' run --model local --task ''
fails 2 'length=33 with 4 pairs; it must be even' data verify mqar:length=33,pairs=4,vocab=64
fails 2 'min=9 is above length=8' run --model local --task reverse:length=8,min=9
fails 5 'pool=last on a task with a label at each position.*leave \+pool= out' run --model transformer+pool=last \
    --task reverse:length=8,train=60,valid=20,test=20 "${quick[@]}" -o pooled
fails 5 'dlinear: it forecasts series' run --model dlinear --task reverse:length=8,train=60,valid=20,test=20 "${quick[@]}" -o pooled2
works '^reverse +tag ' list tasks
works '^mqar: .*\(tag: labels at positions\)' describe mqar
works '^train +60 +3 to 8' data verify reverse:length=8,min=3,train=60,valid=20,test=20
works '^labels ( +-){8}' data show mqar:length=32,pairs=4,vocab=32 -n 1
fails 2 'min=-3; give a whole number' run --model local --task listops:min=-3
fails 2 'no length lies between' data show listops:min=60,max=20
fails 2 'rate=abc; give a number' run --model local --task $small --train rate=abc
fails 2 'not NAME=VALUE' run --model local --task $small --train rate
fails 2 -- '--seeds 0; give a whole number from 1' run --model local --task $small --seeds 0
fails 2 -- '--seeds 99999999999999999999; give' run --model local --task $small --seeds 99999999999999999999
fails 2 -- '--threads 0; give' run --model local --task $small --threads 0
fails 2 -- '--threads 1e3; give' run --model local --task $small --threads 1e3
fails 2 -- '--jobs 25; give' run --model local --task $small --jobs 25
fails 2 -- '--budget 3x; give a time' run --model local --task $small --budget 3x
fails 2 -- '--budget -3s; give a time' run --model local --task $small --budget -3s
fails 2 -- '--memory lots; give a size' run --model local --task $small --memory lots
fails 2 -- '--seeds needs N' run --model local --task $small --seeds
fails 2 -- '--quiet takes no value' run --quiet=3 --model local --task $small
fails 2 "'0' is no length" bench --model transformer --lengths 0
fails 2 "'abc' is no length" bench --model transformer --lengths 1K,abc
fails 2 "'0' is no batch" bench --model transformer --batches 1,0
fails 2 'batch and --batches; leave one out' bench --model transformer --batch 2 --batches 1,2
fails 2 -- '--cache hot; give cold or warm' bench --model transformer --cache hot
fails 2 -- '--seconds x; give a time' doctor --seconds x
fails 2 -- '--counters flop: no group \(did you mean flops' bench --model transformer --counters flop
fails 2 -- '--bind close; give compact, spread, none or processors' bench --model transformer --bind close
fails 2 -- '--bind 3-1; give compact' run --model transformer --task $small --bind 3-1
fails 2 -- '--bind 99999: this process may not use processor 99999' bench --model transformer --bind 99999
fails 2 -- '--bind compact: [0-9]* processors? for 1024 threads; lower --threads' bench --model transformer --threads 1024 --bind compact
fails 2 -- '--counters cach: no group .*or names of events' run --model transformer --task $small --counters software,cach

# Patterns: PCRE2 says what is wrong and where

fails 2 "list '\(': missing closing parenthesis at character 2" list models '('
fails 2 "--models '\[': missing terminating \] for character class at character 2" run --models '[' --task $small
fails 2 "--tasks '\*': quantifier does not follow a repeatable item at character 1" run --model local --tasks '*'
fails 2 "verify: --models 'a\(\?!': missing closing parenthesis at character 5" verify --models 'a(?!'

# compare and gate; more in tests/compare.sh

works '^usage: seqarena compare' compare --help
works '^usage: seqarena gate' help gate
fails 2 '0 of two arms; give BASE and NEW' compare
fails 2 '1 of two arms' compare .
fails 2 '3 of two arms' compare --build a --build b .
fails 2 'one argument too many' compare a b c
fails 3 'zzz: no such run directory, CSV file or program' compare . zzz
fails 2 'one arm is a program, the other a file' compare . "$program" -- --model local
fails 2 'nothing to time; give what bench takes after --' compare "$program" "$program"
fails 2 'base among|-o among the arguments of bench' compare "$program" "$program" -- --model local -o x
fails 2 -- '--clock sun; give wall or cpu' compare . . --clock sun
fails 2 -- '--value mean; give median or min' compare . . --value mean
fails 2 -- '--margin x; give a number' compare . . --margin x
fails 2 -- '--floor -1; give a number' compare . . --floor -1
fails 2 -- '--until-settled soon; give a time' compare . . --until-settled soon
fails 2 -- '--rounds 0; give a whole number from 1' compare . . --rounds 0
fails 2 -- '--confirm needs --control' compare . . --confirm .
fails 2 -- '--rounds, --until-settled and --seed are for programs' compare . . --rounds 3
fails 2 -- '--control, --confirm and --floor are for files' compare "$program" "$program" --floor 1 -- --model local
fails 2 'nothing to run; leave them out for files' compare . . -- --model local
fails 3 'neither run.json nor cells.csv' compare . .
fails 3 'gone.json: No such file' gate gone.json
echo '{"schema": "seqarena.compare/1", "cells": []}' >compared.json
fails 2 -- '--csv is made from runs' gate compared.json --csv x

# Compute types

if seqarena explain transformer --length 16 --dtype bf16 && [ $status -eq 0 ]; then
    skip 'bf16 is refused' 'this processor has it'
else
    for arguments in "run --model transformer --task $small" 'bench --model transformer' 'explain transformer'; do
        fails 4 'needs AMX or AVX512-BF16, and this processor has neither; use f32, or bf16-emulated' $arguments --dtype bf16
    done
fi
works 'dtype bf16-emulated, kernels emulated bf16' explain transformer --length 16 --dtype bf16-emulated
works '"dtype": "bf16-emulated"' explain transformer --length 16 --dtype bf16-emulated --json
works 'dtype f32' explain transformer --length 16
seqarena run -n --model transformer:dim=8,layers=1 --task $small "${quick[@]}" && grep -oE '^[0-9a-f]{16}' out >keys
seqarena run -n --model transformer:dim=8,layers=1 --task $small "${quick[@]}" --dtype f32 && grep -oE '^[0-9a-f]{16}' out >keys-f32
is 'keys of f32 are those of no type' cmp keys keys-f32
works '' run --model transformer:dim=8,layers=1 --task $small "${quick[@]}" --dtype bf16-emulated -o emulated
is 'rows have the compute type' test "$(csv_columns emulated/cells.csv dtype | sort -u | tr '\n' ' ')" = 'bf16-emulated f32 '
csv_columns emulated/cells.csv key dtype floor status | sort -u >rows
is 'floors are f32, the rest is not' sh -c '! grep -E "\sf32\s\s" rows && ! grep -E "bf16-emulated\s1" rows'
is 'keys of floors stay, the others differ' \
    sh -c 'while read -r key type rest; do if [ $type = f32 ]; then grep -q $key keys; else ! grep -q $key keys; fi || exit 1; done <rows'
is 'run.json has the compute type' grep -q '"dtype": "bf16-emulated"' emulated/run.json
works '' run --model transformer:dim=8,layers=1 --task $small "${quick[@]}" -o plain
sed -i '/"dtype":/d' plain/run.json
works '' run --model transformer:dim=8,layers=1 --task $small "${quick[@]}" -o plain
works 'dtype=bf16-emulated' report plain emulated

# What a variant cannot take

fails 5 '1 of 3 cells did not finish.*dlinear: it forecasts series' run --model dlinear --task $small "${quick[@]}" -o unsuited
is 'its row says unsupported' grep -q ',unsupported,' unsuited/cells.csv
fails 3 'dlinear: it forecasts series' explain dlinear
fails 3 'kernel=24 is even' explain dlinear:kernel=24 --task mackey_glass
fails 3 'a floor has no ops' explain majority
fails 3 'no causal form' explain linformer:causal=1
fails 2 'whole number from 1 to 16777216' explain transformer --length 100000000
fails 2 "'32M' is no length" bench --model transformer --lengths 32M

# Forms of options

works 'cells' run -n --model=local --task=$small
works 'cells' run --dry-run --model local --task $small --train lr=1e-3,batch=4
works ' dot_distance  *pathfinder' run --dry-run --model s4d --task pathfinder:level=intermediate --scale lite
works ' brightness  *pathfinder' run --dry-run --model s4d --task pathfinder:input=reals --scale lite
works '^4 cells' run --dry-run --model s4d --task image --scale lite
works '^[0-9]* left out: ' run --dry-run --models '^(transformer|longformer|bigbird)$' --task image:form=lra
works 'longformer:form=lra ' run --dry-run --models '^transformer$' --model longformer:form=lra --task pathfinder:form=lra
works '^label [0-9]' data show -n2 $small
works '^label [0-9]' data show --n=2 -- $small
fails 3 -- '-o: no such run directory' report -- -o
works '^transformer$' list --names models '^transformer$'

# Machine-readable output

if command -v python3 >/dev/null && python3 -c pass 2>/dev/null; then
    for args in 'list --json models' 'list --json tasks' 'list --json recipes' 'list --json kernels' \
        'verify --json --models ^last$' 'doctor --json --seconds 1' 'explain --json local --length 64 --batch 1'; do
        seqarena $args
        is "$args is JSON" python3 -m json.tool out /dev/null
    done
else
    skip 'JSON of list, verify, doctor, explain' 'no python3 to parse it with'
fi

# CSV files of people

csv() { printf '%b' "$2" >"$1.csv" && echo "csv:file=$1.csv,lookback=4,horizon=2${3-}"; }
refused() { # name content pattern [parameters]
    fails 3 "$3" data verify "$(csv "$1" "$2" "${4-}")"
}
rows='2020-01-01,1,2\n2020-01-02,2,3\n2020-01-03,4,5\n'
refused nodate 'time,a,b\n1,2,3\n' 'nodate.csv: no column named date.*its 3 columns: time, a, b'
refused notarget "date,a,b\n$rows" "no column named 'load'.*date, a, b" ,target=load
refused onlydate 'date\n2020-01-01\n' 'no column but the date'
refused ragged "date,a,b\n${rows}2020-01-04,5\n" 'ragged.csv: line 5: 2 fields where the header has 3'
refused text "date,a,b\n${rows}2020-01-04,x1,2\n" "line 5: column 'a': 'x1' is not a finite number"
refused nan "date,a,b\n${rows}2020-01-04,NaN,2\n" "line 5: column 'a' is NaN; fill in"
refused inf "date,a,b\n${rows}2020-01-04,1,-inf\n" "line 5: column 'b' is -inf"
refused gap "date,a,b\n${rows}2020-01-04,,2\n" "line 5: column 'a' is empty"
refused huge "date,a,b\n${rows}2020-01-04,1e999,2\n" "line 5: column 'a': '1e999' is not a finite"
refused baddate "date,a,b\n${rows}2020-13-04,1,2\n" "line 5: '2020-13-04' is not a date"
refused back "date,a,b\n${rows}2019-01-04,1,2\n" 'line 5: the time 2019-01-04 is before'
refused twice "date,a,b\n${rows}2020-01-03,1,2\n" 'line 5: the time 2020-01-03 stands on line 4 too'
refused quote "date,a,b\n${rows}2020-01-04,\"1,2\n" 'quote.csv: line 5'
refused empty '' 'empty.csv: empty'
refused header 'date,a\n' 'a header but no rows'
refused short "date,a,b\n$rows" 'short.csv: .*rows'
refused control "date,a,b\n2020-01-01,\\\\001\\\\033[31m,3\n" "line 2: column 'a'"
refused hole "date,a,b\n${rows}2020-01-06,1,2\n" 'line 5: 2 rows are missing between 2020-01-03 .*gaps=fill'
refused order 'date,a\n01/02/2020,1\n' 'the day or the month may stand first; give dates=dmy'
refused comma 'date;a\n2020-01-01;1,5\n' 'decimal=comma'
refused left "date,a,b\n${rows}2020-01-04,x,2\n" 'leave_out=NAME'
fails 3 'missing.csv: No such file' data verify csv:file=missing.csv

# A table continued

for i in $(seq 0 59); do printf '20%02d-%02d,%d,%d\n' $((10 + i / 12)) $((1 + i % 12)) $((i % 12 + i)) $((3 * i)); done |
    (echo 'Month,a,b' && cat) >months.csv
works 'ahead.csv: 4 rows from 2015-01-01 to 2015-04-01; figure ahead.svg' forecast --csv months.csv --reading date=Month \
    --horizon 4 --train steps=20 -o ahead.csv
is 'rows of a forecast' test "$(cut -d, -f 1 ahead.csv | tr '\n' ' ')" = 'date 2015-01-01 2015-02-01 2015-03-01 2015-04-01 '
is 'columns of a forecast' test "$(head -n 1 ahead.csv)" = date,a,b
is 'a figure of a forecast' grep -q '</svg>' ahead.svg
works '<svg ' plot forecast ahead.csv --truth months.csv
works 'repeat_last' forecast --csv months.csv --reading date=Month --horizon 4 --mode MS --target a --model seasonal_naive \
    --no-plot -o season.csv
is 'the last season again' test "$(tail -n +2 season.csv | cut -d, -f 2 | tr '\n' ' ')" = '48 50 52 54 '
cut -d, -f 2 months.csv | tail -n +2 >plain.txt
works 'plain.csv: 2 rows;' forecast --csv plain.txt --horizon 2 --train steps=20 -o plain.csv
is 'rows without times' test "$(cut -d, -f 1 plain.csv | tr '\n' ' ')" = 'row 61 62 '
timed=csv:file=months.csv,date=Month,lookback=6,horizon=2
seqarena export itransformer:dim=8,heads=2,ffn=8,layers=1 --task $timed --init-only -o timed.safetensors
seqarena data export $timed -o timed
works '' predict --weights timed.safetensors --input timed/test_x.npy --marks timed/test_marks.npy -o y.npy
fails 2 'reads the times of rows; give their features with --marks' predict --weights timed.safetensors --input timed/test_x.npy -o y.npy
fails 3 'test_x.npy: not an array \([0-9]+, 8, [0-9]\)' predict --weights timed.safetensors --input timed/test_x.npy \
    --marks timed/test_x.npy -o y.npy
fails 2 '--horizon is missing' forecast --csv months.csv -o x.csv
fails 3 'no column named date' forecast --csv months.csv --horizon 4 -o x.csv
fails 3 'too few for lookback 1 and horizon 400' forecast --csv plain.txt --horizon 400 -o x.csv
fails 2 "no model 'nlinera'; did you mean 'nlinear'" forecast --csv plain.txt --horizon 2 --model nlinera -o x.csv
fails 3 'Is a directory' data verify csv:file=/
fails 2 'no file; write csv:file=PATH' data verify csv
truncate -s 2G sparse.csv
before=$SECONDS
(ulimit -v 1000000 && OPENBLAS_NUM_THREADS=1 timeout 60 "$program" data verify csv:file=sparse.csv >out 2>err </dev/null)
status=$?
if [ $status -eq 3 ] && [ -z "$(one_line)" ] && [ $((SECONDS - before)) -lt 10 ]; then
    pass 'a line of 2 GB is refused soon and in little memory'
else
    fail 'a line of 2 GB is refused soon and in little memory' "status $status after $((SECONDS - before)) s: $(head -c 300 err)"
fi
rm -f sparse.csv

# Reviews and pairs of documents

reviews() { printf '%b' "$2" >"$1" && echo "text:train=some.tsv,valid=0.4,test=$1"; }
for i in 0 1 2 3 4 5 6 7 8 9; do printf '%d\treview %d\n' $((i % 2)) $i; done >some.tsv
for i in 0 1 2 3 4 5 6 7 8 9; do printf '%d.0\tP%d\tQ%d\t"text %d\tother %d\n' $((i % 2)) $i $i $i $i; done >few.tsv
for i in {1..6}; do sed "s/[PQ]/&$i/g" few.tsv; done >documents.tsv
works '^test +2 +3 to 4' data verify "$(reviews ok.tsv '0\tbad\n1\t good \r\n' | sed 's/$/,length=4/')"
fails 3 "bad.tsv: line 2: the label '2' is none of" data verify "$(reviews bad.tsv '0\tx\n2\ty\n')"
fails 3 'tabs.tsv: line 1: 3 columns instead of 2' data verify "$(reviews tabs.tsv '0\tx\ty\n')"
fails 3 'none.tsv: line 1: an empty text; remove it, or give skip_bad=1' data verify "$(reviews none.tsv '0\t \n')"
works 'note: .*1 bad left out, the first: bad.tsv: line 2' data verify text:train=some.tsv,valid=0.4,test=bad.tsv,skip_bad=1
fails 3 'quote.csv: line 1' data verify "$(reviews quote.csv '0,"x\n')"
fails 2 'train= without test=' data verify text:train=some.tsv
fails 2 'form=foo; ' data verify text:form=foo
fails 2 'length=0; give a whole number from 1 to 65536' data verify text:length=0
works 'validation is the test set' data verify text:train=some.tsv,test=ok.tsv,form=lra
works '^retrieval: .*\(pair: a label for two sequences\)' describe retrieval
works '^text 2, 7 bytes: other' data show retrieval:file=documents.tsv -n 1
works 'generated bytes and labels' data verify retrieval:generated=3,length=8
fails 2 'generated= and file=' data verify retrieval:generated=3,file=documents.tsv
printf '1\tP\tQ\ta\n' >short.tsv
fails 3 'short.tsv: line 1: 4 columns between tabs instead of 5' data verify retrieval:file=short.tsv
head -n 1 few.tsv >one.tsv
fails 3 'one.tsv: no pairs for the' data verify retrieval:file=one.tsv
fails 5 'pair=two_part on a task without pairs; leave \+pair= out' run --model transformer+pair=two_part --task $small \
    "${quick[@]}" -o unpaired
fails 5 'dlinear: a whole model has no towers' run --model dlinear --task retrieval:file=documents.tsv "${quick[@]}" -o whole
works '' run --model transformer:dim=8,layers=1 --task retrieval:file=documents.tsv,length=16 "${quick[@]}" -o pairs
is 'floors of pairs' sh -c 'grep -q ",majority," pairs/cells.csv && grep -q ",bag_of_tokens," pairs/cells.csv'
works 'parameters$' export transformer:dim=8,layers=1 --task retrieval:file=documents.tsv,length=16 --init-only -o pairs.w
works '^pairs.py: for pairs.w$' export --weights pairs.w --pytorch pairs.py
is 'the model in PyTorch has the parts of this model' test "$(grep -c '_pair, \|^class .*_mixer' pairs.py) $(grep -c '_pool, ' pairs.py)" = '2 1'
cp "$program" alone # without its data files
of_tree=$program program=$PWD/alone
fails 4 'models/pytorch/base.py is not there; install it, or set SEQARENA_PYTORCH' export --weights pairs.w --pytorch p.py
SEQARENA_PYTORCH=$top/models/pytorch works 'p.py: for' export --weights pairs.w --pytorch p.py
mkdir most && cp "$top"/models/pytorch/*.py most && rm most/four_part.py
SEQARENA_PYTORCH=most fails 4 "four_part.py, the variant's PyTorch form, is not there; write it" export --weights pairs.w --pytorch p.py
program=$of_tree
works '' data export retrieval:file=documents.tsv,length=16 --split test -o pairs.d
works '' predict --weights pairs.w --input pairs.d/test_tokens.npy -o pairs.npy
works '`local:window=16` *. *8 . 0.000 ' fidelity --weights pairs.w --lengths 8 local:window=16 performer
fails 3 'not an array \(n, 2, length\)' predict --weights pairs.w --input pairs.d/test_labels.npy -o pairs.npy
is 'examples of pairs' test "$(csv_columns pairs/examples.csv index | wc -l)" -gt 4

# Data that are not there: which, where published, checksum

fails 3 'ETTh1.csv: not found in /nowhere.*published at .*ETDataset.*SHA-256 [0-9a-f]{64}' \
    data verify etth1 --data /nowhere
fails 3 'not found.*published' data verify listops:file=released --data /nowhere
fails 3 'No such file' data verify listops:file=missing.tsv
fails 3 'aclImdb: not found.*published at ai.stanford.edu.*SHA-256 c40f74a18d3b61f9' data verify text --data /nowhere
fails 3 'imdb_train_2000.tsv: not found.*SHA-256 [0-9a-f]{64}' \
    data verify text:train=imdb_train_2000.tsv,test=imdb_test_1000.tsv --data /nowhere
fails 3 'new_aan_pairs.train.tsv: not found.*long-range-arena.*no checksum' data verify retrieval --data /nowhere

fails 3 'data_batch_1.bin: not found in /nowhere.*published at https://www.cs.toronto.edu.*test_batch.bin \(MD5 [0-9a-f]{32}' \
    data verify image --data /nowhere
fails 3 'cifar10_train_2000.bin: not found.*SHA-256 [0-9a-f]{64}' data verify image:train=cifar10_train_2000.bin --data /nowhere
fails 3 'mine.bin: not found in /nowhere.*check the name' data verify image:train=mine.bin --data /nowhere

# Images: 20 of CIFAR's records, and a pair of IDX files of 20 images of 2 x 3

number() { printf "\\$(printf %03o "$1")"; }
for i in $(seq 0 19); do number $((i % 10)) && head -c 3072 /dev/zero; done >pictures.bin
printf '\0\0\010\003\0\0\0\024\0\0\0\02\0\0\0\03' >i-images-idx3-ubyte
for i in $(seq 120); do number $i; done >>i-images-idx3-ubyte
printf '\0\0\010\01\0\0\0\024' >i-labels-idx1-ubyte
for i in $(seq 20); do number $((i % 2)); done >>i-labels-idx1-ubyte
gzip -k i-images-idx3-ubyte i-labels-idx1-ubyte
works 'no test file: 2 images' data verify image:train=./pictures.bin
works 'label 0 airplane, 32 x 32 pixels' data show image:train=./pictures.bin,test=./pictures.bin --split test -n 1
works '2 x 3 images, grey as published' data verify image:train=./i-images-idx3-ubyte.gz,test=./i-images-idx3-ubyte
head -c 6200 pictures.bin >cut.bin
fails 3 'cut.bin: 6200 bytes, 2 images of 3073 bytes and 54 more from byte 6146; .*skip_bad=1' data verify image:train=./cut.bin
{ cat pictures.bin && number 11 && head -c 3072 /dev/zero; } >label.bin
fails 3 'label.bin: image 20 \(byte 61460\) has label 11 outside 0 to 9; ' data verify image:train=./label.bin
works '1 bad images left out' data verify image:train=./label.bin,skip_bad=1
head -c 60 i-images-idx3-ubyte.gz >g-images-idx3-ubyte.gz
fails 3 'g-images-idx3-ubyte.gz: the gzip data end too early, after byte 60; ' data verify image:train=./g-images-idx3-ubyte.gz
fails 2 'no IDX file of images; ' data verify image:train=./pictures.bin,train_labels=./i-labels-idx1-ubyte
fails 3 'begins with 2049|give the file of images|bytes' data verify image:train=./i-labels-idx1-ubyte
fails 2 'rgb=1 gives three reals a pixel; add input=reals' data verify image:train=./pictures.bin,rgb=1
fails 3 'IDX images are grey; ' data verify image:train=./i-images-idx3-ubyte,rgb=1,input=reals
fails 2 'gray=blue' data verify image:train=./pictures.bin,gray=blue

# Reals to classify: trained, exported, predicted; NaN at the end is padding

reals=image:train=./i-images-idx3-ubyte,input=reals,classes=2
works '' run --model local --model transformer "${quick[@]}" --task $reals -o reals
is 'floors stand beside reals' grep -q ',majority,' reals/cells.csv
works '' export transformer --task $reals --init-only -o reals.safetensors
works '' fidelity --weights reals.safetensors local performer:features=8 skyformer -o fidelity
is 'rows of fidelity' test "$(grep -c ',ok,,' fidelity/fidelity.csv) $(grep -c unsupported fidelity/fidelity.csv)" = '6 1'
fails 2 'weights is missing' fidelity local
works '' data export $reals --split test -o pixels
works '' predict --weights reals.safetensors --input pixels/test_x.npy -o y.npy
npy() { # FILE SHAPE BYTES: float32
    printf "\\223NUMPY\\01\\0\\166\\0%-117s\\n" "{'descr': '<f4', 'fortran_order': False, 'shape': $2, }" >"$1"
    printf '%b' "$3" >>"$1"
}
one='\0\0\0200\077' nan='\0\0\0300\0177'
npy ragged.npy '(1, 3, 1)' "$one$one$nan"
npy short.npy '(1, 2, 1)' "$one$one"
npy hole.npy '(1, 3, 1)' "$one$nan$one"
works '' predict --weights reals.safetensors --input ragged.npy -o y1.npy
works '' predict --weights reals.safetensors --input short.npy -o y2.npy
is 'padding leaves the logits of reals' cmp y1.npy y2.npy
fails 3 'hole.npy: nan in row 0, position 1; ' predict --weights reals.safetensors --input hole.npy -o y3.npy
npy wide.npy '(1, 1, 2)' "$one$one"
fails 3 'another number of channels' predict --weights reals.safetensors --input wide.npy -o y3.npy
fails 5 'first_token: it guesses one label from tokens; .*reals take majority' run --model first_token --task $reals -o reals2
rm -f pictures.bin label.bin cut.bin

# Files and directories that cannot be read or written

as_nobody() { # runs the program as another user: root may read everything
    SEQARENA_RECIPES=$tmp/recipes timeout -k 5 60 setpriv --reuid 65534 --regid 65534 --clear-groups "$tmp/seqarena" "$@" >out 2>err </dev/null
}
denied() { # name pattern args...
    local name=$1 pattern=$2 wrong
    shift 2
    if [ "$(id -u)" -eq 0 ]; then as_nobody "$@"; else timeout 60 "$program" "$@" >out 2>err </dev/null; fi
    status=$?
    wrong=$(one_line)
    [ $status -eq 3 ] || wrong="exit status $status; $(head -c 300 err)"
    [ -n "$wrong" ] || grep -qE "$pattern" err || wrong=$(cat err)
    if [ -z "$wrong" ]; then pass "$name"; else fail "$name" "$wrong"; fi
}
cp "$program" seqarena
cp -r "$top/recipes" recipes # the tree may lie where only root may read
printf "date,a,b\n$rows" >secret.csv
chmod 000 secret.csv
mkdir -m 555 locked
if [ "$(id -u)" -ne 0 ] || { command -v setpriv >/dev/null && as_nobody --version; }; then
    denied 'a file without permission' 'secret.csv: Permission denied' data verify csv:file=secret.csv
    denied 'a run directory that cannot be written' 'locked.*Permission denied' run --model local --task $small -o locked/run
    denied 'a report that cannot be written' 'Permission denied' export local --task $small --init-only -o locked/w
else
    skip 'permissions' 'root, and setpriv cannot become another user'
fi
fails 3 'Not a directory' run --model local --task $small -o /dev/null/x
fails 3 'Not a directory|Is a directory|name a file' export local --task $small --init-only -o locked
fails 3 'not a directory|Not a directory' data export $small -o secret.csv

# Run directories

works '^run1$' run --model local --task $small "${quick[@]:0:4}" -o run1
works '^run1$' run --model local --task $small "${quick[@]:0:4}" -o run1
fails 3 'run1: holds another plan' run --model local --model s4d --task $small "${quick[@]}" -o run1
fails 3 'run1: holds another plan' run --model local --task $small --train steps=5 --rounds 1 -q -o run1
sed 's/"build": "[0-9a-f]*"/"build": "0000000000000000"/' run1/run.json >edited && cp edited run1/run.json
fails 3 'begun by another build' run --model local --task $small "${quick[@]}" -o run1
works '' run --model local --task $small "${quick[@]}" -o run1 --mixed
(
    flock 9
    fails 3 'run1: in use by another seqarena' run --model local --task $small "${quick[@]}" -o run1 --mixed
    echo "$tests $bad" >counts
) 9>run1/lock
read -r tests bad <counts
mkdir notrun && echo '{"a":' >notrun/run.json
works 'Mind:.. notrun/run.json: line 2: ' report notrun
fails 3 'notrun/run.json:2: .*not the file of a run' run --model local --task $small "${quick[@]}" -o notrun
echo '{"plan": {"cells": [3]}}' >notrun/run.json
fails 3 'notrun/run.json: its plan is incomplete' run --model local --task $small "${quick[@]}" -o notrun
fails 3 'File name too long; choose a shorter one' run --model local --task $small "${quick[@]}" -o "$(printf 'x%.0s' {1..300})"
fails 2 'path too long; choose a shorter one' run --model local --task $small "${quick[@]}" -o "$(printf 'x/%.0s' {1..2500})"
fails 3 'no such run directory' report /nonexistent
fails 3 'neither run.json nor cells.csv' report locked
works '' run --model dlinear --task mackey_glass "${quick[@]}" -o run2
works 'Local attention' report run1 run2
works '"schema"' report run1 -f json
works 'local' report run1 --format=csv
works '' report run1 -o run1/report.md
is 'report -o writes the file' grep -q 'Local attention' run1/report.md

# Pictures

fails 2 'something is missing' plot
fails 2 "'bubble' is no kind of picture .did you mean bubbles" plot bubble run1
fails 2 'no run directory; name one or several behind ranks' plot ranks
fails 2 'give a name that ends in .svg or .pdf' plot ranks run1 -o ranks.png
fails 3 'nowhere: no such run directory' plot ranks nowhere
fails 2 'forecast takes one file' plot forecast a.csv b.csv
echo '{}' >plain.json
fails 3 'not what `seqarena doctor --json` prints' plot roofline run1 --machine plain.json
fails 3 'no row for curves; it needs' plot curves run1
works '^<svg .*viewBox' plot roofline run1
works '' plot roofline run1 -o roofline.svg
is 'a picture is XML' python3 -c 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])' roofline.svg
works '' plot roofline run1 -o roofline.pdf
is 'a picture as PDF' grep -q '^%PDF' roofline.pdf
fails 3 'no row for scaling-time; it needs a model timed at three lengths or more' plot scaling-time run1
fails 3 'no row for roofline of models that match --models' plot roofline run1 --models nothing
mkdir no-gnuplot && for tool in timeout wc grep head tr; do ln -s "$(command -v $tool)" no-gnuplot/; done
PATH=$PWD/no-gnuplot fails 4 'plot: gnuplot is not installed; install it' plot roofline run1

# Change points

{ echo time,commit,test,ms; for i in $(seq 1 40); do echo "$i,c$i,a,$((i < 21 ? 100 + i % 3 : 110 + i % 3))"; done; } >series.csv
works '\| test=a \| ms \| \+9\.8 % \| up .*\| 20, 20 \| c20\.\.c21 \|' history series.csv
works '^,test=a,ms,up,c20,c21,21,20,' history series.csv --csv
works '"schema": "seqarena.history/1"' history series.csv --json
works '\| 0.001 \| 20, 20 ' history series.csv --permutations 999 --key test
works '' history series.csv --plot series.svg
is 'history --plot draws' grep -q '^<svg ' series.svg
works 'No change was found' history series.csv --magnitude 20
works '^[0-9]+ series from 2 runs on 1 machine' history run1 run2
fails 2 'something is missing' history
fails 2 -- '--p 7; give a number from' history series.csv --p 7
fails 2 -- '--magnitude a; give a number' history series.csv --magnitude a
fails 2 -- '--window 5 with --least 3; give a window of at least 6' history series.csv --window 5
fails 2 -- '--permutations 99 never give p = 0.001; give at least 999' history series.csv --permutations 99
fails 2 -- '--csv and --json; give one' history series.csv --csv --json
fails 2 'no such column; give names of its first line' history series.csv --key nope
fails 2 'missing closing parenthesis' history series.csv --values '('
fails 2 'a CSV and a directory; give one kind' history series.csv run1
fails 3 'no value matches --values' history series.csv --values zzz
fails 3 'nowhere: cannot be read' history nowhere
fails 3 'locked: no run directory in it' history locked
printf 'time,word\n1,a\n' >words.csv
fails 3 'words.csv: no column of numbers' history words.csv
printf 'time,ms\n1,2\n3\n' >ragged.csv
fails 3 'ragged.csv: line 3' history ragged.csv

# Full disk and file size limits

for args in 'list models' 'verify --models ^last$' 'report run1' '--help' "data show $small"; do
    timeout 60 "$program" $args >/dev/full 2>err </dev/null
    status=$?
    if [ $status -eq 4 ] && [ -z "$(one_line)" ] && grep -q 'No space left' err; then
        pass "$args >/dev/full"
    else
        fail "$args >/dev/full" "exit status $status; $(head -c 300 err)"
    fi
done
(ulimit -f 8 && timeout 60 "$program" export transformer --task $small --init-only -o limited >out 2>err </dev/null)
status=$?
if [ $status -eq 4 ] && [ -z "$(one_line)" ] && grep -q 'File too large' err && [ ! -e limited ]; then
    pass 'a file size limit'
else
    fail 'a file size limit' "exit status $status; $(head -c 300 err)"
fi
full_disk() {
    mkdir -p disk && mount -t tmpfs -o size=${1}k none disk || return 9
    timeout 60 "$program" run --model local --task $small --train steps=4 --rounds 1 --jobs 1 -q -o disk/run >out 2>err </dev/null
    status=$?
    umount disk
    return $status
}
if [ "$(id -u)" -eq 0 ] && unshare -m true 2>/dev/null; then
    export -f full_disk
    export program small
    for size in 16 64 128; do
        unshare -m bash -c "full_disk $size"
        status=$?
        if [ $status -eq 9 ]; then
            skip "a full disk of $size KB" 'no tmpfs can be mounted here'
        elif [ $status -eq 4 ] && [ -z "$(one_line)" ] && grep -q 'No space left' err; then
            pass "a full disk of $size KB"
        else
            fail "a full disk of $size KB" "exit status $status; $(head -c 300 err)"
        fi
    done
else
    skip 'a full disk' 'only root can mount a small one'
fi

# Counters: what was asked for is counted, or missing with a reason

works '' bench --model transformer:dim=8,layers=1 --lengths 64 --batch 1 --rounds 1 -q --counters software,flops,NO_SUCH -o counted
is 'run.json has the counters asked for' grep -q '"asked": "software,flops,NO_SUCH"' counted/run.json
is 'a missing counter has its reason' sh -c "grep -A1 '\"name\": \"NO_SUCH\"' counted/run.json | grep -q '\"reason\": \"..*\"'"
if [ -n "$(csv_columns counted/cells.csv counter_passes | head -1)" ]; then
    works '^## Counters$' report counted
    works '^\| `transformer:.* infer +\| +64 \| +1 \| +1 \| +[1-9]' report counted
else
    skip 'counters in a report' 'no event can be counted here'
fi

# A made-up processor that counts two events at once: passes, reasons, figures derived from raw counters
export SEQARENA_FAKE_COUNTERS=2
works '' bench --model transformer:dim=8,layers=1 --lengths 64 --batch 1 --rounds 1 -q --counters flops,cache,branch,tlb,stalls,energy \
    -o faked
unset SEQARENA_FAKE_COUNTERS
is 'seven events took four passes' test "$(csv_columns faked/cells.csv counter_passes | tr -s '\n' ' ')" = '4 4 '
is 'a sample counts the events of one pass' sh -c "cut -d, -f10 faked/samples.csv | sed 1d | sed 's/=[0-9]*//g' | sort -u | wc -l | grep -qx 4"
for reason in 'BR_MSP.*counted 0' 'TLB_DM.*does not grow' 'RES_STL.*no such event'; do
    is "$reason" sh -c "sed -n '/^  \"counters\"/,\$p' faked/run.json | tr -d '\n' | grep -qE 'PAPI_$reason'"
done
works 'instructions a cycle' report faked
works '^\| `transformer:.* infer .*\| +4 \| +2\.00 ' report faked

# Binding: the row says where threads ran

works '' bench --model transformer:dim=8,layers=1 --lengths 64 --batch 1 --rounds 1 -q --bind spread -o bound
is 'run.json says how threads are bound' grep -q '"bind": "spread"' bound/run.json
is 'rows of bound threads name processors' test "$(csv_columns bound/cells.csv bind | grep -c '^[0-9]')" = 2
works '' bench --model transformer:dim=8,layers=1 --lengths 64 --batch 1 --rounds 1 -q --bind none -o unbound
is 'rows of unbound threads name none' test -z "$(csv_columns unbound/cells.csv bind | tr -d '\n')"

# Memory

fails 4 'no memory' bench --model transformer --lengths 64K --memory 200M --rounds 1 -q -o big
fails 5 'no memory for 5462[0-9]* parameters' run --model transformer:dim=4096,layers=8 --task $small --memory 200M --rounds 0 -q -o big2 --no-examples \
    --train steps=1
is 'its row says nomem' grep -q ',nomem,' big/cells.csv

# Tables of papers

works '^lra-figure +bubbles' list tables
works '^columns' describe lra-1
works '^ltsf-linear +forecast' list tables
works '^drawn from  tables lra-1 and lra-2 at 4K' describe lra-figure
seqarena run --model local --task listops:min=4,max=20,train=60,valid=20,test=20 --scale lite --train steps=4 --rounds 0 -q -o papers
works '^\| ETTh1 96 +\| published, ltsf_t2_multivariate +\|.* \*\*0.374\*\* ' table ltsf-linear papers
works '^  seqarena run --model informer --task etth1:lookback=48,horizon=24,drop_last_batch=32 --scale informer --seeds 5 ' table informer-m papers --plan
works '^\| `local` +\| measured +\|.*\(1 x 20, b\)' table lra-1 papers
is 'a measured row says its training accuracy' awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "train_accuracy") at = i } END { exit !at }' papers/cells.csv
works '^\| Transformer +\| published +\| +36.37 .* 54.39 \| +53.66 \|' table lra-1 papers
works '^1,lra-1,"Test accuracy, %",local,|^1,lra-1,"Test accuracy, %",Local Attention,measured,ListOps' table lra-1 papers --format csv
works '^No run was named: these are the recorded runs' table lra-1
works '^\| `transformer:kernel=dense` +\| measured +\|' table lra-2
works '^  seqarena run --model transformer .*--task listops --scale lite --seeds 3 -o results/runs/lite-ListOps$' table lite papers --plan
works '^  seqarena bench --model transformer .*--task random:vocab=257,classes=2 --scale lra-speed --phase train' table lra-2 papers --plan
works '<svg ' table lra-figure --format svg
works 'Score against speed; the area' table lra-figure --format html
works '' table lra-3 papers -o t.md
is 'a table in a file' grep -q '^## Accuracy on Image' t.md
is 'results/fair.sh plans trials, seeds and controls of 34 mixers' sh -c 'SEQARENA=$1 RUNS=$PWD/fair "$2/results/fair.sh" train reverse 1 2 --dry-run | grep -qx "181 cells"' - "$program" "$top"
is 'jobs of results/forecast.sh are plans' sh -c 'SEQARENA=$1 RUNS=$PWD/jobs "$2/results/forecast.sh" | grep -c "  0 of" | grep -qx 15' - "$program" "$top"
mkdir -p other/tables other/published
printf '[table]\ntitle = x\nkind = frob\n' >other/tables/broken.ini
printf '[table]\ntitle = x\nsource = y\nkind = forecast\nscale = ltsf\n[column A]\ntask = a\n[row R]\ntask = far\n' >other/tables/far.ini
printf 'schema,table_id\n1,2\n' >other/published/lra.csv
cp "$top"/results/tables/lra-1.ini other/tables
SEQARENA_RESULTS=$PWD/other fails 3 'broken.ini, line 3: kind = frob; give accuracy' table broken papers
SEQARENA_RESULTS=$PWD/other fails 3 'row R: no column has task.far; add it or correct the name' table far papers
SEQARENA_RESULTS=$PWD/other fails 3 'lra.csv: line 1: no column "source"' table lra-1 papers
SEQARENA_RESULTS=$PWD/nowhere works 'lra-1' list tables
head='[table]\ntitle = x\nsource = y\nkind = accuracy\nscale = smoke\npublished = lra_t1\n'
body='[column ListOps]\ntask = '$small'\naccept = ^listops\n[row Transformer]\nmodel = transformer:layers=1\n[row Local Attention]\nmodel = local:layers=1\n[row None]\nmodel = nothing_of_it\n'
printf "$head"'tolerance = 3\n'"$body" >other/tables/bare.ini
printf "$head"'tolerance = 3 points\nverdict = zzz\n'"$body" >other/tables/against.ini
printf "$head"'tolerance = 3.0 points\n'"$body" >other/tables/tiny.ini
cp "$top"/results/published/lra.csv other/published
export SEQARENA_RESULTS=$PWD/other
fails 3 'bare.ini, line 7: tolerance = 3; give points or per cent' table bare papers
fails 3 'verdict = zzz; .table. names no such published table' table against papers
fails 2 'plan and --run; leave one out' table tiny papers --plan --run
fails 2 'all and --runs are for --plan and --run; add one' table tiny papers --all
fails 2 'drawn from tables lra-1 and lra-2; plan those' table lra-figure papers --run
works '^  not in this build: nothing_of_it' table tiny papers --plan
works '^tiny at scale smoke: 3 of 3 cells' table tiny papers --plan --runs own
"$program" table tiny papers --run --runs own >/dev/null 2>err & child=$!
while [ ! -s own/tiny-ListOps/run.json ] && kill -0 $child 2>/dev/null; do sleep 0.05; done
kill -TERM $child
wait $child
is 'a table that is interrupted says so' test $? = 130
is 'and that it goes on' grep -q 'interrupted in own/tiny-ListOps; the same command goes on' err
seqarena table tiny papers --run --runs own
is 'the table is printed' grep -Eq '^\| `transformer:layers=1` +\| measured +\|.*\(1 x 20\)' out
is 'what ran is listed' grep -q '`own/tiny-ListOps`' out
is 'the command is that of --plan' grep -q 'command 1 of 1: seqarena run --model transformer:layers=1 --model local:layers=1 --task listops' err
works '^tiny at scale smoke: 1 of 3 cells' table tiny papers --plan --runs own
works '^\| `local:layers=1` +\| ListOps +\| 15.82, lra_t1 ' table tiny own/tiny-ListOps
export SEQARENA_RESULTS=$top/results

# Claims

works '^lra-linear-fast ' list claims
works '^dlinear-ett ' claim
# No device is replaced by a file of its name: a pipe stays one.
mkfifo pipe
cat pipe >piped &
works '' table lra-1 --format csv -o pipe
wait
is 'what is written to a pipe goes through it' test -p pipe -a -s piped
fails 2 'claim lra-linear-fats: no claim of that name; did you mean lra-linear-fast?' claim lra-linear-fats
fails 2 'claim ../x: no claim of that name' claim ../x
fails 2 'unknown format "yaml"; use md or json' claim lra-linear-fast --format yaml
fails 3 'nowhere: no such run directory' claim lra-linear-fast nowhere
works '^  seqarena bench --model probsparse --scale bench --lengths 1K..16K --batch 1 --phase infer --rounds 10 -o ' claim informer-complexity --plan
works '^    5 cells, 1 phase, 10 rounds: about .* by the recorded rows' claim informer-complexity --plan
works '^    2 cells, 1 phase, 10 rounds: at least 2 s' claim informer-complexity --plan --lengths 3K,5K
works '^not testable here: operations \(this build has no ecoformer ' claim ecoformer-linear --plan
works '^# Claim sparse-query-attention: not testable here' claim sparse-query-attention
works '^- Tests: 6 not tested' claim lra-linear-fast papers
works '^\| operations +\| exponent of infer_flops: flowformer +\| .* \| 3 lengths \| bench .* reproduced +\|' claim flowformer-linear --lengths 64,128,256 --rounds 1 -q -o claimed
is 'the run of a claim says its own command' grep -q '"--lengths"' claimed/scaling/run.json
works '^- Limited: not the experiment of the claim: lengths 64,128,256 rounds 1' claim flowformer-linear --lengths 64,128,256 --rounds 1 -q -o claimed
works '^ "verdict": "(reproduced|in part|cannot tell)"' claim flowformer-linear claimed --format json
fails 3 'another' claim flowformer-linear --lengths 64,128 --rounds 1 -q -o claimed
mkdir -p other/claims
sed 's/^kind = exponent/kind = power/' "$top"/results/claims/flowformer-linear.ini >other/claims/broken.ini
sed 's/<= 1.1/<= 0.1/; s/<= 1.4/<= 0.2/; /^\[test time/,$d' "$top"/results/claims/flowformer-linear.ini >other/claims/flat.ini
SEQARENA_RESULTS=$PWD/other fails 3 'broken.ini, line 19: kind = power; give ratio, difference or exponent' claim broken
SEQARENA_RESULTS=$PWD/other fails 1 'claim flat: not reproduced' claim flat claimed/scaling
SEQARENA_RESULTS=$PWD/nowhere works 'lra-linear-fast' list claims

# Weights and arrays that are broken

seqarena export local --task $small --init-only -o good.safetensors
seqarena data export $small --split test -o arrays
works '' predict --weights good.safetensors --input arrays/test_tokens.npy -o y.npy
size=$(stat -c %s good.safetensors)
for n in 0 1 7 8 9 100 $((size / 2)) $((size - 1)); do
    head -c "$n" good.safetensors >broken
    fails 3 'broken' predict --weights broken --input arrays/test_tokens.npy -o y.npy
done
hostile() { printf '%b' "$1" >broken && fails 3 'broken' predict --weights broken --input arrays/test_tokens.npy -o y.npy; }
hostile '\0377\0377\0377\0377\0377\0377\0377\0377{}'
hostile '\0377\0377\0377\0377\0\0\0\0{}'
hostile '\02\0\0\0\0\0\0\0{}'
hostile '\02\0\0\0\0\0\0\0[]'
hostile '\0110\0\0\0\0\0\0\0{"a":{"dtype":"F32","shape":[9999999999,9999999999],"data_offsets":[0,8]}}'
hostile '\075\0\0\0\0\0\0\0{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,-4]}}     '
hostile "$(printf '[%.0s' $(seq 3000))"
fails 3 'good.safetensors|\.npy|not' predict --weights arrays/test_tokens.npy --input arrays/test_tokens.npy -o y.npy
size=$(stat -c %s arrays/test_tokens.npy)
for n in 0 6 9 60 127 $((size - 1)); do
    head -c "$n" arrays/test_tokens.npy >broken
    fails 3 'broken' predict --weights good.safetensors --input broken -o y.npy
done
sed 's/(20, 20)/(99999999, 9999999999)/' arrays/test_tokens.npy >broken
fails 3 'broken' predict --weights good.safetensors --input broken -o y.npy
sed 's/|u1/<c8/' arrays/test_tokens.npy >broken
fails 3 'broken' predict --weights good.safetensors --input broken -o y.npy
seqarena data export listops:min=4,max=40,train=60,valid=20,test=20 --split test -o longer
fails 3 'length 40; the model takes 1 to 20' predict --weights good.safetensors --input longer/test_tokens.npy -o y.npy
fails 3 'dimensions; the model takes tokens' predict --weights good.safetensors --input arrays/test_labels.npy -o y.npy

# Counts of instructions

fails 2 'counts are of one thread' bench --model local --count --threads 2
mkdir broken-valgrind && printf '#!/bin/sh\nexit 127\n' >broken-valgrind/valgrind && chmod +x broken-valgrind/valgrind
PATH=$tmp/broken-valgrind:$PATH fails 4 'needs valgrind, and there is none; install' bench --model local --count
count=(bench --model local:window=4 --lengths 16 --batch 1 --count -q)
if [ "$("$program" "${count[@]}" -o instructed 2>&1 | tee out)" ] || [ ! -f instructed/cells.csv ]; then
    if grep -q 'needs valgrind' out; then skip 'counts repeat' "$(cat out)"; else fail 'bench --count' "$(cat out)"; fi
else
    PADDING=$(printf '%3000s' x) "$program" "${count[@]}" -o a/longer/name/of/it >out 2>&1
    instructions() { csv_columns "$1/cells.csv" phase instructions data_reads data_writes; }
    close() { # within 0.01 %
        paste <(instructions instructed) <(instructions a/longer/name/of/it) | awk '
            { for (i = 2; i <= 4; i++) { d = $i - $(i + 4); if (!($i > 0) || d * d > 1e-8 * $i * $i) exit 1 } }
            END { exit NR != 2 }'
    }
    is 'counts repeat within 0.01 %' close
    is 'a counted row has no latency' test -z "$(csv_columns instructed/cells.csv latency_ns_median | tr -d '\n')"
fi

# The lock of the machine

bench=(bench --model local:window=4 --lengths 16 --batch 1 --phase infer --rounds 4 -q)
seqarena "${bench[@]}" -o timed # makes the directory of the lock
flock -x "$XDG_RUNTIME_DIR/seqarena/timing" sleep 3 &
sleep 0.3
fails 3 'is being timed by process' "${bench[@]}" --no-wait -o refused
works '' "${bench[@]}" -o waited
is 'bench waits for the machine' test -s waited/cells.csv
wait $!
bash -c 'exec -a seqarena bash -c "while :; do :; done"' & # a run of a build that takes no lock
other=$!
seqarena "${bench[@]}" -o beside
kill $other
wait $other 2>/dev/null
is 'a timing beside another run is unfit' grep -q 'other runs of seqarena used' beside/cells.csv
flock -x "$XDG_RUNTIME_DIR/seqarena/timing" sleep 3 &
sleep 0.3
start=$(date +%s%N)
works '' run --model local --task $small --train steps=4 --rounds 0 -q -o paused
is 'a training waits while somebody times' test $(($(date +%s%N) - start)) -gt 2000000000
wait $!
chmod 777 "$XDG_RUNTIME_DIR/seqarena"
seqarena "${bench[@]}" -o open
is 'a timing without a lock is unfit' grep -q 'no lock for the machine: .*closed to others' open/cells.csv
chmod 700 "$XDG_RUNTIME_DIR/seqarena"

# Latency: batches, tails, first tokens, cold caches

works '' bench --model transformer --lengths 16 --phase infer,step --batches 1..4 --cache cold --rounds 2 -q -o latency
is 'three batches, two phases' test "$(csv_columns latency/cells.csv batch phase cache | tr '\n' ' ')" = \
    $'1\tinfer\tcold 1\tstep\tcold 2\tinfer\tcold 2\tstep\tcold 4\tinfer\tcold 4\tstep\tcold '
tails() {
    csv_columns latency/cells.csv latency_ns_min latency_ns_median latency_ns_p90 latency_ns_p99 first_ns_median phase |
        awk '$2 < $1 || $3 < $2 || $4 < $3 || ($NF == "step" && NF < 6) { bad = 1 } END { exit bad || NR != 6 }'
}
works '' "${bench[@]}" --latency -o single
is 'a sample of --latency is one step' test "$(csv_columns single/cells.csv sample_steps)" = 1
works '^## Latency' report single
is 'tails are in order, steps have a first token' tails

# No timing without proof

is 'a timing says what was checked' test "$(csv_columns timed/cells.csv checks | grep -c '^ok: [0-9]* checks of')" = 1
sed -i 's/^local [0-9]* .*/local 3 gradient at length 5: 0.3, bound 1e-06/' "$XDG_RUNTIME_DIR"/seqarena/proof-*
fails 5 'failed: local: gradient at length 5: 0.3.*see seqarena verify' "${bench[@]}" -o red
is 'a red check shows no speed' test "$(csv_columns red/cells.csv status latency_ns_median)" = $'mistrusted\t'
rm "$XDG_RUNTIME_DIR"/seqarena/proof-*
works '' "${bench[@]}" -o green

# Ctrl-C

"$program" run --models '^(local|s4d)$' --task $small --train steps=4000,eval_every=100 --rounds 1 --jobs 2 -o "$tmp/stopped" \
    >out 2>err </dev/null &
pid=$!
for i in $(seq 100); do # until it has begun to train
    ls stopped/parts/*.part/log.txt >/dev/null 2>&1 && break
    sleep 0.1
done
sleep 1
kill -INT $pid
wait $pid
status=$?
if [ $status -eq 130 ] && [ -z "$(one_line)" ] && grep -q 'interrupted after .* goes on' err; then
    pass 'Ctrl-C gives 130'
else
    fail 'Ctrl-C gives 130' "exit status $status; $(head -c 300 err)"
fi
sleep 0.3
is 'Ctrl-C leaves no child' test -z "$(children "$tmp/stopped")"
finish
