#!/bin/bash
# The n-th allocation and all later ones fail: never a crash, always exit status 4 and one line. n goes up in steps until
# the verb succeeds. usage: tests/nomem.sh PROGRAM [STEP]     (10: about 25 values a verb; 0: every one)
set -u
program=${1:?usage: tests/nomem.sh PROGRAM [STEP]}
step=${2:-10}
TEST_TIMEOUT=${TEST_TIMEOUT:-60}
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 4
small=listops:min=4,max=16,train=12,valid=6,test=6
seqarena run --model local --task $small --train steps=2 --rounds 1 -q -o done
seqarena export local --task $small --init-only -o w.safetensors
seqarena data export $small --split test -o arrays
printf 'date,a,b\n' >s.csv
for i in 1 2 3 4 5 6 7 8 9; do printf '2020-01-0%d,%d,%d\n' $i $i $((i * i)) >>s.csv; done

without() { # name args...: every n until the verb works
    local name=$1 n=1 tried=0 wrong
    shift
    while :; do
        rm -rf new
        SEQARENA_ALLOC_FAIL_AT=$n seqarena "$@"
        [ $status -eq 0 ] && break
        wrong=$(one_line)
        [ $status -eq 4 ] || wrong="exit status $status; $(head -c 400 "$tmp/err")"
        grep -q 'memory' "$tmp/err" || wrong=${wrong:-says nothing of memory: $(cat "$tmp/err")}
        if [ -n "$wrong" ]; then
            fail "$name when allocation $n fails" "$wrong"
            return
        fi
        tried=$((tried + 1))
        n=$((n + 1 + n * step / 40))
        [ $n -lt 10000000 ] || { fail "$name" "still fails at allocation $n" && return; }
    done
    pass "$name: $tried places, up to allocation $n"
}
without list list models
without list-json list --json models '^local'
without describe describe performer
without data-show data show $small
without data-verify data verify $small
without csv data verify csv:file=s.csv,lookback=2,horizon=1
printf '0\tbad\n1\tgood\n0\tworse\n1\tbest\n' >r.tsv
for i in {1..40}; do printf '1\tP%d\tQ\tone\ttwo\n' $i; done >p.tsv
without text data verify text:train=r.tsv,test=r.tsv,valid=0.5,length=8
without retrieval data verify retrieval:file=p.tsv,length=8
without mackey data verify mackey_glass
without data-export data export $small -o new
without data-check data verify arrays
printf '{"name": "a", "params": 3}' >m.json
without score score $small --pred arrays/test_labels.npy --meta m.json -q -o new
without dry-run run --dry-run --models . --task $small
without explain explain transformer --length 16 --batch 1
without explain-s4d explain s4d --length 16 --batch 1
without explain-performer explain performer --length 16 --batch 1
without export export local --task $small --init-only -o new
seqarena export transformer --task $small --init-only -o t.safetensors
without pytorch export --weights t.safetensors --pytorch new
without train export local --task $small --train steps=2 -o new
without forecast export dlinear --task mackey_glass:lookback=8,horizon=4 --train steps=1 -o new
without predict predict --weights w.safetensors --input arrays/test_tokens.npy -o new
without report report done
without report-json report done --format json
without report-google-benchmark report done --format google-benchmark
without report-benchstat report done --format benchstat
without report-github-smaller report done --format github-smaller
without report-otava report done --format otava
without history history done
without history-csv history s.csv --json
without table table lra-1 done
without table-plan table lra-1 done --plan
without table-svg table lra-figure done --format svg
without list-tables list tables
without describe-table describe lra-2
without compare compare done done --control done
seqarena compare done done --control done --json -o compared.json
without compare-json compare done done --json
without compare-csv compare done done --csv new
without gate gate compared.json --junit new --github
without verify verify --models '^last$'
without run run --model no_mixer --task $small --train steps=1 --rounds 1 --jobs 1 -q -o new
finish
