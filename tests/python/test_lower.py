"""QGraph -> Lowered: parameters, folding, aliases, limits, and how far outputs may overlap."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from handmade import GraphBuilder, digits_cnn
from operators import OPERATORS, Draw, operator_graph
from random_graphs import random_graph

from nanotool import simulate, targets
from nanotool.backends.c import emit
from nanotool.errors import InvalidModel, NanoError
from nanotool.ir import (
    Array,
    Binary,
    Concat,
    Conv2D,
    Dense,
    MaxPool2D,
    Pad,
    QGraph,
    QOp,
    QTensor,
    Reshape,
    Slice,
    Struct,
    Transpose,
    Unary,
    Window,
)
from nanotool.lower import layer_names, lower
from nanotool.lower.deduplicate import deduplicated
from nanotool.plan import plan
from nanotool.report.collect import layer_rows


def chain(*ops: tuple[Any, tuple[int, ...]], shape: tuple[int, ...] = (4, 5, 3)) -> QGraph:
    """A graph of operators without weights, each given with its output's shape."""
    b = GraphBuilder("chain", shape)
    for i, (op, result) in enumerate(ops):
        b.plain(f"layer{i}", op, result)
    return b.graph()


def fields(struct: Struct) -> dict[str, Any]:
    return dict(struct.fields)


def data(value: Any) -> list[int]:
    assert isinstance(value, Array)
    return [int(v) for v in value.data]


# --- Parameters -----------------------------------------------------------------------------------


def test_digits_costs() -> None:
    lowered = lower(digits_cnn())
    assert [op.kernel for op in lowered.ops] == [
        *("nano_conv2d_max_pool", "nano_conv2d_max_pool", "nano_dense")
    ]
    assert [op.source for op in lowered.ops] == [
        *(("features.0", "features.2"), ("features.3", "features.5"), ("classifier",))
    ]
    assert lowered.macs == 290_080
    arrays = [conv_or_self(op.params) for op in lowered.ops if op.macs]
    assert lowered.weight_bytes == sum(
        array.nbytes
        for params in arrays
        for array in (
            *(fields(params)[name] for name in ("weights", "bias")),
            *(fields(fields(params)["requant"])[name] for name in ("multiplier", "shift")),
        )
    )
    assert lowered.weight_bytes == 72 + 1152 + 7840 + 34 * (4 + 4 + 1)


def conv_or_self(params: Struct) -> Struct:
    """The convolution's own params within those of a call that does more."""
    conv = fields(params).get("conv")
    return conv if isinstance(conv, Struct) else params


def test_the_input_zero_point_is_folded_into_the_bias() -> None:
    b = GraphBuilder("fold", (3,))
    b.dense("fc", 2)
    graph = b.graph()
    weight = np.array([[1, 2, 3], [-4, 5, -6]], np.int8)
    bias = np.array([100, -7], np.int32)
    ops = (replace(graph.ops[0], weight=weight, bias=bias),)
    params = fields(lower(replace(graph, ops=ops)).ops[0].params)
    zero_point = graph.input_tensor.zero_point
    assert data(params["bias"]) == [100 - zero_point * 6, -7 - zero_point * -5]
    assert data(params["weights"]) == [1, 2, 3, -4, 5, -6]
    ops = (replace(graph.ops[0], weight=weight, bias=None),)
    params = fields(lower(replace(graph, ops=ops)).ops[0].params)
    assert data(params["bias"]) == [-zero_point * 6, -zero_point * -5]


@pytest.mark.parametrize("scales", [1, 4])
def test_one_multiplier_or_one_a_channel(scales: int) -> None:
    b = GraphBuilder("requant", (6, 6, 2))
    b.conv2d("conv", 4)
    graph = b.graph()
    scale = np.full(scales, 0.01, np.float32)
    lowered = lower(replace(graph, ops=(replace(graph.ops[0], weight_scale=scale),)))
    requant = fields(fields(lowered.ops[0].params)["requant"])
    assert requant["per_channel"] == int(scales > 1)
    assert len(data(requant["multiplier"])) == len(data(requant["shift"])) == scales
    assert all(2**30 <= multiplier < 2**31 for multiplier in data(requant["multiplier"]))


def test_arrays_belong_to_nobody_else() -> None:
    """A lowered array cannot be written."""
    array = lower(digits_cnn()).arrays()[0]
    with pytest.raises(ValueError, match="read-only"):
        array.data[0] = 1


def test_arrays_of_the_same_content_are_in_flash_once() -> None:
    """A layer used twice has one array of weights; the sources say who shares it, the report
    counts it once. What has another type is no less another array."""
    b = GraphBuilder("twice", (6, 6, 4))
    b.conv2d("first", 4)
    b.conv2d("second", 4)
    graph = b.graph()
    second = replace(graph.ops[1], weight=graph.ops[0].weight)
    lowered = lower(replace(graph, ops=(graph.ops[0], second)))
    names = [array.name for array in lowered.arrays()]
    assert "first_weights" in names and "second_weights" not in names
    weights = [fields(op.params)["weights"] for op in lowered.ops]
    assert weights[0] is weights[1]
    planned = plan(lowered)
    rows = layer_rows(lowered, planned)
    assert sum(row.weight_bytes for row in rows) == lowered.weight_bytes
    text = emit.sources([(lowered, planned)])["twice_weights.c"].decode()
    assert "first and 1 more: weights" in text
    assert "second_weights" not in text
    zeros = [Array(f"zeros{size}", np.zeros(8 // size, f"i{size}")) for size in (1, 2, 4)]
    ops = [replace(lowered.ops[0], params=Struct("s", (("a", array),))) for array in zeros]
    shared = [fields(op.params)["a"] for op in deduplicated([*ops, *ops])]
    assert all(a is b for a, b in zip(shared, zeros * 2, strict=True))


# --- Aliases --------------------------------------------------------------------------------------


def test_reshapes_vanish() -> None:
    graph = chain((Reshape((60,)), (60,)), (Unary("identity"), (60,)), (Reshape((6, 10)), (6, 10)))
    lowered = lower(graph)
    assert [op.name for op in lowered.ops] == ["layer1"]
    assert lowered.ops[0].inputs == ("input",)
    assert lowered.output == "layer1"
    assert dict(lowered.buffers) == {"input": 60, "layer1": 60}


@pytest.mark.parametrize(
    ("shape", "permutation", "kernel"),
    [
        ((1, 5, 3), (1, 0, 2), False),
        ((4, 1, 3), (0, 2, 1), False),
        ((4, 5, 3), (0, 1, 2), False),
        ((1, 1, 1), (2, 1, 0), False),
        ((4, 5, 3), (2, 0, 1), True),
        ((5, 3), (1, 0), True),
    ],
)
def test_a_transpose_that_moves_nothing_vanishes(
    shape: tuple[int, ...], permutation: tuple[int, ...], kernel: bool
) -> None:
    result = tuple(shape[axis] for axis in permutation)
    lowered = lower(chain((Transpose(permutation), result), shape=shape))
    assert len(lowered.ops) == int(kernel)


def test_a_transpose_merges_axes_only_as_far_as_16_bits_hold() -> None:
    small = lower(chain((Transpose((2, 0, 1)), (3, 20, 30)), shape=(20, 30, 3)))
    assert fields(small.ops[0].params) == {"shape": (1, 1, 3, 600), "stride": (0, 0, 1, 3)}
    large = lower(chain((Transpose((2, 0, 1)), (3, 300, 301)), shape=(300, 301, 3)))
    assert fields(large.ops[0].params) == {"shape": (1, 3, 300, 301), "stride": (0, 1, 903, 3)}


def test_a_whole_slice_and_an_empty_pad_vanish() -> None:
    whole = (Slice((0, 0, 0), (1, 1, 1)), (4, 5, 3))
    nothing = (Pad((0, 0, 0), (0, 0, 0), 7), (4, 5, 3))
    lowered = lower(chain(whole, nothing))
    assert (lowered.ops, lowered.output) == ((), "input")


def test_what_depends_on_constants_only_becomes_one() -> None:
    draw = Draw(np.random.default_rng(0))
    source = draw.input((4,))
    for name in ("a", "b"):
        draw.constant(QTensor(name, (4,), 0.1, 3))
    draw.add(Binary("add"), QTensor("sum", (4,), 0.2, -5), "a", "b")
    draw.add(Binary("add"), QTensor("output", (4,), source.scale, 0), "input", "sum")
    graph = draw.graph("constants")
    lowered = lower(graph)
    assert [op.name for op in lowered.ops] == ["output"]
    assert dict(lowered.buffers) == {"input": 4, "output": 4}
    (array,) = lowered.arrays()
    assert np.array_equal(array.data, simulate.simulate_all(graph, ZEROS)["sum"][0])
    refused(
        replace(graph, ops=graph.ops[:1], outputs=("sum",), tensors=without(graph, "output")), "sum"
    )


ZEROS = np.zeros((1, 4), np.int8)


def without(graph: QGraph, *names: str) -> dict[str, QTensor]:
    return {name: tensor for name, tensor in graph.tensors.items() if name not in names}


# --- Several calls, several inputs ----------------------------------------------------------------


def test_a_concat_is_a_copy_an_input() -> None:
    draw = Draw(np.random.default_rng(0))
    pieces = [QTensor(name, (2, size), 0.1, 0) for name, size in (("a", 3), ("b", 1), ("c", 2))]
    draw.cut(pieces[0], pieces[2])
    draw.constant(pieces[1])
    draw.add(Concat(1), QTensor("output", (2, 6), 0.1, 0), "a", "b", "c")
    lowered = lower(draw.graph("joined"))
    ops = [op for op in lowered.ops if op.output == "output"]
    assert [op.inputs for op in ops] == [("a",), (), ("c",)]
    assert [op.source for op in ops] == [(), (), ("output",)]
    assert [fields(op.params)["out_offset"] for op in ops] == [0, 3, 4]
    assert [fields(op.params)["constant"] is None for op in ops] == [True, False, True]
    # The first input's last byte goes to byte 8; when the one before it is written (to 7), it must
    # still be there: 7 - 4. The last input must lie behind what the first two write.
    assert [op.overlaps for op in ops] == [(3,), (), (10,)]


def test_along_the_first_axis_a_concats_inputs_may_lie_in_their_places() -> None:
    draw = Draw(np.random.default_rng(0))
    pieces = [QTensor(name, (size, 2), 0.1, 0) for name, size in (("a", 3), ("b", 1), ("c", 2))]
    draw.cut(*pieces)
    draw.add(Concat(0), QTensor("output", (6, 2), 0.1, 0), "a", "b", "c")
    lowered = lower(draw.graph("joined"))
    ops = [op for op in lowered.ops if op.output == "output"]
    assert [op.overlaps for op in ops] == [(0,), (6,), (8,)]


def test_operands_stretch_and_axes_merge() -> None:
    draw = Draw(np.random.default_rng(0))
    draw.cut(QTensor("a", (2, 3, 4), 0.1, 0), QTensor("b", (4,), 0.1, 0))
    draw.add(Binary("mul"), QTensor("output", (2, 3, 4), 0.1, 0), "a", "b")
    op = lower(draw.graph("stretched")).ops[-1]
    operands = fields(fields(op.params)["operands"])
    assert operands["shape"] == (1, 1, 6, 4)
    assert operands["stride_a"] == (0, 0, 4, 1)
    assert operands["stride_b"] == (0, 0, 0, 1)
    assert op.inputs == ("a", "b")
    assert op.overlaps == (0, 20)  # the last row still needs all of b


def test_a_constant_operand_stands_in_flash() -> None:
    draw = Draw(np.random.default_rng(0))
    draw.input((2, 4))
    draw.constant(QTensor("b", (4,), 0.1, 0))
    draw.add(Binary("sub"), QTensor("output", (2, 4), 0.1, 0), "b", "input")
    op = lower(draw.graph("constant")).ops[0]
    operands = fields(fields(op.params)["operands"])
    assert operands["b"] is None
    assert data(operands["a"]) == draw.constants["b"].tolist()
    assert (op.inputs, op.overlaps) == (("input",), (0,))


def test_depthwise_weights_have_their_channels_inside() -> None:
    b = GraphBuilder("depthwise", (5, 5, 4))
    b.weighted("conv", Conv2D(Window((3, 3)), groups=4), (3, 3, 8), (8, 3, 3, 1), relu=False)
    op = lower(b.graph()).ops[0]
    assert op.kernel == "nano_depthwise_conv2d"
    weight = b.ops[0].weight
    assert weight is not None
    assert data(fields(op.params)["weights"]) == weight[..., 0].transpose(1, 2, 0).ravel().tolist()
    assert op.macs == 3 * 3 * 8 * 9


# --- Two ops in one call --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["conv2d_max_pool", "conv2d_add"])
def test_most_pairs_become_one_call(kind: str) -> None:
    calls = [lower(operator_graph(kind, seed)).ops[-1] for seed in range(40)]
    assert sum(op.kernel == f"nano_{kind}" for op in calls) >= 30
    assert all(op.source in {("output",), ("conv", "output")} for op in calls)


def test_additions_stay_by_themselves_where_code_is_to_be_small() -> None:
    graph = operator_graph("conv2d_add", 1)
    assert lower(graph, optimize="speed").ops[-1].kernel == "nano_conv2d_add"
    assert lower(graph, optimize="size").ops[-1].kernel == "nano_add"


def pooled(size: int = 2, stride: int = 2) -> QGraph:
    b = GraphBuilder("pooled", (8, 8, 2))
    b.conv2d("conv", 4)
    window = Window((size, size), (stride, stride))
    b.plain("pool", MaxPool2D(window), (*window.output_size(8, 8), 4))
    return b.graph()


def kernels(graph: QGraph) -> list[str]:
    return [op.kernel for op in lower(graph).ops]


def test_what_is_read_elsewhere_or_twice_stays() -> None:
    apart = ["nano_conv2d", "nano_max_pool"]
    assert kernels(pooled()) == ["nano_conv2d_max_pool"]
    assert kernels(replace(pooled(), outputs=("conv",))) == apart  # the image is the answer
    assert kernels(pooled(size=3)) == apart  # windows overlap
    b = GraphBuilder("read_twice", (8, 8, 2))
    b.conv2d("conv", 4)
    b.max_pool("pool")
    graph = b.graph()
    again = replace(graph.ops[1], name="again")
    tensors = {**graph.tensors, "again": replace(graph.tensors["pool"], name="again")}
    assert kernels(replace(graph, ops=(*graph.ops, again), tensors=tensors)) == [
        *("nano_conv2d", "nano_max_pool", "nano_max_pool")
    ]


def test_where_requantization_could_wrap_accumulators_are_not_compared() -> None:
    """A shift to the left by so much that the largest sums would leave int32."""
    graph = pooled()
    steep = np.full(4, 2.0**16, np.float32)
    ops = (replace(graph.ops[0], weight_scale=steep), graph.ops[1])
    assert kernels(replace(graph, ops=ops)) == ["nano_conv2d", "nano_max_pool"]


def test_clamps_of_convolution_and_pool_become_one() -> None:
    graph = pooled()
    for conv, pool in (((-50, 60), (-128, 127)), ((-50, 60), (-20, 90)), ((-50, -40), (10, 20))):
        ops = (replace(graph.ops[0], clamp=conv), replace(graph.ops[1], clamp=pool))
        op = lower(replace(graph, ops=ops)).ops[0]
        requant = fields(fields(conv_or_self(op.params))["requant"])
        every = np.clip(np.clip(np.arange(-128, 128), *conv), *pool)
        assert (requant["min"], requant["max"]) == (every.min(), every.max())


# --- Names ----------------------------------------------------------------------------------------


def test_no_two_symbols_are_the_same() -> None:
    b = GraphBuilder("names", (6,))
    names = ["a.b", "a_b", "A b", "a-b_weights", "model", "ops", "2", "§", "a_b_2", "int"]
    for name in names:
        b.dense(name, 6)
    lowered = lower(b.graph())
    symbols = [f"names_{name}" for name in layer_names(lowered)]
    symbols += [f"names_{array.name}" for array in lowered.arrays()]
    symbols += ["names_model", "names_ops", "names_op_names", "names_golden_input"]
    assert len({symbol.lower() for symbol in symbols}) == len(symbols)
    assert all(symbol.isascii() and symbol.isidentifier() for symbol in symbols)
    assert layer_names(lowered)[0] == "a_b"


# --- Limits ---------------------------------------------------------------------------------------


def refused(graph: QGraph, *words: str) -> None:
    with pytest.raises(InvalidModel) as error:
        lower(graph)
    assert error.value.hint
    for word in words:
        assert word in str(error.value)


def test_sizes_beyond_16_bits_are_refused_by_name() -> None:
    wide = QTensor("input", (1, 65_537, 1), 1.0, 0)
    pooled = QTensor("pool.wide", (1, 32_768, 1), 1.0, 0)
    op = QOp("pool.wide", MaxPool2D(Window((1, 2), (1, 2))), ("input",))
    b = QGraph("wide", {"input": wide, "pool.wide": pooled}, (op,), ("input",), ("pool.wide",))
    refused(b, "input", "65537", "65,535")
    flat = QTensor("input", (257, 256), 1.0, 0)
    inner = QTensor("reshape", (1, 65_792, 1), 1.0, 0)
    pooled = QTensor("pool.wide", (1, 32_896, 1), 1.0, 0)
    reshape = QOp("reshape", Reshape((1, 65_792, 1)), ("input",))
    op = QOp("pool.wide", MaxPool2D(Window((1, 2), (1, 2))), ("reshape",))
    tensors = {"input": flat, "reshape": inner, "pool.wide": pooled}
    refused(QGraph("wide", tensors, (reshape, op), ("input",), ("pool.wide",)), "pool.wide", "in_w")


def test_too_many_dense_rows_are_refused() -> None:
    b = GraphBuilder("rows", (300, 300, 1))
    b.dense("per_pixel", 2)
    refused(b.graph(samples=1), "per_pixel", "rows", "90,000")


def test_a_sum_beyond_int32_is_refused_by_name() -> None:
    b = GraphBuilder("sums", (16,))
    b.dense("head.fc", 2)
    graph = b.graph()
    bias = np.array([0, 2**31 - 100_000], np.int32)
    refused(replace(graph, ops=(replace(graph.ops[0], bias=bias),)), "head.fc", "channel 1")


def test_a_pool_window_whose_sum_could_overflow_is_refused() -> None:
    window = Window((60_000, 60_000), padding=(30_000,) * 4)
    refused(chain((MaxPool2D(window), (5, 6, 3))), "layer0", "3,600,000,000")


def test_unknown_target_and_goal() -> None:
    with pytest.raises(NanoError, match="portable"):
        lower(digits_cnn(), target="z80")
    with pytest.raises(NanoError, match="balanced"):
        lower(digits_cnn(), optimize="magic")
    assert targets.find_target("portable").guard == ""


# --- Overlap --------------------------------------------------------------------------------------


def test_overlaps_of_known_layers() -> None:
    b = GraphBuilder("known", (28, 28, 1))
    b.conv2d("conv", 8)
    # When the convolution writes its last byte but one, the 6,271st, the last one still needs the
    # input from pixel (26, 26) on, byte 754.
    assert lower(b.graph()).ops[0].overlaps == (5517,)
    # With the pool: when it has written all pixels but the last, 195 of 8 bytes, that one needs
    # the input from pixel (25, 25) on, byte 725.
    assert [op.overlaps for op in lower(digits_cnn()).ops] == [(835,), (8,), (9,)]
    assert lower(chain((Unary("identity"), (4, 5, 3)))).ops[0].overlaps == (0,)


def test_overlaps_are_never_larger_than_apart() -> None:
    graphs = [random_graph(seed) for seed in range(100)]
    graphs += [operator_graph(kind, seed) for kind in OPERATORS for seed in range(20)]
    for lowered in map(lower, graphs):
        for op in lowered.ops:
            assert len(op.overlaps) == len(op.inputs)
            for gap in op.overlaps:
                assert gap is None or 0 <= gap < lowered.buffers[op.output]


def test_dense_rows_overlap_row_by_row() -> None:
    b = GraphBuilder("rows", (10, 8))
    b.dense("wide", 8)
    assert isinstance(b.ops[0].op, Dense)
    # While the last output of a row is still to come, the row is needed from its start on.
    assert lower(b.graph()).ops[0].overlaps == (7,)


def test_grouped_convolutions_need_their_group_only() -> None:
    b = GraphBuilder("depthwise", (5, 5, 4))
    op = Conv2D(Window((1, 1)), groups=4)
    b.weighted("conv", op, (5, 5, 4), (4, 1, 1, 1), relu=False)
    assert lower(b.graph()).ops[0].overlaps == (0,)
