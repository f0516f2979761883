#!/usr/bin/env python3
"""How well `seqarena history` finds changes whose place is known, beside a plain threshold.

Generated series: level 1000, 200 points, a kind of noise and steps; 100 series a kind from fixed seeds. One public series:
the yuan in US dollars (exchange_rate.csv, column 4), whose steps are decrees: rows 221 (devaluation of November 1990), 947
(January 1994), 3851 (revaluation of July 2005), 7079 (devaluation of August 2015). It also has four wrong values of one
row, crawls (1991, 1994) and a rise of years (2005 to 2014), which are no steps.

A change that is said to be within 3 points of a true one, and of its direction, is right; each true one counts once.
A threshold says an alarm once: those that follow in the same direction within 10 points are the same one.
Precision is the share of what is said that is right, recall the share of the true ones that are said.

Figures go to DIR/figures.csv, a row a kind and detector; rows that are there are not made again. DIR/table.md is the same as a
table. usage: tests/change-points.py [--seqarena build/seqarena] [--data DIR] [-o results/change-points]
"""
import argparse
import csv
import math
import os
import random
import subprocess
import sys
import tempfile

N, SERIES, NEAR = 200, 100, 3
KINDS = {  # steps as (place, factor), and noise
    "none": ([], "normal"),
    "one 5 %": ([(110, 1.05)], "normal"),
    "two 5 %, up and down": ([(70, 1.05), (140, 1 / 1.05)], "normal"),
    "two 10 %, 12 apart": ([(100, 1.1), (112, 1 / 1.1)], "normal"),
    "one 5 %, the last 6 points": ([(194, 1.05)], "normal"),
    "one 5 %, 3 % of points +30 %": ([(110, 1.05)], "outliers"),
    "none, 3 % of points +30 %": ([], "outliers"),
    "one 5 %, heavy tails": ([(110, 1.05)], "t3"),
    "one 5 %, noise remembers half": ([(110, 1.05)], "memory"),
    "none, noise remembers half": ([], "memory"),
    "none, drift of 10 %": ([], "drift"),
}
DETECTORS = {
    "history": [],
    "history --spike 0 --least 2": ["--spike", "0", "--least", "2"],
    "history --permutations 999": ["--permutations", "999"],
    "over 3 % from the point before": (1, 1),
    "over 10 % from the point before": (1, 10 / 3),
    "over 3 % from the mean of 10 before": (10, 1),
    "over 5 % from the mean of 10 before": (10, 5 / 3),
}
DECREES = [(221, -1), (947, -1), (3851, 1), (7079, -1)]
COLUMNS = ["series", "detector", "n_series", "n_points", "true", "said", "right", "precision", "recall", "wrong_per_1000_points"]


def noise(kind, rng):
    """1.5 % in all kinds, before outliers."""
    past = 0.0
    while True:
        e = 0.015 * rng.gauss(0, 1)
        if kind == "t3":
            e /= math.sqrt(sum(rng.gauss(0, 1) ** 2 for _ in range(3)) / 3)
        if kind == "memory":
            past = e = 0.5 * past + math.sqrt(0.75) * e
        if kind == "outliers" and rng.random() < 0.03:
            e += 0.3
        yield math.exp(e)


def generated(kind):
    steps, shape = KINDS[kind]
    series = []
    for seed in range(SERIES):
        rng = random.Random("%s %d" % (kind, seed))
        level, values = 1000.0, []
        for i, e in zip(range(N), noise(shape, rng)):
            level *= math.prod(f for at, f in steps if at == i)
            values.append(level * e * (1.1 ** (i / N) if shape == "drift" else 1))
        series.append(values)
    return series, [[(at, 1 if f > 1 else -1) for at, f in steps]] * SERIES


def threshold(values, back, percent):
    said, last = [], {}
    for i in range(back, len(values)):
        before = sum(values[i - back:i]) / back
        sign = 1 if values[i] > before else -1
        if abs(values[i] / before - 1) > percent / 100:
            if i - last.get(sign, -99) > 10:
                said.append((i, sign))
            last[sign] = i
    return said


def history(program, series, options):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "series.csv")
        with open(path, "w") as f:
            f.write("name,value\n")
            for k, values in enumerate(series):
                f.writelines("s%d,%.9g\n" % (k, v) for v in values)
        text = subprocess.run([program, "history", path, "--csv"] + options, check=True, capture_output=True, text=True).stdout
    said = [[] for _ in series]
    for row in csv.DictReader(text.splitlines()):
        said[int(row["series"][len("name=s"):])].append((int(row["at"]), 1 if row["verdict"] == "up" else -1))
    return said


def score(said, truths):
    right = 0
    for s, t in zip(said, truths):
        free = list(s)
        for at, sign in t:
            near = [c for c in free if abs(c[0] - at) <= NEAR and c[1] == sign]
            if near:
                right += 1
                free.remove(min(near, key=lambda c: abs(c[0] - at)))
    return right


def share(a, b):
    return "%.3f" % (a / b) if b else ""


def measure(program, name, detector, series, truths, magnitude):
    if isinstance(DETECTORS[detector], tuple):
        back, factor = DETECTORS[detector]
        said = [threshold(v, back, factor * magnitude) for v in series]
    else:
        said = history(program, series, DETECTORS[detector] + ["--magnitude", str(magnitude)])
    total, true, right = sum(map(len, said)), sum(map(len, truths)), score(said, truths)
    points = sum(map(len, series))
    return [name, detector, len(series), points, true, total, right, share(right, total), share(right, true),
            "%.2f" % (1000 * (total - right) / points)]


def table(rows):
    out = ["| series | detector | true | said | right | precision | recall | wrong in 1000 points |",
           "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for r in rows:
        out.append("| " + " | ".join(r[c] or "-" for c in ["series", "detector", "true", "said", "right", "precision", "recall",
                                                            "wrong_per_1000_points"]) + " |")
    return "\n".join(out) + "\n"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--seqarena", default="build/seqarena")
    p.add_argument("--data", default=os.environ.get("SEQARENA_DATA", "../shared/data"))
    p.add_argument("-o", default="results/change-points")
    a = p.parse_args()
    os.makedirs(a.o, exist_ok=True)
    path = os.path.join(a.o, "figures.csv")
    done = set()
    if os.path.exists(path):
        with open(path, newline="") as f:
            done = {(r["series"], r["detector"]) for r in csv.DictReader(f)}
    else:
        with open(path, "w") as f:
            f.write(",".join(COLUMNS) + "\n")
    public = "yuan, daily, half the percentages"  # among the decrees are 2.0 and 1.8 %
    for name in list(KINDS) + [public]:
        todo = [d for d in DETECTORS if (name, d) not in done]
        if name == public:  # shuffling 7588 points takes hours
            todo = [d for d in todo if "permutations" not in d]
        if not todo:
            continue
        if name == public:
            source = os.path.join(a.data, "exchange_rate.csv")
            if not os.path.exists(source):
                print("%s: not found; give --data DIR" % source, file=sys.stderr)
                return 3
            with open(source, newline="") as f:
                series, truths = [[float(r["4"]) for r in csv.DictReader(f)]], [DECREES]
        else:
            series, truths = generated(name)
        for d in todo:
            row = measure(a.seqarena, name, d, series, truths, 1.5 if name == public else 3)
            with open(path, "a", newline="") as f:
                csv.writer(f, lineterminator="\n").writerow(row)
    with open(path, newline="") as f:
        rows = list(csv.DictReader(f))
    order = {pair: i for i, pair in enumerate((k, d) for k in list(KINDS) + [public] for d in DETECTORS)}
    text = table(sorted(rows, key=lambda r: order[r["series"], r["detector"]]))
    with open(os.path.join(a.o, "table.md"), "w") as f:
        f.write(text)
    print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
