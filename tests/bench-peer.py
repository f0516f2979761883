#!/usr/bin/env python3
"""seqarena against PyTorch and ONNX Runtime, in turn, on this machine.

usage: bench-peer.py [--seqarena PROGRAM] [--peers DIR] [--rounds N] [--only REGEX] [--threads N] [--ort DIR] -o FILE.csv
       bench-peer.py --table FILE.csv

Each round runs every side of every row once, each in a fresh process, in an order that turns round by round; ratios
are of medians over rounds, with the smallest and largest ratio of a round beside them. Own memory is the peak resident
set less that at the start (for PyTorch: after its imports). DIR holds torch_bench.py, export_onnx.py and ort_bench.js;
--ort names the folder in whose node_modules onnxruntime-node lies. The CSV is written row by row, and a run that was
cut short goes on where it was. --table prints the Markdown table of a CSV and measures nothing.
"""
import argparse
import csv
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

COLUMNS = ("schema,round,side,model,group,length,batch,dim,heads,ffn,layers,phase,dtype,threads,ns_median,own_bytes,"
           "params,version,cpu").split(",")
SMALL = dict(dim=64, heads=2, ffn=128)
WIDE = dict(dim=512, heads=8, ffn=2048)
# group, our model, names of the peer's models, length, sizes, ratios asked for: train, inference, memory, ONNX Runtime.
# Both texts of a row say the same sizes: sparse_transformer has half of its heads in each pattern there, reformer's
# buckets are length / bucket there, sinkhorn's noise is theirs alone. Rows whose model our registry lacks are left out.
ROWS = [
    ("transformer", "transformer", "transformer,transformer_mha", 1024, SMALL, 3, 3, 8, None),
    ("transformer", "transformer", "transformer,transformer_mha", 4096, SMALL, 4, 4, 20, 1.5),
    ("linear_transformer", "linear_transformer", "linear_transformer", 4096, SMALL, 2.5, 2.5, 2, 1.5),
    ("linformer", "linformer:rank=256", "linformer:k=256", 4096, SMALL, 2.5, 2.5, 2, 1.5),
    ("local", "local:window=128", "local:block=128", 4096, SMALL, 2.5, 2.5, 2, 1.5),
    ("s4d", "s4d:state=64,causal=1", "s4d:state=64", 4096, SMALL, 2.5, 2.5, 2, None),
    ("performer", "performer:features=256", "performer:features=256", 4096, SMALL, 4, 4, 3, 1.5),
    ("transformer, dim 512", "transformer", "transformer,transformer_mha", 1024, WIDE, 1.2, 1.2, 2, None),
    ("sparse_transformer", "sparse_transformer:pattern=strided,combine=split_heads,block=64",
     "sparse_transformer:stride=64", 4096, SMALL, 2, 2, None, None),
    ("longformer", "longformer:window=128,globals=1", "longformer:window=128:globals=1", 4096, SMALL, 2, 2, None, None),
    ("bigbird", "bigbird:block=64,random=3", "bigbird:block=64:random=3", 4096, SMALL, 2, 2, None, None),
    ("reformer", "reformer:rounds=2,chunk=64,buckets=64", "reformer:hashes=2:bucket=64", 4096, SMALL, 2, 2, None, None),
    ("sinkhorn_transformer", "sinkhorn_transformer:block=64,iterations=5,temperature=0.75",
     "sinkhorn:block=64:iterations=5:temperature=0.75", 4096, SMALL, 2, 2, None, None),
    ("synthesizer, dense", "synthesizer:kind=dense", "synthesizer", 2048, SMALL, 2, 2, None, None),
    ("synthesizer, random", "synthesizer:kind=random", "synthesizer_random", 2048, SMALL, 2, 2, None, None),
    ("nystromformer", "nystromformer:landmarks=128,conv=33,iterations=6", "nystromformer:landmarks=128:conv=33", 4096,
     SMALL, 2, 2, None, None),
    ("cosformer", "cosformer", "cosformer", 4096, SMALL, 2, 2, None, None),
    ("flowformer", "flowformer", "flowformer", 4096, SMALL, 2, 2, None, None),
    ("lru", "lru:state=64,out=none,causal=1", "lru:state=64", 4096, SMALL, 2, 2, None, None),
    ("mamba", "mamba:state=16,expand=2,conv=4,causal=1", "mamba:state=16:expand=2:conv=4", 4096, SMALL, 4, 4, None,
     None),
    ("gla", "gla:expand_k=0.5,rank=16,causal=1", "gla:rank=16", 4096, SMALL, 2, 2, None, None),
    ("deltanet", "deltanet:conv=4,causal=1", "deltanet:conv=4", 4096, SMALL, 2, 2, None, None),
    ("retnet", "retnet:expand=2,causal=1", "retnet:expand=2", 4096, SMALL, 2, 2, None, None),
    ("hyena", "hyena:order=2,width=64,emb=3,conv=3,causal=1", "hyena:order=2:width=64:bands=1:conv=3", 4096, SMALL, 2,
     2, None, None),
    ("fnet", "fnet", "fnet", 4096, SMALL, 2, 2, None, None),
    ("poolformer", "poolformer:window=3,layerscale=0", "poolformer:pool=3", 4096, SMALL, 2, 2, None, None),
    ("gru", "gru:causal=1", "gru", 1024, SMALL, 2, 2, None, None),
    ("lstm", "lstm:causal=1", "lstm", 1024, SMALL, 2, 2, None, None),
]


def cpu():
    with open("/proc/cpuinfo") as f:
        names = [line.split(":", 1)[1].strip() for line in f if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} logical"


def one(command, env=None):
    """Standard output of a command; None, with its last line of complaint, when it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=dict(os.environ, **(env or {})))
    if done.returncode:
        print(f"{command[0]}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}", file=sys.stderr)
        return None
    return done.stdout


def sizes_text(sizes):
    return "".join(f",{k}={v}" for k, v in sizes.items())


def run_ours(a, row, phase, samples, threads=None):
    group, model, _, length, sizes = row[:5]
    side = "seqarena" if threads is None else f"seqarena {threads} threads"
    with tempfile.TemporaryDirectory() as d:
        spec = model + ("," if ":" in model else ":") + sizes_text(sizes)[1:]
        if one([a.seqarena, "bench", "--model", spec, "--lengths", str(length), "--batch", "4", "--phase", phase,
                "--threads", str(threads or a.threads), "--rounds", str(samples), "-q", "-o", f"{d}/run"]) is None:
            return []
        with open(f"{d}/run/cells.csv", newline="") as f:
            cells = list(csv.DictReader(f))
    return [dict(side=side, model=model, ns_median=c["latency_ns_median"], own_bytes=c["mem_own_bytes"],
                 params=c["params"], version=a.version) for c in cells if c["status"] == "ok"]


def run_torch(a, row, phase, samples, name):
    length, sizes = row[3], row[4]
    options = [x for k, v in sizes.items() for x in (f"--{k}", str(v))]
    text = one([a.python, f"{a.peers}/torch_bench.py", "--models", name, "--lengths", str(length), "--phase", phase,
                "--rounds", str(samples), "--threads", str(a.threads)] + options)
    rows = list(csv.DictReader(text.splitlines())) if text else []
    return [dict(side="pytorch", model=name, ns_median=r["ns_median"],
                 own_bytes=int(r["peak_rss_bytes"]) - int(r["baseline_rss_bytes"]), params=r["params"],
                 version=r["torch_version"]) for r in rows if r["ns_median"]]


def run_ort(a, row, samples):
    name, length = row[2].split(",")[0].split(":")[0], row[3]
    file = f"{a.onnx}/{name}_{length}.onnx"
    if not os.path.exists(file):
        one([a.python, f"{a.peers}/export_onnx.py", a.onnx, name, str(length), "4"])
    text = one(["node", f"{a.peers}/ort_bench.js", "--threads", str(a.threads), "--rounds", str(samples), file],
               {"NODE_PATH": f"{a.ort}/node_modules"})
    return [dict(side="onnxruntime", model=name, ns_median=r["ns_median"], own_bytes="", params="",
                 version=r["ort_version"]) for r in csv.DictReader((text or "").splitlines())]


def rows_of(a):
    """Rows to measure; a line for each that our registry lacks."""
    ours = set((one([a.seqarena, "list", "models", "--names"]) or "").split())
    for row in ROWS:
        if a.only and not re.search(a.only, row[0]):
            continue
        if row[1].split(":")[0] in ours:
            yield row
        else:
            print(f"bench-peer: {row[0]} is left out, {a.seqarena} has no {row[1].split(':')[0]}", file=sys.stderr)


def jobs(a):
    """(round, row, phase, side, function) in the order of measurement."""
    rows = list(rows_of(a))
    for number in range(a.rounds):
        for row in rows:
            heavy = row[3] >= 4096 and row[0] == "transformer" or row[4] is WIDE
            for phase in ("train", "infer"):
                samples = 1 if heavy and phase == "train" else 3
                sides = [("seqarena", row[1], lambda r=row, p=phase, s=samples: run_ours(a, r, p, s))]
                for name in row[2].split(","):
                    sides.append(("pytorch", name, lambda r=row, p=phase, s=samples, n=name: run_torch(a, r, p, s, n)))
                if a.ort and phase == "infer" and row[8]:
                    sides.append(("onnxruntime", row[2].split(",")[0].split(":")[0],
                                  lambda r=row, s=samples: run_ort(a, r, s)))
                if row is ROWS[0] and phase == "infer":
                    sides.append(("seqarena 2 threads", row[1],
                                  lambda r=row, p=phase, s=samples: run_ours(a, r, p, s, 2)))
                for side in sides if number % 2 == 0 else sides[::-1]:
                    yield number, row, phase, side


def measure(a):
    done = set()
    if os.path.exists(a.output):
        with open(a.output, newline="") as f:
            done = {(r["round"], r["group"], r["length"], r["phase"], r["side"], r["model"]) for r in csv.DictReader(f)}
    if os.path.dirname(a.output):
        os.makedirs(os.path.dirname(a.output), exist_ok=True)
    with open(a.output, "a", newline="") as f:
        out = csv.DictWriter(f, COLUMNS, lineterminator="\r\n")
        if not done:
            out.writeheader()
        for number, row, phase, (side, model, run) in jobs(a):
            if (str(number), row[0], str(row[3]), phase, side, model) in done:
                continue
            if sys.stderr.isatty():
                print(f"\r\033[Kround {number + 1} of {a.rounds}: {row[0]} {row[3]} {phase} {side}", end="",
                      file=sys.stderr)
            for result in run():
                out.writerow(dict(result, schema=1, round=number, group=row[0], length=row[3], batch=4, layers=2,
                                  phase=phase, dtype="f32", threads=a.threads, cpu=cpu(), **row[4]))
            f.flush()
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)


def best_side(rows, side):
    """Rounds of the fastest model of a side: {round: row}."""
    models = {}
    for r in rows:
        if r["side"] == side:
            models.setdefault(r["model"], {})[r["round"]] = r
    return min(models.values(), key=lambda m: statistics.median(float(r["ns_median"]) for r in m.values()), default={})


def median(rows, column):
    return statistics.median(float(r[column]) for r in rows.values())


def ratio(theirs, ours, column, goal):
    """'3.1 [2.9, 3.4], goal 3'"""
    if not theirs or not ours:
        return "-"
    value = median(theirs, column) / median(ours, column)
    shared = sorted(set(theirs) & set(ours))
    each = [float(theirs[r][column]) / float(ours[r][column]) for r in shared]
    text = f"{value:.2f} [{min(each):.2f}, {max(each):.2f}]" if column == "ns_median" else f"{value:.2f}"
    return f"{text} ({'met' if value >= goal else 'not met'}: {goal:g})" if goal else text


def table(file):
    with open(file, newline="") as f:
        rows = list(csv.DictReader(f))
    if not rows:
        sys.exit(f"{file}: no rows; run bench-peer first")
    versions = {s: sorted({r["version"] for r in rows if r["side"] == s}) for s in ("seqarena", "pytorch", "onnxruntime")}
    print(f"{rows[0]['cpu']}; {rows[0]['threads']} thread; batch 4, 2 layers, f32; "
          + "; ".join(f"{s} {', '.join(v)}" for s, v in versions.items() if v)
          + f"; {len({r['round'] for r in rows})} interleaved rounds.\n")
    one, two = (best_side([r for r in rows if r["group"] == ROWS[0][0] and r["length"] == str(ROWS[0][3]) and
                           r["phase"] == "infer"], side)
                for side in ("seqarena", "seqarena 2 threads"))
    if one and two:
        print(f"A second thread made our transformer's inference at L = 1024 {median(one, 'ns_median') / median(two, 'ns_median'):.2f} "
              "times as fast during this run.\n")
    head = ["model", "L", "train, PyTorch / ours", "inference, PyTorch / ours", "inference, ONNX Runtime / ours",
            "train memory, PyTorch / ours", "inference memory"]
    print("| " + " | ".join(head) + " |\n|:---|---:|" + "---:|" * 5)
    for group, _, _, length, _, train, infer, memory, ort in ROWS:
        mine = {p: [r for r in rows if r["group"] == group and r["length"] == str(length) and r["phase"] == p]
                for p in ("train", "infer")}
        if not mine["train"] and not mine["infer"]:
            continue
        ours = {p: best_side(mine[p], "seqarena") for p in mine}
        torch = {p: best_side(mine[p], "pytorch") for p in mine}
        print("| " + " | ".join([
            group, str(length), ratio(torch["train"], ours["train"], "ns_median", train),
            ratio(torch["infer"], ours["infer"], "ns_median", infer),
            ratio(best_side(mine["infer"], "onnxruntime"), ours["infer"], "ns_median", ort) if ort else "-",
            ratio(torch["train"], ours["train"], "own_bytes", memory),
            ratio(torch["infer"], ours["infer"], "own_bytes", memory)]) + " |")
    print("\nA ratio above 1: we are faster, or smaller. Brackets: smallest and largest ratio of one round; in "
          "parentheses the goal.\nPyTorch is the faster of explicit matmul with softmax and nn.MultiheadAttention.")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seqarena", default="build/seqarena")
    p.add_argument("--peers", default="../shared/peers")
    p.add_argument("--python", default="/usr/bin/python3", help="an interpreter that has torch")
    p.add_argument("--ort", help="folder whose node_modules holds onnxruntime-node; without it that side is left out")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--only", help="rows whose name matches this expression")
    p.add_argument("--table", metavar="FILE", help="print the table of a CSV")
    p.add_argument("-o", "--output")
    a = p.parse_args()
    if a.table:
        return table(a.table)
    if not a.output:
        p.error("give -o FILE.csv")
    if not os.path.exists(f"{a.peers}/torch_bench.py"):
        sys.exit(f"bench-peer: {a.peers}/torch_bench.py is not there; give its folder with --peers")
    if one([a.python, "-c", "import torch"]) is None:
        sys.exit(f"bench-peer: {a.python} has no torch; install python3-torch and libopenblas0-pthread")
    a.version = (one([a.seqarena, "--version"]) or "?").split(",")[0].replace("seqarena ", "").replace(" (", "-")
    a.onnx = tempfile.mkdtemp(prefix="seqarena-onnx-")
    try:
        measure(a)
    finally:
        shutil.rmtree(a.onnx, ignore_errors=True)
    return table(a.output)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
