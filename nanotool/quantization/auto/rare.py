"""Inputs that a range has not seen: what becomes of them, by those that are held back."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from nanotool.ir import QGraph, unclamped
from nanotool.quantization.auto.emulate import Emulation
from nanotool.quantization.auto.search import Fold, Plan, Search

LOST_DB = 15.0  # of one input: noise of nearly a fifth of what outputs are
HARDLY_DB = 10.0  # of one input: what it saturates need not lie far beyond what others have
BEYOND = 1.25  # times the largest value that the others have
LEAST_SHARE = 0.01  # of a tensor's power that its range leaves out
FAR = 30.0  # times the noise of most inputs: it is no rounding


def rare_inputs(search: Search, plan: Plan, folds: Iterable[Fold]) -> str:
    """A sentence on inputs of which an int8 graph of ``plan`` hardly knows the output when it was
    made of the others, for each of ``folds``; "" without any. A range holds what was seen: where
    one input in some hundred goes far beyond the others, so will others in use."""
    count, lost, worst = 0, 0, (math.inf, "", "")
    for fold in folds:
        own = replace(plan, form=fold.form(plan.form.graph))
        graph, _ = search.quantized(own, fold.fit.data)
        outputs = Emulation(graph).run(fold.held.data.x)
        count += len(fold.held.data.x[0])
        for name, real, found in zip(graph.outputs, fold.held.real, outputs, strict=True):
            rows = real.astype(np.float64).reshape(len(real), -1)
            power = float((rows**2).mean())
            noise = ((found.numpy().reshape(rows.shape) - rows) ** 2).mean(axis=1)
            limit = max(power * 10 ** (-LOST_DB / 10), FAR * float(np.median(noise)))
            beyond = noise > limit
            if not power or not beyond.any():
                continue
            i = int(noise.argmax())
            decibel = 10 * math.log10(power / noise[i])
            layer = _saturating(fold, graph, i, sure=decibel < HARDLY_DB)
            if not layer:
                continue  # a step's other side, say: as near as ever
            lost += int(beyond.sum())
            worst = min(worst, (decibel, name, layer))
    if not lost:
        return ""
    decibel, output, layer = worst
    what = f"{lost} of {count} calibration inputs have" if lost > 1 else "One calibration input has"
    return (
        f"{what} values far beyond all others': unseen, as others will be in use, such a one keeps "
        f"{decibel:.1f} dB at the output {output}. Most of them saturate at {layer}. Calibrate "
        "with more inputs, of the extreme kinds too."
    )


def _saturating(fold: Fold, graph: QGraph, i: int, *, sure: bool) -> str:
    """The first tensor of whose real values for held input ``i`` the range leaves out about as much
    as of any; "" where that is little. Unless it is ``sure``, some tensor has to have values far
    beyond those that its range was made of."""
    held, fit = fold.held.tensors, fold.fit.tensors
    names = [name for name in held if name in graph.tensors and name not in graph.constants]

    def left_out(name: str) -> float:
        tensor, values = graph.tensors[name], held[name][i].double()
        low, high = ((end - tensor.zero_point) * tensor.scale for end in unclamped(tensor.dtype))
        kept = values.clamp(low, high)
        return float(((values - kept) ** 2).sum() / max(float((values**2).sum()), 1e-30))

    def is_far(name: str) -> bool:
        return bool(held[name][i].abs().max() > BEYOND * fit[name].abs().max())

    shares = {name: left_out(name) for name in names}
    left = [name for name in names if shares[name] >= LEAST_SHARE]
    if not left or not (sure or any(map(is_far, left))):
        return ""
    return next(name for name, share in shares.items() if share >= max(shares.values()) / 2)
