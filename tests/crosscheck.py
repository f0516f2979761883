#!/usr/bin/env python3
"""The transformer's forward pass in NumPy from exported weights, against seqarena predict.
usage: tests/crosscheck.py PROGRAM; exit status 4 when NumPy is not there."""
import json, math, struct, subprocess, sys, tempfile

try:
    import numpy as np
except ImportError:
    print("NumPy is not installed (apt-get install python3-numpy)")
    sys.exit(4)

HEADS, LAYERS = 2, 2


def read_safetensors(path):
    raw = open(path, "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    out = {}
    for name, t in json.loads(raw[8:8 + n]).items():
        if name != "__metadata__":
            a, b = t["data_offsets"]
            out[name] = np.frombuffer(raw[8 + n + a:8 + n + b], "<f4").reshape(t["shape"]).astype(np.float64)
    return out


def linear(w, name, x):
    return x @ w[name + ".w"] + w[name + ".b"]


def norm(w, name, x):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * w[name + ".gain"] + w[name + ".bias"]


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def attention(w, block, x, valid):
    q, k, v = (linear(w, f"{block}.mixer.w{c}", x) for c in "qkv")
    d = q.shape[1] // HEADS
    out = np.zeros_like(q)
    for h in range(HEADS):
        s = slice(h * d, (h + 1) * d)
        scores = q[:, s] @ k[:valid, s].T / math.sqrt(d)
        p = np.exp(scores - scores.max(-1, keepdims=True))
        out[:, s] = p / p.sum(-1, keepdims=True) @ v[:valid, s]
    return linear(w, f"{block}.mixer.wo", out)


def forward(w, tokens):
    valid = int(np.max(np.nonzero(tokens))) + 1
    x = w["embed.table"][tokens] + w["position.table"][:len(tokens)]
    for i in range(LAYERS):
        b = f"blocks.{i}"
        x = x + attention(w, b, norm(w, f"{b}.norm1", x), valid)
        x = x + linear(w, f"{b}.channel.out", gelu(linear(w, f"{b}.channel.in", norm(w, f"{b}.norm2", x))))
    pooled = norm(w, f"blocks.{LAYERS - 1}.final_norm", x)[:valid].mean(0)
    return linear(w, "head.out", np.maximum(linear(w, "head.in", pooled), 0))


def main():
    task = "listops:min=16,max=64,train=200,valid=20,test=64"
    with tempfile.TemporaryDirectory() as d:
        def seqarena(*args):
            subprocess.run([sys.argv[1], *args], check=True, stdout=subprocess.DEVNULL)
        seqarena("export", "transformer", "--task", task, "--init-only", "-o", d + "/m.safetensors")
        seqarena("data", "export", task, "--split", "test", "-o", d)
        seqarena("predict", "--weights", d + "/m.safetensors", "--input", d + "/test_tokens.npy", "-o", d + "/y.npy")
        weights = read_safetensors(d + "/m.safetensors")
        ours = np.load(d + "/y.npy")
        theirs = np.array([forward(weights, row) for row in np.load(d + "/test_tokens.npy")])
    error = np.abs(ours - theirs).max() / np.abs(theirs).max()
    print(f"largest relative difference {error:.2e} over {len(ours)} lists, bound 1e-5")
    sys.exit(0 if error < 1e-5 else 1)


main()
