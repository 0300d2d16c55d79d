"""Lossless passes on graphs made by hand: what should go goes, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hand_nets import FULL, Net, can_be_lowered, check_same, kinds, names
from random_graphs import random_inputs

from nanotool.ir import (
    ArgMax,
    AveragePool2D,
    Binary,
    Concat,
    Conv2D,
    ConvTranspose2D,
    Dense,
    LayerQuality,
    MaxPool2D,
    Mean,
    Op,
    Pad,
    PRelu,
    QGraph,
    QOp,
    Quantize,
    Reshape,
    Shape,
    Slice,
    Softmax,
    Transpose,
    Unary,
    Window,
)
from nanotool.passes.lossless import (
    PassRecord,
    constant_operands,
    fuse_activations,
    pad_into_windows,
    simplify,
)
from nanotool.simulate import simulate_all

# Constants, dead code


def test_nothing_to_do() -> None:
    net = Net()
    net.conv("a", "input", 3)
    graph = net.graph()
    log: list[PassRecord] = []
    assert simplify(graph, log) is graph
    assert log == []


def test_what_nobody_reads_goes() -> None:
    net = Net()
    net.conv("a", "input", 3)
    net.conv("unread", "input", 2)
    net.add("unread.too", Unary("relu"), "unread")
    net.constant("alone", [1, 2])
    net.add("y", Unary("abs"), "a", scale=0.03)
    graph = replace(net.graph(), quality=(LayerQuality("a", 9, 0), LayerQuality("unread", 9, 0)))
    result = simplify(graph)
    assert names(result) == ["a", "y"]
    assert result.tensors.keys() == {"input", "a", "y"}
    assert not result.constants
    assert [entry.tensor for entry in result.quality] == ["a"]


def test_what_depends_on_constants_is_one() -> None:
    net = Net((4,))
    net.constant("a", [1, 2, 3, 4])
    net.constant("b", [-9, 9, 100, 100])
    net.add("sum", Binary("add"), "a", "b", scale=0.3)
    net.add("abs", Unary("abs"), "sum")
    net.add("y", Binary("mul"), "input", "abs", scale=1.0)
    graph = net.graph()
    result = net.optimized()
    assert names(result) == ["y"]
    assert result.constants.keys() == {"abs"}
    x = random_inputs(graph, 1)
    assert np.array_equal(result.constants["abs"], simulate_all(graph, x)["abs"][0])


def test_an_output_that_is_constant_stays_an_op() -> None:
    net = Net((2,))
    net.constant("a", [1, 2])
    net.add("b", Unary("abs"), "a")
    net.add("y", Unary("relu"), "b")
    result = net.optimized()
    assert names(result) == ["y"]
    net = Net((2,))
    net.weighted("a", Dense(), "input", (3,), (3, 2))
    net.kill("a", {0: 3, 1: 4, 2: 5})
    assert names(net.optimized()) == ["a"]


def test_operand_that_never_changes_is_a_constant() -> None:
    net = Net()
    net.conv("dead", "input", 2)
    net.kill("dead", {0: 30, 1: -40})
    net.conv("a", "input", 2)
    net.add("y", Binary("add"), "dead", "a", scale=0.15)
    result = net.optimized()
    assert names(result) == ["a", "y"]
    (constant,) = result.constants.items()
    assert constant[1].tolist() == [30, -40]
    assert result.op("y").inputs == (constant[0], "a")


def test_output_never_loses_its_input_to_a_constant() -> None:
    net = Net()
    net.conv("dead", "input", 2)
    net.kill("dead", {0: 30, 1: -40})
    net.conv("dead.too", "input", 2)
    net.kill("dead.too", {0: 1, 1: 2})
    net.add("y", Binary("add"), "dead", "dead.too", scale=0.15)
    assert can_be_lowered(net.optimized())


def test_operand_that_never_changes_stays_where_the_other_one_is_made_of_constants() -> None:
    net = Net()
    net.conv("dead", "input", 2)
    net.kill("dead", {0: 30, 1: -40})
    net.constant("k", np.ones((4, 4, 2), int))
    net.add("abs", Unary("abs"), "k")
    net.add("y", Binary("add"), "dead", "abs", scale=0.15)
    graph = net.graph()
    assert constant_operands(graph) is graph  # the output would not depend on the input


# Moves


def test_one_reshape_of_several() -> None:
    net = Net((4, 3, 2))
    net.add("a", Reshape((24,)), "input", shape=(24,))
    net.add("b", Reshape((2, 12)), "a", shape=(2, 12))
    net.add("c", Reshape((6, 4)), "b", shape=(6, 4))
    net.add("y", Softmax(), "c", scale=1 / 256, zero_point=-128)
    result = net.optimized()
    assert names(result) == ["c", "y"]
    assert result.op("c").inputs == ("input",)


def test_reshape_there_and_back_goes() -> None:
    net = Net((4, 3, 2))
    net.add("a", Reshape((24,)), "input", shape=(24,))
    net.add("b", Reshape((4, 3, 2)), "a", shape=(4, 3, 2))
    net.conv("y", "b", 2)
    assert names(net.optimized()) == ["y"]


def test_the_output_is_never_the_input() -> None:
    net = Net((4, 3, 2))
    net.add("y", Reshape((4, 3, 2)), "input")
    assert names(net.optimized()) == ["y"]
    net = Net((4,))
    net.add("y", Quantize(), "input")
    assert names(net.optimized()) == ["y"]


def test_output_of_a_move_that_does_nothing_is_its_input() -> None:
    net = Net((4, 3, 2))
    net.conv("a", "input", 2)
    net.add("y", Slice((0, 0, 0), (1, 1, 1)), "a")
    assert net.optimized().output == "a"


@pytest.mark.parametrize(
    "op",
    [
        Slice((0, 0, 0), (1, 1, 1)),
        Pad((0, 0, 0), (0, 0, 0), 44),
        Concat(1),
        Transpose((0, 1, 2)),
        MaxPool2D(Window((1, 1))),
        AveragePool2D(Window((1, 1))),
        Quantize(),
        Unary("identity"),
    ],
)
def test_idle_ops_go(op: Op) -> None:
    net = Net()
    net.conv("a", "input", 3)
    net.add("idle", op, "a")
    net.conv("y", "idle", 2)
    assert names(net.optimized()) == ["a", "y"]


def test_pool_over_one_element_that_clamps_is_a_clamp() -> None:
    net = Net()
    net.conv("a", "input", 3, clamp=(-100, 20))
    net.add("b", MaxPool2D(Window((1, 1))), "a", clamp=(-50, 60))
    net.conv("y", "b", 2)
    result = net.optimized()
    assert names(result) == ["b", "y"]
    assert isinstance(result.op("b").op, Conv2D)
    assert result.op("b").clamp == (-50, 20)


def test_transposes_that_follow_each_other_are_one() -> None:
    net = Net((4, 3, 2))
    net.add("a", Transpose((1, 2, 0)), "input", shape=(3, 2, 4))
    net.add("b", Transpose((0, 2, 1)), "a", shape=(3, 4, 2))
    net.add("y", Softmax(), "b", scale=1 / 256, zero_point=-128)
    result = net.optimized()
    assert names(result) == ["b", "y"]
    assert result.op("b").op == Transpose((1, 0, 2))


def test_transposes_that_undo_each_other_go() -> None:
    net = Net((4, 3, 2))
    net.add("a", Transpose((1, 2, 0)), "input", shape=(3, 2, 4))
    net.add("b", Transpose((2, 0, 1)), "a", shape=(4, 3, 2))
    net.conv("y", "b", 2)
    assert names(net.optimized()) == ["y"]


def test_transpose_that_moves_no_byte_is_a_reshape() -> None:
    net = Net((1, 5, 2))
    net.add("a", Transpose((1, 2, 0)), "input", shape=(5, 2, 1))
    net.add("y", Softmax(), "a", scale=1 / 256, zero_point=-128)
    assert kinds(net.optimized()) == [Reshape, Softmax]


def test_pads_that_follow_each_other_are_one() -> None:
    net = Net()
    net.add("a", Pad((1, 0, 0), (0, 2, 0)), "input", shape=(5, 6, 2))
    net.add("b", Pad((1, 1, 0), (0, 0, 1), -5), "a", shape=(6, 7, 3))
    net.add("y", AveragePool2D(Window((2, 2))), "b", shape=(5, 6, 3))
    result = net.optimized()
    assert names(result) == ["b", "y"]
    assert result.op("b").op == Pad((2, 1, 0), (0, 2, 1), -5)


def test_pads_with_different_values_stay() -> None:
    net = Net()
    net.add("a", Pad((1, 0, 0), (0, 2, 0)), "input", shape=(5, 6, 2))
    net.add("b", Pad((1, 1, 0), (0, 0, 1), -6), "a", shape=(6, 7, 3))
    net.add("y", AveragePool2D(Window((2, 2))), "b", shape=(5, 6, 3))
    assert names(net.optimized()) == ["a", "b", "y"]


# Transposes and element-wise ops


def turned(net: Net, between: Callable[[Net], str], back: tuple[int, ...] = (2, 0, 1)) -> None:
    """A transpose, what ``between`` adds behind its tensor "t", and another one."""
    net.add("t", Transpose((1, 2, 0)), "input", shape=(3, 2, 4))
    last = between(net)
    shape = net.tensors[last].shape
    net.add("u", Transpose(back), last, shape=tuple(shape[axis] for axis in back))
    net.add("y", Softmax(), "u", scale=1 / 256, zero_point=-128)


def test_transpose_meets_its_inverse_behind_elementwise_ops() -> None:
    def between(net: Net) -> str:
        net.add("a", Unary("abs"), "t", scale=0.2)
        net.add("b", Quantize(), "a", scale=0.13)
        net.add("c", Unary("neg"), "b")
        return "c"

    net = Net((4, 3, 2))
    turned(net, between)
    result = net.optimized()
    assert Transpose not in kinds(result)
    assert result.op("y").inputs == ("c",)


def test_transposed_branches_meet() -> None:
    def between(net: Net) -> str:
        net.conv("other", "input", 2)
        net.add("t.too", Transpose((1, 2, 0)), "other", shape=(3, 2, 4))
        net.add("a", Binary("add"), "t", "t.too", scale=0.2)
        return "a"

    net = Net((4, 3, 2))
    turned(net, between)
    assert names(net.optimized()) == ["other", "a", "y"]


@pytest.mark.parametrize("shape", [(), (1,), (4,), (2, 4), (2, 1), (3, 1, 1), (3, 2, 4)])
def test_constants_turn_with_their_op(shape: Shape) -> None:
    def between(net: Net) -> str:
        net.constant("k", np.arange(int(np.prod(shape))).reshape(shape) * 7 % 50)
        net.add("a", Binary("mul"), "t", "k", scale=1.0)
        return "a"

    net = Net((4, 3, 2))
    turned(net, between)
    result = net.optimized()
    assert names(result) == ["a", "y"]
    assert len(result.constants) == 1


def test_transposes_stay_where_nothing_is_saved() -> None:
    def between(net: Net) -> str:
        net.add("a", Unary("abs"), "t", scale=0.2)
        return "a"

    net = Net((4, 3, 2))
    turned(net, between, back=(2, 1, 0))  # together they still move something: one is enough
    assert kinds(net.optimized()).count(Transpose) == 1
    net = Net((4, 3, 2))
    turned(net, between)
    net.add("z", Unary("neg"), "a")  # who wants the turned tensor itself
    net.add("z.flat", Reshape((24,)), "z", shape=(24,))
    net.add("y.flat", Reshape((24,)), "y", shape=(24,), scale=1 / 256, zero_point=-128)
    net.add("end", Binary("add"), "z.flat", "y.flat", scale=0.3)
    assert kinds(net.optimized()).count(Transpose) == 2


def test_output_between_transposes_stays_turned() -> None:
    net = Net((3, 3, 3))
    net.add("t", Transpose((1, 2, 0)), "input")
    net.add("a", Unary("neg"), "t")
    net.add("u", Transpose((2, 0, 1)), "a")
    net.conv("c", "u", 3)
    net.add("v", Transpose((1, 2, 0)), "c")
    net.add("y", Binary("add"), "a", "v", scale=0.2)
    assert names(net.optimized()) == ["t", "a", "u", "c", "v", "y"]


def test_transposed_operands_may_be_stretched() -> None:
    net = Net((4, 3, 2))
    net.add("t", Transpose((1, 2, 0)), "input", shape=(3, 2, 4))
    net.add("column", Slice((0, 1, 0), (1, 1, 1)), "input", shape=(4, 1, 2))
    net.add("t.column", Transpose((1, 2, 0)), "column", shape=(1, 2, 4))
    net.add("a", Binary("add"), "t.column", "t", shape=(3, 2, 4), scale=0.2)
    net.add("u", Transpose((2, 0, 1)), "a", shape=(4, 3, 2))
    net.conv("y", "u", 3)
    assert names(net.optimized()) == ["column", "a", "y"]


def test_transpose_between_the_same_transposes_is_no_end() -> None:
    net = Net((3, 3, 3))
    net.add("t", Transpose((1, 2, 0)), "input")
    net.add("a", Unary("neg"), "t")
    net.add("s", Transpose((1, 2, 0)), "a")
    net.add("b", Binary("add"), "s", "t", scale=0.2)
    net.add("u", Transpose((2, 0, 1)), "b")
    net.conv("y", "u", 3)
    assert names(net.optimized()) == ["t", "a", "s", "b", "u", "y"]


def test_matrix_that_becomes_an_image_between_transposes_stays_turned() -> None:
    net = Net((3, 2))
    net.constant("k", np.arange(12).reshape(2, 2, 3))
    net.add("t", Transpose((1, 0)), "input", shape=(2, 3))
    net.add("a", Binary("add"), "t", "k", shape=(2, 2, 3), scale=0.2)
    net.add("u", Transpose((0, 2, 1)), "a", shape=(2, 3, 2))
    net.conv("y", "u", 3)
    assert kinds(net.optimized()).count(Transpose) == 2


def test_turned_output_stays_turned() -> None:
    net = Net((4, 3, 2))
    net.add("t", Transpose((1, 2, 0)), "input", shape=(3, 2, 4))
    net.add("y", Unary("abs"), "t", scale=0.2)
    assert names(net.optimized()) == ["t", "y"]


# Tables


@pytest.mark.parametrize(
    ("op", "shape"),
    [
        (MaxPool2D(Window((2, 2))), (3, 3, 2)),
        (AveragePool2D(Window((2, 2))), (3, 3, 2)),
        (Mean((0,)), (4, 2)),
        (Conv2D(Window((1, 1))), (4, 4, 2)),
        (ConvTranspose2D(Window((1, 1))), (4, 4, 2)),
        (Dense(), (4, 4, 2)),
    ],
)
def test_relu_goes_into_the_op_before(op: Op, shape: Shape) -> None:
    net = Net()
    if isinstance(op, (Conv2D, ConvTranspose2D)):
        net.weighted("a", op, "input", shape, (2, 1, 1, 2), clamp=(-90, 60))
    elif isinstance(op, Dense):
        net.weighted("a", op, "input", shape, (2, 2), clamp=(-90, 60))
    else:
        net.add("a", op, "input", shape=shape, clamp=(-90, 60))
    net.add("y", Unary("relu"), "a")
    graph, result = net.graph(), net.optimized()
    assert names(result) == ["y"]
    assert result.op("y").op == op
    assert result.op("y").weight is graph.op("a").weight
    assert result.op("y").clamp == (-5, 60)


@pytest.mark.parametrize("function", ["add", "sub", "mul", "maximum", "minimum"])
def test_relu_goes_into_arithmetic(function: str) -> None:
    net = Net()
    net.conv("b", "input", 2)
    net.add("a", Binary(function), "input", "b", clamp=(-90, 60))
    net.add("y", Unary("relu6"), "a")
    result = net.optimized()
    assert names(result) == ["b", "y"]
    assert result.op("y").clamp == (-5, 55)


def test_activation_stays_where_others_read_what_is_before_it() -> None:
    net = Net()
    net.conv("a", "input", 2)
    net.add("b", Unary("relu"), "a")
    net.add("y", Binary("add"), "a", "b", scale=0.2)
    assert names(net.optimized()) == ["a", "b", "y"]
    net = Net()
    net.conv("y", "input", 2)
    net.add("b", Unary("relu"), "y")
    graph = net.graph("y")
    assert fuse_activations(graph) is graph


def test_maximum_with_a_number_is_a_clamp() -> None:
    net = Net()
    net.conv("a", "input", 3)
    net.constant("six", 55)
    net.add("y", Binary("minimum"), "a", "six")
    result = net.optimized()
    assert result.op("y").clamp == (-128, 55)
    assert names(result) == ["y"]
    assert not result.constants


def test_relu_behind_a_relu_goes() -> None:
    net = Net()
    net.conv("a", "input", 3, clamp=(-5, 127))
    net.add("b", Softmax(), "a", scale=1 / 256, zero_point=-128)
    net.add("c", Unary("relu"), "b", scale=1 / 256, zero_point=-128)
    net.add("y", ArgMax(2), "c", shape=(4, 4), scale=1.0, zero_point=0)
    net.tensors["y"] = replace(net.tensors["y"], dtype="int32")
    assert names(net.optimized()) == ["a", "b", "y"]


def test_other_zero_point_is_stored_at_once() -> None:
    """A shift by a whole number loses nothing, whatever the multipliers."""
    for seed in range(5):
        net = Net(seed=seed)
        net.conv("a", "input", 5, 3, bias=[0, 1, -70, 3000, -9999])
        net.add("b", Quantize(), "a", zero_point=20)
        net.conv("y", "b", 2)
        result = net.optimized()
        assert names(result) == ["b", "y"]
        assert result.op("b").clamp == (-103, 127)  # what -128 becomes


def test_rounding_twice_is_not_rounding_once() -> None:
    net = Net()
    net.conv("a", "input", 5, 3, bias=[0, 1, -70, 3000, -9999])
    net.add("b", Quantize(), "a", scale=0.2)
    net.conv("y", "b", 2)
    assert names(net.optimized()) == ["a", "b", "y"]


def test_sum_stores_another_zero_point_at_once() -> None:
    net = Net()
    net.constant("k", [3, 100])
    net.add("a", Binary("add"), "input", "k", scale=0.3, clamp=(-40, 40))
    net.add("b", Quantize(), "a", scale=0.3, zero_point=0)
    net.conv("y", "b", 2)
    result = net.optimized()
    assert names(result) == ["b", "y"]
    assert result.op("b").clamp == (-35, 45)


def test_prelu_stores_another_zero_point_at_once() -> None:
    net = Net()
    net.constant("k", [3, 100])
    net.add("a", PRelu(), "input", "k", scale=0.3)
    net.add("b", Quantize(), "a", scale=0.3, zero_point=-1)
    net.conv("y", "b", 2)
    assert names(net.optimized()) == ["b", "y"]


def test_pools_keep_their_scale() -> None:
    net = Net()
    net.add("a", MaxPool2D(Window((2, 2))), "input", shape=(3, 3, 2))
    net.add("b", Quantize(), "a", zero_point=20)
    net.conv("y", "b", 2)
    assert names(net.optimized()) == ["a", "b", "y"]


def test_two_tables_are_one() -> None:
    net = Net()
    net.add("a", Unary("relu"), "input")
    net.add("b", Unary("tanh"), "a", scale=1 / 128, zero_point=0)
    net.add("c", Unary("relu"), "b", scale=1 / 128, zero_point=0)
    net.conv("y", "c", 2)
    result = net.optimized()
    assert names(result) == ["b", "y"]  # c does nothing: b is never negative
    assert result.op("b") == QOp("b", Unary("tanh"), ("input",), clamp=(0, 127))


def test_requantizations_that_cancel_go() -> None:
    net = Net()
    net.add("a", Quantize(), "input", scale=0.05, zero_point=-128, clamp=FULL)
    net.add("b", Quantize(), "input", scale=0.1, zero_point=-4)
    net.add("c", Quantize(), "b", scale=0.1, zero_point=-6)
    net.add("y", Binary("add"), "a", "c", scale=0.3)
    result = net.optimized()
    assert names(result) == ["a", "c", "y"]
    assert result.op("c").op == Unary("identity")
    assert result.op("c").clamp == (-128, 125)  # 127 did not fit into b


def test_same_bytes_under_another_scale_are_not_the_same() -> None:
    net = Net()
    net.add("b", Quantize(), "input", scale=0.1001)
    net.conv("y", "b", 2)
    assert names(net.optimized()) == ["b", "y"]
    net = Net()
    net.conv("a", "input", 5, 3, bias=[0, 1, -70, 3000, -9999])
    net.add("b", Quantize(), "a", scale=0.1001)
    net.conv("y", "b", 2)
    assert names(net.optimized()) == ["a", "b", "y"]


def test_extremum_keeps_its_scale() -> None:
    net = Net()
    net.conv("c", "input", 2)
    net.add("a", Binary("maximum"), "input", "c")
    net.add("b", Quantize(), "a", scale=0.1001)
    net.conv("y", "b", 2)
    assert names(net.optimized()) == ["c", "a", "b", "y"]


def test_stores_that_differ_by_a_hair_are_not_the_same() -> None:
    """The scales differ by 1/100,000: nearly all accumulators are stored alike."""
    net = Net()
    net.conv("a", "input", 5, 3, bias=[0, 1, -70, 3000, -9999])
    net.add("b", Quantize(), "a", scale=0.100001, zero_point=20)
    net.conv("y", "b", 2)
    assert names(net.optimized()) == ["a", "b", "y"]


def test_tensor_added_to_itself_stores_another_zero_point_at_once() -> None:
    net = Net()
    net.add("a", Binary("add"), "input", "input", scale=0.3)
    net.add("b", Quantize(), "a", scale=0.3, zero_point=0)
    net.conv("y", "b", 2)
    assert names(net.optimized()) == ["b", "y"]


def test_identity_that_stretches_its_input_stays() -> None:
    net = Net((4,))
    net.constant("k", np.full((3, 4), -128))
    net.add("a", Binary("maximum"), "input", "k", shape=(3, 4))
    net.weighted("y", Dense(), "a", (3, 2), (2, 4))
    assert names(net.optimized()) == ["a", "y"]


def test_tables_without_a_name_stay_two() -> None:
    net = Net()
    net.add("a", Unary("square"), "input", scale=0.9)
    net.add("b", Unary("exp"), "a", scale=100.0)
    net.conv("y", "b", 2)
    assert names(net.optimized()) == ["a", "b", "y"]


# Pads


def padded(op: Op, value: int | None, clamp: tuple[int, int] = FULL, channels: int = 0) -> QGraph:
    """A clamped convolution, a Pad of 1, 0, 2, 1 rows and columns, and ``op`` with a 3x3 window."""
    net = Net()
    net.conv("a", "input", 3, clamp=(-60, 127))
    shape = (7, 5, 3 + channels)
    net.add("pad", Pad((1, 0, 0), (2, 1, channels), value), "a", shape=shape)
    assert isinstance(op, (Conv2D, MaxPool2D, AveragePool2D))
    size = op.window.output_size(7, 5)
    if isinstance(op, Conv2D):
        net.weighted("y", op, "pad", (*size, 6), (6, *op.window.kernel, shape[2] // op.groups))
    else:
        net.add("y", op, "pad", shape=(*size, shape[2]), clamp=clamp)
    return net.graph()


def pads_left(graph: QGraph) -> bool:
    result = simplify(graph)
    check_same(graph, result)
    if Pad not in kinds(result):
        op = result.op("y").op
        assert isinstance(op, (Conv2D, MaxPool2D))
        assert op.window.padding == (1, 0, 2, 1)
    return Pad in kinds(result)


WINDOW = Window((3, 3))


def test_pad_goes_into_a_convolution() -> None:
    assert not pads_left(padded(Conv2D(WINDOW), None))
    assert not pads_left(padded(Conv2D(WINDOW), -5))
    assert not pads_left(padded(Conv2D(WINDOW, 3), None))


def test_pad_with_another_value_than_the_zero_point_stays() -> None:
    assert pads_left(padded(Conv2D(WINDOW), -4))


def test_pad_of_channels_stays() -> None:
    assert pads_left(padded(MaxPool2D(WINDOW), -128, channels=1))


def test_pad_goes_into_a_max_pool_if_it_never_wins() -> None:
    assert not pads_left(padded(MaxPool2D(WINDOW), -128))
    assert not pads_left(padded(MaxPool2D(WINDOW), -60))  # the least that the layer before yields
    assert pads_left(padded(MaxPool2D(WINDOW), -59))
    assert pads_left(padded(MaxPool2D(WINDOW), None))
    assert not pads_left(padded(MaxPool2D(WINDOW), -20, clamp=(-20, 90)))
    assert pads_left(padded(MaxPool2D(WINDOW), -19, clamp=(-20, 90)))


def test_pad_before_an_average_stays() -> None:
    assert pads_left(padded(AveragePool2D(WINDOW), -128))


def test_pad_larger_than_the_window_stays() -> None:
    assert pads_left(padded(Conv2D(Window((2, 3))), None))


def test_pad_stays_where_one_reader_cannot_do_it() -> None:
    net = Net()
    net.add("pad", Pad((1, 1, 0), (1, 1, 0)), "input", shape=(6, 6, 2))
    net.conv("a", "pad", 2, 3)
    net.add("b", AveragePool2D(Window((3, 3))), "pad", shape=(4, 4, 2))
    net.add("y", Binary("add"), "a", "b", scale=0.2)
    assert names(net.optimized()) == ["pad", "a", "b", "y"]


def test_pad_that_is_the_output_stays() -> None:
    net = Net()
    net.add("y", Pad((1, 1, 0), (1, 1, 0)), "input", shape=(6, 6, 2))
    net.conv("unread", "y", 2, 3)
    graph = net.graph("y")
    assert pad_into_windows(graph) is graph


def test_pad_goes_into_all_its_readers() -> None:
    net = Net()
    net.add("pad", Pad((1, 1, 0), (1, 1, 0)), "input", shape=(6, 6, 2))
    net.conv("a", "pad", 2, 3)
    net.conv("b", "pad", 2, 3)
    net.add("y", Binary("add"), "a", "b", scale=0.2)
    assert names(net.optimized()) == ["a", "b", "y"]
