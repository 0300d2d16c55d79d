"""nanotool.simulate against TFLite Micro's reference kernels, byte for byte.

The graphs go through nanotool.backends.tflite, so that this tests the writer as well. What
TensorFlow Lite cannot express (dilated pools, average pools with any padding) is compared with
plain loops; test_tflm_faults shows where TFLite Micro has no answer. NANO_EXAMPLES=20 makes a long
run of it.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import oracle
import pytest
import tflite
from hypothesis import given
from hypothesis import strategies as st
from random_graphs import ALL, BASIC, TFLITE, examples, graphs, random_graph, random_inputs

from nanotool import numerics, validate
from nanotool.backends import tflite as backend
from nanotool.backends.tflite.file import Codes
from nanotool.errors import InvalidModel, UnsupportedOp
from nanotool.ir import (
    DTYPES,
    AveragePool2D,
    Binary,
    Clamp,
    Concat,
    Conv2D,
    ConvTranspose2D,
    Custom,
    Dense,
    Int8Array,
    MaxPool2D,
    Mean,
    Op,
    Pad,
    QGraph,
    QOp,
    QTensor,
    Resize,
    Shape,
    Slice,
    Softmax,
    Unary,
    Window,
)
from nanotool.ops import FACTS, INT8_OPERATORS
from nanotool.simulate import simulate, simulate_all


def assert_equal_to_tflm(graph: QGraph, x: Int8Array) -> None:
    ours, theirs = simulate(graph, x), oracle.run(graph, x)
    assert np.array_equal(ours, theirs), f"{np.count_nonzero(ours != theirs)} bytes of {ours.size}"


# --- Against TFLite Micro -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in TFLITE if kind != "fork"])
def test_every_kernel(kind: str) -> None:
    @examples(150)
    @given(graphs((kind,), 1, tflite=True), st.integers(0, 2**16))
    def check(graph: QGraph, seed: int) -> None:
        assert_equal_to_tflm(graph, random_inputs(graph, 6, seed))

    check()


@examples(150)
@given(graphs(BASIC, tflite=True), st.integers(0, 2**16))
def test_chains_of_operators(graph: QGraph, seed: int) -> None:
    assert_equal_to_tflm(graph, random_inputs(graph, 6, seed))


@examples(150)
@given(graphs(("conv2d", "max_pool", "average_pool"), 3, tflite=True), st.integers(0, 2**16))
def test_windows_upon_windows(graph: QGraph, seed: int) -> None:
    assert_equal_to_tflm(graph, random_inputs(graph, 6, seed))


def one_op(op: QOp, source: QTensor, target: QTensor) -> QGraph:
    return QGraph("one", {source.name: source, target.name: target}, (op,), (source.name,), ("y",))


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


@examples(60)
@given(graphs(ALL, 12, borders=True))
def test_simulate_all_names_every_tensor(graph: QGraph) -> None:
    x = random_inputs(graph, 5)
    tensors = simulate_all(graph, x)
    assert tensors.keys() == graph.tensors.keys()
    assert all(tensors[name].shape == (5, *t.shape) for name, t in graph.tensors.items())
    assert all(tensors[name].dtype == DTYPES[t.dtype] for name, t in graph.tensors.items())
    assert np.array_equal(tensors[graph.output], simulate(graph, x))


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(8):
        graph = random_graph(seed, kinds=ALL, borders=True)
        x = random_inputs(graph, 23)
        with monkeypatch.context() as patch:
            whole = simulate(graph, x)
            patch.setattr("nanotool.simulate.run.CHUNK_BYTES", 1)
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


def written(op: Op, shape: Shape, result: Shape) -> list[str]:
    """The operators in the .tflite file of one ``op`` on zero points of 0."""
    source, target = QTensor("x", shape, 0.1, 0), QTensor("y", result, 0.1, 0)
    return operators(backend.write(one_op(QOp("y", op, ("x",)), source, target)))


def test_what_takes_several_operators() -> None:
    assert written(Slice((0, 1), (1, 1)), (4, 4), (4, 2)) == ["SLICE"]
    assert written(Slice((0, 1), (1, 2)), (4, 4), (4, 2)) == ["STRIDED_SLICE"]
    four = ["RESHAPE", "STRIDED_SLICE", "RESHAPE"]
    assert written(Slice((0,) * 4, (2,) * 4), (4,) * 4, (2,) * 4) == four
    assert written(Pad((1,), (0,)), (3,), (4,)) == ["PAD"]
    assert written(Pad((1,), (0,), 5), (3,), (4,)) == ["PADV2"]
    assert written(Unary("exp"), (3,), (3,)) == ["CAST", "ADD", "GATHER"]
    assert written(Unary("rsqrt"), (3,), (3,)) == ["CAST", "ADD", "GATHER"]
    assert written(Unary("leaky_relu:0.1"), (3,), (3,)) == ["LEAKY_RELU"]
    assert written(Unary("elu"), (3,), (3,)) == ["ELU"]
    assert written(Unary("elu:0.5"), (3,), (3,)) == ["CAST", "ADD", "GATHER"]


@pytest.mark.parametrize(
    ("padding", "size", "expected"),
    [
        ((0, 0, 0, 0), 9, ["TRANSPOSE_CONV"]),  # VALID
        ((0, 0, -1, -1), 10, ["TRANSPOSE_CONV"]),  # VALID, a row and a column of bias
        ((0, 0, 1, 1), 8, ["TRANSPOSE_CONV"]),  # SAME
        ((1, 1, 0, 0), 8, ["TRANSPOSE_CONV", "SLICE"]),
        ((1, 1, 1, 1), 7, ["TRANSPOSE_CONV"]),  # SAME
        ((2, 2, 0, 0), 7, ["TRANSPOSE_CONV", "SLICE"]),
    ],
)
def test_transposed_convolutions_are_cut(
    padding: tuple[int, int, int, int], size: int, expected: list[str]
) -> None:
    rng = np.random.default_rng(0)
    weight = rng.integers(-127, 128, (2, 3, 3, 2)).astype(np.int8)
    op = QOp(
        *("y", ConvTranspose2D(Window((3, 3), (2, 2), padding)), ("x",), weight),
        weight_scale=np.array([0.01, 0.02], np.float32),
        bias=np.array([300, -900], np.int32),
    )
    graph = one_op(op, QTensor("x", (4, 4, 2), 0.1, 17), QTensor("y", (size, size, 2), 0.3, -9))
    validate.validate(graph)
    assert operators(backend.write(graph)) == expected
    assert_equal_to_tflm(graph, random_inputs(graph, 3))


def test_many_inputs_are_joined_in_steps() -> None:
    x, y = QTensor("x", (2, 1), 0.1, 0), QTensor("y", (2, 25), 0.1, 0)
    graph = one_op(QOp("y", Concat(1), ("x",) * 25), x, y)
    assert operators(backend.write(graph)) == ["CONCATENATION"] * 3
    assert_equal_to_tflm(graph, random_inputs(graph, 3))


# --- The generator that all differential tests share ----------------------------------------------


def test_random_graphs_are_valid_repeatable_and_varied() -> None:
    seen: Counter[str] = Counter()
    distinct = []
    for seed in range(400):
        graph = random_graph(seed, kinds=ALL, borders=True)
        validate.validate(graph)
        y = simulate(graph, random_inputs(graph, 20, seed))
        distinct.append(len(np.unique(y)))
        seen.update(features(graph))
    # Those with states are in steps.py, those of packages in test_own_operator.py.
    drawn = [op for op in INT8_OPERATORS if not FACTS[op].recurrent and op is not Custom]
    assert all(seen[op.__name__] for op in drawn), "a new operator needs a row in random_graphs"
    assert all(seen[feature] >= 10 for feature in FEATURES), seen
    assert np.median(distinct) >= 10  # the outputs are not constants
    assert np.mean(np.array(distinct) > 1) > 0.9
    for seed in range(5):
        again = [random_graph(seed, kinds=ALL, tflite=True, borders=True) for _ in range(2)]
        assert backend.write(again[0]) == backend.write(again[1])


def test_each_operator_is_written_as_it_says() -> None:
    """Beside the padding in front and the clamp behind."""
    names = {code: name for name, code in vars(Codes).items()}
    for seed in range(60):
        graph = random_graph(seed, kinds=ALL, tflite=True, borders=True)
        said = {names[code] for op in graph.ops for code in backend.emits.writes[type(op.op)]}
        around = {"PAD", "PADV2", "MAXIMUM", "MINIMUM"}
        assert set(operators(backend.write(graph))) <= said | around


FEATURES = (
    *("-128", "±127", "no bias", "clamp", "groups", "depthwise", "dilation", "two readers"),
    *(
        "branches meet",
        "constant",
        "float32 input",
        "uint8 input",
        "int32 output",
        "float32 output",
    ),
    *("uint8 output", "add", "sub", "mul", "maximum", "minimum", "nearest", "bilinear", "strided"),
    *("one operand twice", "value", "keep_dims", "extra rows"),
)


def features(graph: QGraph) -> Iterator[str]:
    """What there is in ``graph``: operators by their class, and their particular ways."""
    readers = Counter(name for op in graph.ops for name in set(op.inputs))
    yield from ["two readers"] * any(count > 1 for count in readers.values())
    yield from ["constant"] * bool(graph.constants)
    yield f"{graph.input_tensor.dtype} input"
    yield f"{graph.output_tensor.dtype} output"
    for op in graph.ops:
        yield type(op.op).__name__
        computed = [name for name in op.inputs if name not in graph.constants]
        yield from ["branches meet"] * (len(set(computed)) > 1)
        yield from ["one operand twice"] * (len(set(op.inputs)) < len(op.inputs))
        yield from ["clamp"] * (op.clamp != (-128, 127))
        if op.weight is not None:
            yield from ["-128"] * bool((op.weight == -128).any())
            yield from ["±127"] * bool((abs(op.weight.astype(int)) == 127).any())
            yield from ["no bias"] * (op.bias is None)
        match op.op:
            case Conv2D(window, groups):
                yield from ["groups"] * (groups > 1)
                yield from ["depthwise"] * (groups == graph.tensors[op.inputs[0]].shape[2] > 1)
                yield from ["dilation"] * (max(window.dilation) > 1)
            case ConvTranspose2D(window):
                yield from ["extra rows"] * (min(window.padding) < 0)
            case Binary(function):
                yield function
            case Resize(method):
                yield method
            case Slice(_, stride):
                yield from ["strided"] * any(step > 1 for step in stride)
            case Pad(_, _, value):
                yield from ["value"] * (value is not None)
            case Mean(_, keep_dims):
                yield from ["keep_dims"] * keep_dims
