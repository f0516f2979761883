# Shared by the shell tests: TAP lines, and programs run with their status and their one line on stderr looked at.
# Source it with $program set; it makes $tmp, which goes at the end.
whole=$(mktemp -d "${TMPDIR:-/tmp}/seqarena-test.XXXXXX") || exit 4
tmp=$whole/here # so that nothing lies in ../shared
mkdir "$tmp" && chmod 755 "$whole" "$tmp"
trap 'rm -rf "$whole"' EXIT
tests=0 bad=0
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
case $program in /*) ;; *) program=$PWD/$program ;; esac
mkdir -m 700 "$whole/run" && export XDG_RUNTIME_DIR=$whole/run # runs of tests do not make others wait
export SEQARENA_RECIPES=$top/recipes SEQARENA_RESULTS=$top/results TERM=dumb LC_ALL=C
unset SEQARENA_DATA SEQARENA_PYTORCH SEQARENA_ALLOC_FAIL_AT SEQARENA_FAKE_COUNTERS
limit=${TEST_TIMEOUT:-90}

pass() { tests=$((tests + 1)) && echo "ok $tests - $1"; }
fail() { # name detail...
    tests=$((tests + 1)) bad=$((bad + 1))
    echo "not ok $tests - $1"
    shift
    printf '# %s\n' "$@"
}
skip() { tests=$((tests + 1)) && echo "ok $tests # SKIP $1: $2"; }
finish() { echo "1..$tests" && [ $bad -eq 0 ]; }

# seqarena ARGS: output in $tmp/out, $tmp/err, status in $status
seqarena() {
    timeout -k 5 "$limit" "$program" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
    status=$?
}

one_line() { # what is wrong with the error output, or nothing
    local lines
    lines=$(wc -l <"$tmp/err")
    [ "$lines" -eq 1 ] || { echo "$lines lines on stderr: $(head -c 600 "$tmp/err" | tr '\n' '|')" && return; }
    grep -q '^seqarena: ' "$tmp/err" || { echo "does not begin with 'seqarena: ': $(head -c 300 "$tmp/err")" && return; }
    grep -qP '[^\x20-\x7e\n]' "$tmp/err" && echo "unprintable bytes on stderr"
}

# fails STATUS PATTERN ARGS...: that exit status, one line that matches the extended pattern
fails() {
    local expected=$1 pattern=$2 wrong
    shift 2
    [ "$pattern" = -- ] && pattern=$1 && shift # so that a pattern may begin with a dash
    seqarena "$@"
    wrong=$(one_line)
    [ $status -eq "$expected" ] || wrong="exit status $status, not $expected; $(head -c 600 "$tmp/err")"
    [ -n "$wrong" ] || grep -qE -- "$pattern" "$tmp/err" || wrong="no match of '$pattern': $(cat "$tmp/err")"
    if [ -z "$wrong" ]; then pass "$*"; else fail "$*" "$wrong"; fi
}

# works PATTERN ARGS...: status 0, nothing on stderr, stdout has a line that matches
works() {
    local pattern=$1 wrong=
    shift
    seqarena "$@"
    [ -s "$tmp/err" ] && wrong="stderr: $(head -c 600 "$tmp/err")"
    [ $status -eq 0 ] || wrong="exit status $status; $(head -c 600 "$tmp/err")"
    [ -n "$wrong" ] || [ -z "$pattern" ] || grep -qE -- "$pattern" "$tmp/out" || wrong="no match of '$pattern' in: $(head -c 600 "$tmp/out")"
    if [ -z "$wrong" ]; then pass "$*"; else fail "$*" "$wrong"; fi
}

is() { # name command...: the command succeeds
    local name=$1 said
    shift
    if said=$("$@" 2>&1); then pass "$name"; else fail "$name" "${said:-$*}"; fi
}

# children DIR: process ids of the children of runs into DIR, as given to -o: an absolute path, so that the test suite may
# run twice at a time
children() {
    local p
    for p in /proc/[0-9]*; do
        case $(tr '\0' ' ' 2>/dev/null <"$p/cmdline") in "seqarena cell $1 "*) echo "${p#/proc/}" ;; esac
    done 2>/dev/null
}

# Every line of a CSV has as many fields as its header; quoted fields may hold commas, quotes and line ends.
csv_whole() {
    awk -v file="$1" '{ text = text $0 "\n" } END {
        n = length(text); quoted = 0; fields = 1; row = 1; want = 0; bad = 0
        for (i = 1; i <= n; i++) {
            c = substr(text, i, 1)
            if (c == "\"") quoted = !quoted
            else if (!quoted && c == ",") fields++
            else if (!quoted && c == "\n") {
                if (!want) want = fields
                if (fields != want) { print file ": row " row " has " fields " fields of " want; bad = 1 }
                fields = 1; row++
            }
        }
        if (quoted || row < 2) { print file ": torn"; bad = 1 }
        exit bad }' "$1"
}

# csv_columns FILE NAME...: those columns, a line a row, sorted; none of them may hold a comma within quotes before it
csv_columns() {
    local file=$1
    shift
    awk -v names="$*" 'function split_row(line,    i, c, q, k, cur) {
        delete f; k = 1; cur = ""; q = 0
        for (i = 1; i <= length(line); i++) {
            c = substr(line, i, 1)
            if (c == "\"") q = !q
            else if (c == "," && !q) { f[k++] = cur; cur = "" }
            else cur = cur c
        }
        f[k] = cur; return k }
    { n = split_row($0) }
    NR == 1 { m = split(names, want, " "); for (i = 1; i <= n; i++) at[f[i]] = i
              for (j = 1; j <= m; j++) if (!(want[j] in at)) { print "no column " want[j]; exit 1 }; next }
    { row = ""; for (j = 1; j <= m; j++) row = row (j > 1 ? "\t" : "") f[at[want[j]]]; print row }' "$file" | LC_ALL=C sort
}
