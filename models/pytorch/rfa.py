# rfa.py - random feature attention (Peng et al. 2021, arXiv:2103.02143, equations 3 to 5 and section 3.1)
# needs: attention kernel
#
# q and k are divided by their norms in each head; u = W (sigma x), W (H, features, d) drawn once, beside the weights,
# sigma (H, d) learned. gaussian: phi(x) = m^(-1/2) (sin u, cos u); arccos: phi(x) = m^(-1/2) relu(u). gate=1: the sums
# over the past fade, S_t = g_t S_(t-1) + (1 - g_t) phi(k_t) v_t^T, g_t = sigmoid(w_g . x_t + b_g) of each head.
# Departs: denominators are at least `least`; keys at padding do not count; the features are not drawn anew.


class rfa_mixer(Heads):
    def __init__(self, p, f):
        super().__init__(f)
        self.gaussian, self.least, self.gate = p.kernel == "gaussian", p.least, p.gate
        self.register_buffer("features", torch.zeros(f.heads, p.features, f.head_dim))
        self.sigma = parameter(f.heads, f.head_dim)
        if p.gate:
            self.wg = Dense(f.dim, f.heads, False)
            self.bg = parameter(f.heads)

    def phi(self, x):
        x = x * (x.square().mean(-1, keepdim=True) + 1e-12).rsqrt() / math.sqrt(x.shape[-1])  # of norm 1
        u = torch.einsum("blhd,hmd->blhm", x * self.sigma, self.features)
        y = torch.cat([u.sin(), u.cos()], -1) if self.gaussian else F.relu(u)
        return y / math.sqrt(self.features.shape[1])

    def fading(self, x):
        """(B, H, L, L): what is left at t of what s added, (1 - g_s) g_(s+1) ... g_t."""
        z = (self.wg(x) + self.bg).transpose(1, 2)
        kept = F.logsigmoid(z).cumsum(-1)
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        left = (kept[..., :, None] - kept[..., None, :]).masked_fill(later, -math.inf).exp()
        return left * torch.sigmoid(-z)[..., None, :]

    def forward(self, x, run):
        q, k, v = self.project(x)
        factors = allowed_keys(run.mask, run.causal)
        if self.gate:
            factors = factors * self.fading(x)
        return self.merge(kernel_attention(self.phi(q), self.phi(k), v, factors, least=self.least))
