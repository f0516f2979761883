# sparse_transformer.py - two sparse patterns (Child et al. 2019, arXiv:1904.10509, section 4)
# needs: attention holes
#
# Sets of positions j that position i sees, l = block, c = summary:
#     fixed    A1: j / l = i / l;  A2: j mod l >= l - c          strided  A1: |i - j| < l;  A2: (i - j) mod l = 0
# merged: one softmax over both; alternate: A1 in even layers, A2 in odd ones; split_heads: A1 in the first half of the
# heads, A2 in the others. form=lra is google-research/long-range-arena,
# lra_benchmarks/models/sparse_transformer/sparse_attention.py: merged, causal in the encoder too, and A2 of fixed has
# j mod l = 0 as well; a vector in front sees and is seen by everything, and the pattern begins behind it.
# Departs: the paper is causal only; all heads share one c; a query without an allowed key gives 0.


class sparse_transformer_mixer(Heads):
    def __init__(self, p, f):
        super().__init__(f)
        self.block, self.summary, self.layer = p.block, p.summary, f.layer
        self.strided, self.combine, self.lra = p.pattern == "strided", p.combine, p.form == "lra"

    def sets(self, length):
        """A1 and A2: (L, L) each"""
        t, block = torch.arange(length), self.block
        i, j = t[:, None], t[None, :]
        if self.strided or self.combine == "merged":
            block = min(block, length)
        if self.strided:
            return (i - j).abs() < block, (i - j) % block == 0
        summary = j % block >= block - min(self.summary, block)
        if self.lra:
            summary = summary | (j % block == 0)
        return i // block == j // block, summary.expand(length, length)

    def pairs(self, length):
        """(1 or H, L, L)"""
        first, second = self.sets(length)
        if self.combine == "merged":
            return (first | second)[None]
        if self.combine == "alternate":
            return (second if self.layer % 2 else first)[None]
        half = self.heads // 2
        return torch.stack([first] * (self.heads - half) + [second] * half)

    def forward(self, x, run):
        length = x.shape[1]
        q, k, v = self.project(x)
        if not self.lra:
            return self.merge(attention(q, k, v, allowed_keys(run.mask, run.causal) & self.pairs(length)))
        front = 1 if run.front and length > 1 else 0
        pairs = torch.ones(length, length, dtype=torch.bool)
        pairs[front:, front:] = (self.pairs(length - front)[0]).tril()
        if run.valid is None:
            return self.merge(attention(q, k, v, allowed_keys(run.mask, False) & pairs))
        return self.merge(mean_in_holes(attention_with_holes(q, k, v, run.valid, pairs), v, run.valid))
