def positions(x, tokens):
    """Positions of each row up to the last that is not all padding: token 0, or NaN."""
    there = x > 0 if tokens else ~np.isnan(x).all(-1)
    return torch.tensor([int(row.nonzero()[0][-1]) + 1 if row.any() else 0 for row in there])


def predict(model, x, marks=None, rows=32):
    """As seqarena predict: x tokens (n, L), of pairs (n, 2, L), or reals (n, L, C) with NaN as padding."""
    kind, tokens, out = model.f.kind, model.f.vocab > 0, []
    for i in range(0, len(x), rows):
        part = x[i : i + rows]
        if kind == "pair":
            part = part.reshape(-1, part.shape[-1])
        lengths = None if kind == "forecast" else positions(part, tokens)
        part = torch.tensor(part.astype(np.int64) if tokens else np.nan_to_num(part).astype(np.float32))
        times = None if marks is None else torch.tensor(marks[i : i + rows].astype(np.float32))
        with torch.no_grad():
            out.append(model(part, lengths, times).numpy())
    return np.concatenate(out)


def load(path):
    model = Model()
    load_weights(model, path)
    return model.eval()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="A forward pass: logits, or forecasts.")
    options.add_argument("weights", help="safetensors file of seqarena export")
    options.add_argument("input", help=".npy: tokens (n, L), 0 is padding, or reals (n, L, C), NaN is padding")
    options.add_argument("--marks", help=".npy: features of the times of rows (n, L + H, marks)")
    options.add_argument("--batch", type=int, default=32, help="rows at a time")
    options.add_argument("-o", "--output", required=True, help=".npy to write")
    o = options.parse_args()
    np.save(o.output, predict(load(o.weights), np.load(o.input), o.marks and np.load(o.marks), o.batch))
