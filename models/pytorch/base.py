# base.py - what every exported model has: weights from safetensors, parameters, parts by slot
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
    """A name of the state dict as the file has it; a word of Python (in) ends in _ here."""
    return ".".join(part.rstrip("_") for part in key.removeprefix("whole.").split("."))


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


def model_facts():
    f = Facts(**TASK, **FRAME, scope="", layer=0, front=False)
    f.qkv = f.qkv or f.dim
    f.head_dim = f.qkv // f.heads
    f.head_width = f.dim  # of what the head sees
    return f


def model_run(f, x, lengths, marks=None):
    """What a forward pass knows beside x: lengths (B), mask (B, L) of positions before them."""
    batch, length = x.shape[:2]
    if lengths is None:
        lengths = torch.full((batch,), length)
    run = Facts(lengths=lengths, causal=bool(f.causal), stream={}, front=False, marks=marks)
    run.mask = torch.arange(length) < lengths[:, None]
    run.valid = x > f.blank if f.blank > 0 else None  # padding that may stand anywhere; None: it stands behind
    return run
