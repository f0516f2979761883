# combiner.py - full attention in which far positions are reached through regions (Ren et al. 2021, arXiv:2107.05768)
# needs: attention layernorm
#
# One softmax over direct positions and over regions R. A region's key k_R (and query q_R) is the largest k (q) in it,
# number by number, its value softmax attention inside it, sum_j softmax(q_R . k_j) v_j. The sequence is rows s of b =
# block positions, columns c; i is (s, c)
#     fixed    direct: row s. Regions: every other row
#     axial    direct: row s. Regions: (s', c) for every other row s', which stands for its whole row: value r = softmax
#              attention of (s', c) in its row, key = LayerNorm(x + r Wr) Wkr
#     mixture  direct: row s and column c. Regions: of every other column what is above row s; of every row above s what
#              is left and what is right of column c. Not causal: of every column what is above and what is below row s;
#              of every row what is left and what is right of column c
#     logn     direct: i. Regions: the 2^l positions before i / 2^l 2^l for every bit l that i has
# causal (logn always): j <= i, and regions before i.
# Departs: mixture, not causal: a position counts itself once; axial, not causal: the own row is no region.


class combiner_mixer(Heads):
    def __init__(self, p, f):
        super().__init__(f)
        self.kind, self.block = p.kind, p.block or math.ceil(math.sqrt(f.length))
        if p.kind == "axial" and f.length > self.block:
            self.wr, self.wkr = Dense(f.qkv, f.dim, f.bias), Dense(f.dim, f.qkv, f.bias)
            self.norm = layernorm_norm(Facts(eps=1e-5), f)

    def forward(self, x, run):
        q, k, v = self.project(x)
        if self.kind == "logn":
            return self.merge(self.logn(q, k, v, run))
        length, b = x.shape[1], min(self.block, x.shape[1])
        fill = -length % b
        mask = F.pad(run.mask, (0, fill))
        qs, ks, vs = (F.pad(y, (0, 0, 0, 0, 0, fill)) for y in (q, k, v))
        t = torch.arange(length + fill)
        place = Facts(b=b, row=t[:, None] // b, column=t[:, None] % b, key_row=t // b, key_column=t % b)
        place.before = (t <= t[:, None]) if run.causal else torch.ones(len(t), len(t), dtype=torch.bool)
        place.same_row = place.row == place.key_row
        if length <= b:
            kind = self.direct
        else:
            kind = {"fixed": self.fixed, "axial": self.axial, "mixture": self.mixture}[self.kind]
        parts = kind(F.pad(x, (0, 0, 0, fill)), qs, ks, vs, mask, place, run)
        keys, values = torch.cat([part[0] for part in parts], 1), torch.cat([part[1] for part in parts], 1)
        allowed = torch.cat([part[2].expand(len(x), len(t), -1) for part in parts], -1)
        return self.merge(attention(qs, keys, values, allowed[:, None])[:, :length])

    # Each kind: parts (keys, values, allowed) of one softmax, allowed (B or 1, queries, keys)

    def direct(self, x, q, k, v, mask, place, run):
        return [(k, v, place.same_row & place.before & mask[:, None, :])]

    def fixed(self, x, q, k, v, mask, place, run):
        rows = torch.arange(len(place.key_row) // place.b)
        earlier = rows < place.row if run.causal else rows != place.row
        there = mask[:, :: place.b]  # rows that begin with a valid position
        member = (place.key_row == rows[:, None]) & mask[:, None, :]
        values = attention(self.largest(q, mask, place), k, v, member[:, None])
        regions = (self.largest(k, mask, place), values, earlier & there[:, None, :])
        return self.direct(x, q, k, v, mask, place, run) + [regions]

    def largest(self, y, mask, place):
        """Of every row, over its valid positions; 0 where there are none: (B, rows, H, d)"""
        y = y.masked_fill(~mask[:, :, None, None], -math.inf).unflatten(1, (-1, place.b)).amax(2)
        return y.masked_fill(y == -math.inf, 0)

    def axial(self, x, q, k, v, mask, place, run):
        r = attention(q, k, v, (place.same_row & mask[:, None, :])[:, None])
        keys = self.split(self.wkr(self.norm(x + self.wr(r.flatten(2)), run)))
        other = (place.column == place.key_column) & ~place.same_row & place.before
        return self.direct(x, q, k, v, mask, place, run) + [(keys, r, other & mask[:, None, :])]

    def mixture(self, x, q, k, v, mask, place, run):
        same_column = place.column == place.key_column
        valid = mask[:, None, :]
        parts = [(k, v, (place.same_row | same_column) & place.before & valid)]
        # region (s, c) of columns: what is above row s + 1 (below row s - 1) in column c
        sides = [(1, False)] if run.causal else [(1, False), (-1, True)]
        for step, below in sides:
            own = place.row - step == place.key_row
            if run.causal:
                own = own & ~same_column
            member = same_column & (place.key_row >= place.row if below else place.key_row <= place.row)
            regions = self.running(q, k, v, mask, member, 1, below, place)
            parts.append((*regions, own & valid))
        # region (s, c) of rows: what is left of column c + 1 (right of c - 1) in row s
        for step, right in ((1, False), (-1, True)):
            own = place.column - step == place.key_column
            if run.causal:
                own = own & (place.key_row < place.row)
            member = place.same_row & (place.key_column >= place.column if right else place.key_column <= place.column)
            regions = self.running(q, k, v, mask, member, 2, right, place)
            begins = mask[:, :: place.b].repeat_interleave(place.b, 1)[:, None, :]  # the row has a valid position
            parts.append((*regions, own & (valid if right else begins)))
        return parts

    def running(self, q, k, v, mask, member, along, backwards, place):
        """Keys and values of regions that end (begin) at each position; member: the positions of each region."""

        def largest(y):
            y = y.masked_fill(~mask[:, :, None, None], -math.inf).unflatten(1, (-1, place.b))
            y = y.flip(along).cummax(along).values.flip(along) if backwards else y.cummax(along).values
            return y.masked_fill(y == -math.inf, 0).flatten(1, 2)

        return largest(k), attention(largest(q), k, v, (member & mask[:, None, :])[:, None])

    def logn(self, q, k, v, run):
        i = torch.arange(q.shape[1])
        keys, values, allowed = [k], [v], [torch.eye(len(i), dtype=torch.bool)]
        for level in range(int(i[-1]).bit_length()):
            size = 1 << level
            count = len(i) // size
            region = torch.arange(count)
            inside = i // size == region[:, None]
            of_regions = [y[:, : count * size].unflatten(1, (count, size)).amax(2) for y in (q, k)]
            keys.append(of_regions[1])
            values.append(attention(of_regions[0], k, v, allowed_keys(run.mask, False) & inside))
            allowed.append(((i >> level & 1) == 1)[:, None] & ((i >> level)[:, None] - 1 == region))
        return attention(q, torch.cat(keys, 1), torch.cat(values, 1), torch.cat(allowed, 1))
