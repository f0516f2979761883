# holes.py - padding that stands anywhere, as black pixels do in the LRA code (run.valid); see models/holes.h


def attention_with_holes(q, k, v, valid, pairs=None):
    """A key at a hole gets no weight; a query at a hole attends to all keys alike. pairs (Lq, Lk): of them alone."""
    scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(q.shape[-1])
    scores = scores.masked_fill(~valid[:, None, None, :], -1e30).masked_fill(~valid[:, None, :, None], 0)
    if pairs is not None:
        scores = scores.masked_fill(~pairs, -math.inf)
    return torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), v)


def mean_in_holes(o, v, valid):
    """o (B, L, H, d) with the mean over L of v where a hole is: for attention that sees a part of the keys."""
    return o if valid is None else torch.where(valid[:, :, None, None], o, v.mean(1, keepdim=True))


def zero_in_holes(o, valid):
    return o if valid is None else o * valid[:, :, None, None]
