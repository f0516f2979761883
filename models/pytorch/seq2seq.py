# seq2seq.py - encoder and decoder of forecasts made in one pass: Transformer and Informer (Zhou et al. 2021, arXiv:2012.07436)
# needs: instance attention sinusoid batchnorm


def neighbours(x, padding=1):
    """Three rows after one another, the series closed to a ring: (B, L, W) -> (B, L + 2 padding - 2, 3 W)"""
    ring = torch.cat([x[:, x.shape[1] - padding :], x, x[:, :padding]], 1)
    n = ring.shape[1] - 2
    return torch.cat([ring[:, i : i + n] for i in range(3)], -1)


class SeriesEmbedding(nn.Module):
    """A circular convolution of kernel 3 over time, sines of the position, a linear map of the rows' time features"""

    def __init__(self, p, f):
        super().__init__()
        self.value = Dense(3 * f.channels, f.dim, p.embed_bias)
        self.position = sinusoid_position(None, f)
        self.time = Dense(f.marks, f.dim, p.embed_bias) if f.marks else None

    def forward(self, x, marks):
        x = self.position(self.value(neighbours(x)), None)
        return x + self.time(marks) if self.time else x


class Distil(nn.Module):
    """Half as many rows: convolution of kernel 3, BatchNorm, ELU, max-pooling of kernel 3 and stride 2"""

    def __init__(self, padding, f):
        super().__init__()
        self.padding = padding
        self.conv = Dense(3 * f.dim, f.dim)
        self.norm = batchnorm_norm(Facts(eps=1e-5), f)

    def forward(self, x):
        x = F.elu(self.norm(self.conv(neighbours(x, self.padding)), None))
        return F.max_pool1d(x.transpose(1, 2), 3, stride=2, padding=1).transpose(1, 2)


class CrossAttention(Heads):
    def forward(self, x, memory):
        q, k, v = self.split(self.wq(x)), self.split(self.wk(memory)), self.split(self.wv(memory))
        return self.merge(attention(q, k, v, torch.ones(1, 1, 1, k.shape[1], dtype=torch.bool)))


class DecoderLayer(nn.Module):
    def __init__(self, attend, f):
        super().__init__()
        self.attend = attend
        self.self = Heads(f)
        self.norm1 = make(f, "norm", "norm1")
        self.cross = CrossAttention(f)
        self.norm2 = make(f, "norm", "norm2")
        self.channel = make(f, "channel")
        self.norm3 = make(f, "norm", "norm3") if self.channel else None

    def forward(self, x, memory, run):
        x = self.norm1(x + self.self.merge(self.attend(*self.self.project(x))), run)
        x = self.norm2(x + self.cross(x, memory), run)
        return self.norm3(x + self.channel(x, run), run) if self.channel else x


class Seq2Seq(nn.Module):
    """attend(f): the decoder's self-attention of heads q, k, v for the facts of a layer"""

    def __init__(self, p, f, attend, distil=False, padding=1):
        super().__init__()
        self.f, self.label, within = f, p.label, f
        self.instance = Instance(p.norm, f)
        self.embed = SeriesEmbedding(p, f)
        self.blocks, self.distil = nn.ModuleList(), nn.ModuleList()
        for i in range(f.layers):
            self.blocks.append(make(within.but(layer=i), "residual", f"blocks.{i}"))
            if distil and i + 1 < f.layers:
                self.distil.append(Distil(padding, within))
                within = within.but(length=(within.length + 2 * padding - 2 + 1) // 2)
        self.norm = make(within, "norm")
        decoder = f.but(length=p.label + f.horizon)
        self.decoder_embed = SeriesEmbedding(p, decoder)
        layers = [decoder.but(layer=i).within(f"decoder.{i}") for i in range(p.decoder_layers)]
        self.decoder = nn.ModuleList(DecoderLayer(attend(at), at) for at in layers)
        self.decoder_norm = make(decoder, "norm", "decoder_norm")
        self.head = Dense(f.dim, f.outputs)

    def forward(self, x, run):
        f, start = self.f, self.f.length - self.label
        x, statistics = self.instance(x)
        memory = self.embed(x, marks_of(run)[:, : f.length] if f.marks else None)
        stream = run.stream
        for i, block in enumerate(self.blocks):
            memory = block(memory, whole_run(memory, run, stream))
            if i < len(self.distil):
                memory = self.distil[i](memory)
        memory = self.norm(memory, run)
        y = F.pad(x[:, start:], (0, 0, 0, f.horizon))  # known rows, then zeros in place of those to forecast
        y = self.decoder_embed(y, marks_of(run)[:, start:] if f.marks else None)
        for layer in self.decoder:
            y = layer(y, memory, run)
        y = self.head(self.decoder_norm(y, run)[:, self.label :])
        return self.instance.undo(y, statistics)
