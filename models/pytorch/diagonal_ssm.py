# diagonal_ssm.py - linear state spaces with a complex diagonal matrix that all channels share


def diagonal_ssm(u, a, w, c, d):
    """s_t = a s_(t-1) + u_t w, y_t = Re(s_t C) + d u_t; a second C reads states r_t = a r_(t+1) + u_t w that run from
    the end. u (B, L, D), complex a (P) and w (D, P), c (1 or 2, 2, P, D) with Re C, then -Im C; d (D)"""
    drive = u.to(w.dtype) @ w
    L, y = u.shape[1], d * u
    for direction, (c_re, c_im) in enumerate(c):
        s, states = 0, [None] * L
        for t in range(L) if direction == 0 else reversed(range(L)):
            s = a * s + drive[:, t]
            states[t] = s
        s = torch.stack(states, 1)
        y = y + s.real @ c_re + s.imag @ c_im
    return y
