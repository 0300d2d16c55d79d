"""Dead channels on graphs made by hand: what should go goes, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hand_nets import Net, can_be_lowered

from nanotool.ir import (
    AveragePool2D,
    Binary,
    Concat,
    Conv2D,
    ConvTranspose2D,
    Dense,
    MaxPool2D,
    Pad,
    PRelu,
    QGraph,
    Reshape,
    Slice,
    Softmax,
    Transpose,
    Unary,
    Window,
)
from nanotool.passes.lossless import (
    drop_dead_channels,
)


def shapes(graph: QGraph) -> dict[str, int]:
    """Channels of each tensor but the input."""
    return {n: t.shape[-1] for n, t in graph.tensors.items() if n != graph.input}


@pytest.mark.parametrize("value", [-5, 40])
def test_constant_channel_goes_into_the_next_bias(value: int) -> None:
    net = Net()
    net.conv("a", "input", 4)
    net.kill("a", {1: value, 3: value})
    net.conv("y", "a", 3, 3)
    graph, result = net.graph(), net.optimized()
    assert shapes(result) == {"a": 2, "y": 3}
    old, new = graph.op("y"), result.op("y")
    assert old.weight is not None
    assert new.weight is not None
    assert np.array_equal(new.weight, old.weight[..., [0, 2]])
    if value == -5:  # the zero point contributes nothing
        assert new.bias is None
    else:
        share = old.weight[..., [1, 3]].astype(int).sum(axis=(1, 2, 3)) * (value + 5)
        assert new.bias is not None
        assert new.bias.tolist() == share.tolist()


def test_constant_channel_stays_before_a_padded_window() -> None:
    net = Net()
    net.conv("a", "input", 4)
    net.kill("a", {1: 40, 3: -5})
    net.conv("y", "a", 3, 3, padding=1)
    assert shapes(net.optimized()) == {"a": 3, "y": 3}  # but for the zero point
    net = Net()
    net.conv("a", "input", 4)
    net.kill("a", {1: 40, 3: -5})
    net.depthwise("b", "a", bias=[0, 0, 0, 0])
    net.conv("y", "b", 3)
    assert shapes(net.optimized()) == {"a": 3, "b": 3, "y": 3}


def test_padding_that_no_window_reaches_is_none() -> None:
    net = Net()
    net.conv("a", "input", 4)
    net.kill("a", {1: 40})
    window = Window((2, 2), (2, 2), (0, 0, 1, 1))
    net.weighted("y", Conv2D(window), "a", (2, 2, 3), (3, 2, 2, 4))
    assert shapes(net.optimized()) == {"a": 3, "y": 3}


def test_channel_that_a_clamp_pins_at_every_border_is_dead() -> None:
    """A depthwise filter of the constant 40 differs at the border, but not behind its clamp."""
    net = Net()
    net.conv("a", "input", 2)
    net.kill("a", {1: 40})
    net.depthwise("b", "a", bias=[0, -(2**24)])
    net.conv("y", "b", 3)
    assert shapes(net.optimized()) == {"a": 1, "b": 1, "y": 3}


def test_mobilenet_shrinks_block_by_block() -> None:
    net = Net((6, 6, 2))
    net.conv("stem", "input", 6)
    net.kill("stem", {0: -5, 4: 99})
    net.depthwise("dw1", "stem", bias=[7000, 0, 1, 2, -(2**24), 3])
    net.conv("pw1", "dw1", 8)
    net.kill("pw1", {2: -5, 7: -5})
    net.depthwise("dw2", "pw1")
    net.conv("pw2", "dw2", 4)
    net.add("pool", AveragePool2D(Window((6, 6))), "pw2", shape=(1, 1, 4))
    net.add("flat", Reshape((4,)), "pool", shape=(4,))
    net.kill("pw2", {0: 127})
    net.weighted("y", Dense(), "flat", (3,), (3, 4))
    counts = {"stem": 4, "dw1": 4, "pw1": 6, "dw2": 6, "pw2": 3, "pool": 3, "flat": 3, "y": 3}
    assert shapes(net.optimized()) == counts


def test_columns_of_a_dense_layer_behind_a_flatten() -> None:
    net = Net((3, 2, 2))
    net.conv("a", "input", 4)
    net.kill("a", {2: 60})
    net.add("flat", Reshape((24,)), "a", shape=(24,))
    net.weighted("y", Dense(), "flat", (3,), (3, 24))
    result = net.optimized()
    assert shapes(result) == {"a": 3, "flat": 18, "y": 3}
    assert result.op("flat").op == Reshape((18,))


def test_dead_columns_behind_a_dense_layer_of_rows() -> None:
    net = Net((5, 2))
    net.weighted("a", Dense(), "input", (5, 3), (3, 2))
    net.kill("a", {0: 60})
    net.weighted("y", Dense(), "a", (5, 3), (3, 3), bias=[1, 2, 3])
    assert shapes(net.optimized()) == {"a": 2, "y": 3}


def test_channel_that_all_weights_ignore_is_dead() -> None:
    net = Net()
    net.conv("a", "input", 3)
    weight = np.ones((2, 3, 3, 3), int)
    weight[..., 1] = 0
    net.weighted("y", Conv2D(Window((3, 3), padding=(1,) * 4)), "a", (4, 4, 2), weight)
    assert shapes(net.optimized()) == {"a": 2, "y": 2}


def test_residual_channels_go_only_together() -> None:
    net = Net()
    net.conv("a", "input", 3)
    net.conv("b", "a", 3)
    net.kill("b", {0: 9, 1: 9})
    net.add("sum", Binary("add"), "a", "b", scale=0.2)
    net.conv("y", "sum", 2)
    assert shapes(net.optimized()) == {"a": 3, "b": 3, "sum": 3, "y": 2}
    net.kill("a", {1: 30})
    assert shapes(net.optimized()) == {"a": 2, "b": 2, "sum": 2, "y": 2}


def test_channels_behind_which_all_is_the_same_are_dead() -> None:
    net = Net()
    net.conv("a", "input", 3)
    net.conv("b", "input", 3)
    net.add("sum", Binary("add"), "a", "b", scale=0.01)
    net.add("top", MaxPool2D(Window((2, 2))), "sum", shape=(3, 3, 3), scale=0.01)
    net.constant("limits", [100, -128, 90])
    net.add("low", Binary("minimum"), "top", "limits", scale=0.01)
    net.tensors["limits"] = replace(net.tensors["limits"], scale=0.01)
    net.conv("y", "low", 2)
    result = net.optimized()
    assert shapes(result) == {"a": 2, "b": 2, "sum": 2, "top": 2, "limits": 2, "low": 2, "y": 2}
    assert result.constants["limits"].tolist() == [100, 90]


def test_output_keeps_its_channels() -> None:
    net = Net()
    net.conv("a", "input", 3)
    net.kill("a", {0: 9})
    net.add("y", MaxPool2D(Window((2, 2))), "a", shape=(3, 3, 3))
    assert shapes(net.optimized()) == {"a": 3, "y": 3}


def test_softmax_keeps_its_channels() -> None:
    net = Net()
    net.conv("a", "input", 3)
    net.kill("a", {0: 9})
    net.add("b", Softmax(), "a", scale=1 / 256, zero_point=-128)
    net.conv("y", "b", 2)
    assert shapes(net.optimized()) == {"a": 3, "b": 3, "y": 2}
    weight = np.ones((2, 1, 1, 3), int)
    weight[..., 0] = 0  # even those that nobody reads: the others depend on them
    net = Net()
    net.conv("a", "input", 3)
    net.add("b", Softmax(), "a", scale=1 / 256, zero_point=-128)
    net.weighted("y", Conv2D(Window((1, 1))), "b", (4, 4, 2), weight)
    assert shapes(net.optimized()) == {"a": 3, "b": 3, "y": 2}


def test_channels_that_a_transpose_moves_stay() -> None:
    net = Net((3, 3, 2))
    net.conv("a", "input", 3)
    net.kill("a", {1: 30})
    net.add("t", Transpose((0, 2, 1)), "a")
    net.conv("y", "t", 2)
    assert shapes(net.optimized()) == {"a": 3, "t": 3, "y": 2}
    net = Net((3, 3, 2))
    net.conv("a", "input", 3)
    net.kill("a", {1: 30})
    net.add("t", Transpose((1, 0, 2)), "a")
    net.conv("y", "t", 2)
    assert shapes(net.optimized()) == {"a": 2, "t": 2, "y": 2}


def test_unread_channels_of_a_turned_tensor_are_others_before() -> None:
    net = Net((3, 3, 2))
    net.conv("a", "input", 3)
    net.add("t", Transpose((0, 2, 1)), "a")
    weight = np.array([[[[5, 0, 7]]]])
    net.weighted("y", Conv2D(Window((1, 1))), "t", (3, 3, 1), weight)
    assert shapes(net.optimized()) == {"a": 3, "t": 3, "y": 1}


def test_at_least_one_channel_stays() -> None:
    net = Net()
    net.conv("a", "input", 3)
    net.kill("a", {0: 9, 1: 10, 2: 11})
    net.conv("b", "a", 3)
    net.conv("y", "b", 2)
    result = net.optimized()
    assert shapes(result) == {"a": 1, "b": 1, "y": 2}
    assert can_be_lowered(result)


def test_concat_and_slice_along_the_channels() -> None:
    net = Net()
    net.conv("a", "input", 3)
    net.conv("b", "input", 4)
    net.kill("a", {0: 9})
    net.kill("b", {2: -5, 3: 77})
    net.add("both", Concat(2), "a", "b", "a", shape=(4, 4, 10))
    net.add("part", Slice((0, 1, 1), (2, 1, 1)), "both", shape=(2, 3, 8))
    net.conv("y", "part", 2)
    counts = {"a": 2, "b": 2, "both": 6, "part": 5, "y": 2}
    result = net.optimized()
    assert shapes(result) == counts
    assert result.op("part").op == Slice((0, 1, 0), (2, 1, 1))


def test_channels_that_a_slice_leaves_out_are_dead() -> None:
    net = Net()
    net.conv("a", "input", 6)
    net.add("part", Slice((0, 0, 2), (1, 1, 1)), "a", shape=(4, 4, 3))
    net.conv("y", "part", 2)
    result = net.optimized()
    assert shapes(result) == {"a": 3, "y": 2}  # and then the slice takes everything
    net = Net()
    net.conv("a", "input", 6)
    net.kill("a", {2: 50})
    net.add("part", Slice((0, 0, 0), (1, 1, 2)), "a", shape=(4, 4, 3))
    net.conv("y", "part", 2)
    assert shapes(net.optimized()) == {"a": 6, "part": 3, "y": 2}  # not followed


def test_padded_channels_are_constant_ones() -> None:
    net = Net()
    net.conv("a", "input", 3)
    net.kill("a", {0: 9})
    net.add("wide", Pad((0, 0, 2), (0, 0, 1), 33), "a", shape=(4, 4, 6))
    net.conv("y", "wide", 2)
    assert shapes(net.optimized()) == {"a": 2, "y": 2}
    net.add("z", Unary("abs"), "wide", scale=0.2)
    net.add("top", MaxPool2D(Window((4, 4))), "z", shape=(1, 1, 6), scale=0.2)
    net.add("end", Softmax(), "top", scale=1 / 256, zero_point=-128)
    assert shapes(net.optimized("end"))["wide"] == 6


def test_group_goes_as_a_whole() -> None:
    net = Net()
    net.conv("a", "input", 6)
    net.kill("a", {0: -5, 1: 9, 2: 10})
    net.weighted("b", Conv2D(Window((1, 1)), 3), "a", (4, 4, 6), (6, 1, 1, 2))
    net.conv("y", "b", 2)
    result = net.optimized()
    assert shapes(result) == {"a": 4, "b": 4, "y": 2}
    assert result.op("b").op == Conv2D(Window((1, 1)), 2)


def test_depthwise_with_several_filters_a_channel() -> None:
    net = Net()
    net.conv("a", "input", 3)
    net.kill("a", {0: 44})
    net.weighted("b", Conv2D(Window((3, 3)), 3), "a", (2, 2, 6), (6, 3, 3, 1))
    net.conv("y", "b", 2)
    result = net.optimized()
    assert shapes(result) == {"a": 2, "b": 4, "y": 2}
    assert result.op("b").op == Conv2D(Window((3, 3)), 2)


def test_transposed_convolution() -> None:
    """Behind it filters go; before it only channels at the zero point, as its borders differ."""
    net = Net()
    net.conv("a", "input", 3)
    net.kill("a", {0: 44, 1: -5})
    window = Window((3, 3), (2, 2))
    net.weighted("b", ConvTranspose2D(window), "a", (9, 9, 4), (4, 3, 3, 3))
    net.kill("b", {3: 12})
    net.conv("y", "b", 2)
    assert shapes(net.optimized()) == {"a": 2, "b": 3, "y": 2}


def test_broadcast_channel_is_needed() -> None:
    net = Net()
    net.conv("gate", "input", 1)
    net.conv("a", "input", 3)
    net.kill("a", {1: -5})
    net.add("b", Binary("mul"), "a", "gate", scale=0.5)
    net.conv("y", "b", 2)
    assert shapes(net.optimized()) == {"gate": 1, "a": 2, "b": 2, "y": 2}


def test_slopes_go_with_their_channels() -> None:
    net = Net()
    net.conv("a", "input", 3)
    net.kill("a", {1: -5})
    net.constant("slopes", [3, 4, 5])
    net.add("b", PRelu(), "a", "slopes", scale=0.2)
    net.conv("y", "b", 2)
    result = net.optimized()
    assert shapes(result) == {"a": 2, "slopes": 2, "b": 2, "y": 2}
    assert result.constants["slopes"].tolist() == [3, 5]


def test_single_weight_scale_stays_one() -> None:
    net = Net()
    net.conv("a", "input", 3)
    net.kill("a", {1: 50})
    net.ops[-1] = replace(net.ops[-1], weight_scale=np.array([0.01], np.float32))
    net.conv("y", "a", 2)
    scale = net.optimized().op("a").weight_scale
    assert scale is not None
    assert scale.tolist() == [np.float32(0.01)]


def test_bias_never_leaves_int32() -> None:
    """Such a graph is not sound; the pass leaves the channel rather than wrap."""
    net = Net()
    net.conv("a", "input", 2)
    net.kill("a", {1: 127})
    net.conv("y", "a", 1, bias=[2**31 - 100])
    net.ops[-1] = replace(net.ops[-1], weight=np.array([[[[1, 127]]]], np.int8))
    graph = QGraph("net", net.tensors, tuple(net.ops), ("input",), ("y",))
    assert drop_dead_channels(graph) is graph
