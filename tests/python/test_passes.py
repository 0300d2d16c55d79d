"""Every pass keeps what the graph computes, and does what it is for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from float_nets import assert_close, check, device_order, random_input, settle
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from nanotool.frontends.torch import capture
from nanotool.ir import (
    UNCLAMPED,
    AveragePool2D,
    BatchNorm,
    Binary,
    Clamp,
    Conv2D,
    Dense,
    Graph,
    MaxPool2D,
    Node,
    Op,
    Reshape,
    Softmax,
    Transpose,
    Unary,
    Window,
)
from nanotool.passes import PassRecord, canonicalize, drop, fold, fuse, layout
from nanotool.passes.fuse import compose
from nanotool.passes.layout import TO_DEVICE
from nanotool.quantization import evaluate

Operator = Callable[[torch.Tensor], torch.Tensor]


def kinds(graph: Graph) -> list[type[Op]]:
    return [type(node.op) for node in graph.nodes]


def same(before: Graph, after: Graph) -> None:
    """Both graphs, in whatever layout, give the same output on random data."""
    x = random_input(4, *before.input_shape)
    expected = evaluate(before, x)[before.output]
    found = evaluate(after, x)[after.output]
    if after.channels_last and not before.channels_last:
        expected = device_order(expected)
    assert_close(found, np.ascontiguousarray(expected))


def graph_of(*nodes: Node, shape: tuple[int, ...], output: str = "") -> Graph:
    return Graph("g", ("input",), (shape,), nodes, (output or nodes[-1].name,))


# --- drop -----------------------------------------------------------------------------------------


def test_drop_removes_identities_and_dead_nodes() -> None:
    image = (2, 3, 4)
    graph = graph_of(
        Node("same", Reshape(image), ("input",), image),
        Node("pool", MaxPool2D(Window((1, 1))), ("same",), image),
        Node("dead", Unary("tanh"), ("pool",), image),
        Node("deader", Unary("tanh"), ("dead",), image),
        Node("free", Clamp(*UNCLAMPED), ("pool",), image),
        Node("straight", Transpose((0, 1, 2)), ("free",), image),
        Node("real", Unary("sigmoid"), ("straight",), image),
        shape=image,
        output="real",
    )
    result = drop(graph)
    assert [node.name for node in result.nodes] == ["real"]
    assert result.nodes[0].inputs == ("input",)
    same(graph, result)


def test_drop_may_leave_nothing() -> None:
    graph = drop(graph_of(Node("same", Reshape((2, 3)), ("input",), (2, 3)), shape=(2, 3)))
    assert graph.nodes == ()
    assert graph.output == "input"


def test_drop_keeps_a_pool_that_clamps() -> None:
    pool = Node("p", MaxPool2D(Window((1, 1))), ("input",), (2, 2, 2), clamp=(0.0, 1.0))
    assert drop(graph_of(pool, shape=(2, 2, 2))).nodes == (pool,)


def test_drop_merges_moves() -> None:
    graph = graph_of(
        Node("a", Transpose((1, 2, 0)), ("input",), (3, 4, 2)),
        Node("b", Transpose((1, 0, 2)), ("a",), (4, 3, 2)),
        Node("c", Reshape((2, 12)), ("b",), (2, 12)),
        Node("d", Reshape((24,)), ("c",), (24,)),
        shape=(2, 3, 4),
    )
    result = drop(graph)
    assert [(node.name, node.op) for node in result.nodes] == [
        ("b", Transpose((2, 1, 0))),
        ("d", Reshape((24,))),
    ]
    same(graph, result)


def test_drop_undoes_a_transpose_and_its_inverse() -> None:
    graph = graph_of(
        Node("a", Transpose((1, 2, 0)), ("input",), (3, 4, 2)),
        Node("b", Transpose((2, 0, 1)), ("a",), (2, 3, 4)),
        Node("c", Unary("tanh"), ("b",), (2, 3, 4)),
        shape=(2, 3, 4),
    )
    assert [node.name for node in drop(graph).nodes] == ["c"]


def test_drop_sees_that_moving_axes_of_one_moves_nothing() -> None:
    graph = graph_of(Node("a", Transpose((1, 2, 0)), ("input",), (3, 4, 1)), shape=(1, 3, 4))
    result = drop(graph)
    assert result.nodes[0].op == Reshape((3, 4, 1))
    same(graph, result)


def test_drop_keeps_a_move_that_others_read() -> None:
    graph = graph_of(
        Node("a", Reshape((6,)), ("input",), (6,)),
        Node("b", Reshape((3, 2)), ("a",), (3, 2)),
        shape=(2, 3),
        output="a",
    )
    assert [node.name for node in drop(graph).nodes] == ["a"]


# --- fold -----------------------------------------------------------------------------------------


def folded(model: nn.Module, *shape: int) -> Graph:
    before = capture(settle(model), torch.zeros(1, *shape))
    after = fold(before)
    assert BatchNorm not in kinds(after)
    same(before, after)
    return after


def test_fold_into_the_convolution_before() -> None:
    graph = folded(nn.Sequential(nn.Conv2d(2, 4, 3, groups=2), nn.BatchNorm2d(4)), 2, 6, 5)
    assert kinds(graph) == [Conv2D]
    assert graph.output == "0"


def test_fold_adds_a_bias_where_there_was_none() -> None:
    graph = folded(nn.Sequential(nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4)), 2, 6, 5)
    assert graph.nodes[0].bias is not None


def test_fold_into_the_dense_layer_before() -> None:
    assert kinds(folded(nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4)), 5)) == [Dense]


def test_fold_into_the_dense_layer_behind() -> None:
    assert kinds(folded(nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 4)), 5)) == [Dense]


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_fold_into_the_convolution_behind(groups: int) -> None:
    model = nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 8, 3, groups=groups))
    assert kinds(folded(model, 4, 6, 5)) == [Conv2D]


def test_fold_not_behind_a_padded_convolution() -> None:
    graph = folded(nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 8, 3, padding=1)), 4, 6, 5)
    assert kinds(graph) == [Conv2D, Conv2D]
    assert graph.nodes[0].op == Conv2D(Window((1, 1)), groups=4)


class Resized(nn.Module):
    """A layer among operators that scale and change the shape."""

    def __init__(
        self, before: Operator, after: Operator, layer: Callable[[int], nn.Module]
    ) -> None:
        super().__init__()
        self.before, self.after = before, after
        self.layer = layer(after(before(torch.zeros(1, 3, 6, 4))).shape[1])
        self.first = nn.Conv2d(3, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.layer(self.after(self.before(self.first(x)))))


@pytest.mark.parametrize("layer", [nn.BatchNorm2d, lambda c: nn.Conv2d(c, 2, 3, padding=1)])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (lambda x: (2 * x.relu())[..., 1:], lambda x: functional.pad(x, (1, 2, 0, 1))),
        (lambda x: (2 * x.relu())[..., 1::2], lambda x: functional.avg_pool2d(x, 2)),
        (lambda x: functional.max_pool2d(x.reshape(-1, 3, 4, 6), 2), lambda x: x[..., 1:] * 2),
        (lambda x: functional.interpolate(x[:, 1:], scale_factor=2), lambda x: x[..., 3:] * 2),
    ],
)
def test_fold_past_what_changes_the_shape(
    before: Operator, after: Operator, layer: Callable[[int], nn.Module]
) -> None:
    torch.manual_seed(0)
    check(settle(Resized(before, after, layer)), 3, 6, 4)


def test_fold_two_in_a_row() -> None:
    model = nn.Sequential(nn.BatchNorm2d(4), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3), nn.ReLU())
    assert kinds(folded(model, 4, 6, 5)) == [Conv2D, Clamp]


def test_fold_not_past_a_relu() -> None:
    model = nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), nn.Sigmoid())
    assert kinds(folded(model, 4, 6, 5)) == [Conv2D, Clamp, Conv2D, Unary]


def test_fold_not_where_the_convolution_has_other_readers() -> None:
    model = settle(nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3)))
    captured = capture(model, torch.zeros(1, 2, 4, 4))
    graph = replace(captured, outputs=("0",))  # the caller reads the convolution, too
    result = fold(graph)
    assert result.node("0") == graph.node("0")
    assert result.node("1").op == Conv2D(Window((1, 1)), groups=3)


def test_fold_a_lonely_norm_of_a_vector() -> None:
    graph = folded(nn.Sequential(nn.BatchNorm1d(5), nn.Tanh()), 5)
    assert kinds(graph) == [Reshape, Conv2D, Reshape, Unary]
    check(settle(nn.Sequential(nn.BatchNorm1d(5), nn.Tanh())), 5)


class Numbers(nn.Module):
    """Twice a product and a sum with numbers, of a matrix."""

    def __init__(self, first: tuple[float, float], second: tuple[float, float]) -> None:
        super().__init__()
        self.numbers = (*first, *second)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b, c, d = self.numbers
        return torch.tanh((a * x + b) * c + d)


@pytest.mark.parametrize(
    ("second", "functions"),
    [
        ((0.5, 1.5), ["add"]),
        ((1.0, 0.25), ["mul", "add"]),
        ((-0.5, 1.0), ["sub"]),
        ((0.25, -0.1875), ["mul"]),
    ],
)
def test_fold_numbers_of_a_matrix_into_one_product_and_one_sum(
    second: tuple[float, float], functions: list[str]
) -> None:
    graph = folded(Numbers((2.0, 0.75), second), 3, 4)
    binary = [node.op.function for node in graph.nodes if isinstance(node.op, Binary)]
    assert binary == functions
    check(settle(Numbers((2.0, 0.75), second)), 3, 4)


class Peaks(nn.Module):
    """A product and a sum with numbers, of a matrix; peaks of its rows, and what stands ``behind``.
    A negative number does not pass a maximum: what is behind goes back, or stays."""

    def __init__(self, behind: nn.Module) -> None:
        super().__init__()
        self.peaks, self.behind = nn.MaxPool2d(2), behind

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.behind(self.peaks((x * -2 + 0.75).reshape(-1, 3, 2, 2)))
        return x


class Half(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 0.5 + 0.25


def test_a_number_goes_back_to_the_matrix_before_and_a_norm_of_channels_does_not() -> None:
    behind = [MaxPool2D, Conv2D], [MaxPool2D]
    for layer, wanted in zip((nn.BatchNorm2d(3), Half()), behind, strict=True):
        graph = folded(Peaks(layer), 3, 4)
        assert kinds(graph)[kinds(graph).index(Reshape) + 1 :] == wanted
        check(settle(Peaks(layer)), 3, 4)


# --- fuse -----------------------------------------------------------------------------------------


def fused(model: nn.Module, *shape: int) -> Graph:
    before = drop(capture(settle(model), torch.zeros(1, *shape)))
    after = fuse(before)
    assert Clamp not in kinds(after)
    same(before, after)
    return after


@pytest.mark.parametrize(
    ("layer", "bounds"),
    [
        (nn.ReLU(), (0, math.inf)),
        (nn.ReLU6(), (0, 6)),
        (nn.Hardtanh(-0.5, 0.25), (-0.5, 0.25)),
    ],
)
def test_fuse_into_a_convolution(layer: nn.Module, bounds: tuple[float, float]) -> None:
    graph = fused(nn.Sequential(nn.Conv2d(2, 3, 2), layer), 2, 5, 5)
    assert [(node.name, node.clamp) for node in graph.nodes] == [("0", bounds)]


def test_fuse_through_max_pool_and_flatten() -> None:
    graph = fused(
        nn.Sequential(nn.Conv2d(2, 3, 2), nn.MaxPool2d(2), nn.Flatten(), nn.ReLU()), 2, 5, 5
    )
    assert [node.clamp for node in graph.nodes] == [(0, math.inf), UNCLAMPED, UNCLAMPED]


def test_fuse_not_through_an_average() -> None:
    graph = fused(nn.Sequential(nn.Conv2d(2, 3, 2), nn.AvgPool2d(2), nn.ReLU()), 2, 5, 5)
    assert [(type(node.op), node.clamp) for node in graph.nodes] == [
        (Conv2D, UNCLAMPED),
        (AveragePool2D, (0, math.inf)),
    ]


def test_fuse_chains_of_clamps() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Hardtanh(-1, 0.5), nn.ReLU6())
    assert [node.clamp for node in fused(model, 4).nodes] == [(0, 0.5)]


def test_fuse_max_pool_between_two_clamps() -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, 2), nn.ReLU(), nn.MaxPool2d(2), nn.Hardtanh(-1, 0.1))
    assert [node.clamp for node in fused(model, 2, 5, 5).nodes] == [(0, 0.1), UNCLAMPED]


def test_fuse_at_the_input_becomes_a_function() -> None:
    model = nn.Sequential(nn.ReLU(), nn.ReLU6(), nn.Hardtanh(-1, 1))
    graph = fused(model, 2, 5, 5)
    assert [(node.op, node.clamp) for node in graph.nodes] == [(Unary("relu"), (0, 1))]
    graph = fused(nn.Hardtanh(-2, 0.5), 7)
    assert [(node.op, node.clamp) for node in graph.nodes] == [(Unary("identity"), (-2, 0.5))]


def test_fuse_not_where_others_read_the_producer() -> None:
    model = nn.Sequential(nn.MaxPool2d(2), nn.ReLU())
    graph = replace(capture(model, torch.zeros(1, 2, 4, 4)), outputs=("0",))
    result = fuse(graph)  # the caller reads the pool, too
    assert result.node("0").clamp == UNCLAMPED
    assert result.node("1").op == Unary("relu")


@given(
    st.lists(st.floats(-3, 3), min_size=4, max_size=4, unique=True),
    st.lists(st.floats(-5, 5), min_size=1, max_size=8),
)
def test_compose_is_one_clamp_after_the_other(bounds: list[float], values: list[float]) -> None:
    first = (min(bounds[:2]), max(bounds[:2]))
    second = (min(bounds[2:]), max(bounds[2:]))
    expected = np.clip(np.clip(values, *first), *second)
    assert np.array_equal(np.clip(values, *compose(first, second)), expected)


# --- layout ---------------------------------------------------------------------------------------


def test_layout_turns_weights_and_shapes_once() -> None:
    before = capture(nn.Conv2d(2, 3, (4, 5), groups=1), torch.zeros(1, 2, 7, 9))
    after = layout(before)
    assert after.channels_last
    assert after.input_shape == (7, 9, 2)
    assert after.input_permutations == (TO_DEVICE,)
    assert after.nodes[0].shape == (4, 5, 3)
    assert before.nodes[0].weight is not None
    assert after.nodes[0].weight is not None
    assert np.array_equal(after.nodes[0].weight, before.nodes[0].weight.transpose(0, 2, 3, 1))
    assert layout(after) is after
    same(before, after)


def prepared(model: nn.Module, *shape: int) -> Graph:
    return check(settle(model), *shape)[1]


def test_layout_a_flatten_before_dense_costs_nothing() -> None:
    graph = prepared(
        nn.Sequential(nn.Conv2d(2, 3, 2), nn.Flatten(), nn.Sigmoid(), nn.Tanh(), nn.Linear(60, 4)),
        *(2, 5, 6),
    )
    assert kinds(graph) == [Conv2D, Unary, Unary, Reshape, Dense]


def test_layout_a_flatten_into_two_dense_layers() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(12, 12), nn.Linear(12, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.two(torch.sigmoid(self.one(x.flatten(1))))
            return result

    assert kinds(prepared(Net(), 2, 2, 3)) == [Reshape, Dense, Unary, Dense]


@pytest.mark.parametrize("tail", [[], [nn.Softmax(1)], [nn.Tanh()]])
def test_layout_an_output_keeps_the_users_order(tail: list[nn.Module]) -> None:
    graph = prepared(nn.Sequential(nn.Conv2d(2, 3, 2), nn.Flatten(), *tail), 2, 5, 6)
    assert kinds(graph).count(Transpose) == 1


@pytest.mark.parametrize("shape", [(2, 1, 1), (1, 5, 4)])
def test_layout_needs_no_transpose_for_one_pixel_or_one_channel(shape: tuple[int, ...]) -> None:
    graph = prepared(nn.Sequential(nn.Tanh(), nn.Flatten()), *shape)
    assert kinds(graph) == [Unary, Reshape]


def test_layout_softmax_over_channels_costs_nothing() -> None:
    assert kinds(prepared(nn.Sequential(nn.Conv2d(2, 3, 2), nn.Softmax(1)), 2, 5, 6)) == [
        Conv2D,
        Softmax,
    ]


def test_layout_dense_over_the_rows_of_an_image() -> None:
    graph = prepared(nn.Sequential(nn.Conv2d(2, 3, 2), nn.Linear(5, 4), nn.Linear(4, 7)), 2, 5, 6)
    assert kinds(graph) == [Conv2D, Transpose, Dense, Dense, Transpose]


def test_canonicalize_logs_what_each_pass_did() -> None:
    model = nn.Sequential(nn.Identity(), nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.ReLU())
    log: list[PassRecord] = []
    result = canonicalize(capture(settle(model), torch.zeros(1, 2, 5, 6)), log)
    names = ["narrow", "roll", "split", "drop", "tabulate", "fold", "fuse", "layout", "tidy"]
    assert [record.name for record in log] == names
    removed = {record.name: record.removed for record in log if record.removed}
    assert removed == {"fold": ("2",), "fuse": ("3",)}
    assert (log[0].before, log[-1].after) == (3, len(result.nodes))


def test_canonicalize_does_not_change_its_argument() -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.ReLU())
    before = capture(settle(model), torch.zeros(1, 2, 5, 6))
    weights = [None if node.weight is None else node.weight.copy() for node in before.nodes]
    canonicalize(before)
    for node, weight in zip(before.nodes, weights, strict=True):
        assert (node.weight is None) == (weight is None)
        assert node.weight is None or weight is None or np.array_equal(node.weight, weight)
    assert len(before.nodes) == 3


# --- Random networks ------------------------------------------------------------------------------

ANYWHERE = [nn.ReLU, nn.ReLU6, nn.Sigmoid, nn.Tanh, lambda: nn.Hardtanh(-0.25, 0.5), nn.Identity]


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_random_networks(data: st.DataObject) -> None:
    """Layers in any order: each pass on its own and all together keep the result."""
    torch.manual_seed(data.draw(st.integers(0, 99)))
    shape = (data.draw(st.integers(1, 3)), data.draw(st.integers(6, 8)), 6)
    model = nn.Sequential()
    probe = torch.zeros(2, *shape)
    for _ in range(data.draw(st.integers(1, 7))):
        layer = data.draw(st.sampled_from(candidates(probe)))()
        model.append(layer)
        probe = settle(layer)(probe)
    settle(model)
    captured = capture(model, torch.zeros(1, *shape))
    for step in (drop, fold):
        same(captured, step(captured))
    check(model, *shape)


def candidates(probe: torch.Tensor) -> list:  # type: ignore[type-arg]
    """What can follow a tensor like ``probe``."""
    if probe.ndim == 2:
        width = probe.shape[1]
        more = [
            lambda: nn.Linear(width, 5),
            lambda: nn.BatchNorm1d(width),
            lambda: nn.Softmax(1),
        ]
        return ANYWHERE + more
    channels, height, width = probe.shape[1:]
    more = [
        lambda: nn.Conv2d(channels, 4, 3, padding=1),
        lambda: nn.Conv2d(channels, 2 * channels, 1, groups=channels),
        lambda: nn.BatchNorm2d(channels),
        lambda: nn.Softmax(1),
        nn.Flatten,
        lambda: nn.AdaptiveAvgPool2d(1),
        lambda: nn.Linear(width, 3),
    ]
    if height > 1 and width > 1:
        more += [lambda: nn.MaxPool2d(2), lambda: nn.AvgPool2d(2, stride=1)]
    return ANYWHERE + more
