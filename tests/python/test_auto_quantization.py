"""The automatic observer: bias correction, trials on data held back, never worse than min-max."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import nanotool
from nanotool.errors import NanoError
from nanotool.frontends.torch import capture
from nanotool.ir import FloatArray, Graph
from nanotool.passes import canonicalize
from nanotool.qfile import from_bytes, to_bytes
from nanotool.quantization import quantize
from nanotool.quantization.auto.search import Data, Judge, signal_to_noise
from nanotool.quantization.auto.statistics import BINS, Statistics
from nanotool.quantization.evaluate import evaluate
from nanotool.simulate import simulate


class Gated(nn.Module):
    """Convolutions, a gate, a residual; channels of very different size."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.gate = nn.Conv2d(8, 8, 1)
        self.last = nn.Linear(8, 4)
        with torch.no_grad():
            self.first.weight *= torch.logspace(-1, 1, 8)[:, None, None, None]
            self.last.weight *= 4

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.first(x))
        y = y + nn.functional.silu(self.second(y))
        y = y * torch.sigmoid(self.gate(y.mean((2, 3), keepdim=True)))
        logits: torch.Tensor = self.last(y.mean((2, 3)))
        return logits


def inputs(count: int, seed: int = 0) -> FloatArray:
    """Of bounded range, so that chance in the extremes tells nothing."""
    x = np.random.default_rng(seed).standard_normal((count, 2, 6, 6))
    return np.tanh(x).astype(np.float32)


@pytest.fixture(scope="module")
def graph() -> Graph:
    torch.manual_seed(0)
    return canonicalize(capture(Gated().eval(), torch.tensor(inputs(2)), "gated"))


def output_ratio(graph: Graph, quantized: Any, x: FloatArray) -> float:
    """Signal to noise of the output."""
    real = evaluate(graph, x)[graph.output]
    q = simulate(quantized, quantized.input_tensor.quantize(x.transpose(0, 2, 3, 1)))
    return signal_to_noise(real, quantized.output_tensor.dequantize(q))


def test_beats_minmax_on_data_held_back_and_on_others(graph: Graph) -> None:
    x = inputs(160)
    plain, best = quantize(graph, [x]), quantize(graph, [x[:50], x[50:]], observer="auto")
    for held in (x[3::4], inputs(400, seed=1)):
        assert output_ratio(graph, best, held) > output_ratio(graph, plain, held) + 1
    first, *others = best.trials
    assert (first.name, first.chosen) == ("min-max", False)
    (chosen,) = (trial for trial in others if trial.chosen)
    assert chosen.sqnr_db == max(trial.sqnr_db for trial in best.trials)
    assert from_bytes(to_bytes(best)).trials == best.trials
    assert to_bytes(quantize(graph, [x[:50], x[50:]], observer="auto")) == to_bytes(best)


def test_bias_correction_takes_the_mean_error_away(graph: Graph) -> None:
    x = inputs(128)
    best = quantize(graph, [x], observer="auto")
    real = evaluate(graph, x)[graph.output]
    q = simulate(best, best.input_tensor.quantize(x.transpose(0, 2, 3, 1)))
    mean = (best.output_tensor.dequantize(q) - real).mean(axis=0)
    assert np.abs(mean).max() < best.output_tensor.scale / 4


def test_the_judge_counts_right_answers(graph: Graph) -> None:
    x = inputs(20)
    real = evaluate(graph, x)[graph.output]
    classes = real.argmax(axis=1)
    classes[:5] = (classes[:5] + 1) % 4
    score = Judge(graph, Data((x.transpose(0, 2, 3, 1).copy(),), classes)).score([real + 0.25])
    assert score.accuracy == 0.75
    assert score.sqnr_db == pytest.approx(10 * np.log10((real.astype(np.float64) ** 2).mean() * 16))


def test_bins_for_wider_extremes_hold_the_same_values() -> None:
    counts, weights = np.zeros((2, BINS))
    counts[[0, BINS // 4, BINS - 1]], weights[BINS - 1] = (3, 5, 7), 2
    seen = Statistics(-1.0, 1.0, counts, weights)
    assert seen.within((0.0, 1.0)) is seen
    wide = seen.within((-2.0, 6.0))
    assert (wide.low, wide.high) == (-2.0, 6.0)
    for values, total in ((wide.counts, 15), (wide.weights, 2)):
        (places,) = values.nonzero()
        assert values.sum() == total
        held = np.repeat(wide.centers[places], values[places].astype(int))
        was = [-1.0] * 3 + [-0.5] * 5 + [1.0] * 7 if total == 15 else [1.0] * 2
        assert held == pytest.approx(was, abs=8 / BINS)


def test_accuracy_counts_where_targets_are_given() -> None:
    torch.manual_seed(0)
    net, x = Gated().eval(), inputs(80)
    with torch.no_grad():
        targets = net(torch.tensor(x)).argmax(1)
    model = nanotool.quantize(net, x, targets=targets)
    plain, *others = model.trials
    (chosen,) = (trial for trial in model.trials if trial.chosen)
    assert plain.accuracy is not None and chosen.accuracy is not None
    assert plain.accuracy <= chosen.accuracy and len(others) >= 6
    with pytest.raises(NanoError, match="79 targets for 80"):
        nanotool.quantize(net, x, targets=targets[:79])
    with pytest.raises(NanoError, match="shape"):
        nanotool.quantize(net, x, targets=np.zeros((80, 4)))


def test_too_few_inputs_are_told(graph: Graph, caplog: pytest.LogCaptureFixture) -> None:
    x = inputs(63)
    with caplog.at_level(logging.WARNING):
        few = quantize(graph, [x], observer="auto")
    assert "Calibration inputs: 63;" in caplog.text and "min-max" in caplog.text
    assert few.trials == () and to_bytes(few) == to_bytes(quantize(graph, [x]))


def test_progress_reaches_its_end(graph: Graph) -> None:
    steps: list[tuple[int, int]] = []
    quantize(graph, [inputs(64)], observer="auto", progress=lambda *step: steps.append(step))
    assert steps == sorted(steps) and steps[-1][0] == steps[-1][1]
