"""Activations in int16 (TensorFlow Lite's 16x8): everywhere the same bytes, and clear refusals.

30 random graphs, of whole int16 layers with seams to int8 here and there, against TFLite Micro and
through the lossless passes; `python -m bench.differential --int16` counts more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from differential import differences
from hand_nets import check_same
from hypothesis import given
from hypothesis import strategies as st
from random_graphs import INT16, examples, graphs, random_inputs

import nanotool
from nanotool import numerics, qfile
from nanotool.errors import InvalidModel, NanoError
from nanotool.ir import (
    Binary,
    Dense,
    LogSoftmax,
    Op,
    PRelu,
    QGraph,
    QOp,
    QTensor,
    Softmax,
    Unary,
    unclamped,
)
from nanotool.passes.lossless import simplify
from nanotool.simulate import simulate
from nanotool.validate import validate

FULL = unclamped("int16")


@examples(30)
@given(graphs(INT16, 8, tflite=True, int16=True), st.integers(0, 2**16))
def test_random_graphs_answer_as_tflite_micro(graph: QGraph, seed: int) -> None:
    assert differences(graph, random_inputs(graph, 4, seed)) == {}


@examples(30)
@given(graphs(INT16, 8, int16=True))
def test_lossless_passes_and_files_keep_every_byte(graph: QGraph) -> None:
    check_same(graph, simplify(graph))
    assert qfile.to_bytes(qfile.from_bytes(qfile.to_bytes(graph))) == qfile.to_bytes(graph)


def _layer(
    op: Op, source: QTensor, target: QTensor, clamp: tuple[int, int] = FULL, **fields: Any
) -> QGraph:
    """One operator from ``source`` to ``target``."""
    constant = QTensor("k", (2,), 0.5, 0, source.dtype)
    inputs = (source.name, "k")[: 2 if isinstance(op, (Binary, PRelu)) else 1]
    tensors = {tensor.name: tensor for tensor in (source, target, constant)}
    constants = {"k": np.array([3, -2], constant.quantize(np.zeros(1)).dtype)}
    if len(inputs) == 1:
        del tensors["k"], constants["k"]
    layer = QOp(target.name, op, inputs, clamp=clamp)
    layer = replace(layer, **fields)
    return QGraph("one", tensors, (layer,), (source.name,), (target.name,), constants=constants)


def _tensor(name: str, scale: float = 0.5, zero_point: int = 0, dtype: str = "int16") -> QTensor:
    return QTensor(name, (2,), scale, zero_point, dtype)


def _dense(bias: object = None, **of_target: Any) -> QGraph:
    fields: dict[str, Any] = {
        "weight": np.array([[127, 1], [-3, 2]], np.int8),
        "weight_scale": np.array([0.25], np.float32),
        "bias": bias,
    }
    return _layer(Dense(), _tensor("x"), replace(_tensor("y"), **of_target), **fields)


def test_a_dense_layer_by_hand() -> None:
    """0.25 · (127 x0 + x1 + b0): the multiplier of 15 bits is exact, halves are rounded up."""
    graph = _dense(np.array([2**31, 1], np.int64))
    validate(graph)
    x = np.array([[1, 2], [-1, 0], [32767, -32768]], np.int16)
    sums = x.astype(np.int64) @ np.array([[127, -3], [1, 2]]) + np.array([2**31, 1])
    wanted = np.clip(np.floor(sums / 4 + 0.5), -32768, 32767)
    assert np.array_equal(simulate(graph, x), wanted.astype(np.int16))


def _alone(function: str, scale: float, target: float) -> dict[str, int]:
    """What differs from TFLite Micro, of a function of every 97th int16."""
    x = np.arange(-32768, 32768, 97, dtype=np.int32).astype(np.int16)[None]
    source = QTensor("x", x.shape[1:], float(np.float32(scale)), 0, "int16")
    return differences(
        _layer(Unary(function), source, QTensor("y", x.shape[1:], target, 0, "int16")), x
    )


@pytest.mark.parametrize("function", ["sigmoid", "tanh"])
def test_scales_near_a_power_of_two_are_taken_for_it(function: str) -> None:
    """Within a thousandth of the logarithm, and for some powers only."""
    for power in (-10, -11, -12, -13):
        for off in (-1.01e-3, -0.99e-3, 2e-4, 0.99e-3, 1.01e-3):
            assert not _alone(function, 2.0 ** (power + off), numerics.UNIT_OUTPUT[0])


@pytest.mark.parametrize("function", ["abs", "leaky_relu:-0.5", "leaky_relu:0.5"])
def test_halves_and_overflows_go_the_references_way(function: str) -> None:
    for factor in (0.25, 0.5, 0.375, 1.5, 2.0**17, 1.1 * 2.0**25):
        assert not _alone(function, 0.01 * factor, 0.01)


def test_functions_are_near_their_real_values() -> None:
    x = np.linspace(-32768, 32767, 2001).astype(np.int16)
    for name, real in (("sigmoid", lambda v: 1 / (1 + np.exp(-v))), ("tanh", np.tanh)):
        source = QTensor("x", (2001,), 2.0**-12, 0, "int16")
        target = QTensor("y", (2001,), *numerics.UNIT_OUTPUT, "int16")
        y = simulate(_layer(Unary(name), source, target), x[None])[0]
        assert np.abs(y / 32768 - real(x / 4096)).max() < 3 / 32768
    source, target = (replace(one, shape=(3,)) for one in (_tensor("x", 0.001), _tensor("y")))
    target = replace(target, scale=1 / 32768)
    y = simulate(_layer(Softmax(), source, target), np.array([[0, 1000, -2000]], np.int16))[0]
    powers = np.exp([0.0, 1.0, -2.0])
    assert np.abs(y / 32768 - powers / powers.sum()).max() < 4 / 32768


LARGE = np.array([2**47, 0], np.int64)
REFUSED = {
    "no form": (_layer(LogSoftmax(), _tensor("x"), _tensor("y")), "takes and yields int8 only"),
    "no function": (_layer(Unary("gelu"), _tensor("x"), _tensor("y")), "int8 only"),
    "no quotient": (_layer(Binary("div"), _tensor("x"), _tensor("y")), "int8 only"),
    "a seam without Quantize": (_dense(dtype="int8"), "int16 and int8|int8, or all int16"),
    "a zero point": (_dense(zero_point=1), "zero points are 0"),
    "bias in 32 bits": (_dense(np.array([1, 2], np.int32)), "bias is not int64"),
    "bias beyond 47 bits": (_dense(LARGE), "2\\^47"),
    "a scale too fine": (_dense(scale=1e-4), "no form for sums of int16"),
    "another scale": (_layer(Unary("tanh"), _tensor("x"), _tensor("y")), "1/32768"),
    "steps too coarse": (
        _layer(Unary("tanh"), _tensor("x", 3), _tensor("y", 1 / 32768)),
        "no integer form",
    ),
    "softmax": (_layer(Softmax(), _tensor("x"), _tensor("y")), "1/32768"),
    "slopes in int16": (_layer(PRelu(), _tensor("x"), _tensor("y")), "int8"),
    "clamp": (_layer(Unary("relu"), _tensor("x"), _tensor("y"), (0, 40000)), "not within int16"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    graph, message = REFUSED[case]
    with pytest.raises(InvalidModel, match=message):
        validate(graph)


# --- The quantizer --------------------------------------------------------------------------------


class _Branches(torch.nn.Module):
    """A residual, a gate, a function that has no form for int16, and a softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(2, 6, 3, padding=1)
        self.second = torch.nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.last = torch.nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.first(x))
        z = torch.nn.functional.silu(self.second(y)) + y
        pooled = (z * torch.sigmoid(z)).mean((2, 3))
        return torch.softmax(self.last(pooled), 1)


def _quantized(**options: Any) -> tuple[nanotool.QuantizedModel, float]:
    """`_Branches` quantized, and its output's noise against float, in decibels."""
    torch.manual_seed(0)
    model, x = _Branches().eval(), np.random.default_rng(0).normal(size=(64, 2, 6, 6))
    data = x.astype(np.float32)
    quantized = nanotool.quantize(model, data, observer="minmax", **options)
    with torch.no_grad():
        real = model(torch.from_numpy(data)).numpy()
    noise = quantized.run(data) - real
    return quantized, float(10 * np.log10((real**2).sum() / (noise**2).sum()))


def test_a_whole_model_in_int16_is_nearer_to_float() -> None:
    plain, whole = _quantized(), _quantized(activations="int16")
    assert whole[1] > plain[1] + 6
    graph = whole[0].graph
    assert graph.input_tensor.dtype == graph.output_tensor.dtype == "int16"
    assert differences(graph, random_inputs(graph, 4, 1)) == {}


def test_named_tensors_in_int16() -> None:
    graph = _quantized(int16=["first"])[0].graph
    types = {op.name: graph.tensors[op.name].dtype for op in graph.ops}
    assert types["first"] == types["second"] == "int16"
    assert types["last"] == graph.input_tensor.dtype == "int8"
    assert differences(graph, random_inputs(graph, 4, 1)) == {}
    with pytest.raises(NanoError, match="no tensor 'third'"):
        _quantized(int16=["third"])
