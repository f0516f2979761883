# kernel.py - attention without softmax: weights phi(q) . phi(k). Written with the L x L matrix of weights, which the
# methods do without: sums over keys are taken once, or from position to position when causal.


def kernel_attention(q, k, v, allowed, add=0.0, least=-math.inf):
    """q, k (B, L, H, m) features, v (B, L, H, d) -> sum_s w_ts v_s / sum_s w_ts, w_ts = q_t . k_s times allowed,
    booleans or factors that broadcast to (B, H, L, L). The denominator has `add` more and is at least `least`."""
    weights = torch.einsum("bqhm,bkhm->bhqk", q, k) * allowed
    sums = weights.sum(-1).transpose(1, 2).unsqueeze(-1) + add
    return torch.einsum("bhqk,bkhd->bqhd", weights, v) / sums.clamp(min=least)
