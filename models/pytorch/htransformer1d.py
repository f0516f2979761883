# htransformer1d.py - near positions as they are, far ones in cells of 2, 4, 8, ... (Zhu and Soricut 2021,
# arXiv:2107.11906, sections 4 and 5)
# needs: attention
#
# Position i sees j at the smallest level l where blocks floor(i / (w 2^l)) and floor(j / (w 2^l)) are equal or
# neighbours, w = block. At level l the score is that of cells: q and k are means over the valid positions of the cells
# of 2^l that hold i and j. One softmax over all levels, in which a cell counts as often as it has valid positions.
# causal: j <= i, and queries stay fine at every level.
# Departs: one softmax with one maximum; any length.


class htransformer1d_mixer(Heads):
    def __init__(self, p, f):
        super().__init__(f)
        self.block = p.block

    def means(self, x, mask, level):
        """Of the cell of each position, over its valid positions: (B, L, H, d)"""
        cell = torch.arange(x.shape[1]) >> level
        same = (cell[:, None] == cell[None, :]) & mask[:, None, :]
        share = same / same.sum(-1, keepdim=True).clamp(min=1)
        return torch.einsum("bij,bjhd->bihd", share, x)

    def forward(self, x, run):
        q, k, v = self.project(x)
        t = torch.arange(x.shape[1])
        scores, far, level = 0, torch.ones(len(t), len(t), dtype=torch.bool), 0
        while far.any():
            block = t // (self.block << level)
            here = far & ((block[:, None] - block[None, :]).abs() <= 1)
            of_q = q if run.causal else self.means(q, run.mask, level)
            of_k = self.means(k, run.mask, level)
            scores = scores + torch.einsum("bihd,bjhd->bhij", of_q, of_k) * here
            far, level = far & ~here, level + 1
        weights = masked_softmax(scores / math.sqrt(q.shape[-1]), allowed_keys(run.mask, run.causal))
        return self.merge(torch.einsum("bhij,bjhd->bihd", weights, v))
