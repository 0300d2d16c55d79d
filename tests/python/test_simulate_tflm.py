"""nanotool.simulate against TFLite Micro's reference kernels, byte for byte.

The graphs go through nanotool.backends.tflite, so that this tests the writer as well. What
TensorFlow Lite cannot express (dilated pools, average pools with any padding) is compared with
plain loops. NANO_EXAMPLES=20 makes a long run of it.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import oracle
import pytest
import tflite
from hypothesis import given
from hypothesis import strategies as st
from random_graphs import KINDS, examples, graphs, random_graph, random_inputs

from nanotool import numerics, validate
from nanotool.backends import tflite as backend
from nanotool.errors import InvalidModel, UnsupportedOp
from nanotool.ir import (
    AveragePool2D,
    Clamp,
    Conv2D,
    Dense,
    Int8Array,
    MaxPool2D,
    QGraph,
    QOp,
    QTensor,
    Shape,
    Softmax,
    Unary,
    Window,
)
from nanotool.simulate import KERNELS, simulate, simulate_all


def assert_equal_to_tflm(graph: QGraph, x: Int8Array) -> None:
    ours, theirs = simulate(graph, x), oracle.run(graph, x)
    assert np.array_equal(ours, theirs), f"{np.count_nonzero(ours != theirs)} bytes of {ours.size}"


# --- Against TFLite Micro -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_kernel(kind: str) -> None:
    @examples(300)
    @given(graphs((kind,), 1, tflite=True), st.integers(0, 2**16))
    def check(graph: QGraph, seed: int) -> None:
        assert_equal_to_tflm(graph, random_inputs(graph, 6, seed))

    check()


@examples(300)
@given(graphs(tflite=True), st.integers(0, 2**16))
def test_chains_of_operators(graph: QGraph, seed: int) -> None:
    assert_equal_to_tflm(graph, random_inputs(graph, 6, seed))


@examples(150)
@given(graphs(("conv2d", "max_pool", "average_pool"), 3, tflite=True), st.integers(0, 2**16))
def test_windows_upon_windows(graph: QGraph, seed: int) -> None:
    assert_equal_to_tflm(graph, random_inputs(graph, 6, seed))


def one_op(op: QOp, source: QTensor, target: QTensor) -> QGraph:
    return QGraph("one", {source.name: source, target.name: target}, (op,), source.name, "y")


@pytest.mark.parametrize("kernel", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
def test_every_padding_of_a_convolution(kernel: int, stride: int, dilation: int) -> None:
    """SAME, VALID and every other one, which the writer says with a PAD."""
    rng = np.random.default_rng(kernel)
    weight = rng.integers(-127, 128, (2, kernel, kernel, 2)).astype(np.int8)
    scale = np.array([0.01, 0.02], np.float32)
    source = QTensor("x", (5, 4, 2), 0.1, 17)
    reach = dilation * (kernel - 1)
    for top, left in itertools.product(range(reach + 1), repeat=2):
        window = Window((kernel,) * 2, (stride,) * 2, (top, left, left, top), (dilation,) * 2)
        rows, columns = window.output_size(5, 4)
        if min(rows, columns) < 1:
            continue
        op = QOp("y", Conv2D(window), ("x",), weight, scale)
        graph = one_op(op, source, QTensor("y", (rows, columns, 2), 0.3, -9))
        assert_equal_to_tflm(graph, random_inputs(graph, 3, top))


def test_accumulators_at_the_edge_of_int32() -> None:
    """The largest sums that a graph may have, with both signs."""
    bias = np.array([2**31 - 1, -(2**31), 2**30, -(2**30) - 1], np.int32)
    for exponent in range(-31, -22):
        scale = np.full(4, 2.0**exponent * 1.23, np.float32)
        op = QOp("y", Dense(), ("x",), np.zeros((4, 1), np.int8), scale, bias)
        graph = one_op(op, QTensor("x", (1,), 1.0, 0), QTensor("y", (4,), 1.0, 3))
        assert_equal_to_tflm(graph, np.zeros((1, 1), np.int8))


@pytest.mark.parametrize("depth", [1, 2, 3, 100, 511])
def test_softmax_of_every_difference(depth: int) -> None:
    """All differences to the maximum, over scales from nearly flat to one-hot."""
    rows = [np.linspace(-128, 127, depth).astype(np.int8), np.zeros(depth, np.int8)]
    rows += [np.where(np.arange(depth) == 0, 127, low).astype(np.int8) for low in (-128, 0, 126)]
    for exponent in range(-25, 12):
        target = QTensor("y", (depth,), 1 / 256, -128)
        source = QTensor("x", (depth,), 2.0**exponent * 1.1, 0)
        graph = one_op(QOp("y", Softmax(), ("x",)), source, target)
        assert_equal_to_tflm(graph, np.array(rows))


def test_tflm_refuses_pools_that_change_scale() -> None:
    """Where TFLite Micro refuses, nanotool's graph check does too."""
    window = Window((2, 2), (2, 2))
    source, target = QTensor("x", (4, 4, 1), 0.1, 0), QTensor("y", (2, 2, 1), 0.2, 0)
    graph = one_op(QOp("y", MaxPool2D(window), ("x",)), source, target)
    with pytest.raises(RuntimeError):
        oracle.run(graph, np.zeros((1, 4, 4, 1), np.int8))
    with pytest.raises(InvalidModel):
        validate.validate(graph)


# --- Against plain loops --------------------------------------------------------------------------


def taps(window: Window, position: tuple[int, int], size: Shape) -> list[tuple[int, int, int, int]]:
    """(i, j, y, x) of the window's taps inside the input for one output position."""
    inside = []
    for i, j in itertools.product(range(window.kernel[0]), range(window.kernel[1])):
        y = position[0] * window.stride[0] + i * window.dilation[0] - window.padding[0]
        x = position[1] * window.stride[1] + j * window.dilation[1] - window.padding[1]
        if 0 <= y < size[0] and 0 <= x < size[1]:
            inside.append((i, j, y, x))
    return inside


def pool_by_loops(graph: QGraph, x: Int8Array) -> Int8Array:
    op, target = graph.ops[0], graph.output_tensor
    assert isinstance(op.op, MaxPool2D | AveragePool2D)
    out = np.zeros(target.shape, np.int8)
    for row, column, channel in np.ndindex(*target.shape):
        inside = taps(op.op.window, (row, column), x.shape)
        seen = [int(x[tap[2], tap[3], channel]) for tap in inside]
        if isinstance(op.op, MaxPool2D):
            value = max(seen)
        else:
            magnitude = (abs(sum(seen)) + len(seen) // 2) // len(seen)
            value = magnitude if sum(seen) > 0 else -magnitude
        out[row, column, channel] = min(max(value, op.clamp[0]), op.clamp[1])
    return out


def conv_by_loops(graph: QGraph, x: Int8Array) -> Int8Array:
    op, target = graph.ops[0], graph.output_tensor
    assert isinstance(op.op, Conv2D)
    assert op.weight is not None
    assert op.weight_scale is not None
    source = graph.input_tensor
    multiplier, shift = numerics.conv_multipliers(source.scale, op.weight_scale, target.scale)
    per_group, depth = target.shape[2] // op.op.groups, op.weight.shape[3]
    acc = np.zeros(target.shape, np.int64)
    for row, column, out in np.ndindex(*target.shape):
        first = out // per_group * depth
        for i, j, y, z in taps(op.op.window, (row, column), x.shape):
            for c in range(depth):
                value = int(x[y, z, first + c]) - source.zero_point
                acc[row, column, out] += value * int(op.weight[out, i, j, c])
        acc[row, column, out] += 0 if op.bias is None else int(op.bias[out])
    return numerics.requantize(acc, multiplier, shift, target.zero_point, *op.clamp)


@pytest.mark.parametrize("kind", ["max_pool", "average_pool"])
def test_pools_of_any_geometry(kind: str) -> None:
    @examples(60)
    @given(graphs((kind,), 1))
    def check(graph: QGraph) -> None:
        x = random_inputs(graph, 2)
        assert np.array_equal(simulate(graph, x), [pool_by_loops(graph, sample) for sample in x])

    check()


@examples(25)
@given(graphs(("conv2d",), 1))
def test_convolutions_by_the_book(graph: QGraph) -> None:
    x = random_inputs(graph, 1)
    assert np.array_equal(simulate(graph, x)[0], conv_by_loops(graph, x[0]))


# --- The simulator's own manners ------------------------------------------------------------------


@examples(40)
@given(graphs())
def test_simulate_all_names_every_tensor(graph: QGraph) -> None:
    x = random_inputs(graph, 5)
    tensors = simulate_all(graph, x)
    assert tensors.keys() == graph.tensors.keys()
    assert all(tensors[name].shape == (5, *t.shape) for name, t in graph.tensors.items())
    assert all(tensor.dtype == np.int8 for tensor in tensors.values())
    assert np.array_equal(tensors[graph.output], simulate(graph, x))


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = random_graph(3)
    x = random_inputs(graph, 23)
    whole = simulate(graph, x)
    monkeypatch.setattr("nanotool.simulate.run.CHUNK_BYTES", 1)
    assert np.array_equal(simulate(graph, x), whole)
    assert simulate(graph, x[:0]).shape == (0, *graph.output_tensor.shape)


def test_wrong_inputs_are_refused() -> None:
    graph = random_graph(1)
    x = random_inputs(graph, 2)
    wrongs: list[Any] = [x.astype(np.float32), x[..., np.newaxis], x[0]]
    for wrong in wrongs:
        with pytest.raises(InvalidModel) as caught:
            simulate(graph, wrong)
        assert caught.value.hint


def test_an_operator_without_int8_form_is_refused() -> None:
    tensor = QTensor("x", (3,), 0.1, 0)
    graph = one_op(QOp("y", Clamp(0, 1), ("x",)), tensor, replace(tensor, name="y"))
    with pytest.raises(InvalidModel, match="Clamp has no int8 form"):
        simulate(graph, np.zeros((1, 3), np.int8))
    with pytest.raises(InvalidModel, match="Clamp has no int8 form"):
        backend.write(graph)


def test_average_of_nothing_is_refused() -> None:
    window = Window((1, 1), padding=(1, 1, 1, 1))
    source, target = QTensor("x", (2, 2, 1), 0.1, 0), QTensor("y", (4, 4, 1), 0.1, 0)
    graph = one_op(QOp("y", AveragePool2D(window), ("x",)), source, target)
    with pytest.raises(InvalidModel, match="wholly in the padding"):
        simulate(graph, np.zeros((1, 2, 2, 1), np.int8))


# --- The .tflite writer ---------------------------------------------------------------------------


def operators(model: bytes) -> list[str]:
    """The names of the operators in a .tflite file, in order."""
    root: Any = tflite.Model.GetRootAs(model)
    names = {v: k for k, v in vars(tflite.BuiltinOperator).items() if isinstance(v, int)}
    graph = root.Subgraphs(0)
    return [
        names[root.OperatorCodes(graph.Operators(i).OpcodeIndex()).BuiltinCode()]
        for i in range(graph.OperatorsLength())
    ]


def test_files_are_identified_deterministic_and_aligned() -> None:
    for seed in range(20):
        graph = random_graph(seed, tflite=True)
        model = backend.write(graph)
        assert model == backend.write(graph)
        assert tflite.Model.ModelBufferHasIdentifier(model, 0)
        root: Any = tflite.Model.GetRootAs(model)
        assert root.Version() == 3
        assert root.Buffers(0).DataIsNone()
        for i in range(1, root.BuffersLength()):
            table = root.Buffers(i)._tab
            assert table.Vector(table.Offset(4)) % 16 == 0
        tensors = root.Subgraphs(0)
        assert tensors.Tensors(tensors.Inputs(0)).Name() == b"input"
        assert tensors.Tensors(tensors.Outputs(0)).Name() == graph.output.encode()


@pytest.mark.parametrize(
    ("clamp", "expected"),
    [
        ((-128, 127), []),
        ((-28, 127), []),  # ReLU at zero point -28
        ((-28, 32), []),  # ReLU6 at scale 0.1
        ((-38, -18), []),  # ReLU N1 to 1
        ((-28, 100), ["MAXIMUM", "MINIMUM"]),
        ((-128, 100), ["MINIMUM"]),
        ((-27, 127), ["MAXIMUM"]),
        ((5, 5), ["MAXIMUM", "MINIMUM"]),
    ],
)
def test_clamps_become_activations_where_they_can(
    clamp: tuple[int, int], expected: list[str]
) -> None:
    weight = np.full((1, 1), 127, np.int8)
    op = QOp("y", Dense(), ("x",), weight, np.array([0.01], np.float32), clamp=clamp)
    graph = one_op(op, QTensor("x", (1,), 0.1, 0), QTensor("y", (1,), 0.1, -28))
    assert operators(backend.write(graph)) == ["FULLY_CONNECTED", *expected]
    assert_equal_to_tflm(graph, np.arange(-128, 128).astype(np.int8)[:, np.newaxis])


def test_unary_clamps() -> None:
    source, target = QTensor("x", (256,), 0.1, 0), QTensor("y", (256,), 0.2, -28)
    graph = one_op(QOp("y", Unary("identity"), ("x",), clamp=(-28, 2)), source, target)
    assert operators(backend.write(graph)) == ["QUANTIZE", "MAXIMUM", "MINIMUM"]
    assert_equal_to_tflm(graph, np.arange(-128, 128).astype(np.int8)[np.newaxis])


@pytest.mark.parametrize(
    ("op", "what"),
    [
        (MaxPool2D(Window((2, 2), dilation=(2, 2))), "a dilated pool"),
        (AveragePool2D(Window((2, 2), dilation=(1, 2))), "a dilated pool"),
        (AveragePool2D(Window((3, 3), padding=(2, 2, 2, 2))), "an average pool with padding"),
    ],
)
def test_what_tflite_cannot_say_is_refused(op: MaxPool2D | AveragePool2D, what: str) -> None:
    rows, columns = op.window.output_size(5, 5)
    source, target = QTensor("x", (5, 5, 1), 0.1, 0), QTensor("y", (rows, columns, 1), 0.1, 0)
    with pytest.raises(UnsupportedOp, match=f"^y: {what}") as caught:
        backend.write(one_op(QOp("y", op, ("x",)), source, target))
    assert "export C source" in caught.value.hint


# --- The generator that all differential tests share ----------------------------------------------


def test_random_graphs_are_valid_repeatable_and_varied() -> None:
    seen: Counter[str] = Counter()
    distinct = []
    for seed in range(300):
        graph = random_graph(seed)
        validate.validate(graph)
        assert graph.samples is not None
        y = simulate(graph, random_inputs(graph, 20, seed))
        distinct.append(len(np.unique(y)))
        for op in graph.ops:
            seen[type(op.op).__name__] += 1
            if op.weight is not None:
                seen["-128"] += bool((op.weight == -128).any())
                seen["±127"] += bool((abs(op.weight.astype(int)) == 127).any())
                seen["no bias"] += op.bias is None
                seen["clamp"] += op.clamp != (-128, 127)
            if isinstance(op.op, Conv2D):
                seen["groups"] += op.op.groups > 1
                seen["dilation"] += max(op.op.window.dilation) > 1
    assert KERNELS.keys() == backend.EMITTERS.keys()
    assert all(seen[op.__name__] for op in KERNELS), "a new operator needs a row in random_graphs"
    assert min(seen.values()) >= 10, seen
    assert len(seen) == len(KINDS) + 6
    assert np.median(distinct) >= 15  # the outputs are not constants
    for seed in range(5):
        same = [backend.write(random_graph(seed, tflite=True)) for _ in range(2)]
        assert same[0] == same[1]
