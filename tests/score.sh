#!/bin/bash
# Predictions of other programs: exports and what is scored from them. usage: tests/score.sh PROGRAM
set -u
program=${1:?usage: tests/score.sh PROGRAM}
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 4
task=listops:min=4,max=20,train=60,valid=20,test=20

# npy NAME TYPE SHAPE BYTES...: a version 1 file; BYTES as printf %b takes them
npy() {
    local name=$1 header
    header=$(printf "{'descr': '%s', 'fortran_order': %s, 'shape': (%s), }" "$2" "${order:-False}" "$3")
    shift 3
    printf '\223NUMPY\1\0%b%b%s\n' "\\0$(printf %o $(((${#header} + 1) % 256)))" "\\0$(printf %o $(((${#header} + 1) / 256)))" \
        "$header" >"$name"
    printf '%b' "$@" >>"$name"
}
times() { # N TEXT: the text N times
    local i
    for i in $(seq "$1"); do printf '%s' "$2"; done
}
hash_of() { sed -n "/\"$2\": {/,/\"hash\"/s/.*\"hash\": \"\([0-9a-f]*\)\".*/\1/p" "$1/meta.json"; }
column() { csv_columns "$1" model phase "$2" | sed -n "s/^$3\ttrain\t//p"; }

# Exports

works 'labels of test are among them' data export $task -o d
works '' data verify d
is 'train, valid and test' ls d/{train,valid,test}_{tokens,lengths,labels}.npy
is 'tokens of a byte' grep -aq "'|u1'.*(20, 20)" d/test_tokens.npy
works 'a83d|[0-9a-f]{16}' data verify $task
is 'hashes of data verify' grep -q "$(hash_of d test)" out
is 'nothing temporary stays' test -z "$(ls d | grep tmp)"
for word in '"vocab": 17' '"classes": 10' '"padding_id": 0' first_token '"length": 20' '"dtype": "uint8"'; do
    is "meta.json: $word" grep -q "$word" d/meta.json
done
printf x >>d/test_labels.npy
fails 1 'files are not what was exported' data verify d
rm d/test_labels.npy
fails 3 'test_labels.npy: No such file' data verify d
mkdir -p blocked/test_labels.npy.tmp
cp d/meta.json blocked
fails 3 'blocked/test_labels.npy.tmp' data export $task -o blocked
is 'an export that failed has no meta.json' test ! -e blocked/meta.json
is 'and no file of the split it was at' test ! -e blocked/test_tokens.npy.tmp -a ! -e blocked/test_tokens.npy
"$program" data export random:length=2048,count=100000 -o big >big.log 2>&1 </dev/null &
pid=$!
for i in $(seq 100); do
    ls big/*.tmp >/dev/null 2>&1 && break
    sleep 0.05
done
kill -INT $pid
wait $pid
is 'an interrupted export: status 130' test $? -eq 130
is 'it leaves nothing' test -z "$(ls big)"
works '' data export mackey_glass:lookback=24,horizon=6 --split test -o series
is 'float32 series' grep -aq "'<f4'.*, 6, 1)" series/test_y.npy
is 'the scaler' grep -q '"deviation"' series/meta.json
works '' data export reverse:length=20,vocab=9,train=60,valid=20,test=30 -o tags
is 'signed labels at positions' grep -aq "'|i1'.*(30, 20)" tags/test_labels.npy
works 'none needed' data list
works 'ETTh1.csv: not here' data list --data nowhere
mkdir -p have && touch have/ETTh1.csv
works 'ETTh1.csv: have/ETTh1.csv' data list --data have

# Round trip: our own model through the files gives what its run gave

round_trip() { # NAME MODEL TASK INPUT COLUMN
    local name=$1 model=$2 task=$3 input=$4 key ours theirs
    works '' run --model $model --task $task --train steps=20 --rounds 0 --keep-weights -q -o $name.run
    works '' data export $task -o $name.data
    key=$(csv_columns $name.run/cells.csv model key | sed -n "s/^$model\t//p")
    works '' predict --weights $name.run/weights/$key.safetensors --input $name.data/test_$input.npy -o $name.npy
    echo "{\"name\": \"$name\", \"split_hash\": \"$(hash_of $name.data test)\"}" >$name.json
    works '' score $task --pred $name.npy --meta $name.json --scale lite -q -o $name.out
    ours=$(column $name.run/cells.csv $5 $model)
    theirs=$(column $name.out/cells.csv $5 $name)
    is "$name: $5 $theirs is $ours" awk -v a="$ours" -v b="$theirs" 'BEGIN { exit !(a != "" && (a - b) ^ 2 < 1e-12 * a * a) }'
    works "^. .$name. .external." report $name.run $name.out
    is "$name: both in one table" grep -q "^| .$model. " out
    is "$name: floors have the same keys" test -n "$(comm -12 <(csv_columns $name.run/cells.csv key floor) <(csv_columns $name.out/cells.csv key floor))"
}
round_trip lists transformer $task tokens test_accuracy
round_trip places transformer reverse:length=20,vocab=9,train=60,valid=20,test=30 tokens test_accuracy
round_trip waves dlinear mackey_glass:lookback=24,horizon=6 x test_mse
works '' data export retrieval:generated=40,length=16 --split test -o pairs
is 'pairs of token sequences' grep -aq ', 2, 16)' pairs/test_tokens.npy
is 'and their lengths' grep -aq ', 2)' pairs/test_lengths.npy
echo '{"name": "the labels"}' >labels.json
works 'accuracy 100.00 %' score retrieval:generated=40,length=16 --pred pairs/test_labels.npy --meta labels.json -o pairs.out
is 'loss from logits' test "$(column lists.out/cells.csv test_loss lists | cut -c1-5)" = "$(column lists.run/cells.csv test_loss transformer | cut -c1-5)"
is 'origin external' test "$(column lists.out/cells.csv origin lists)" = external
is 'origin of a floor is empty' test -z "$(column lists.out/cells.csv origin majority)"
is 'hash of the test split' test "$(column lists.run/cells.csv test_hash transformer)" = "$(hash_of lists.data test)"
works '' score $task --pred lists.npy --meta lists.json --scale lite -q -o lists.out
csv_whole lists.out/examples.csv && pass 'examples.csv is whole' || fail 'examples.csv is whole'

# Labels, seeds, validation

labels=$(times 20 '\03')
npy three.npy '|u1' 20, "$labels"
echo '{"name": "always 3", "params": 5, "latency_ns": 1e6, "hardware": "a pocket calculator"}' >three.json
works 'always 3, seed 2, 20 test examples: accuracy' score $task --pred three.npy --meta three.json --pred three.npy --meta three.json -o three.out
is 'no loss without logits' test -z "$(column three.out/cells.csv test_loss 'always 3')"
works '^. .always 3. .external. +.     2 ' report three.out
is 'stated cost apart' grep -q 'Stated by users' out
is 'a note without split_hash' grep -q 'no split_hash was given' out
works '' score $task --pred three.npy --meta three.json --split valid -q -o three.valid
is 'validation only' test -n "$(column three.valid/cells.csv valid_accuracy 'always 3')" -a -z "$(column three.valid/cells.csv test_accuracy 'always 3')"
fails 3 'holds another plan' score $task --pred lists.npy --meta lists.json -q -o three.out

# What is refused, before anything is written

refused() { fails 3 "$@" -o nothing; }
score=(score $task --meta three.json --pred)
cp three.json lists.bad
fails 2 -- '--pred is missing' score $task
fails 2 '1 --pred and 0 --meta' score $task --pred three.npy
fails 2 -- '--split train; give test or valid' score $task --pred three.npy --meta three.json --split train
fails 2 -- '--scale A/b' score $task --pred three.npy --meta three.json --scale A/b
fails 2 "task 'nope'" score nope --pred three.npy --meta three.json
refused 'No such file' "${score[@]}" absent.npy
refused 'not a .npy file' "${score[@]}" three.json
npy bad.npy '|u1' 19, "$(times 19 '\03')"
refused 'bad.npy: u1 \(19,\); test of .* wants integer labels \(20,\) or logits as floats \(20, 10\)' "${score[@]}" bad.npy
npy bad.npy '<f4' 20, "$(times 80 '\0')"
refused 'f4 \(20,\); .* wants integer labels' "${score[@]}" bad.npy
npy bad.npy '|u1' '20, 10' "$(times 200 '\0')"
refused 'u1 \(20, 10\); .* logits as floats' "${score[@]}" bad.npy
npy bad.npy '<f4' '20, 9' "$(times 720 '\0')"
refused 'f4 \(20, 9\)' "${score[@]}" bad.npy
npy bad.npy '|u1' 20, "$(times 19 '\03')" '\012'
refused 'row 19, place 0 is label 10; .* labels 0 to 9' "${score[@]}" bad.npy
npy bad.npy '|i1' 20, '\0377' "$(times 19 '\03')"
refused 'row 0, place 0 is label -1' "${score[@]}" bad.npy
npy bad.npy '<f2' '20, 10' "$(times 199 '\0\0')" '\0\0176'
refused 'row 19, place 9 is NaN; give finite numbers' "${score[@]}" bad.npy
npy bad.npy '<f2' '20, 10' "$(times 199 '\0\0')" '\0\0174'
refused 'row 19, place 9 is infinite' "${score[@]}" bad.npy
npy bad.npy '>f4' '20, 10' "$(times 800 '\0')"
refused "big-endian numbers \\(>f4\\); save a.astype\\('<f4'\\)" "${score[@]}" bad.npy
order=True npy bad.npy '<f4' '20, 10' "$(times 800 '\0')"
refused 'Fortran order; save np.ascontiguousarray' "${score[@]}" bad.npy
npy bad.npy '<f4' '20, 10' "$(times 799 '\0')"
refused '799 bytes of numbers are not' "${score[@]}" bad.npy
npy bad.npy '<c8' '20, 10' "$(times 1600 '\0')"
refused "numbers of type '<c8'" "${score[@]}" bad.npy
meta() { # PATTERN JSON
    printf '%s' "$2" >bad.json
    refused "$1" score $task --pred three.npy --meta bad.json
}
meta 'other examples' '{"name": "a", "split_hash": "0123456789abcdef"}'
meta 'says task listops, scored is' '{"name": "a", "task": "listops"}'
meta 'no name' '{}'
meta 'not a JSON object' '[]'
meta 'no JSON at line 1' '{'
meta "unknown key 'parms', did you mean 'params'" '{"name": "a", "parms": 3}'
meta 'params is not a number from 0 on' '{"name": "a", "params": -3}'
meta 'params is not a number' '{"name": "a", "params": "3"}'
meta 'seed is not a whole number' '{"name": "a", "seed": 1.5}'
meta 'name is not a text' '{"name": 3}'
meta 'name has 0 bytes' '{"name": ""}'
meta 'control character' '{"name": "a\nb"}'
echo '{"name": "a", "seed": 1}' >one.json
refused "seed 1 of 'a' is given twice" score $task --pred three.npy --meta one.json --pred three.npy --meta one.json
forecast=mackey_glass:lookback=24,horizon=6
refused 'u1 \(20,\); .* wants standardised forecasts as floats' score $forecast --pred three.npy --meta three.json
is 'nothing was written' test ! -e nothing
finish
