# sinkhorn_transformer.py - the own block and one block of sorted keys (Tay et al. 2020, arXiv:2002.11296, section 3)
# needs: attention holes
#
# Blocks of b = min(block, L) positions. For each head, with psi_n the sum of block n's keys: R = psi Ws + bs, P =
# Sinkhorn(R / temperature), sorted keys k~_(n, s) = sum_m P_nm k_(m, s), values alike; queries of block n have one
# softmax over [k_n; k~_n]. causal: psi_n is the sum up to the first position of block n, P_nm = 0 unless m < n, sums of
# columns end at the entry's row. form=lra is google-research/long-range-arena,
# lra_benchmarks/models/sinkhorn_transformer/sinkhorn_attention.py, where every block gets the sum of all blocks,
# unsorted, in a softmax of its own that is added; blocks are strided and masks cut contiguously.
# Departs: no Gumbel noise; R is linear in psi; a slot that padding has in the last block is a key where more than half
# of row n of P stands on other blocks; numbers below 2^-1022 are no mass, as sums are not taken in logarithms.


class SinkhornSort(nn.Module):
    def __init__(self, width, most, bias):
        super().__init__()
        self.w, self.b = parameter(width, most), parameter(most) if bias else None

    def forward(self, psi):
        """(B, blocks, H, d) -> (B, H, blocks, blocks)"""
        blocks = psi.shape[1]
        r = psi @ self.w[:, :blocks]
        return (r if self.b is None else r + self.b[:blocks]).transpose(1, 2)


class sinkhorn_transformer_mixer(Heads):
    def __init__(self, p, f):
        super().__init__(f)
        self.block, self.iterations, self.temperature = p.block, p.iterations, p.temperature
        self.lra = p.form == "lra"
        self.sort = None if self.lra else SinkhornSort(f.head_dim, math.ceil(f.length / p.block), f.bias)

    def sinkhorn(self, r, allowed, causal):
        """exp(R / temperature) over sums of rows, then of columns, and so on; rows and columns without mass stay."""

        def over(p, sums):
            p = p / torch.where(sums > 0, sums, 1)
            return p.masked_fill(p < torch.finfo(p.dtype).tiny, 0)  # what is below has no mass

        r = (r / self.temperature).double().masked_fill(~allowed, -math.inf)
        p = over((r - r.amax(-1, keepdim=True)).nan_to_num(nan=-math.inf).exp(), torch.zeros(1))
        for _ in range(self.iterations):
            p = over(p, p.sum(-1, keepdim=True))
            p = over(p, p.cumsum(-2) if causal else p.sum(-2, keepdim=True))
        return p.float()

    def sorted_slots(self, p, valid, causal):
        """Sorted keys that count: (B, blocks, H, 1, slots)"""
        last = valid[:, :, 0].sum(1) - 1  # the last block that holds a valid position
        of_last = p.gather(-1, last[:, None, None, None].expand(*p.shape[:3], 1))
        whole = p.sum(-1, keepdim=True) - of_last > of_last
        in_last = valid[torch.arange(len(valid)), last][:, None, None, :]
        slots = whole | in_last  # (B, H, blocks, slots)
        if causal:
            slots = slots & (torch.arange(p.shape[2]) > 0)[:, None]
        return slots.transpose(1, 2).unsqueeze(3)

    def forward(self, x, run):
        q, k, v = self.project(x)
        if self.lra:
            return self.merge(self.forward_lra(q, k, v, run))
        length, block = x.shape[1], min(self.block, x.shape[1])
        blocks = math.ceil(length / block)
        valid = F.pad(run.mask, (0, blocks * block - length)).unflatten(1, (blocks, block))  # (B, blocks, slots)

        def cut(y):  # (B, blocks, slots, H, d), 0 at padding
            y = y * run.mask[:, :, None, None]
            return F.pad(y, (0, 0, 0, 0, 0, blocks * block - length)).unflatten(1, (blocks, block))

        q, k, v = cut(q), cut(k), cut(v)
        psi = k.sum(2)
        if run.causal:
            psi = psi.cumsum(1) - psi + k[:, :, 0]
        there = valid[:, :, 0]  # blocks that hold a valid position
        allowed = (there[:, :, None] & there[:, None, :])[:, None]
        if run.causal:
            allowed = allowed.tril(-1)
        p = self.sinkhorn(self.sort(psi), allowed, run.causal)
        sorted_k, sorted_v = (torch.einsum("bhnm,bmshd->bnshd", p, y) for y in (k, v))

        slots = self.sorted_slots(p, valid, run.causal)
        own = valid[:, :, None, None, :]
        if run.causal:
            own = own & torch.ones(block, block, dtype=torch.bool).tril()
        shape = (len(x), blocks, self.heads, block, block)
        both = torch.cat([slots.expand(shape), own.expand(shape)], -1)
        k, v = torch.cat([sorted_k, k], 2), torch.cat([sorted_v, v], 2)
        o = attention(q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1), both.flatten(0, 1))
        return self.merge(o.unflatten(0, (-1, blocks)).flatten(1, 2)[:, :length] * run.mask[:, :, None, None])

    def forward_lra(self, q, k, v, run):
        length = q.shape[1]
        blocks = math.ceil(length / min(self.block, length))
        slots = math.ceil(length / blocks)
        place = torch.arange(length)  # position s blocks + n is slot s of block n
        same = place[:, None] % blocks == place[None, :] % blocks

        def summed(y):
            return F.pad(y, (0, 0, 0, 0, 0, slots * blocks - length)).unflatten(1, (slots, blocks)).sum(2)

        sum_k, sum_v = summed(k), summed(v)
        if length % self.block != 0:
            own = attention(q, k, v, allowed_keys(run.mask, False) & same)
            return own + attention(q, sum_k, sum_v, torch.ones(slots, dtype=torch.bool))
        mask = (run.mask if run.valid is None else run.valid).unflatten(1, (blocks, slots))
        own = attention_with_holes(q, k, v, mask.transpose(1, 2).flatten(1), same)
        together = torch.einsum("bns,bnt->bst", mask.float(), mask.float()) > 0
        sums = attention(q, sum_k, sum_v, together[:, None, place // blocks])
        return own + torch.where(mask.any(1)[:, place // blocks, None, None], sums, sum_v.mean(1, keepdim=True))
