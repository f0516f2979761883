#!/bin/bash
# What others read: the formats of `report` through the real reader where Debian has one (libbenchmark-tools), else by their
# published grammar; the study of change points; and the workflow files of docs/ci as YAML. usage: tests/readers.sh PROGRAM
set -u
program=${1:?usage: tests/readers.sh PROGRAM}
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 4
compare=/usr/share/benchmark/compare.py
python= # one with NumPy, which compare.py needs
for p in python3 /usr/bin/python3; do
    [ -z "$python" ] && "$p" -c 'import numpy' 2>/dev/null && python=$p
done
yaml= # one with YAML
for p in python3 /usr/bin/python3; do
    [ -z "$yaml" ] && "$p" -c 'import yaml' 2>/dev/null && yaml=$p
done

small=listops:min=4,max=20,train=60,valid=20,test=20
for i in 1 2; do
    seqarena run --model local --model 'local+mixer=(local s4d)' --task $small --train steps=4 --seeds 2 --rounds 1 -q -o runs/$i
done
# Other tests run beside this one, so its timings are unfit and would be left out; here only their form matters.
sed -i 's/other runs of seqarena used [0-9]* % of a processor meanwhile//' runs/*/cells.csv
for format in google-benchmark benchstat github-smaller github-bigger; do
    for i in 1 2; do
        works '' report runs/$i --format $format -o $format.$i
    done
done

# compare.py without its U test; SciPy is 60 MB, and of it only the geometric mean is needed.
if [ ! -e $compare ]; then
    skip 'compare.py of Google Benchmark' 'not installed (apt-get install libbenchmark-tools)'
elif [ -z "$python" ]; then
    skip 'compare.py of Google Benchmark' 'no Python with NumPy (apt-get install python3-numpy)'
else
    mkdir -p stand-in/scipy
    printf 'import numpy\ndef gmean(x): return numpy.exp(numpy.mean(numpy.log(x), axis=0))\ndef mannwhitneyu(*a, **k): pass\n' \
        >stand-in/scipy/stats.py
    touch stand-in/scipy/__init__.py
    is 'compare.py reads two runs' env PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=stand-in "$python" $compare --no-utest --no-color \
        --dump_to_json compared.json benchmarks google-benchmark.1 google-benchmark.2
    is 'and finds the benchmarks of both' grep -q '"name": "task=listops.*model=local+mixer=(local_s4d)/.*phase=infer_median"' \
        compared.json
fi

# golang.org/design/14313-benchmark-format, and Unit lines of golang.org/x/perf/benchfmt
go_text() {
    awk '/^Unit [^ ]+ better=(higher|lower)$/ || /^[a-z][^ A-Z:]*: ./ { next }
        !/^Benchmark[^a-z][^ ]* [0-9]+( -?[0-9.]+(e[-+][0-9]+)? [^ ]+)+$/ { print "not a line of Go benchmarks: " $0; bad = 1 }
        { n++ } END { exit bad || n < 10 }' "$1"
}
is 'benchstat: every line is one of Go benchmarks' go_text benchstat.1
is 'benchstat: a line a seed' test "$(grep -c 'model=local/.* accuracy ' benchstat.1)" -eq 2

strict() { # FILE: JSON without NaN, a list of entries that github-action-benchmark takes
    "${python:-python3}" - "$1" <<'EOF'
import json, math, sys
def no(x): raise ValueError(x)
entries = json.load(open(sys.argv[1]), parse_constant=no)
assert entries
for e in entries:
    assert isinstance(e["name"], str) and isinstance(e["unit"], str) and isinstance(e["value"], (int, float)), e
    assert set(e) <= {"name", "unit", "value", "range", "extra"} and math.isfinite(e["value"]), e
assert len({e["name"] for e in entries}) == len(entries)
EOF
}
if command -v python3 >/dev/null; then
    is 'github-action-benchmark, smaller' strict github-smaller.1
    is 'github-action-benchmark, bigger' strict github-bigger.1
else
    skip 'github-action-benchmark' 'no python3'
fi
is 'smaller has no accuracy, bigger no latency' test "$(grep -c accuracy github-smaller.1) $(grep -c latency github-bigger.1)" = '0 0'

# Otava's CSV is what history reads
works '^time,commit,task=listops:min=4;max=20' report runs --format otava
works '' report runs --format otava -o otava.csv
is 'otava: whole, and no empty field' sh -c '! grep -qE ",,|,$|,nan" otava.csv'
works 'series from 2 runs' history otava.csv

# The study of change points makes nothing anew when all is there, and its table is that of its figures.
if command -v python3 >/dev/null; then
    cp -r "$top/results/change-points" study
    rm study/table.md
    is 'the study of change points' "$top/tests/change-points.py" --seqarena "$program" -o study
    is 'and its table' cmp study/table.md "$top/results/change-points/table.md"
else
    skip 'the study of change points' 'no python3'
fi

workflow() { # FILE KEY: YAML that has the key
    "$yaml" - "$1" "$2" <<'EOF'
import sys, yaml
assert sys.argv[2] in yaml.safe_load(open(sys.argv[1])), sys.argv[2]
EOF
}
for file in "$top"/docs/ci/*.yml; do
    [ -e "$file" ] || continue
    case $file in *gitlab*) key=gate ;; *) key=jobs ;; esac
    if [ -n "$yaml" ]; then
        is "$(basename "$file") is YAML" workflow "$file" $key
    else
        skip "$(basename "$file")" 'no Python with YAML (apt-get install python3-yaml)'
    fi
done
finish
