# frame.py - what every exported model has: weights from safetensors, parameters, the frame around the blocks
import argparse
import json
import math
import types

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class Facts(types.SimpleNamespace):
    """Names with values: f.dim, or f["dim"]."""

    def __getitem__(self, name):
        return getattr(self, name)

    def but(self, **changes):
        """The same with other values."""
        return Facts(**{**vars(self), **changes})

    def within(self, name):
        """The same one scope deeper."""
        return self.but(scope=f"{self.scope}.{name}" if self.scope else name)


def read_safetensors(path):
    """{name: tensor}: 8 bytes with the length of a JSON header, the header, then the numbers."""
    types_of = {"F32": torch.float32, "F64": torch.float64, "I32": torch.int32, "I64": torch.int64}
    with open(path, "rb") as f:
        data = bytearray(f.read())
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        kind = types_of[entry["dtype"]]
        flat = torch.frombuffer(data[8 + size + begin : 8 + size + end], dtype=kind) if end > begin else torch.zeros(0)
        tensors[name] = flat.reshape(entry["shape"])
    return tensors


def name_in_file(key):
    """A name of the state dict as the file has it: a word of Python (in) ends in _ here."""
    return ".".join(part.rstrip("_") for part in key.split(".") if part != "whole")


def load_weights(model, path):
    own = model.state_dict()
    names = {name_in_file(key): key for key in own}
    weights = read_safetensors(path)
    differ = sorted(set(names) ^ set(weights))
    if differ:
        raise SystemExit(f"{path}: not of this model: {differ[0]} is in one of them alone")
    for name, tensor in weights.items():
        if own[names[name]].shape != tensor.shape:
            raise SystemExit(f"{path}: {name} is {tuple(tensor.shape)}, of the model {tuple(own[names[name]].shape)}")
    model.load_state_dict({names[name]: tensor for name, tensor in weights.items()})


def parameter(*shape):
    return nn.Parameter(torch.zeros(shape))


class Dense(nn.Module):
    """x w + b; w (in, out) is the transpose of nn.Linear's weight."""

    def __init__(self, inputs, outputs, bias=True):
        super().__init__()
        self.w = parameter(inputs, outputs)
        self.b = parameter(outputs) if bias else None

    def forward(self, x):
        y = x @ self.w
        return y if self.b is None else y + self.b


def make(f, slot, name=None):
    """The part of a slot; of mixers that of the layer. Its names begin with `name`, as a rule the slot's."""
    part = PARTS[slot]
    if isinstance(part, list):
        part = part[f.layer % len(part)]
    variant, parameters = part
    return variant(Facts(**parameters), f.within(name or slot)) if variant else None


def make_blocks(f):
    return nn.ModuleList(make(f.but(layer=i), "residual", f"blocks.{i}") for i in range(f.layers))


class TokenEmbedding(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.table = parameter(f.vocab, f.dim)

    def forward(self, tokens):
        return self.table[tokens]


class RealEmbedding(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.in_ = Dense(f.channels, f.dim)

    def forward(self, x):
        return self.in_(x)


def frame_facts():
    f = Facts(**TASK, **FRAME, scope="", layer=0, front=False)
    f.qkv = f.qkv or f.dim
    f.head_dim = f.qkv // f.heads
    f.head_width = f.dim  # of what the head sees
    return f


def frame_run(f, x, lengths, marks=None):
    """What a forward pass knows beside x: lengths (B), mask (B, L) of positions before them."""
    batch, length = x.shape[:2]
    if lengths is None:
        lengths = torch.full((batch,), length)
    run = Facts(lengths=lengths, causal=bool(f.causal), stream={}, front=False, marks=marks)
    run.mask = torch.arange(length) < lengths[:, None]
    run.valid = x > f.blank if f.blank > 0 else None  # padding that may stand anywhere; None: it stands behind
    return run


def whole_run(x, run, stream=None):
    """Of blocks within a model that make tokens of their own: all positions of x count."""
    batch, length = x.shape[:2]
    lengths, mask = torch.full((batch,), length), torch.ones(batch, length, dtype=torch.bool)
    return run.but(lengths=lengths, mask=mask, valid=None, stream={} if stream is None else stream)


class Model(nn.Module):
    """embed, position, blocks, pool, pair, head; or one variant that is the whole model"""

    def __init__(self):
        super().__init__()
        f = self.f = frame_facts()
        if "model" in PARTS:
            variant, parameters = PARTS["model"]
            self.whole = variant(Facts(**parameters), f)
            return
        self.whole = None
        self.instance = Instance(f.instance, f) if f.instance != "none" else None
        self.embed = TokenEmbedding(f) if f.vocab else RealEmbedding(f)
        self.pool = make(f, "pool") if "pool" in PARTS else None
        if hasattr(self.pool, "front"):  # it puts a vector in front of the sequence
            f.length, f.front = f.length + 1, True
        self.position = make(f, "position")
        self.blocks = make_blocks(f)
        if "pair" in PARTS:
            self.pair = make(f, "pair")
            f.head_width = self.pair.width
        self.head = make(f, "head")

    def forward(self, x, lengths=None, marks=None):
        """x: tokens (B, L), of pairs (2 B, L), or reals (B, L, C); lengths: valid positions of each row, None: all"""
        f, run = self.f, frame_run(self.f, x, lengths, marks)
        if self.whole is not None:
            return self.whole(x, run)
        if self.instance is not None:
            x, statistics = self.instance(x)
        x = self.embed(x)
        if f.front:
            x = self.pool.front(x)
            run.front, run.lengths = True, run.lengths + 1
            run.mask = torch.arange(x.shape[1]) < run.lengths[:, None]
            if run.valid is not None:
                run.valid = torch.cat([run.valid[:, :1], run.valid], 1)
        x = self.position(x, run)
        for block in self.blocks:
            x = block(x, run)
        if self.pool is not None:
            x = self.pool(x, run)
        if f.kind == "pair":
            x = self.pair(x, run)
        y = self.head(x, run)
        return y if self.instance is None else self.instance.undo(y, statistics)
