# luna.py - nested attention through a short second sequence (Ma et al. 2021, arXiv:2106.01540, sections 3.1 to 3.3)
# needs: attention layernorm
#
# With a memory P (p, D), learned in the first block: packed Y = attention of P to x, output = attention of x to Y; the
# next block gets P + Y. P is normalised as the blocks are: before it packs (prenorm), or as the sum (postnorm). tie:
# values are the keys. dynamic: of n positions at most n rows of P are unpacked.
# causal: with f(a, b, c)_t = a_t sum_(j <= t) b_j^T c_j / t and A = softplus(ln 2 x Wpc (P Wpq)^T / sqrt(d)) / ln 2,
# out = f(softmax(f(x Wq / sqrt(d), k, A)), A, v); P is the same in all blocks.
# Departs: the paper's code for LRA is residual=postnorm, tie=0, with other numbers at the start.


class luna_mixer(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        self.heads, self.rows, self.dynamic, self.tie = f.heads, p.memory, p.dynamic, p.tie
        self.last = f.layer + 1 == f.layers
        self.postnorm = PARTS["residual"][0].__name__ == "postnorm_residual"
        mixers = PARTS["mixer"]
        first = [i for i in range(f.layers) if mixers[i % len(mixers)][0] is luna_mixer][0]
        self.memory = parameter(p.memory, f.dim) if f.layer == first else None
        pack = f.qkv if f.causal else f.dim
        self.wq, self.wpq = Dense(f.dim, f.qkv, f.bias), Dense(f.dim, pack, f.bias)
        if f.causal or p.tie:
            self.wpc = Dense(f.dim, pack, f.bias)
        else:
            self.wpk, self.wpv = Dense(f.dim, pack, f.bias), Dense(f.dim, pack, f.bias)
        if p.tie:
            self.wc = Dense(f.dim, f.qkv, f.bias)
        else:
            self.wk, self.wv = Dense(f.dim, f.qkv, f.bias), Dense(f.dim, f.qkv, f.bias)
        self.wo = Dense(f.qkv, f.dim, f.bias)
        if not f.causal and not (self.postnorm and self.last):
            self.norm = layernorm_norm(Facts(eps=1e-5), f)

    def split(self, x):
        return x.unflatten(-1, (self.heads, -1))

    def keys_and_values(self, x):
        k = self.split(self.wc(x) if self.tie else self.wk(x))
        return k, k if self.tie else self.split(self.wv(x))

    def forward(self, x, run):
        p = run.stream.get("luna")
        if p is None:
            rows = min(self.rows, x.shape[1]) if self.dynamic and not run.causal else self.rows
            p = run.stream["luna"] = self.memory[:rows].expand(len(x), -1, -1)
        o = self.causal(x, p) if run.causal else self.both_ways(x, p, run)
        return self.wo(o.flatten(2))

    def both_ways(self, x, p, run):
        q = self.split(self.wpq(p if self.postnorm else self.norm(p, run)))
        k = self.split(self.wpc(x) if self.tie else self.wpk(x))
        v = k if self.tie else self.split(self.wpv(x))
        packed = attention(q, k, v, allowed_keys(run.mask, False)).flatten(2)
        if not self.last:
            p = p + packed
            run.stream["luna"] = self.norm(p, run) if self.postnorm else p
        k, v = self.keys_and_values(packed)
        rows = torch.arange(packed.shape[1])
        used = rows < run.lengths[:, None] if self.dynamic else rows < len(rows)
        return attention(self.split(self.wq(x)), k, v, used.expand(len(x), -1)[:, None, None, :])

    def causal(self, x, p):
        q, (k, v) = self.split(self.wq(x)), self.keys_and_values(x)
        scale = 1 / math.sqrt(q.shape[-1])
        scores = torch.einsum("blhd,bphd->blhp", self.split(self.wpc(x)), self.split(self.wpq(p))) * scale
        a = F.softplus(math.log(2) * scores) / math.log(2)
        weights = self.running_mean(q * scale, k, a).softmax(-1)
        return self.running_mean(weights, a, v)

    def running_mean(self, a, b, c):
        """f: a_t sum_(j <= t) b_j^T c_j / t, for (B, L, H, any)"""
        pairs = torch.einsum("bthm,bjhm->bhtj", a, b).tril()
        count = torch.arange(1, a.shape[1] + 1)[:, None, None]
        return torch.einsum("bhtj,bjhn->bthn", pairs, c) / count
