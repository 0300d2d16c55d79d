"""How wide a GRU keeps h: noise of the last h against float, with h in int8 everywhere, in 16 bits
but multiplied in int8 (what the operator does), and in 16 bits everywhere.

    python -m bench.gru_width

Slow gates (a bias on z) move h by less than a step of int8: there it stands still. docs/numerics.md
quotes the table.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

FEATURES, UNITS, SEQUENCES = 12, 32, 64
Real = NDArray[np.float64]


def rounded(values: Real, scale: float, bits: int = 8) -> Real:
    """``values`` as integers of ``scale``, real again."""
    most = 2 ** (bits - 1)
    return np.asarray(np.clip(np.rint(values / scale), -most, most - 1) * scale)


def matrices(weight: Real) -> Real:
    """Each gate's weights in int8."""
    parts = np.split(weight, 3)
    return np.concatenate([rounded(part, float(np.abs(part).max()) / 127) for part in parts])


def last(gru: nn.GRU, x: Real, kept: int = 0, multiplied: int = 0, scale: float = 1.0) -> Real:
    """h behind the last step, of ``kept`` bits from step to step and ``multiplied`` in the sums;
    0: float, weights and input too. ``scale``: of h in int8."""
    w, r, b, c = (one.detach().double().numpy() for one in gru.parameters())
    if kept:
        w, r, x = matrices(w), matrices(r), rounded(x, float(np.abs(x).max()) / 127)
    h = seen = np.zeros((len(x), UNITS))
    scales = {8: scale, 16: 2.0**-15}
    for step in range(x.shape[1]):
        of_x, of_h = np.split(x[:, step] @ w.T + b, 3, 1), np.split(seen @ r.T + c, 3, 1)
        reset, z = (0.5 + 0.5 * np.tanh((of_x[k] + of_h[k]) / 2) for k in (0, 1))
        n = np.tanh(of_x[2] + reset * of_h[2])
        h = n + z * (h - n)
        h = rounded(h, scales[kept], kept) if kept else h
        seen = rounded(h, scales[multiplied], multiplied) if kept else h
    return np.asarray(seen)


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    print("| bias of z | steps | int8 | kept in 16 bits | all in 16 bits | float in int8 |")
    print("|---|---|---|---|---|---|")
    for bias in (0, 2, 4, 6):
        for steps in (10, 100):
            gru = nn.GRU(FEATURES, UNITS, batch_first=True)
            with torch.no_grad():
                list(gru.parameters())[2][UNITS : 2 * UNITS] += bias
            x = rng.normal(0, 1, (SEQUENCES, steps, FEATURES))
            right = last(gru, x)
            scale = float(np.abs(right).max()) / 127
            found = [last(gru, x, *bits, scale) for bits in ((8, 8), (16, 8), (16, 16))]
            noises = [float(((one - right) ** 2).sum()) for one in (*found, rounded(right, scale))]
            signal = float((right**2).sum())
            row = (f"{10 * np.log10(signal / noise):.1f} dB" for noise in noises)
            print(f"| {bias} | {steps} | {' | '.join(row)} |")


if __name__ == "__main__":
    main()
