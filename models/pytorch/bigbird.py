# bigbird.py - global, neighbouring and random blocks (Zaheer et al. 2020, arXiv:2007.14062, section 2 and appendix D)
# needs: attention draws holes
#
# The sequence in nb = ceil(n / block) blocks, n its true length. Blocks 0 and nb - 1 see everything; block i sees 0,
# i - 1, i, i + 1, nb - 1 and `random` others, of each head its own. causal: block i sees 0, i - 1, i and `random` of
# 1 .. i - 2, and of these keys j <= i. form=lra is google-research/long-range-arena,
# lra_benchmarks/models/bigbird/bigbird_attention.py: zeros, counted as valid, are appended (a whole block when block
# divides L), random blocks lie in the first 1024 positions with that code's rules at both ends; causal: full attention.
# Departs: which blocks are random: the `random` smallest hashes of (key of the head, i, j); keys of heads are state.


class bigbird_mixer(Heads):
    def __init__(self, p, f):
        super().__init__(f)
        self.block, self.number, self.lra = p.block, p.random, p.form == "lra"
        if not (self.lra and f.causal):
            self.register_buffer("random", torch.zeros(f.heads, 2))

    def may_be_random(self, blocks, i, j):
        """form=lra: whether that code draws among (i, j)."""
        near = min(blocks * self.block, 1024)
        last = near // self.block - 1 if near > 2 * self.block else blocks - 1
        if i == 1:
            may = j >= 3
        elif i == 2:
            may = j >= 4
        elif i == blocks - 3:
            may = j <= last - 4
        elif i == blocks - 2:
            may = j <= last - 3
        elif i - 2 > last:
            may = True
        else:
            may = j <= i - 2 or (j >= i + 2 and i + 1 != last)
        return may and j <= last

    def row(self, key, i, blocks, keys, causal):
        """Blocks that block i of `blocks` sees, of the first `keys`."""
        candidates = range(min(keys, i + 1 if causal else blocks))
        seen = {j for j in candidates if j == 0 or abs(i - j) <= 1}
        if not causal:
            seen |= {j for j in candidates if i in (0, blocks - 1) or j == blocks - 1}
        others = [j for j in candidates if j not in seen and (not self.lra or self.may_be_random(blocks, i, j))]
        others.sort(key=lambda j: mix(mix(key, i), j))
        return seen | set(others[: self.number])

    def pairs(self, length, blocks, keys, size, causal):
        """(H, length, length) of blocks of `size`"""
        seen = torch.zeros(self.heads, keys, keys, dtype=torch.bool)
        for h, (a, b) in enumerate(self.random.tolist()):
            for i in range(min(blocks, keys)):
                seen[h, i, list(self.row(mix(int(a), int(b)), i, blocks, keys, causal))] = True
        return seen.repeat_interleave(size, 1).repeat_interleave(size, 2)[:, :length, :length]

    def forward(self, x, run):
        length = x.shape[1]
        if self.lra:
            return self.merge(self.forward_lra(x, run))
        size = min(self.block, length)
        keys = math.ceil(length / size)
        blocks = [math.ceil(n / size) for n in run.lengths.tolist()]
        pairs = torch.stack([self.pairs(length, n, keys, size, run.causal) for n in blocks])
        return self.merge(attention(*self.project(x), allowed_keys(run.mask, run.causal) & pairs))

    def forward_lra(self, x, run):
        if run.causal:
            return attention(*self.project(x), allowed_keys(run.mask, True))
        length, size = x.shape[1], self.block
        zeros = size - length % size
        pairs = self.pairs(length, (length + zeros) // size, math.ceil(length / size), size, False)
        allowed = (run.mask if run.valid is None else run.valid)[:, None, None, :] & pairs
        allowed = F.pad(allowed, (0, zeros, 0, zeros), value=True)
        o = attention(*self.project(F.pad(x, (0, 0, 0, zeros))), allowed)[:, :length]
        return zero_in_holes(o, run.valid)
