"""The whole path for every kind of PyTorch module: captured, quantized, and then the same bytes
from the simulator, from the C library and from TensorFlow Lite Micro."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracle
import pytest
import torch
from float_nets import check, device_order, random_input, reference, settle
from numpy.typing import NDArray
from torch import nn
from torch_cases import EVERY, FINE, IMAGE, SIGNAL, VECTOR, Forward, conv

import nanotool
from nanotool import qfile
from nanotool.errors import UnsupportedOp
from nanotool.frontends.torch import capture
from nanotool.frontends.torch.fx_nodes import operator_name
from nanotool.frontends.torch.walk import HANDLERS, Walk
from nanotool.inputs import to_device
from nanotool.ir import (
    Binary,
    Concat,
    Conv2D,
    Dense,
    Function,
    Graph,
    Mean,
    QGraph,
    Quantize,
    Reshape,
    Softmax,
    Table,
    Transpose,
    Unary,
)
from nanotool.lower import lower
from nanotool.ops import FACTS
from nanotool.passes import canonicalize
from nanotool.plan import plan
from nanotool.quantization import quantize
from nanotool.runtime import Runtime
from nanotool.simulate import simulate

# Steps of the output scale over the calibration data: several roundings add up to more than one.
LIMIT = 3.2
ROUGH_LIMIT = {
    **{"sqrt": 17, "rsqrt": 16, "log": 10, "norm": 3, "quotient": 6, "logic": 12},
    **{"attention": 8, "deviation": 5, "normalized": 25, "layer norm": 6},
    "layer norm of channels": 25,  # of four, which may be nearly equal
}
# TensorFlow Lite's average pools have SAME or VALID padding only, and it has no norms.
NOT_IN_TFLITE = {
    *("avg pool ceil", "cumulative sum", "cumulative sum of rows", "attention", "rms norm"),
    *("layer norm", "layer norm of images", "layer norm of channels", "group norm"),
    "instance norm",
}


def graph_of(model: nn.Module, *shape: int) -> Graph:
    return canonicalize(capture(settle(model), torch.zeros(1, *shape)))


def int8_of(model: nn.Module, x: NDArray[Any]) -> QGraph:
    return quantize(graph_of(model, *x.shape[1:]), [x])


def steps(graph: QGraph, model: nn.Module, x: NDArray[Any]) -> float:
    """The greatest |int8 output - PyTorch's| in steps of the output scale."""
    found = graph.output_tensor.dequantize(simulate(graph, to_device(graph, x)))
    difference = np.abs(found - device_order(reference(model, x)))
    return float(difference.max()) / graph.output_tensor.scale


def same_everywhere(graph: QGraph, x: NDArray[Any], *, tflite: bool = True) -> None:
    """Simulator, C library and TensorFlow Lite Micro give the same bytes."""
    q = to_device(graph, x)
    expected = simulate(graph, q)
    lowered = lower(graph)
    assert np.array_equal(Runtime(lowered, plan(lowered)).run(q), expected)
    if tflite:
        assert np.array_equal(oracle.run(graph, q), expected)
    else:
        with pytest.raises(UnsupportedOp):
            oracle.run(graph, q)


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every handler makes what it says, beside moves."""
    call = Walk._call

    def checked(walk: Walk, node: torch.fx.Node) -> None:
        before = len(walk.nodes)
        call(walk, node)
        made = {type(one.op) for one in walk.nodes[before:]}
        if made:
            makes = HANDLERS.makes.get(operator_name(node).rstrip("_"), (Function,))
            assert {op for op in made if not FACTS[op].moves} <= set(makes), node

    monkeypatch.setattr(Walk, "_call", checked)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.usefixtures("declared")
def test_module(name: str) -> None:
    model, shape = EVERY[name]
    _, prepared = check(model, *shape)
    x = random_input(256, *shape, seed=1)
    graph = quantize(prepared, [x])
    assert steps(graph, model, x[:64]) <= (LIMIT if name in FINE else ROUGH_LIMIT[name])
    same_everywhere(graph, x[:12], tflite=name not in NOT_IN_TFLITE)


def test_an_embedding_is_a_table_a_column() -> None:
    class Words(nn.Module):
        def __init__(self, rows: int) -> None:
            super().__init__()
            self.table, self.head = nn.Embedding(rows, 5), nn.Linear(5, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.head(self.table(x.long()).relu().mean(1))
            return result

    x = np.random.default_rng(0).integers(0, 256, (256, 7)).astype(np.float32)
    x[0, 0], x[0, 1] = 0, 255
    model = settle(Words(256))
    graph = quantize(canonicalize(capture(model, torch.tensor(x))), [x])
    assert sum(isinstance(op.op, Table) for op in graph.ops) == 5
    assert steps(graph, model, x) <= LIMIT
    same_everywhere(graph, x[:12])
    with pytest.raises(UnsupportedOp, match="300 rows"):
        capture(Words(300), torch.tensor(x))


def kinds(graph: Graph) -> list[type]:
    return [type(node.op) for node in graph.nodes]


@pytest.mark.parametrize(
    ("name", "transposes"),
    [
        *(("conv1d net", 0), ("gate", 0), ("u-net", 0), ("dense net", 0), ("channels last", 0)),
        *(("vector product", 0), ("log softmax of channels", 0), ("scaled vector", 0)),
        *(("channel shuffle", 1), ("pixel shuffle", 1), ("pixel unshuffle", 2), ("time steps", 1)),
    ],
)
def test_transposes_that_are_left(name: str, transposes: int) -> None:
    model, shape = EVERY[name]
    assert kinds(graph_of(model, *shape)).count(Transpose) == transposes


def test_the_input_lies_as_its_reader_wants_it() -> None:
    signal = nn.Sequential(nn.Conv1d(4, 3, 3), nn.AdaptiveAvgPool1d(1))
    assert graph_of(signal, *SIGNAL).input_permutations == ((1, 0),)
    assert graph_of(nn.Linear(12, 3), *SIGNAL).input_permutations == ()
    channels_last, shape = EVERY["channels last"]
    assert graph_of(channels_last, *shape).input_permutations == ()


def test_a_module_used_twice_has_its_weights_once() -> None:
    model, shape = EVERY["shared module"]
    graph = int8_of(model, random_input(64, *shape))
    first, second = (op for op in graph.ops if isinstance(op.op, Conv2D))
    assert first.weight is second.weight


@pytest.mark.parametrize(
    "function", [lambda x: x.argmax(1), lambda x: torch.max(x, 1)[1]], ids=["argmax", "max"]
)
@pytest.mark.parametrize("shape", [VECTOR, IMAGE])
def test_argmax_as_output(function: Any, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layers = [nn.Linear(12, 12)] if shape == VECTOR else [conv()]
    model = Forward(lambda x, layer: function(layer(x)), *layers)
    x = random_input(200, *shape)
    graph = int8_of(model, x)
    assert graph.output_tensor.dtype == "int32"
    found = simulate(graph, to_device(graph, x))
    assert (found == reference(model, x)).mean() > 0.97  # near draws may fall either way
    assert [entry.tensor for entry in graph.quality] == list(graph.tensors)[:-1]
    same_everywhere(graph, x[:20])


@nanotool.elementwise
def triangle(x: torch.Tensor) -> torch.Tensor:
    """With a branch and a loop, in which torch.export does not look."""
    for _ in range(2):
        x = x.abs() - 0.5 if bool(x.isfinite().all()) else x
    return x


def test_a_function_of_ones_own_is_a_table() -> None:
    model = nn.Sequential(nn.Linear(12, 8), Forward(triangle), nn.Linear(8, 3))
    x = random_input(64, *VECTOR)
    assert steps(graph := int8_of(model, x), model, x) <= LIMIT
    assert [type(op.op) for op in graph.ops] == [Dense, Table, Dense]
    torch.autograd.gradcheck(triangle, torch.randn(5, dtype=torch.float64, requires_grad=True))
    assert qfile.from_bytes(qfile.to_bytes(graph)).ops[1].op == graph.ops[1].op


def test_functions_of_one_tensor_become_one() -> None:
    snake = Forward(lambda x, a: (y := a(x)) + torch.sin(3 * y) ** 2 / 3, conv())
    assert kinds(graph_of(snake, *IMAGE)) == [Conv2D, Function]
    shared = Forward(lambda x, a: torch.cat([y := torch.sin(a(x)), y.exp()], 1), conv())
    assert kinds(graph_of(shared, *IMAGE)) == [Conv2D, Function, Unary, Concat]


# --- Folding --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "shape", "left"),
    [
        (Forward(lambda x, a: a(F255(x)), conv()), IMAGE, [Conv2D]),
        (Forward(lambda x, a: a(F255(x).relu()), conv()), IMAGE, [Unary, Conv2D]),
        # One reader cannot take it: it stays.
        (Forward(lambda x, a: gated(F255(x), a), conv()), IMAGE, [Binary, Conv2D, Binary]),
        (
            Forward(lambda x, a, b: torch.cat([a(F255(x)), b(F255(x))], 1), conv(), conv()),
            *(IMAGE, [Conv2D, Conv2D, Concat]),
        ),
        (Forward(lambda x, f: f(F255(x).mean((2, 3))), nn.Linear(4, 3)), IMAGE, [Mean, Dense]),
        (
            Forward(lambda x, f: f((x - 0.5).flatten(1)), nn.Linear(48, 3)),
            *(SIGNAL, [Reshape, Dense]),
        ),
        # An offset would be wrong at a padded border.
        (Forward(lambda x, a: a(x - 0.5), conv()), IMAGE, [Binary, Conv2D]),
        (Forward(lambda x, a: a(x).transpose(2, 3) * 0.1, conv()), IMAGE, [Conv2D, Transpose]),
        (Forward(lambda x, f: (0.5 * f(x)).softmax(1), nn.Linear(12, 3)), VECTOR, [Dense, Softmax]),
        (Forward(lambda x: (x.relu() * 3).softmax(1)), VECTOR, [Unary, Softmax]),
    ],
)
def test_numbers_go_into_a_neighbour(
    model: nn.Module, shape: tuple[int, ...], left: list[type]
) -> None:
    _, prepared = check(settle(model), *shape)
    assert kinds(prepared) == left


def gated(x: torch.Tensor, layer: nn.Module) -> torch.Tensor:
    result: torch.Tensor = layer(x) * x
    return result


def F255(x: torch.Tensor) -> torch.Tensor:
    return x / 255


# --- Sharing scales -------------------------------------------------------------------------------


def scales(graph: QGraph, *names: str) -> set[tuple[float, int]]:
    return {(graph.tensors[name].scale, graph.tensors[name].zero_point) for name in names}


def test_the_parts_of_a_concatenation_share_its_scale() -> None:
    model = Forward(lambda x, a, b: torch.cat([a(x), b(x)], 1), conv(), conv())
    with torch.no_grad():
        model.layers[1].weight.mul_(7)  # type: ignore[operator]
    graph = int8_of(model, random_input(64, *IMAGE))
    assert len(scales(graph, *graph.ops[-1].inputs, graph.output)) == 1
    assert not any(isinstance(op.op, Quantize) for op in graph.ops)


def test_a_tensor_with_other_readers_keeps_its_fine_scale() -> None:
    """The input is read by the convolution, too: it is requantized for the join."""
    model = Forward(lambda x, a: torch.cat([x, 10 * a(x)], 1), conv())
    graph = int8_of(model, random_input(64, *IMAGE))
    kinds = [type(op.op) for op in graph.ops]
    assert kinds == [Conv2D, Quantize, Concat]
    assert graph.input_tensor.scale < graph.output_tensor.scale / 2


def test_a_prescribed_scale_is_requantized_for_the_join() -> None:
    mixed, shape = EVERY["cat mixed"]
    graph = int8_of(mixed, random_input(64, *shape))
    assert sum(isinstance(op.op, Quantize) for op in graph.ops) == 1
    sigmoids, shape = EVERY["cat sigmoids"]
    graph = int8_of(sigmoids, random_input(64, *shape))
    assert scales(graph, graph.output) == {(1 / 256, -128)}
    assert not any(isinstance(op.op, Quantize) for op in graph.ops)


def test_a_pad_covers_its_value() -> None:
    graph = int8_of(nn.ConstantPad2d(1, 50.0), random_input(64, *IMAGE))
    assert graph.output_tensor.scale * 255 >= 50
    assert graph.tensors["input"].scale == graph.output_tensor.scale


def test_constants_are_exact_numbers() -> None:
    """One number is the end of its own range."""
    graph = int8_of(Forward(lambda x: x.relu() * 0.3), random_input(64, *VECTOR))
    (name,) = graph.constants
    real = graph.tensors[name].dequantize(graph.constants[name])
    assert real == pytest.approx(0.3, rel=1e-6)
