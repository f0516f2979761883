#!/usr/bin/env python3
"""How often `seqarena compare` cries wolf, and how small a change it finds, beside a load that comes and goes.

Kinds of trials, each with a number of its own (--trials KIND=N):

    aa      a build against itself for 20 seconds: no 'slower'; 'cannot tell' and 'unfit' in at most 15 % (300)
    slow5   against itself with one op made slower by 5 % of the step (SEQARENA_TEST_SLOW), 60 seconds: confirmed in 95 % (100)
    slow2   the same with 2 %: never called 'same' in more than 5 % (100)
    count1  instructions under valgrind with 1 % more of them: found always (20)

The load is a process of this script that works on 8 MB and sleeps in turns of up to a second, drawn from the trial's number.
How many turns of the empty loop are 5 % of a step is measured once and kept in loops.json; what the step was truly slower by
is the mean of what all trials of a kind saw.

A trial is a row of DIR/trials.csv; trials that are there are not made again, so the same command goes on after a kill.
DIR/table.md says what came out, with Clopper and Pearson's 95 % intervals. Nothing else should run meanwhile.
usage: tests/gate-study.py [--seqarena build/seqarena] [-o results/gate-study] [--trials KIND=N]... [--minutes M]
"""
import argparse
import csv
import json
import math
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

BENCH = ["--model", "local", "--lengths", "256", "--batch", "1", "--phase", "infer"]
OP = "linear"
KINDS = {  # seconds, per cent slower, trials
    "aa": (20, 0, 300),
    "slow5": (60, 5, 100),
    "slow2": (60, 2, 100),
    "count1": (0, 1, 20),
}
COLUMNS = ["kind", "trial", "verdict", "regression", "ratio", "low", "high", "threshold_percent", "floor_percent", "rounds",
           "rounds_second", "seconds", "commit", "fingerprint"]


def load(seed):
    rng, room = random.Random("load %d" % seed), bytearray(8 << 20)
    while True:
        end = time.monotonic() + rng.random()
        while time.monotonic() < end:
            for i in range(0, len(room), 64 * 997):
                room[i] = (room[i] + 1) & 255
            room.count(7)
        time.sleep(rng.random())


def run(command, env=None):
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ, **(env or {})))
    if done.returncode not in (0, 1):
        sys.exit("gate-study: %s: status %d: %s" % (" ".join(command[:2]), done.returncode, done.stderr.strip()))
    return done


def bench(program, loops, unit):
    """Nanoseconds, or instructions, of a step whose op is followed by so many turns of an empty loop."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "run")
        run([program, "bench"] + BENCH + (["--rounds", "1"] if unit == "time" else ["--count"]) + ["--quiet", "-o", out],
            {"SEQARENA_TEST_SLOW": "%s:%d" % (OP, loops)})
        with open(os.path.join(out, "cells.csv"), newline="") as f:
            row = next(csv.DictReader(f))
        return float(row["latency_ns_median" if unit == "time" else "instructions"])


def calibrate(program, path, unit):
    """Turns of the loop that add 1 % to a step, in time or in instructions."""
    loops, many = {"op": OP, "bench": BENCH}, 4000
    if os.path.exists(path):
        with open(path) as f:
            loops = json.load(f)
    if unit not in loops:
        pairs = [(bench(program, 0, unit), bench(program, many, unit)) for _ in range(15 if unit == "time" else 1)]
        loops[unit] = statistics.median(0.01 * base * many / (slow - base) for base, slow in pairs)
        with open(path, "w") as f:
            json.dump(loops, f, indent=1)
            f.write("\n")
    return loops[unit]


def trial(kind, number, program, per_percent, folder):
    seconds, percent, _ = KINDS[kind]
    counting = kind == "count1"
    arm, result = os.path.join(folder, "new"), os.path.join(folder, "result.json")
    turns = round(percent * per_percent)
    with open(arm, "w") as f:
        f.write('#!/bin/sh\n%sexec "%s" "$@"\n' % ("SEQARENA_TEST_SLOW=%s:%d " % (OP, turns) if percent else "", program))
    base = os.path.join(folder, "base")  # both arms begin by a shell
    with open(base, "w") as f:
        f.write('#!/bin/sh\nexec "%s" "$@"\n' % program)
    os.chmod(arm, 0o755)
    os.chmod(base, 0o755)
    noise = multiprocessing.Process(target=load, args=(number,), daemon=True)
    noise.start()
    try:
        how = ["--rounds", "1"] if counting else ["--until-settled", "%ds" % seconds]
        run([program, "compare", base, arm, "--seed", str(number), "--json", "-o", result, "--quiet"] + how + ["--"] + BENCH +
            (["--count"] if counting else []))
    finally:
        noise.terminate()
        noise.join()
    with open(result) as f:
        doc = json.load(f)
    cell = doc["cells"][0]
    if counting:
        c = cell["counts"]["instructions"]
        figures = [c["verdict"], int(cell["regression"]), c["new"] / c["base"], "", "", "", ""]
    else:
        t = cell["time"]
        figures = [t["verdict"], int(cell["regression"])] + [t[c] for c in COLUMNS[4:9]]
    session = doc["session"]
    return [kind, number] + ["%.5g" % x if isinstance(x, float) else x for x in figures] + session["rounds"] + [
        "%.1f" % session["seconds"], doc["base"]["commit"], doc["base"]["fingerprint"]]


def binomial(k, n, p):
    return sum(math.comb(n, i) * p**i * (1 - p)**(n - i) for i in range(k + 1))


def interval(k, n):
    """Clopper and Pearson, 95 %, in per cent."""
    def solve(f):
        low, high = 0.0, 1.0
        for _ in range(60):
            p = (low + high) / 2
            low, high = (p, high) if f(p) else (low, p)
        return 100 * low
    return (solve(lambda p: 1 - binomial(k - 1, n, p) < 0.025) if k else 0.0,
            solve(lambda p: binomial(k, n, p) > 0.025) if k < n else 100.0)


def table(rows):
    out = ["| trials | n | seconds | what is counted | count | % [95 %] | asked for |", "| --- | ---: | ---: | --- | ---: | ---: | --- |"]
    asked = [
        ("aa", "'slower', confirmed", lambda r: r["regression"] == "1", "none"),
        ("aa", "'slower' at the first look", lambda r: r["rounds_second"] != "0", "-"),
        ("aa", "'cannot tell' or 'unfit'", lambda r: r["verdict"] in ("cannot tell", "unfit"), "15 % at most"),
        ("slow5", "found: 'slower', confirmed", lambda r: r["regression"] == "1", "95 %"),
        ("slow5", "called 'same'", lambda r: r["verdict"] == "same", "-"),
        ("slow2", "called 'same'", lambda r: r["verdict"] == "same", "5 % at most"),
        ("slow2", "found: 'slower', confirmed", lambda r: r["regression"] == "1", "-"),
        ("count1", "found: more instructions", lambda r: r["regression"] == "1", "all"),
    ]
    for kind, what, counts, goal in asked:
        mine = [r for r in rows if r["kind"] == kind]
        if mine:
            k = sum(map(counts, mine))
            out.append("| %s | %d | %d | %s | %d | %.1f [%.1f, %.1f] | %s |" % (
                (kind, len(mine), KINDS[kind][0], what, k, 100 * k / len(mine)) + interval(k, len(mine)) + (goal,)))
    for kind in KINDS:
        ratios = [math.log(float(r["ratio"])) for r in rows if r["kind"] == kind and r["ratio"]]
        if ratios:
            out.append("\n%s: the median of what was seen is %+.2f %%, half of all trials between %+.2f and %+.2f %%." % (
                (kind,) + tuple(100 * math.expm1(q) for q in (statistics.median(ratios), quantile(ratios, 0.25), quantile(ratios, 0.75)))))
    return "\n".join(out) + "\n"


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seqarena", default="build/seqarena")
    p.add_argument("-o", default="results/gate-study")
    p.add_argument("--trials", action="append", default=[], metavar="KIND=N")
    p.add_argument("--minutes", type=float, default=math.inf, help="begin no trial after so many")
    a = p.parse_args()
    goals = {k: v[2] for k, v in KINDS.items()}
    for text in a.trials:
        kind, _, n = text.partition("=")
        if kind not in KINDS or not n.isdigit():
            p.error("--trials %s: give one of %s and a number, such as aa=300" % (text, ", ".join(KINDS)))
        goals[kind] = int(n)
    os.makedirs(a.o, exist_ok=True)
    program, path, begun = os.path.realpath(a.seqarena), os.path.join(a.o, "trials.csv"), time.monotonic()
    if not os.path.exists(path):
        with open(path, "w") as f:
            f.write(",".join(COLUMNS) + "\n")
    with open(path, newline="") as f:
        done = {(r["kind"], int(r["trial"])) for r in csv.DictReader(f)}
    todo = [(k, i) for i in range(1, max(goals.values()) + 1) for k in KINDS if i <= goals[k] and (k, i) not in done]
    for n, (kind, number) in enumerate(todo):
        if time.monotonic() - begun > 60 * a.minutes:
            break
        unit = "instructions" if kind == "count1" else "time"
        with tempfile.TemporaryDirectory() as folder:
            per_percent = calibrate(program, os.path.join(a.o, "loops.json"), unit) if KINDS[kind][1] else 0
            row = trial(kind, number, program, per_percent, folder)
        with open(path, "a", newline="") as f:
            csv.writer(f, lineterminator="\n").writerow(row)
        print("%d of %d: %s %d: %s" % (n + 1, len(todo), kind, number, row[2]), file=sys.stderr)
    with open(path, newline="") as f:
        text = table(list(csv.DictReader(f)))
    with open(os.path.join(a.o, "table.md"), "w") as f:
        f.write(text)
    print(text, end="")


if __name__ == "__main__":
    main()
