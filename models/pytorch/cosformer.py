# cosformer.py - relu(q) . relu(k) times a cosine of the distance (Qin et al. 2022, arXiv:2202.08791, equations 8 to 12)
# needs: attention kernel
#
# y_t = sum_s a_ts v_s / max(sum_s a_ts, 1e-6), a_ts = (relu(q_t) . relu(k_s)) cos(pi (t - s) / 2 M)
# Departs: M is the longest sequence of the task (or horizon), not the length of the batch at hand; keys at padding do
# not count.


class cosformer_mixer(Heads):
    def __init__(self, p, f):
        super().__init__(f)
        self.quarter = max(p.horizon, f.length)

    def forward(self, x, run):
        q, k, v = self.project(x)
        t = torch.arange(x.shape[1], dtype=torch.float64)
        turn = torch.cos(math.pi * (t[:, None] - t[None, :]) / (2 * self.quarter)).float()
        factors = allowed_keys(run.mask, run.causal) * turn
        return self.merge(kernel_attention(F.relu(q), F.relu(k), v, factors, least=1e-6))
