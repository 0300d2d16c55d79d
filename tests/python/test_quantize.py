"""The quantizer: ranges, scales, bounds, odd networks, and the report on it."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from float_nets import Functional, random_input, reference, settle
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

import nanotool
from nanotool.errors import InvalidModel, NanoError, NanoWarning
from nanotool.frontends.torch import capture
from nanotool.inputs import to_device
from nanotool.ir import INT8_MAX, INT8_MIN, Dense, Graph, LayerQuality, Node, QGraph
from nanotool.passes import canonicalize
from nanotool.quantization import OBSERVERS, evaluate, measure, quantize, worst_layer
from nanotool.quantization.calibrate import Steps, calibrate
from nanotool.quantization.observers import Histogram, mean_squared_error, percentile
from nanotool.quantization.ranges import HEADROOM, activation, useful_range
from nanotool.quantization.sharing import share
from nanotool.simulate import simulate, simulate_all
from nanotool.validate import validate


def graph_of(model: nn.Module, *shape: int) -> Graph:
    return canonicalize(capture(settle(model), torch.zeros(1, *shape)))


def dense(weight: Any, bias: Any = None, clamp: tuple[float, float] | None = None) -> Graph:
    """A graph of one dense layer with just these numbers."""
    matrix = np.array(weight, np.float32)
    node = Node(
        "fc",
        Dense(),
        ("input",),
        (len(matrix),),
        matrix,
        None if bias is None else np.array(bias, np.float32),
        clamp or (-math.inf, math.inf),
    )
    return Graph("g", ("input",), (matrix.shape[1:],), (node,), ("fc",), channels_last=True)


def real_output(graph: QGraph, x: NDArray[Any]) -> NDArray[Any]:
    return graph.output_tensor.dequantize(simulate(graph, to_device(graph, x)))


# --- Activations ----------------------------------------------------------------------------------


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_activation_range_holds_zero_exactly_and_both_ends(one: float, two: float) -> None:
    low, high = min(one, two), max(one, two)
    assume(max(high, 0) - min(low, 0) == 0 or max(high, 0) - min(low, 0) > 1e-26)
    tensor = activation("t", (3,), (low, high))
    assert tensor.dequantize(tensor.quantize(np.zeros(1)))[0] == 0
    ends = np.array([min(low, 0), max(high, 0)])
    assert np.abs(tensor.dequantize(tensor.quantize(ends)) - ends).max() <= tensor.scale * 1.0001
    assert np.float32(tensor.scale) == tensor.scale


def test_activation_of_one_sided_ranges() -> None:
    assert activation("t", (), (0.0, 2.55)).zero_point == INT8_MIN
    assert activation("t", (), (0.5, 2.55)).zero_point == INT8_MIN
    assert activation("t", (), (-2.55, 0.0)).zero_point == INT8_MAX
    assert activation("t", (), (0.0, 0.0)).scale == 1.0


TINY = {
    "power": lambda x: (x * x).mean(-1),
    "cube": lambda x: x.square() * x,
    "elu": F.elu,
    "silu": F.silu,
    "difference": lambda x: x - x.relu(),
    "log-softmax": lambda x: x.log_softmax(-1),
    "joined": lambda x: torch.cat((x, x.relu() * 3), 1),
}


@pytest.mark.parametrize("name", TINY)
def test_a_signal_however_small_is_as_exact_as_a_large_one(name: str) -> None:
    x, steps = random_input(50, 4, 8), []
    for amplitude in (1.0, 1e-6, 1e-9):
        data = x * np.float32(amplitude)
        quantized = nanotool.quantize(Function(TINY[name]), data)
        error = np.abs(quantized.run(data) - reference(Function(TINY[name]), data)).max()
        steps.append(float(error) / quantized.graph.output_tensor.scale)
    assert max(steps) <= max(1.5 * steps[0], 2)


# Of which a sigmoid sees little: their output's scale is as fine as it can be.
LARGE: dict[str, Any] = {
    "sum": lambda x: x + x.relu(),
    "difference": lambda x: x - 2 * x.relu(),
    "running sum": lambda x: x.cumsum(2),
    "product": lambda x: x * x.relu(),
    "mean": lambda x: x.mean(2),
    "gate": lambda x: x * torch.sigmoid(x) + torch.tanh(x),
    "leaky": lambda x: F.leaky_relu(x, 0.1),
    "slopes": lambda x: F.prelu(x, torch.tensor([0.5, 2, 0.25, 3])),
}


@pytest.mark.parametrize("name", LARGE)
def test_a_signal_however_large_may_end_in_a_sigmoid(name: str) -> None:
    def function(x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(LARGE[name](x))

    data = random_input(50, 4, 8) * np.float32(1e6)
    off = nanotool.quantize(Function(function), data).run(data) - reference(
        Function(function), data
    )
    assert (np.abs(off) <= 2 / 256).mean() > 0.9


def test_a_signal_too_small_for_a_scale_is_refused_by_name() -> None:
    data = random_input(50, 8) * np.float32(1e-18)
    with pytest.raises(InvalidModel, match=r"Tensor square reaches from .* no scale is that small"):
        nanotool.quantize(Function(torch.square), data)


@pytest.mark.parametrize(
    ("data", "doubt"),
    [
        (np.zeros((40, 3, 5, 7)), "All calibration data are 0: the ranges are made up"),
        (np.tile(random_input(1, 3, 5, 7), (40, 1, 1, 1)), "inputs are the same one"),
        (random_input(3, 3, 5, 7), "Calibration inputs: 3 only"),
        (random_input(40, 3, 5, 7), "Calibration inputs: 40 only, and the model has 105 classes"),
        (random_input(200, 4, 4, 4), "4x4x4 look alike as C, H, W and as H, W, C"),
    ],
)
def test_calibration_data_that_are_hardly_meant_are_told(data: Any, doubt: str) -> None:
    with pytest.warns(NanoWarning, match=doubt):
        nanotool.quantize(nn.Flatten(), data)


@pytest.mark.parametrize("factor", [100, 0.001])
def test_evaluation_data_of_another_range_are_told_while_quantizing(factor: float) -> None:
    data = random_input(200, 3)
    with pytest.warns(NanoWarning, match=r"evaluation data are unlike the calibration data\. "):
        nanotool.quantize(nn.ReLU(), data, evaluation_data=data * np.float32(factor))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nanotool.quantize(nn.ReLU(), data, evaluation_data=data[:50])
    with pytest.raises(NanoError, match="takes N x 3"):
        nanotool.quantize(nn.ReLU(), data, evaluation_data=random_input(5, 4))


def test_inputs_beyond_the_range_are_told_by_every_call() -> None:
    data = random_input(200, 3)
    model = nanotool.quantize(nn.ReLU(), data)
    for call in (model.run, model.simulate):
        with pytest.warns(NanoWarning, match=r"outside of what the model covers"):
            call(data * 100)
        with pytest.raises(NanoError, match="infinity"):
            call(np.full_like(data, np.inf))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.run(data)


class Function(nn.Module):
    """A module whose forward is a function."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x)


def test_activation_that_diverged() -> None:
    with pytest.raises(InvalidModel, match="diverged"):
        activation("t", (), (0.0, 1e30))


# --- Observers ------------------------------------------------------------------------------------


def normal_histogram(outlier: float = 0.0) -> Histogram:
    values = np.append(np.random.default_rng(0).normal(size=100_000), outlier)
    histogram = Histogram(float(values.min()), float(values.max()))
    for piece in np.array_split(values, 7):
        histogram.update(piece)
    return histogram


def test_percentile_cuts_the_tails() -> None:
    low, high = percentile(normal_histogram(), 99.0)
    assert low == pytest.approx(-2.576, abs=0.05)  # the normal distribution's quantiles
    assert high == pytest.approx(2.576, abs=0.05)


def test_mean_squared_error_drops_an_outlier_and_keeps_a_uniform_range() -> None:
    counts = np.zeros_like(normal_histogram().counts)
    counts[: len(counts) // 2] = 1000  # uniform over -1..1
    assert mean_squared_error(Histogram(-1.0, 3.0, counts)) == pytest.approx((-1, 1), abs=0.06)
    counts[-1] = 1  # one value of 3 in two millions is not worth the coarser grid
    assert mean_squared_error(Histogram(-1.0, 3.0, counts)) == pytest.approx((-1, 1), abs=0.2)
    counts[-1] = 10**6
    assert mean_squared_error(Histogram(-1.0, 3.0, counts)) == pytest.approx((-1, 3), abs=0.06)


@pytest.mark.parametrize("choose", [percentile, mean_squared_error])
def test_observers_of_a_constant(choose: Any) -> None:
    histogram = Histogram(0.25, 0.25)
    histogram.update(np.full(10, 0.25))
    assert choose(histogram) == (0.25, 0.25)


def test_minmax_is_the_same_however_the_data_are_cut() -> None:
    graph = graph_of(Functional(), 2, 12, 16)
    x = random_input(40, 2, 12, 16)
    whole = calibrate(graph, [x], "minmax", Steps(None, 1))
    cut = calibrate(graph, [x[:7], x[7:8], x[8:]], "minmax", Steps(None, 3))
    real = evaluate(graph, x)
    for name, bounds in whole.items():
        assert bounds == pytest.approx(cut[name], rel=1e-5)
        assert bounds == pytest.approx((real[name].min(), real[name].max()), rel=1e-5)


@pytest.mark.parametrize("observer", OBSERVERS)
def test_every_observer_gives_a_good_graph(observer: str) -> None:
    graph = graph_of(Functional(), 2, 12, 16)
    x = random_input(64, 2, 12, 16)
    quantized = quantize(graph, [x[:32], x[32:]], observer=observer)
    validate(quantized)
    assert np.abs(real_output(quantized, x) - evaluate(graph, x)[graph.output]).max() < 0.05


# --- Data -----------------------------------------------------------------------------------------


def test_a_generator_and_progress() -> None:
    graph = graph_of(nn.Linear(4, 2), 4)
    x = random_input(30, 4)
    steps: list[tuple[int, int]] = []
    batches = (x[i : i + 10] for i in range(0, 30, 10))
    once = quantize(graph, batches, observer="mse", progress=lambda *step: steps.append(step))
    assert steps == [(i, 9) for i in range(10)]
    again = quantize(graph, [x[:10], x[10:20], x[20:]], observer="mse")
    assert once.tensors == again.tensors


def test_the_first_inputs_become_samples_in_device_layout() -> None:
    graph = graph_of(nn.Conv2d(2, 3, 2), 2, 5, 6)
    x = random_input(12, 2, 5, 6)
    quantized = quantize(graph, [x[:3], x[3:]])
    (samples,) = quantized.samples
    expected = quantized.input_tensor.quantize(x[:8].transpose(0, 2, 3, 1))
    assert np.array_equal(samples, expected)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "no calibration data"),
        ([np.zeros((0, 4), np.float32)], "no calibration data"),
        (np.zeros((5, 4), np.float32), "one array"),
        ([np.zeros((5, 3), np.float32)], "shape"),
        ([np.array([["a"] * 4])], "type"),
        ([np.full((5, 4), np.nan, np.float32)], "NaN or infinite"),
        ([np.full((5, 4), np.inf, np.float32)], "NaN or infinite"),
    ],
)
def test_bad_calibration_data(data: Any, message: str) -> None:
    with pytest.raises(NanoError, match=message):
        quantize(graph_of(nn.Linear(4, 2), 4), data)


def test_unknown_observer_and_other_graph_than_canonical() -> None:
    graph = graph_of(nn.Linear(4, 2), 4)
    with pytest.raises(NanoError, match="minmax"):
        quantize(graph, [random_input(4, 4)], observer="median")
    with pytest.raises(NanoError, match="canonicalize"):
        quantize(replace(graph, channels_last=False), [random_input(4, 4)])


def test_name_labels_and_source() -> None:
    graph = replace(graph_of(nn.Linear(4, 2), 4), name="my net/2")
    quantized = quantize(graph, [random_input(4, 4)], labels=["no", "yes"], source="torch: Net")
    assert quantized.name == "my_net_2"
    assert quantized.labels == ("no", "yes")
    assert quantized.source == "torch: Net"
    with pytest.raises(InvalidModel, match="labels"):
        quantize(graph, [random_input(4, 4)], labels=["one"])


# --- Scales ---------------------------------------------------------------------------------------


def test_weights_are_symmetric_and_per_channel() -> None:
    graph = dense([[1.0, -2.0], [0.01, 0.02], [0.0, 0.0]], [0.5, 0.001, -0.25])
    quantized = quantize(graph, [random_input(50, 2)])
    op = quantized.op("fc")
    assert op.weight is not None
    assert op.weight_scale is not None
    assert op.bias is not None
    assert op.weight.min() >= -127
    assert np.array_equal(np.abs(op.weight).max(axis=1), [127, 127, 0])
    real = op.bias * op.weight_scale.astype(np.float64) * quantized.input_tensor.scale
    assert real == pytest.approx([0.5, 0.001, -0.25], rel=1e-3)


def test_no_bias_stays_no_bias() -> None:
    quantized = quantize(graph_of(nn.Linear(3, 2, bias=False), 3), [random_input(9, 3)])
    assert quantized.op(quantized.output).bias is None


@pytest.mark.parametrize(
    ("weight", "bias"),
    [
        ([[0.0, 0.0]], [0.0]),
        ([[0.0, 0.0]], [3.0]),
        ([[1e-30, 0.0]], [3.0]),
        ([[1e-7, -1e-7]], [100.0]),
        ([[1e-20, 1e-20]], [0.0]),
        ([[1e-20, 1e-20]], [1e-20]),
        ([[1.0, 1.0], [1e-9, 0.0]], [0.0, 5.0]),
        ([[1.0, -1.0], [0.0, 0.0]], [0.0, 1e4]),
        ([[1e4, -1e4], [1.0, 1.0]], [0.0, 0.0]),
    ],
)
def test_dead_and_nearly_dead_channels(weight: Any, bias: Any) -> None:
    graph = dense(weight, bias)
    x = random_input(200, 2)
    quantized = quantize(graph, [x])
    expected = evaluate(graph, x)["fc"]
    error = np.abs(real_output(quantized, x) - expected).max()
    assert error <= 1.5 * quantized.output_tensor.scale


def test_a_bias_far_outside_the_clamp_saturates_only_its_channel() -> None:
    graph = dense([[1.0, 0.5], [1.0, -0.5]], [-1e12, 0.0], clamp=(0.0, math.inf))
    x = random_input(200, 2)
    quantized = quantize(graph, [x])
    assert (real_output(quantized, x)[:, 0] == 0).all()
    error = np.abs(real_output(quantized, x) - evaluate(graph, x)["fc"]).max()
    assert error <= quantized.input_tensor.scale + quantized.output_tensor.scale


def test_sums_of_many_products_stay_in_int32() -> None:
    terms = 70_000  # 70,000 * 127 * 255 is beyond 2^31
    graph = dense(np.full((1, terms), 0.01), [2.0])
    x = np.random.default_rng(0).uniform(-1, 1, (6, terms)).astype(np.float32)
    quantized = quantize(graph, [x])
    op = quantized.op("fc")
    assert op.weight is not None
    assert 255 * np.abs(op.weight.astype(np.int64)).sum() < 2**31
    assert np.abs(real_output(quantized, x) - evaluate(graph, x)["fc"]).max() < 2


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_dense_layer_gives_a_sound_graph(data: st.DataObject) -> None:
    """Numbers of any magnitude: the accumulators' bound holds and no factor reaches 1/2."""
    size = st.integers(1, 4)
    outputs, inputs = data.draw(size), data.draw(size)
    number = st.one_of(st.just(0.0), st.floats(-1e9, 1e9, width=32), st.floats(-1e-6, 1e-6))
    number = number.map(lambda x: x if abs(x) > 1e-18 else 0.0)  # smaller ones have no scale
    weight = [[data.draw(number) for _ in range(inputs)] for _ in range(outputs)]
    bias = [data.draw(number) for _ in range(outputs)]
    spread = data.draw(st.sampled_from([1e-6, 1.0, 1e5]))
    clamp = data.draw(st.sampled_from([None, (0.0, math.inf), (0.0, 6.0), (-1.0, 1.0)]))
    graph = dense(weight, bias, clamp)
    quantized = quantize(graph, [spread * random_input(20, inputs)])
    validate(quantized)
    op = quantized.op("fc")
    assert op.weight_scale is not None
    factor = (
        op.weight_scale.astype(np.float64)
        * quantized.input_tensor.scale
        / quantized.output_tensor.scale
    )
    assert factor.max() < 0.51


# --- Ranges that follow from operators ------------------------------------------------------------


def test_pools_and_moves_keep_the_scale() -> None:
    model = nn.Sequential(
        nn.Conv2d(2, 3, 2), nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(6, 2)
    )
    graph = graph_of(model, 2, 7, 9)
    quantized = quantize(graph, [random_input(20, 2, 7, 9)])
    conv, *others = [quantized.tensors[node.name] for node in graph.nodes[:-1]]
    assert len(others) == 3
    assert {(t.scale, t.zero_point) for t in others} == {(conv.scale, conv.zero_point)}


def test_a_pools_own_range_does_not_widen_its_inputs() -> None:
    """It is among the input's values, however it was cut off."""
    graph = graph_of(nn.Sequential(nn.Conv2d(1, 1, 1), nn.MaxPool2d(2)), 1, 4, 4)
    conv, pool = (node.name for node in graph.nodes)
    seen = {graph.input: (-1.0, 1.0), conv: (-1.0, 1.0), pool: (-1.0, 3.0)}
    groups = share(graph, seen, {}, headroom=False).groups
    assert groups[pool] is groups[conv] and groups[conv].bounds == (-1.0, 1.0)


def test_prescribed_outputs() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Sigmoid(), nn.Tanh(), nn.Softmax(1))
    quantized = quantize(graph_of(model, 3), [random_input(20, 3)])
    found = [(t.scale, t.zero_point) for t in list(quantized.tensors.values())[2:]]
    assert found == [(1 / 256, -128), (1 / 128, 0), (1 / 256, -128)]


def test_relu_starts_the_range_at_zero_and_needs_no_clamp() -> None:
    graph = graph_of(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), 3)
    quantized = quantize(graph, [random_input(20, 3)])
    assert quantized.output_tensor.zero_point == -128
    assert quantized.op(quantized.output).clamp == (-128, 127)


def test_clamp_becomes_bounds_in_int8() -> None:
    graph = graph_of(nn.Sequential(nn.AvgPool2d(2), nn.Hardtanh(-0.5, 0.25)), 1, 6, 6)
    x = random_input(20, 1, 6, 6)
    quantized = quantize(graph, [x])
    tensor, (low, high) = quantized.output_tensor, quantized.op(quantized.output).clamp
    assert low == tensor.zero_point + round(-0.5 / tensor.scale)
    assert high == tensor.zero_point + round(0.25 / tensor.scale)
    assert np.abs(real_output(quantized, x)).max() <= 0.5 + tensor.scale / 2


def test_range_of_what_only_a_sigmoid_reads() -> None:
    graph = graph_of(nn.Sequential(nn.Linear(2, 2), nn.Flatten(), nn.Sigmoid()), 2)
    assert useful_range(graph, "0") == (-6.3, 5.2)
    assert useful_range(graph, graph.output) == (-math.inf, math.inf)
    x = 100 * random_input(50, 2)
    quantized = quantize(graph, [x])
    assert quantized.tensors["0"].scale == pytest.approx(11.5 / 255)
    # The values beyond are no saturation: the report does not blame the layer for them.
    assert {entry.tensor: entry.saturation for entry in quantized.quality}["0"] == 0


def test_headroom_is_for_the_output_of_a_minmax_calibration() -> None:
    graph = dense([[1.0, 0.5]])
    x = random_input(50, 2)
    y = evaluate(graph, x)["fc"]
    low, high = min(y.min(), 0), max(y.max(), 0)
    scale = (high - low) * (1 + 2 * HEADROOM) / 255
    assert quantize(graph, [x]).output_tensor.scale == pytest.approx(scale, rel=1e-5)
    rectified = dense([[1.0, 0.5]], clamp=(0.0, math.inf))
    scale = high * (1 + HEADROOM) / 255
    assert quantize(rectified, [x]).output_tensor.scale == pytest.approx(scale, rel=1e-5)


# --- The report -----------------------------------------------------------------------------------


def test_quality_is_what_the_definition_says() -> None:
    graph = graph_of(Functional(), 2, 12, 16)
    x = random_input(30, 2, 12, 16)
    quantized = quantize(graph, [x[:20], x[20:]])
    real, integer = evaluate(graph, x), simulate_all(quantized, to_device(quantized, x))
    assert [entry.tensor for entry in quantized.quality] == list(quantized.tensors)
    for entry in quantized.quality:
        signal = real[entry.tensor].astype(np.float64)
        noise = quantized.tensors[entry.tensor].dequantize(integer[entry.tensor]) - signal
        expected = 10 * math.log10((signal**2).sum() / (noise**2).sum())
        assert entry.sqnr_db == pytest.approx(expected, abs=1e-4)
        assert 0 <= entry.saturation < 0.05


def test_saturation_counts_what_lies_outside() -> None:
    graph = dense([[1.0]])
    quantized = quantize(graph, [np.array([[-1.0], [1.0]], np.float32)])
    x = np.array([[0.5], [1.0], [3.0], [-9.0]], np.float32)
    quality = measure(graph, quantized, [x])
    assert quality[0].saturation == 0.5


def test_exact_layers_have_infinite_quality() -> None:
    graph = dense([[1.0]])
    zeros = np.zeros((4, 1), np.float32)
    assert all(entry.sqnr_db == math.inf for entry in quantize(graph, [zeros]).quality)


def test_the_worst_layer_is_named() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3))
    graph = graph_of(model, 8)
    quantized = quantize(graph, [random_input(60, 8)])
    # A layer whose weights lose all but their sign ruins the signal behind it.
    op = quantized.op("1")
    assert op.weight is not None
    broken = replace(op, weight=np.where(op.weight > 0, 127, -127).astype(np.int8))
    ops = tuple(broken if other is op else other for other in quantized.ops)
    spoiled = replace(quantized, ops=ops)
    quality = measure(graph, spoiled, [random_input(60, 8)])
    worst = worst_layer(replace(spoiled, quality=quality))
    assert worst is not None
    assert worst.tensor in {"1", "2"}
    assert {entry.tensor: entry.sqnr_db for entry in quality}["0"] > worst.sqnr_db + 20
    assert worst_layer(replace(quantized, quality=())) is None
    known = (LayerQuality("a", 30.0, 0.0), LayerQuality("b", 12.0, 0.0))
    assert worst_layer(replace(quantized, quality=known)) == known[1]


def test_the_same_twice() -> None:
    graph = graph_of(Functional(), 2, 12, 16)
    x = random_input(30, 2, 12, 16)
    one, two = quantize(graph, [x]), quantize(graph, [x])
    assert one.tensors == two.tensors
    assert one.quality == two.quality
    for left, right in zip(one.ops, two.ops, strict=True):
        assert (left.weight is None) == (right.weight is None)
        if left.weight is not None and right.weight is not None:
            assert np.array_equal(left.weight, right.weight)


class Masked(nn.Module):
    """A softmax over scores and a constant mask, of positions behind a constant offset."""

    mask: torch.Tensor
    offset: torch.Tensor

    def __init__(self, mask: torch.Tensor) -> None:
        super().__init__()
        self.scores = nn.Linear(8, 6)
        self.register_buffer("mask", mask)
        self.register_buffer("offset", torch.randn(4, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.scores(x + self.offset) + self.mask, -1)


def test_a_mask_that_is_the_same_along_a_row_hides_nothing() -> None:
    """A softmax sees differences within a row: one at -30 whole is no less than the others."""
    torch.manual_seed(0)
    x = torch.randn(64, 4, 8)
    net = Masked(torch.tensor([[0.0], [-30.0], [-30.0], [-30.0]])).eval()
    found = nanotool.quantize(net, x.numpy(), observer="minmax").simulate(x.numpy())
    with torch.no_grad():
        assert np.abs(np.asarray(found) - net(x).numpy()).max() < 0.15


def test_an_input_far_beyond_others_beside_a_constant() -> None:
    x = np.random.default_rng(0).normal(size=(40, 4, 8)).astype(np.float32)
    x[7] *= 60
    model = nanotool.quantize(Masked(torch.zeros(4, 6)).eval(), x)  # of a constant no rows are held
    assert model.simulate(x).shape == (40, 4, 6)
