#!/bin/bash
# Every test of a build, counted. usage: tests/check.sh BUILD [unit|sanitizer]
# "unit" takes only the unit tests and the corpus; "sanitizer" adds a part of verify and a small run of every verb.
# What passes is silent; skips say why; the last line is "N passed, N failed" or "N passed, N failed, N skipped".
set -u
cd "$(dirname "$0")/.." || exit 4
build=${1:?usage: tests/check.sh BUILD [sanitizer]}
mode=${2:-}
program=$build/seqarena
out=$(mktemp -d "${TMPDIR:-/tmp}/seqarena-check.XXXXXX") || exit 4
trap 'rm -rf "$out"' EXIT
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-2} TERM=dumb
unset SEQARENA_ALLOC_FAIL_AT SEQARENA_DATA SEQARENA_RECIPES SEQARENA_RESULTS MAKEFLAGS MFLAGS MAKELEVEL
passed=0 failed=0 skipped=0
limit=${CHECK_TIMEOUT:-300} # seconds a unit test program
[ "$mode" = sanitizer ] && limit=$((4 * limit))
progress() { [ -t 2 ] && printf '\r\033[K%s' "$1" >&2; }

# how a process ended, in words, or nothing when it ended by itself
ended() {
    case $1 in
    124 | 137) echo "stopped after $limit s" ;;
    1[2-9][0-9]) echo "killed by signal $(($1 - 128)) ($(kill -l $(($1 - 128)) 2>/dev/null))" ;;
    esac
}

# counts TAP lines of $2 under the name $1; cmocka 1.1 writes a skip as "not ok N # SKIP name", its reason a line before
count() {
    local name=$1 log=$2 code=$3 ok bad skip crash
    ok=$(grep -cE '^ok( [0-9]+)?( |$)' "$log")
    skip=$(grep -cE '^(not )?ok.*# SKIP' "$log")
    ok=$((ok - $(grep -cE '^ok.*# SKIP' "$log")))
    bad=$(grep -E '^not ok [0-9]+' "$log" | grep -vc '# SKIP')
    crash=$(ended "$code")
    if [ "$code" -ne 0 ] && [ "$bad" -eq 0 ]; then
        bad=1
        crash=${crash:-exit status $code}
    fi
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
    [ "$skip" -gt 0 ] && awk -v name="$name" '/# SKIP/ { t = $0; sub(/^(not )?ok *[0-9]* *(- *)?/, "", t)
        sub(/# SKIP */, "", t); print "skip: " name ": " t (why == "" ? "" : ": " why) }
        { why = ($0 ~ /^(ok|not ok|1\.\.|#)/) ? "" : $0 }' "$log"
    if [ "$bad" -gt 0 ]; then
        echo "FAIL: $name${crash:+: $crash}"
        grep -vE '^(ok|1\.\.)|# SKIP' "$log" | tail -n 60 | sed 's/^/  | /'
    fi
}

run() { # name command...
    local name=$1 code
    shift
    progress "$name"
    "$@" >"$out/log" 2>&1 </dev/null
    code=$?
    count "$name" "$out/log" $code
}

unit_tests() { # two at a time: the programs are independent
    local t name list=()
    for t in "$build"/tests/test_*; do
        case $t in *.o | *.d | *'*') continue ;; esac
        list+=("$t")
    done
    progress "unit tests"
    printf '%s\0' "${list[@]}" | CMOCKA_MESSAGE_OUTPUT=TAP xargs -0 -P 2 -I{} sh -c \
        'timeout -k 5 "$1" "$2" >"$3/$(basename "$2").log" 2>&1 </dev/null; echo $? >"$3/$(basename "$2").rc"' \
        - "$limit" {} "$out"
    for t in "${list[@]}"; do
        name=$(basename "$t")
        count "$name" "$out/$name.log" "$(cat "$out/$name.rc" 2>/dev/null || echo 126)"
    done
}

one() { # name command...: passes when the command does; 4: cannot be done here, skipped with its last line
    local name=$1 code
    shift
    progress "$name"
    "$@" >"$out/log" 2>&1 </dev/null
    code=$?
    case $code in
    0) passed=$((passed + 1)) ;;
    4) skipped=$((skipped + 1)) && echo "skip: $name: $(tail -n 1 "$out/log")" ;;
    *)
        failed=$((failed + 1))
        echo "FAIL: $name"
        tail -n 40 "$out/log" | sed 's/^/  | /'
        ;;
    esac
}

verify() { # patterns...: each check of seqarena verify counts; the patterns run at the same time
    local code p i=0
    progress "seqarena verify"
    for p in "$@"; do
        i=$((i + 1))
        (
            timeout -k 5 $((3 * limit)) "$program" verify --models "$p" >"$out/verify.$i" 2>&1 </dev/null
            echo $? >"$out/verify.$i.rc"
        ) &
    done
    wait
    for ((; i > 0; i--)); do
        code=$(cat "$out/verify.$i.rc" 2>/dev/null || echo 126)
        if [ "$code" -gt 1 ]; then
            failed=$((failed + 1))
            echo "FAIL: seqarena verify: $(ended "$code") exit status $code"
            tail -n 20 "$out/verify.$i" | sed 's/^/  | /'
        fi
        passed=$((passed + $(grep -c '^ok ' "$out/verify.$i"))) failed=$((failed + $(grep -c '^FAIL ' "$out/verify.$i")))
        skipped=$((skipped + $(grep -c '^skip ' "$out/verify.$i")))
        sed -n 's/^skip  */skip: verify: /p; s/^FAIL  */FAIL: verify: /p' "$out/verify.$i" | tr -s ' '
    done
}

unit_tests
run corpus tests/corpus.sh "$build"
if [ "$mode" = unit ]; then
    :
elif [ "$mode" = sanitizer ]; then
    verify "${SANITIZER_MODELS:-^(transformer|local|s4d|dlinear)$}"
    run "small run" tests/small.sh "$program"
else
    one layers tests/layers.sh
    one headers tests/headers.sh "${CC:-cc}" "$build"
    one format-check tests/format-check.sh $(git ls-files '*.c' '*.h' 2>/dev/null || find . -name '*.[ch]' ! -path './build/*')
    verify '^[a-k]' '^[l-z]' # 'kernels' stands in the first
    one 'forward pass in NumPy' tests/crosscheck.sh "$program"
    run cli tests/cli.sh "$program"
    run compare tests/compare.sh "$program"
    run counts tests/counts.sh "$program"
    run score tests/score.sh "$program"
    run readers tests/readers.sh "$program"
    run reports tests/reports.sh "$program"
    one 'external model in PyTorch' tests/external.sh "$program"
    run 'models in PyTorch' tests/pytorch.sh "$program"
    run 'without memory' tests/nomem.sh "$program"
    run runs tests/runs.sh "$program"
fi
progress ""
if [ $skipped -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ $failed -eq 0 ]
