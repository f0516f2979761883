# local.py - softmax attention inside blocks (Long Range Arena, Tay et al. 2020, arXiv:2011.04006)
# needs: attention holes
#
# Blocks of w = min(window, L) positions: neighbours, or (layout=strided) positions at equal distances. form=lra is
# google-research/long-range-arena, lra_benchmarks/models/local/local_attention.py: w - L mod w zeros are appended (a
# whole block when w divides L) and count as valid; blocks are strided, but the mask is cut contiguously: key s of
# block b is masked when position b w + s is padding, whatever stands there.
# Departs: layout=strided masks each position by itself and appends nothing.


class local_mixer(Heads):
    def __init__(self, p, f):
        super().__init__(f)
        self.window, self.strided, self.lra = p.window, p.layout == "strided", p.form == "lra"

    def same_block(self, length):
        """Pairs of a block: (L, L)"""
        t, w = torch.arange(length), min(self.window, length)
        block = t % math.ceil(length / w) if self.strided else t // w
        return block[:, None] == block

    def forward(self, x, run):
        if self.lra:
            return self.forward_lra(x, run)
        allowed = allowed_keys(run.mask, run.causal) & self.same_block(x.shape[1])
        return self.merge(attention(*self.project(x), allowed))

    def forward_lra(self, x, run):
        length, w = x.shape[1], self.window
        zeros = w - length % w
        blocks = (length + zeros) // w
        valid = run.mask if run.valid is None else run.valid
        valid = F.pad(valid, (0, zeros), value=True)
        valid = valid.view(-1, blocks, w).transpose(1, 2).flatten(1)  # of position s blocks + b: that of b w + s
        q, k, v = self.project(F.pad(x, (0, 0, 0, zeros)))
        o = attention_with_holes(q, k, v, valid, self.same_block(length + zeros))
        return self.merge(o[:, :length])
