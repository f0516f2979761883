# reformer.py - LSH attention: queries see keys that fall into their bucket (Kitaev et al. 2020, arXiv:2001.04451,
# section 2 and appendix A)
# needs: attention
#
# q = x Wq, k = q / |q| of each head, v = x Wv. In each round positions are sorted by (bucket, position) and cut into
# chunks; a query attends, with scores q . k, to keys of its bucket in its chunk and the one before, to itself only when
# there is no other. Rounds are joined as one softmax over their union. form=lra is google-research/long-range-arena,
# lra_benchmarks/models/reformer/reformer_attention.py: scores are q . q sqrt(d), no mask of any kind, a block of zero
# rows too many that is attended to, chunks of L / buckets, sorted rounds in a circle, in which a key counts as often as
# it is seen, no output projection.
# Departs: rotations are drawn once and lie beside the weights. causal: chunks start at the front of each bucket.


class reformer_mixer(Heads):
    def __init__(self, p, f):
        lra = p.form == "lra"
        super().__init__(f.but(qkv=f.dim, head_dim=f.dim // f.heads) if lra else f, ("wq", "wv"), out=not lra)
        self.lra = lra
        self.buckets, self.chunk, self.rounds, self.same_bucket = p.buckets, p.chunk, p.rounds, p.same_bucket
        self.register_buffer("rotations", torch.zeros(self.head_dim, p.rounds * p.buckets // 2))

    def hashed(self, q):
        """q (B, L, H, d) -> buckets (B, H, rounds, L), the largest of [q R; -q R]"""
        u = (q @ self.rotations).unflatten(-1, (self.rounds, -1)).permute(0, 2, 3, 1, 4)
        return torch.cat([u, -u], -1).argmax(-1)

    def sees(self, bucket, causal):
        """Of n valid positions of one head in one round: (n, n), query and key."""
        n = len(bucket)
        order = torch.sort(bucket, stable=True).indices
        place = torch.empty_like(order)
        place[order] = torch.arange(n)
        same = bucket[:, None] == bucket[None, :]
        if causal:
            place = (same & torch.ones(n, n, dtype=torch.bool).tril(-1)).sum(1)  # among those of the bucket
        back = place[:, None] // self.chunk - place[None, :] // self.chunk
        near = ((back == 0) | (back == 1)) & ~torch.eye(n, dtype=torch.bool)
        if causal:
            near = near.tril()
        return near & same if self.same_bucket else near

    def forward(self, x, run):
        if self.lra:
            return self.forward_lra(x)
        q, v = self.split(self.wq(x)), self.split(self.wv(x))
        k = q * (q.square().mean(-1, keepdim=True) + 1e-6).rsqrt()
        bucket, length = self.hashed(q), x.shape[1]
        seen = torch.zeros(len(x), self.heads, length, length, dtype=torch.bool)
        for b, n in enumerate(run.lengths.tolist()):
            for h in range(self.heads):
                for r in range(self.rounds):
                    seen[b, h, :n, :n] |= self.sees(bucket[b, h, r, :n], run.causal)
        alone = ~seen.any(-1, keepdim=True) & run.mask[:, None, :, None]
        seen |= alone & torch.eye(length, dtype=torch.bool)
        return self.merge(attention(q, k, v, seen))

    def forward_lra(self, x):
        length = x.shape[1]
        zeros = self.buckets - length % self.buckets
        n, chunk = length + zeros, (length + zeros) // self.buckets
        q, v = (F.pad(self.split(w(x)), (0, 0, 0, 0, 0, zeros)) for w in (self.wq, self.wv))
        order = torch.sort(self.hashed(q), stable=True).indices.flatten(2)  # (B, H, rounds n): positions, sorted
        slot = torch.arange(order.shape[-1]) // chunk
        chunks = int(slot[-1]) + 1
        near = (slot[:, None] - slot[None, :]) % chunks
        near = (near == 0) | (near == 1)
        at = F.one_hot(order, n).float()  # (B, H, slots, n)
        times = at.transpose(-1, -2) @ near.float() @ at  # how often a query sees a key
        scores = torch.einsum("bqhd,bkhd->bhqk", q, q) * math.sqrt(self.head_dim)
        weights = (scores + times.log()).softmax(-1)
        return torch.einsum("bhqk,bkhd->bqhd", weights, v)[:, :length].flatten(2)
