#!/usr/bin/env python3
"""A small PyTorch transformer on splits that seqarena exported; writes predictions and what score asks of them.
usage: external_torch.py DATA_DIR OUT_DIR [EPOCHS] [SEED]"""
import json, sys, time
import numpy as np
import torch
from torch import nn

data, out = sys.argv[1:3]
epochs, seed = int((sys.argv[3:4] or [4])[0]), int((sys.argv[4:5] or [1])[0])
meta = json.load(open(f"{data}/meta.json"))
torch.manual_seed(seed)
torch.set_num_threads(1)


def load(split):
    return [torch.from_numpy(np.load(f"{data}/{split}_{name}.npy").astype(np.int64)) for name in ("tokens", "labels")]


class Model(nn.Module):
    def __init__(self, dim=64, heads=2, layers=2):
        super().__init__()
        self.embed = nn.Embedding(meta["vocab"], dim, padding_idx=meta["padding_id"])
        self.place = nn.Parameter(0.02 * torch.randn(meta["length"], dim))
        layer = nn.TransformerEncoderLayer(dim, heads, 2 * dim, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, layers)
        self.head = nn.Linear(dim, meta["classes"])

    def forward(self, tokens):
        tokens = tokens[:, : int((tokens != 0).sum(1).max())]  # padding is on the right
        real = tokens != meta["padding_id"]
        x = self.blocks(self.embed(tokens) + self.place[: tokens.shape[1]], src_key_padding_mask=~real)
        return self.head((x * real[..., None]).sum(1) / real.sum(1, keepdim=True))


def predict(model, tokens):
    model.eval()
    with torch.no_grad():
        return torch.cat([model(t) for t in tokens.split(250)])


model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
(tokens, labels), (valid_tokens, valid_labels), (test_tokens, _) = load("train"), load("valid"), load("test")
best, start = -1.0, time.time()
for epoch in range(epochs):
    model.train()
    for index in torch.randperm(len(tokens)).split(32):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(tokens[index]), labels[index]).backward()
        optimizer.step()
    accuracy = (predict(model, valid_tokens).argmax(1) == valid_labels).float().mean().item()
    print(f"epoch {epoch + 1}: valid accuracy {accuracy:.4f}, {time.time() - start:.0f} s", flush=True)
    if accuracy > best:  # chosen by validation; test labels are never looked at
        best, logits = accuracy, predict(model, test_tokens)

np.save(f"{out}/logits{seed}.npy", logits.numpy())
json.dump({"name": "torch transformer", "seed": seed, "task": meta["task"],
           "split_hash": meta["splits"]["test"]["hash"],
           "params": sum(p.numel() for p in model.parameters()), "train_seconds": round(time.time() - start, 1),
           "framework": f"PyTorch {torch.__version__}", "hardware": "CPU, 1 thread",
           "recipe": f"AdamW, rate 1e-3, batch 32, {epochs} epochs, best epoch by validation accuracy",
           "source": "docs/examples/external_torch.py"}, open(f"{out}/model{seed}.json", "w"), indent=1)
