#!/usr/bin/env python3
"""Models of export --pytorch beside the C graph: the same weights, the same rows, the same outputs.

usage: tests/pytorch.py PROGRAM CASES FOLDER REGEX

Every variant of the registry by itself, and the lines of CASES ("MODEL [TASK]", TASK a key of TASKS below). Noise is laid on
all parameters, so that each of them matters. Rows are whole, and short with padding. Importing torch takes seconds: it is done
once, then two processes share the models. Writes TAP.
"""
import ast
import json
import multiprocessing
import os
import re
import subprocess
import sys
import warnings

import numpy as np
import torch

PROGRAM, CASES, FOLDER, REGEX = sys.argv[1:]
TASKS = {
    "tokens": "random:length=40,vocab=12,classes=5,count=8",
    "holes": "random:length=40,vocab=12,classes=5,count=8",  # token 1 taken for padding too, as images with form=lra have it
    "tag": "reverse:length=24,vocab=9,train=8,valid=8,test=8",
    "pair": "retrieval:generated=5,length=24",
    "reals": "ts:file=a.ts,test=a.ts",
    "forecast": "csv:file=a.csv,lookback=56,horizon=8",
    "one": "csv:file=a.csv,lookback=56,horizon=8,mode=MS",  # many channels in, one out
}
TOLERANCE = 1e-4  # of the largest output
tests = bad = 0


def report(ok, name, why=""):
    global tests, bad
    tests += 1
    bad += not ok
    print(f"{'ok' if ok else 'not ok'} {tests} - {name}" + (f"\n# {why}" if why else ""), flush=True)


def seqarena(*arguments):
    """"" or what it said on stderr."""
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True)
    return "" if done.returncode == 0 else f"exit status {done.returncode}: {done.stderr.strip()}"


def write_data(rng):
    with open("a.csv", "w") as f:
        f.write("date,a,b,c\n")
        for t, row in enumerate(rng.normal(size=(400, 3)).cumsum(0)):
            f.write(f"2016-{1 + t // 24 // 28:02}-{1 + t // 24 % 28:02} {t % 24:02}:00:00,{','.join(f'{v:.4f}' for v in row)}\n")
    with open("a.ts", "w") as f:
        f.write("@problemName a\n@timeStamps false\n@missing false\n@univariate false\n@dimensions 3\n@equalLength true\n")
        f.write("@seriesLength 24\n@classLabel true 1 2\n@data\n")
        for i in range(20):
            f.write(":".join(",".join(f"{v:.4f}" for v in row) for row in rng.normal(size=(3, 24))) + f":{1 + i % 2}\n")


def read(path):
    """Header and numbers of a safetensors file."""
    data = bytearray(open(path, "rb").read())
    size = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def edit(path, parameters, blank, rng):
    """Noise on all parameters and running statistics; tokens up to `blank` are padding."""
    header, data = read(path)
    signature = header["__metadata__"]["seqarena.signature"].split()
    signature[8] = str(int(blank))
    header["__metadata__"]["seqarena.signature"] = " ".join(signature)
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        begin, end = entry["data_offsets"]
        values = np.frombuffer(data, dtype=np.float32, count=(end - begin) // 4, offset=begin)
        noise = rng.normal(size=values.shape).astype(np.float32)
        if name in parameters or name.endswith(".mean"):
            values += 0.1 * noise
        elif name.endswith(".variance"):
            values *= np.exp(0.3 * noise)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text + data)


def rows(task, f, rng):
    """(name, input, marks) of a full batch, and of one that is short and padded."""
    if f.kind == "forecast":
        marks = rng.uniform(-0.5, 0.5, size=(5, f.length + f.horizon, f.marks)).astype(np.float32) if f.marks else None
        return [("full", rng.normal(size=(5, f.length, f.channels)).cumsum(1), marks)]
    made, pair = [], (2,) if f.kind == "pair" else ()
    length = f.length - f.front
    for name, n in (("full", length), ("padded", length - 5)):
        shape = (6, *pair, n)
        x = rng.integers(1, f.vocab, shape) if f.vocab else rng.normal(size=(*shape, f.channels))
        for i, valid in enumerate((n, n // 2, n - 1, 3, n - 4, n // 3)):
            if name == "padded":
                x[i, ..., valid:] = 0 if f.vocab else np.nan  # of pairs both, below one of them less
                if f.vocab == 0:
                    x[i] = np.where(np.arange(n)[:, None] < valid, np.nan_to_num(x[i]), np.nan)
                elif pair:
                    x[i, 1, valid // 2 + 1 :] = 0
        made.append((name, x, None))
    return made


def compare(spec, task, key, rng):
    """What differs between C and Python, or ""; None when the model has no such form."""
    said = seqarena("export", spec, "--task", task, "--init-only", "-q", "-o", "w.safetensors", "--pytorch", "model.py")
    if said:
        return said
    space = {"__name__": "model"}
    exec(compile(open("model.py").read(), "model.py", "exec"), space)
    model = space["Model"]()
    parameters = {space["name_in_file"](name) for name, _ in model.named_parameters()}
    edit("w.safetensors", parameters, key == "holes", rng)
    if key == "holes":
        said = seqarena("export", "--weights", "w.safetensors", "-q", "--pytorch", "model.py")
        if said:
            return said
        exec(compile(open("model.py").read(), "model.py", "exec"), space)
    model = space["load"]("w.safetensors")
    for name, x, marks in rows(task, model.f, rng):
        np.save("x.npy", x.astype(np.int32 if model.f.vocab else np.float32))
        more = ()
        if marks is not None:
            np.save("marks.npy", marks)
            more = ("--marks", "marks.npy")
        said = seqarena("predict", "--weights", "w.safetensors", "--input", "x.npy", *more, "-o", "y.npy")
        if said:
            return said
        want = np.load("y.npy")
        have = space["predict"](model, np.load("x.npy"), marks)
        if have.shape != want.shape:
            return f"{name}: shape {have.shape}, of C {want.shape}"
        if key == "tag":  # what comes out at padding is nobody's
            valid = np.load("x.npy") > 0
            have, want = have[valid], want[valid]
        scale = np.abs(want).max()
        if not np.isfinite(want).all() or scale == 0 or np.ptp(want.reshape(len(want), -1), 0).max() < 1e-3 * scale:
            return f"{name}: outputs of C are not finite, or the same for all rows"
        worst = np.abs(have - want).max() / scale
        if not worst <= TOLERANCE:
            return f"{name}: differs by {worst:.1e} of the largest output {scale:.3g}"
    return ""


def known():
    """[(model, task key)]"""
    cases = []
    text = subprocess.run([PROGRAM, "list", "models", "--json"], capture_output=True, text=True, check=True).stdout
    for v in json.loads(text):
        name, slot = v["id"], v["slot"]
        if slot == "floor":
            continue
        if slot == "mixer":
            cases += [(name, "tokens"), (name + ":causal=1", "tokens")]
        elif slot == "model":
            cases.append((name, "forecast"))
        else:
            cases.append((f"transformer+{slot}={name}", "pair" if slot == "pair" else "tokens"))
    with open(CASES) as f:
        for line in f:
            words = line.split("#")[0].split()
            if words:
                key = words.pop() if words[-1] in TASKS else "tokens"
                cases.append((" ".join(words), key))
    return cases


def names_twice():
    """Files of models/pytorch become one, so their names must differ (a model has base and frame, or base and whole)."""
    folder, of, twice = os.environ["SEQARENA_PYTORCH"], {}, []
    for file in sorted(os.listdir(folder)):
        if not file.endswith(".py") or file == "whole.py":
            continue
        with open(os.path.join(folder, file)) as f:
            for node in ast.parse(f.read()).body:
                names = [t.id for t in node.targets] if isinstance(node, ast.Assign) else [getattr(node, "name", file)]
                twice += [f"{name} in {of[name]} and {file}" for name in names if of.setdefault(name, file) != file]
    return "; ".join(twice)


def as_program():
    """The file as users run it."""
    spec, task, arrays = "tide:layers=1", TASKS["forecast"], ["--input", "x.npy", "--marks", "marks.npy"]
    said = seqarena("export", spec, "--task", task, "--init-only", "-q", "-o", "w.safetensors", "--pytorch", "model.py")
    said = said or seqarena("data", "export", task, "--split", "test", "-o", "data")
    for name in ("x", "marks"):
        np.save(f"{name}.npy", np.load(f"data/test_{name}.npy")[:3])
    said = said or seqarena("predict", "--weights", "w.safetensors", *arrays, "-o", "y.npy")
    run = [sys.executable, "model.py", "w.safetensors", "x.npy", "--marks", "marks.npy", "-o", "z.npy"]
    said = said or subprocess.run(run, capture_output=True, text=True).stderr
    return said or ("" if np.allclose(np.load("y.npy"), np.load("z.npy"), rtol=0, atol=TOLERANCE) else "outputs differ")


def enter():
    """A process of the pool: files of its own."""
    warnings.filterwarnings("ignore")
    folder = os.path.join(FOLDER, str(os.getpid()))
    os.mkdir(folder)
    os.chdir(folder)
    write_data(np.random.default_rng(0))


def judge(case):
    number, (spec, key) = case
    try:
        return compare(spec, TASKS[key], key, np.random.default_rng(number))
    except Exception as e:  # of the file that was written
        at = e.__traceback__
        while at.tb_next:
            at = at.tb_next
        return f"{type(e).__name__}: {e} (line {at.tb_lineno} of {at.tb_frame.f_code.co_filename})"


def main():
    torch.set_num_threads(1)
    cases = [c for c in known() if re.search(REGEX, c[0])]
    missing = set()
    with multiprocessing.get_context("fork").Pool(2, enter) as pool:
        for (spec, key), why in zip(cases, pool.imap(judge, enumerate(cases))):
            gone = re.search(r"models/pytorch/(\w+)\.py.*is not there", why)
            if gone:
                missing.add(gone[1])
            elif not (spec.endswith(":causal=1") and "it has no causal form" in why):
                report(not why, spec + (f" {key}" if key != "tokens" else ""), why)
        why = names_twice()
        report(not why, "names of the files differ", why)
        why = pool.apply(as_program)
        report(not why, "the file as a program", why)
    report(not missing, "every variant has its PyTorch form", "missing: " + " ".join(sorted(missing)) if missing else "")
    print(f"1..{tests}")
    return bad > 0


sys.exit(main())
