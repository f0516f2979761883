# prob_attention.py - Informer's ProbSparse attention (Zhou et al. 2021, arXiv:2012.07436)
# needs: attention draws
# draws: prob_pick
# Departs: keys are drawn among the valid ones, the same in every forward pass


def prob_count(factor, length):
    """c ceil(ln L), 1 to L"""
    return max(1, min(factor * math.ceil(math.log(length)), length))


def prob_attention(q, k, v, mask, factor, key, causal=False):
    """The u queries whose sampled scores are least even attend to all valid keys (causal: to none later), the others get the
    mean of the valid values (causal: the sum up to them). q (B, Lq, H, d), k and v (B, Lk, H, d), mask (B, Lk); key: of the
    stream that keys are drawn from."""
    batch, queries, heads, width = q.shape
    keys = k.shape[1]
    samples, u = prob_count(factor, keys), prob_count(factor, queries)
    valid = mask.sum(1).clamp(min=1)
    drawn = torch.from_numpy((random_u64(key, np.arange(queries * samples)) >> np.uint64(32)).astype(np.int64))
    at = drawn.reshape(1, queries, samples) * valid[:, None, None] >> 32  # (B, Lq, U), the same for all heads
    sampled = torch.stack([k[b][at[b]] for b in range(batch)])  # (B, Lq, U, H, d)
    scores = torch.einsum("bqhd,bquhd->bhqu", q, sampled)
    measure = scores.amax(-1) - scores.sum(-1) / valid[:, None, None]
    if queries == keys:
        measure = measure.masked_fill(~mask[:, None, :], -math.inf)
    chosen = measure.sort(dim=-1, descending=True, stable=True)[1][..., :u]  # (B, H, u)

    place = chosen.transpose(1, 2)[..., None].expand(batch, u, heads, width)
    allowed = mask[:, None, None, :]
    if causal:
        allowed = allowed & (torch.arange(keys) <= chosen[..., None])
    attended = attention(q.gather(1, place), k, v, allowed)
    if causal:
        others = v.cumsum(1)
    else:
        mean = (v * mask[:, :, None, None]).sum(1, keepdim=True) / valid[:, None, None, None]
        others = mean.expand(batch, queries, heads, width).clone()
    return others.scatter(1, place, attended)
