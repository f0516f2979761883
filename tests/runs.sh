#!/bin/bash
# Whole runs: the same bits whatever the threads, jobs and order; killed runs go on; failures become rows; weights go out
# and in. usage: tests/runs.sh PROGRAM [kill]     ("kill": only the killed runs, $KILLS times)
set -u
program=${1:?usage: tests/runs.sh PROGRAM}
part=${2:-all}
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 4
kills=${KILLS:-6}
scores='key model task seed status test_n train_loss valid_loss valid_accuracy valid_mse valid_mae test_loss test_accuracy test_mse test_mae steps best_step'
task=listops:min=16,max=64,train=400,valid=60,test=60
six='^(transformer|local|linformer|linear_transformer|performer|s4d)$'

trained() { # DIR: what must not change from run to run: scores, losses of the curves, each example
    grep -E '^(schema|[^,]*,[^,]*,train)|,train,' "$1/cells.csv" >"$1/trained.csv"
    csv_columns "$1/trained.csv" $scores
    csv_columns "$1/curves.csv" key step split loss metric rate examples
    csv_columns "$1/examples.csv" key index target output loss labels right
}
# The key of a cell holds no thread count, so rows of runs with other threads compare as they are.
same() { # name DIR DIR
    trained "$2" >a && trained "$3" >b
    if [ "$(wc -l <a)" -gt 10 ] && cmp -s a b; then pass "$1"; else fail "$1" "$(diff a b | head -n 6)"; fi
}

determinism() {
    local small=listops:min=16,max=48,train=150,valid=40,test=50 o=(--train steps=10,eval_every=5,batch=16 --rounds 0 -q)
    works '' run --model transformer --model s4d --model performer --task $small "${o[@]}" --jobs 1 -o plain
    works '' run --model transformer --model s4d --model performer --task $small "${o[@]}" --jobs 2 -o jobs
    same 'two jobs give the bits of one' plain jobs
    works '' run --model transformer --model s4d --model performer --task $small "${o[@]}" --jobs 1 --threads 2 -o threads
    same 'two threads give the bits of one' plain threads
    works '' run --model performer --model s4d --model transformer --task $small "${o[@]}" --jobs 2 -o order
    same 'the order of models does not matter' plain order
    works '' run --model performer --model s4d --model transformer --task $small "${o[@]}" --seeds 2 -o seeds
    trained plain | sort >a && trained seeds | sort >b
    is 'a second seed leaves the first as it was' test -z "$(comm -23 a b)"
    is 'and is another run' test "$(csv_columns seeds/cells.csv model seed test_loss | awk -F'\t' '$1 == "s4d" && $3 != "" { print $3 }' |
        sort -u | wc -l)" -eq 2
    works '' run --model dlinear --model nlinear --task mackey_glass --train steps=20 --rounds 0 -q --jobs 1 -o series1
    works '' run --model nlinear --model dlinear --task mackey_glass --train steps=20 --rounds 0 -q --threads 2 -o series2
    same 'forecasters: threads and order' series1 series2
    local tags=reverse:length=20,min=10,vocab=9,train=150,valid=40,test=50
    works '' run --model transformer --model linear_transformer --task $tags "${o[@]}" --jobs 1 -o tags1
    works '' run --model linear_transformer --model transformer --task $tags "${o[@]}" --jobs 2 --threads 2 -o tags2
    same 'labels at positions: threads, jobs and order' tags1 tags2
    works 'majority.*Wilson|majority.*bootstrap' report tags1
    works '"no_mixer"' report tags1 -f json
}

whole() { # DIR: no torn row, every finished cell once in every file, its work directories gone
    local f wrong=
    for f in cells curves examples samples; do
        [ ! -e "$1/$f.csv" ] || csv_whole "$1/$f.csv" || wrong=1
    done
    [ -z "$(csv_columns "$1/cells.csv" key phase | uniq -d)" ] || { echo 'a row of cells.csv twice' && wrong=1; }
    [ -z "$(csv_columns "$1/curves.csv" key step split | uniq -d)" ] || { echo 'a row of curves.csv twice' && wrong=1; }
    [ -z "$(csv_columns "$1/examples.csv" key index | uniq -d)" ] || { echo 'a row of examples.csv twice' && wrong=1; }
    [ -z "$(csv_columns "$1/samples.csv" key phase round index | uniq -d)" ] || { echo 'a row of samples.csv twice' && wrong=1; }
    ls "$1"/parts/*.part >/dev/null 2>&1 && echo 'a cell is left in parts/*.part' && wrong=1
    [ -z "$wrong" ]
}

killed_runs() {
    local i pid moment left command=(run --models "$six" --task $task --train batch=8,steps=24,eval_every=8 --checkpoint 0.2s
        --rounds 1 --jobs 2 -q)
    SECONDS=0
    seqarena "${command[@]}" -o calm
    is 'an undisturbed run' test $status -eq 0
    local length=$((SECONDS + 1))
    is 'its files are whole' whole calm
    trained calm >calm.txt
    RANDOM=${KILL_SEED:-7}
    for i in $(seq "$kills"); do
        rm -rf killed
        moments=
        for n in 1 2; do # twice the same run
            moment=$(awk -v r=$RANDOM -v s=$length 'BEGIN { printf "%.2f", 0.05 + r / 32768 * s * 0.9 / '$n' }')
            moments="$moments $moment"
            "$program" "${command[@]}" -o "$tmp/killed" >out 2>err </dev/null &
            pid=$!
            sleep "$moment"
            kill -9 $pid 2>/dev/null
            wait $pid 2>/dev/null
            sleep 0.2
            left=$(children "$tmp/killed")
            [ -z "$left" ] || fail "killed after$moments s: no child lives on" "$left"
        done
        seqarena "${command[@]}" -o "$tmp/killed"
        if [ $status -ne 0 ]; then
            fail "killed after$moments s, continued" "exit status $status: $(cat err)"
        elif ! said=$(whole killed); then
            fail "killed after$moments s: whole files" "$said"
        elif ! trained killed | cmp -s - calm.txt; then
            fail "killed after$moments s: the same bits" "$(trained killed | diff - calm.txt | head -n 6)"
        else
            pass "killed after$moments s, continued: whole files, the same bits"
        fi
    done
}

stopped_tags() { # killed in training, the same bits; weights go out and in
    local command=(run --model transformer --task reverse:length=20,min=10,vocab=9,train=400,valid=60,test=60
        --train steps=200,eval_every=50,batch=8 --checkpoint 0.1s --rounds 0 -q --jobs 1) pid i
    seqarena "${command[@]}" -o calm3
    "$program" "${command[@]}" -o killed3 >out 2>err </dev/null &
    pid=$!
    for i in $(seq 400); do
        ls killed3/parts/*.part/checkpoint >/dev/null 2>&1 && break
        sleep 0.05
    done
    kill -9 $pid
    wait $pid 2>/dev/null
    works '' "${command[@]}" -o killed3
    same 'labels at positions: killed and continued, to the same bits' calm3 killed3
    works '' data export reverse:length=20,vocab=9,test=30 --split test -o tagged
    is 'labels (30, 20)' grep -aq "'shape': (30, 20)" tagged/test_labels.npy
    works 'parameters' export s4d --task reverse:length=20,vocab=9,test=30 --init-only -o tags.safetensors
    works '' predict --weights tags.safetensors --input tagged/test_tokens.npy -o tags.npy
    is 'logits of tags (30, 20, 8)' grep -aq "'shape': (30, 20, 8)" tags.npy
    works '' predict --weights tags.safetensors --input tagged/test_tokens.npy --threads 2 -o again.npy
    is 'logits of tags: whatever the threads' cmp tags.npy again.npy
}

interrupted_runs() {
    local command=(run --model s4d --task $task --train steps=300,eval_every=100,batch=8 --checkpoint 0.1s --rounds 0 -q
        --jobs 1) pid
    seqarena "${command[@]}" -o calm2
    "$program" "${command[@]}" -o stopped >out 2>err </dev/null &
    pid=$!
    for i in $(seq 400); do
        ls stopped/parts/*.part/checkpoint >/dev/null 2>&1 && break
        sleep 0.05
    done
    kill -INT $pid
    wait $pid
    is 'Ctrl-C in training: exit status 130' test $? -eq 130
    is 'a checkpoint is there' ls stopped/parts/*.part/checkpoint
    seqarena "${command[@]}" -o stopped
    is 'it goes on' test $status -eq 0
    same 'to the same bits' calm2 stopped
    rm -rf stopped
    "$program" "${command[@]}" -o stopped >out 2>err </dev/null &
    pid=$!
    for i in $(seq 400); do
        ls stopped/parts/*.part/checkpoint >/dev/null 2>&1 && break
        sleep 0.05
    done
    kill -9 $pid
    wait $pid 2>/dev/null
    for i in stopped/parts/*.part/checkpoint; do head -c 1000 "$i" >cut && cp cut "$i"; done
    fails 5 'stopped: 1 of 5 cells did not finish.*checkpoint: .*cut short' "${command[@]}" -o stopped
    works '' "${command[@]}" --retry -o stopped
    same 'without the broken checkpoint it begins again, to the same bits' calm2 stopped
}

weights() {
    local small=listops:min=4,max=20,train=60,valid=20,test=20
    works '' data export $small -o arrays
    for model in transformer s4d local+channel=swiglu; do
        works 'parameters' export $model --task $small --init-only -o first.safetensors
        works 'parameters' export $model --task $small --init-only -o again.safetensors
        is "$model: the same seed, the same file" cmp first.safetensors again.safetensors
        works 'parameters' export $model --task $small --init-only --seed 2 -o other.safetensors
        is "$model: another seed, another file" test -n "$(cmp first.safetensors other.safetensors 2>&1)"
        works '' predict --weights first.safetensors --input arrays/test_tokens.npy -o logits.npy
        is "$model: logits (20, 10)" grep -aq "'shape': (20, 10)" logits.npy
        works '' predict --weights first.safetensors --input arrays/test_tokens.npy --threads 2 -o again.npy
        is "$model: whatever the threads" cmp logits.npy again.npy
        works 'parameters' export $model --task $small --train steps=5 -o trained.safetensors
        works 'parameters' export $model --task $small --train steps=5 --threads 2 -o again.safetensors
        is "$model: trained twice, the same file" cmp trained.safetensors again.safetensors
        works '' predict --weights trained.safetensors --input arrays/test_tokens.npy -o trained.npy
        is "$model: training changes logits" test -n "$(cmp logits.npy trained.npy 2>&1)"
    done
    works '' data export mackey_glass:lookback=24,horizon=6 --split test -o series
    works 'parameters' export dlinear --task mackey_glass:lookback=24,horizon=6 --train steps=5 -o f.safetensors
    works '' predict --weights f.safetensors --input series/test_x.npy -o f.npy
    works '' run --model local --task $small --train steps=4 --rounds 0 --keep-weights -q -o kept
    is 'weights of a run' test "$(ls kept/weights/*.safetensors | wc -l)" -eq 3
}

failures() {
    local small=listops:min=4,max=20,train=60,valid=20,test=20 pid child i
    fails 5 'cells did not finish.*budget' run --model transformer --task $task --train steps=100000 --budget 1s --rounds 0 -q \
        -o late
    is 'a row with status timeout' grep -q ',timeout,stopped after the budget' late/cells.csv
    is 'floors beside it are ok' test "$(csv_columns late/cells.csv model status | grep -c 'ok$')" -ge 2
    works 'timeout' report late
    fails 5 'did not finish' run --model transformer --task $task --train steps=100000 --budget 1s --rounds 0 -q -o late
    "$program" run --model transformer --model local --task $small --train steps=400 --rounds 0 --jobs 1 -q -o "$tmp/crashed" \
        >out 2>err </dev/null &
    pid=$!
    for i in $(seq 200); do
        child=$(children "$tmp/crashed" | head -n 1)
        [ -n "$child" ] && break
        sleep 0.02
    done
    kill -SEGV "$child" 2>/dev/null
    wait $pid
    status=$?
    if [ $status -eq 5 ] && [ -z "$(one_line)" ]; then pass 'a child that crashes: exit status 5'; else
        fail 'a child that crashes: exit status 5' "exit status $status; $(head -c 300 err)"
    fi
    is 'a row with status failed' grep -q ',failed,the child was killed by signal 11' crashed/cells.csv
    is 'the others are ok' test "$(csv_columns crashed/cells.csv model status | grep -c 'ok$')" -ge 3
    works '' run --model transformer --model local --task $small --train steps=400 --rounds 0 --jobs 1 -q --retry -o "$tmp/crashed"
    is '--retry runs it again' test -z "$(csv_columns crashed/cells.csv status | grep -v ok)"
    fails 5 'the loss is|cells did not' run --model transformer --task $small --train steps=30,rate=100,clip=0,optimizer=sgd \
        --rounds 0 -q -o wild
    is 'a row with status diverged' grep -q ',diverged,' wild/cells.csv
}

# A rate chosen by trials: the trials run first, the best validation is what the cells of every seed have, a run killed
# anywhere goes on to the same, and a trial that cannot run is told in every cell that waits for it.
searches() {
    local pid i moment small=listops:min=16,max=48,train=150,valid=40,test=50 command
    mkdir -p recipes
    printf '%s\n' '[*]' 'batch = 8' 'steps = 80' 'warmup = 8' 'eval_every = 20' 'frame.layers = 1' 'frame.dim = 16' \
        'frame.ffn = 32' 'search.rate = 3e-4 1e-3 3e-3' 'search.share = 0.25' 'search.seed = 1000' >recipes/tried.ini
    local SEQARENA_RECIPES=$tmp/recipes
    export SEQARENA_RECIPES
    command=(run --model transformer --task $small --scale tried --seeds 2 --rounds 1 --jobs 1 --checkpoint 0.05s -q)
    works '17 cells' "${command[@]}" -n
    works '' "${command[@]}" -o searched
    csv_columns searched/cells.csv model phase trial trials steps seed valid_accuracy valid_loss test_accuracy recipe \
        >search.txt
    is 'three trials of a quarter of the steps with a seed of their own, not tested' test "$(awk -F'\t' \
        '$3 ~ /^rate=/ && $4 == "" && $5 == 20 && $6 == 1000 && $9 == "" && $10 ~ /warmup=2;/' search.txt | wc -l)" -eq 9
    is 'the trial with the best validation gives the rate of both seeds' awk -F'\t' '
        $3 ~ /^rate=/ { if (!($1 in best) || $7 > best[$1] || ($7 == best[$1] && $8 < loss[$1])) {
            best[$1] = $7; loss[$1] = $8; match($10, /;rate=[^;]*/); rate[$1] = substr($10, RSTART, RLENGTH) } }
        NR > FNR && $4 == 3 && $2 == "train" { n++; match($10, /;rate=[^;]*/)
            if (substr($10, RSTART, RLENGTH) != rate[$1] || $5 != 80 || $9 == "") wrong = 1 }
        END { exit wrong || n != 6 }' search.txt search.txt
    works 'transformer' report searched
    works '' "${command[@]}" --train rate=1e-3 -o given
    is 'a rate that is given is not searched' test -z "$(csv_columns given/cells.csv trial trials | sed 1d | tr -d '\t\n')"
    for i in 1 8 12; do # among the trials, at their end, among the cells that waited
        rm -rf resumed
        "$program" "${command[@]}" -o resumed >out 2>err </dev/null &
        pid=$!
        for moment in $(seq 2000); do
            [ "$(ls resumed/parts 2>/dev/null | grep -vc part)" -ge $i ] && break
            sleep 0.01
        done
        kill -9 $pid 2>/dev/null
        wait $pid 2>/dev/null
        sleep 0.2
        seqarena "${command[@]}" -o resumed
        same "a search killed after $i cells and continued, to the same bits" searched resumed
    done
    works '' "${command[@]}" --rounds 0 --jobs 2 -o searched2
    same 'a search: whatever the jobs' searched searched2
    fails 5 'did not finish.*causal' run --model linformer:causal=1 --task $small --scale tried --seeds 2 \
        --rounds 0 -q -o untried
    is 'trials that cannot run: told in the cells that wait for them' test "$(csv_columns untried/cells.csv trials status message |
        grep -c '^3.unsupported.trial rate=3e-4: ')" -eq 2
}

if [ "$part" != kill ]; then
    searches
    determinism
    interrupted_runs
    stopped_tags
    weights
    failures
fi
killed_runs
finish
