# nystromformer.py - softmax attention through landmarks (Xiong et al. 2021, arXiv:2102.03902, equations 13 to 17)
# needs: attention inverse
#
# F Z (B v) + conv(v): F = softmax(q Kl^T), B = softmax(Ql k^T), Z the pseudo-inverse of softmax(Ql Kl^T), all by
# 1 / sqrt(d); Ql and Kl are means of segments of q and k; conv runs over positions, one kernel a head. With as many
# landmarks as positions attention is exact.
# Departs: n valid positions are cut into min(n, landmarks) segments of nearly equal size. form=lra has segments as
# mlpen/Nystromformer, LRA/code/attention_nystrom.py: of the padded length, the sum of what is valid over the whole
# size, and one start of the inverse for the batch.


class nystromformer_mixer(Heads):
    def __init__(self, p, f):
        super().__init__(f)
        self.landmarks, self.iterations, self.lra = p.landmarks, p.iterations, p.form == "lra"
        self.longest = f.length
        self.conv = parameter(p.conv, f.heads) if p.conv > 0 else None

    def segments(self, length, run):
        """What each position adds to each landmark: (B, m, L); and which landmarks there are: (B, m)."""
        m, t = self.landmarks, torch.arange(length)
        i = torch.arange(m)[None, :, None]
        if self.lra:
            size = math.ceil(self.longest / m)
            share = (t // size == i) / size
            return share * run.mask[:, None, :], torch.ones(len(run.mask), m, dtype=torch.bool)
        n = run.lengths[:, None, None]
        pieces = n.clamp(max=m)
        first, last = i * n // pieces.clamp(min=1), (i + 1) * n // pieces.clamp(min=1)
        share = ((first <= t) & (t < last)) / (last - first).clamp(min=1)
        return share, (i < pieces)[..., 0]

    def through_landmarks(self, q, k, v, run):
        share, alive = self.segments(q.shape[1], run)
        ql, kl = (torch.einsum("bml,blhd->bmhd", share, x) for x in (q, k))
        scores = torch.einsum("bmhd,bnhd->bhmn", ql, kl) / math.sqrt(q.shape[-1])
        a = masked_softmax(scores, alive[:, None, None, :]) * alive[:, None, :, None]
        z = iterative_inverse(a, self.iterations, least=1, batch=self.lra)
        values = attention(ql, k, v, allowed_keys(run.mask, False))
        return attention(q, kl, torch.einsum("bhmn,bnhd->bmhd", z, values), alive[:, None, None, :])

    def convolution(self, v, run):
        size, heads = self.conv.shape
        x = (v * run.mask[:, :, None, None]).flatten(2).transpose(1, 2)  # (B, H d, L)
        kernel = self.conv.T.repeat_interleave(v.shape[-1], 0)[:, None, :]
        y = F.conv1d(F.pad(x, (size // 2, size - 1 - size // 2)), kernel, groups=x.shape[1])
        return y.transpose(1, 2).unflatten(2, (heads, -1))

    def forward(self, x, run):
        q, k, v = self.project(x)
        if self.landmarks >= self.longest:
            o = attention(q, k, v, allowed_keys(run.mask, False))
        else:
            o = self.through_landmarks(q, k, v, run)
        return self.merge(o if self.conv is None else o + self.convolution(v, run))
