"""The automatic observer: bias correction, trials on data held back, never worse than min-max."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import nanotool
from nanotool.errors import NanoError, NanoWarning
from nanotool.frontends.torch import capture
from nanotool.ir import FloatArray, Graph
from nanotool.passes import canonicalize
from nanotool.qfile import from_bytes, to_bytes
from nanotool.quantization import quantize
from nanotool.quantization.auto.emulate import run_float
from nanotool.quantization.auto.equalize import equalized
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
    assert chosen.sqnr_db == max(trial.sqnr_db for trial in best.trials if not trial.int16)
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


def test_an_input_far_beyond_the_others_is_told(graph: Graph) -> None:
    x = inputs(64)
    x[40] *= 8
    with pytest.warns(NanoWarning, match=r"^One calibration input has .* saturate at \w+\."):
        quantize(graph, [x], observer="auto")


def test_progress_reaches_its_end(graph: Graph) -> None:
    steps: list[tuple[int, int]] = []
    quantize(graph, [inputs(64)], observer="auto", progress=lambda *step: steps.append(step))
    assert steps == sorted(steps) and steps[-1][0] == steps[-1][1]


def small_beside_large(activation: nn.Module) -> nn.Sequential:
    """Channels of very different size between layers that could even them out."""
    torch.manual_seed(1)
    first, norm = nn.Conv2d(2, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
    depthwise, point = nn.Conv2d(6, 12, 3, padding=1, groups=6), nn.Conv2d(12, 6, 1)
    last = nn.Linear(6, 3)
    with torch.no_grad():
        norm.weight.copy_(torch.logspace(-2, 1, 6))
        for one, other in ((depthwise, point), (point, last)):
            factors = torch.logspace(-1, 1, len(one.weight))
            one.weight *= factors[:, None, None, None]
            other.weight /= factors.reshape(1, -1, *(1,) * (other.weight.ndim - 2))
    return nn.Sequential(
        *(first, norm, activation, depthwise, nn.LeakyReLU(0.1), nn.MaxPool2d(2)),
        *(point, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), last),
    ).eval()


def canonical(net: nn.Module, x: FloatArray) -> Graph:
    return canonicalize(capture(net, torch.tensor(x[:2]), "net"))


def even(net: nn.Module, x: FloatArray) -> Graph | None:
    """The equalized graph."""
    graph = canonical(net, x)
    return equalized(graph, run_float(graph, (x.transpose(0, 2, 3, 1).copy(),))[0])


def test_equalized_channels_leave_the_function_as_it_is() -> None:
    net, x = small_beside_large(nn.ReLU()), inputs(64)
    found = even(net, x)
    assert found is not None
    with torch.no_grad():
        real = net(torch.tensor(x)).numpy()
    assert np.abs(evaluate(found, x)[found.output] - real).max() <= 1e-5 * np.abs(real).max()
    first = next(node.name for node in found.nodes)
    spreads = []
    for one in (canonical(net, x), found):
        sizes = np.abs(evaluate(one, x)[first]).max(axis=(0, 1, 2))
        spreads.append(sizes.max() / sizes.min())
    assert spreads[1] < 1.1 < spreads[0] / 10
    auto = nanotool.quantize(net, inputs(128))
    assert "equalized" in next(trial.name for trial in auto.trials if trial.chosen)
    held = inputs(200, seed=1)
    with torch.no_grad():
        expected = net(torch.tensor(held)).numpy()
    plain = nanotool.quantize(net, inputs(128), observer="minmax")
    ratios = [signal_to_noise(expected, model.simulate(held)) for model in (plain, auto)]
    assert ratios[1] > ratios[0] + 3


@pytest.mark.parametrize("between", [nn.ReLU6(), nn.Sigmoid(), nn.Hardswish()])
def test_what_no_factor_passes_through_is_not_equalized(between: nn.Module) -> None:
    net = nn.Sequential(nn.Conv2d(2, 4, 3), between, nn.Conv2d(4, 3, 3)).eval()
    assert even(net, inputs(8)) is None


class Tied(nn.Module):
    """A residual, and a layer that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.first(x))
        result: torch.Tensor = self.again(self.again(torch.relu(self.again(y) + y)))
        return result


def test_residuals_and_shared_weights_are_not_equalized() -> None:
    assert even(Tied().eval(), inputs(8)) is None


class Fine(nn.Module):
    """One tensor whose channels differ, and whose sum is what counts, after a residual."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 4, 1)
        self.next, self.last = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 2, 1)
        with torch.no_grad():
            self.first.weight[0] *= 300
            self.next.weight[:, 0], self.last.weight[:, 0] = 0, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first(x)
        result: torch.Tensor = self.last(y + torch.relu(self.next(y)))
        return result


def test_tensors_of_16_bits_are_proposed_and_taken_where_allowed() -> None:
    torch.manual_seed(0)
    net, x = Fine().eval(), inputs(96)
    told = nanotool.quantize(net, x)
    assert {tensor.dtype for tensor in told.graph.tensors.values()} == {"int8"}
    assert "16 bits" in told.proposal and '["int16"]' in told.proposal
    rows = [trial.int16 for trial in told.trials if trial.int16 is not None]
    assert len(rows[0].tensors) == 1 and set(rows[0].tensors) < {"first", "next", "add"}
    assert rows[0].flash > 0 and rows[0].arena > 0 and 0 < rows[0].macs < 1
    assert nanotool.QuantizedModel(from_bytes(to_bytes(told.graph))).trials == told.trials
    taken = nanotool.quantize(net, x, allow="int16")
    assert taken.proposal == ""
    assert "int16" in {tensor.dtype for tensor in taken.graph.tensors.values()}
    with torch.no_grad():
        real = net(torch.tensor(x)).permute(0, 2, 3, 1).numpy()
    ratios = [signal_to_noise(real, model.simulate(x)) for model in (told, taken)]
    assert ratios[1] > ratios[0] + 10
    with pytest.raises(NanoError, match="int5"):
        nanotool.quantize(net, x, allow=["int5"])
    with pytest.raises(NanoError, match="minmax makes no choice"):
        nanotool.quantize(net, x, allow=["int16"], observer="minmax")
