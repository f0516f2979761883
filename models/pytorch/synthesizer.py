# synthesizer.py - attention whose scores are not products of queries and keys (Tay et al. 2020, arXiv:2005.00743,
# section 3)
# needs: attention holes
#
# softmax(S) v, for each head S is
#     dense              S_i = W2 relu(W1 x_i + b1) + b2
#     random             S = R, learned
#     factorized_dense   S_ij = A_i[j mod a] B_i[j / a], A_i = Wa relu(W1 x_i + b1), B_i = Wb relu(W1 x_i + b1)
#     factorized_random  S = R1 R2^T, learned
#     mixture            dense and random
# dot adds q k^T / sqrt(d). Two kinds or more are weighted by a learned softmax. form=lra is
# google-research/long-range-arena, lra_benchmarks/models/synthesizer/synthesizer_attention.py: kinds are summed without
# weights, padding is attended to unless dot, W2 is shared by the heads, hidden rows (L, H, d) are read as (H, L, d).
# Departs: Wa and Wb are shared by the heads.


class synthesizer_mixer(Heads):
    def __init__(self, p, f):
        super().__init__(f, ("wv", "wq", "wk") if p.dot else ("wv",))
        self.lra, self.dot = p.form == "lra", p.dot
        most = f.length
        self.dense, self.random = p.kind in ("dense", "mixture"), None
        if p.kind in ("dense", "mixture", "factorized_dense"):
            self.w1 = Dense(f.dim, f.qkv, f.bias)
        if self.dense:
            heads = 1 if self.lra else f.heads
            self.w2 = parameter(1, most, heads, f.head_dim)
            self.b2 = parameter(1, most, heads, 1) if f.bias else None
        if p.kind in ("random", "mixture"):
            self.random = parameter(1, f.heads, most, most)
        self.factors = p.kind
        if p.kind == "factorized_dense":
            first = p.factor or math.ceil(math.sqrt(most))
            self.wa, self.wb = Dense(f.head_dim, first, f.bias), Dense(f.head_dim, math.ceil(most / first), f.bias)
        if p.kind == "factorized_random":
            self.random1, self.random2 = parameter(1, most, f.heads, p.rank), parameter(1, most, f.heads, p.rank)
        kinds = (2 if p.kind == "mixture" else 1) + (1 if p.dot else 0)
        self.mix = parameter(kinds) if kinds > 1 and not self.lra else None

    def hidden(self, x):
        return self.split(F.relu(self.w1(x)))

    def dense_scores(self, x):
        h = self.hidden(x)
        if self.lra:
            batch, length, heads, width = h.shape
            h = h.reshape(batch, heads, length, width).transpose(1, 2)
        w2 = self.w2[0, : x.shape[1]].expand(-1, self.heads, -1)
        scores = torch.einsum("bihd,jhd->bhij", h, w2)
        return scores if self.b2 is None else scores + self.b2[0, : x.shape[1], :, 0].T[:, None, :]

    def factorized_dense_scores(self, x):
        h = self.hidden(x)
        a, b = self.wa(h), self.wb(h)
        outer = torch.einsum("bihv,bihu->bhivu", b, a).flatten(3)  # place v a + u
        return outer[..., : x.shape[1]]

    def scores(self, x):
        """Of each kind, in the order of its weight"""
        length, scores = x.shape[1], []
        if self.dense:
            scores.append(self.dense_scores(x))
        if self.random is not None:
            scores.append(self.random[:, :, :length, :length])
        if self.factors == "factorized_dense":
            scores.append(self.factorized_dense_scores(x))
        if self.factors == "factorized_random":
            scores.append(torch.einsum("bihr,bjhr->bhij", self.random1[:, :length], self.random2[:, :length]))
        if self.dot:
            q, k = self.split(self.wq(x)), self.split(self.wk(x))
            scores.append(torch.einsum("bihd,bjhd->bhij", q, k) / math.sqrt(self.head_dim))
        return scores

    def forward(self, x, run):
        scores = self.scores(x)
        if self.mix is not None:
            scores = [s * w for s, w in zip(scores, self.mix.softmax(0))]
        v = self.split(self.wv(x))
        unmasked = self.lra and not self.dot
        mask = run.mask if run.valid is None else run.valid
        weights = masked_softmax(sum(scores), allowed_keys(torch.ones_like(mask) if unmasked else mask, run.causal))
        o = torch.einsum("bhij,bjhd->bihd", weights.expand(len(x), -1, -1, -1), v)
        return self.merge(o if unmasked else mean_in_holes(o, v, run.valid))
