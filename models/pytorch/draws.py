# draws.py - random numbers as base/random.h makes them: Philox 4x32-10 (Salmon et al. 2011), draw i of a stream is a
# function of (key, i). An op's key is made of seed and step, both 0 in a forward pass from weights, and its place.


def mix(key, value):
    """A new key: XXH64 of the two numbers."""
    p1, p2, p3, p4, p5 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63,
                          0x27D4EB2F165667C5)  # fmt: skip
    low = (1 << 64) - 1

    def turn(x, n):
        return (x << n | x >> 64 - n) & low

    h = p5 + 16
    for word in (key, value):
        h = (turn(h ^ turn(word * p2 & low, 31) * p1 & low, 27) * p1 + p4) & low
    h = (h ^ h >> 33) * p2 & low
    h = (h ^ h >> 29) * p3 & low
    return h ^ h >> 32


def node_key(scope, op, i=0):
    """Of node i of that op in a scope (f.scope), with mix(mix(seed, step), place)."""
    return mix(mix(0, 0), NODES[f"{scope}.{op}"][i])


def random_u64(key, index):
    """Draws number index (an array) of the stream: 64 bits each."""
    index = np.asarray(index, dtype=np.uint64)
    mask, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    block = index >> np.uint64(1)
    c = [block & mask, block >> half, np.zeros_like(block), np.zeros_like(block)]
    k = [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [b >> half ^ c[1] ^ np.uint64(k[0]), b & mask, a >> half ^ c[3] ^ np.uint64(k[1]), a & mask]
        k = [k[0] + 0x9E3779B9 & 0xFFFFFFFF, k[1] + 0xBB67AE85 & 0xFFFFFFFF]
    return np.where(index & np.uint64(1), c[3] << half | c[2], c[1] << half | c[0])


def random_uniform(key, index):
    """In [0, 1), 53 bits."""
    return (random_u64(key, index) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def random_normal(key, index):
    """Box-Muller of draws 2 i and 2 i + 1."""
    index = np.asarray(index)
    u, v = 1 - random_uniform(key, 2 * index), random_uniform(key, 2 * index + 1)
    return np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v)
