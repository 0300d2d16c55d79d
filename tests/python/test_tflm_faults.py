"""Where TFLite Micro has no answer, and what happens here instead: the table in docs/numerics.md.

What ends a process, or reads memory that it should not, runs in one of its own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import oracle
import pytest
import tflite
from numpy.typing import NDArray

from nanotool import unary, validate
from nanotool.backends import tflite as writer
from nanotool.backends.tflite.file import File
from nanotool.backends.tflite.serialize import serialize
from nanotool.errors import InvalidModel
from nanotool.ir import (
    Binary,
    LogSoftmax,
    Op,
    QGraph,
    QOp,
    QTensor,
    Quantize,
    Resize,
    Softmax,
    Unary,
)
from nanotool.simulate import simulate

ALL_INPUTS = np.arange(-128, 128).astype(np.int8)[np.newaxis]
SCRIPT = """
import sys
import numpy as np
import oracle
model, data, answer = sys.argv[1:]
np.save(answer, oracle.run_bytes(open(model, "rb").read(), np.load(data)))
"""


def one(op: Op, source: QTensor, target: QTensor) -> QGraph:
    return QGraph("one", {"x": source, "y": target}, (QOp("y", op, ("x",)),), ("x",), ("y",))


def twice(function: str, scale: float, output_scale: float) -> QGraph:
    """A function of the input and itself."""
    tensors = {"x": QTensor("x", (256,), scale, 0), "y": QTensor("y", (256,), output_scale, 0)}
    return QGraph("twice", tensors, (QOp("y", Binary(function), ("x", "x")),), ("x",), ("y",))


def apart(graph: QGraph, x: NDArray[Any], folder: Path) -> NDArray[Any] | None:
    """TFLite Micro's answer from a process of its own; None if it dies by a signal."""
    model, data, answer = folder / "m.tflite", folder / "x.npy", folder / "y.npy"
    model.write_bytes(writer.write(graph))
    np.save(data, x)
    command = [sys.executable, "-c", SCRIPT, str(model), str(data), str(answer)]
    here = str(Path(__file__).parent)
    root = str(Path(__file__).parents[2])
    run = subprocess.run(
        command, cwd=here, env={"PYTHONPATH": f"{here}:{root}"}, capture_output=True, check=False
    )
    if run.returncode < 0:
        return None
    assert run.returncode == 0, run.stderr.decode()
    return np.asarray(np.load(answer))


# --- It ends the process --------------------------------------------------------------------------


@pytest.mark.parametrize("function", ["add", "sub"])
def test_sums_onto_a_much_finer_scale(function: str, tmp_path: Path) -> None:
    """2 · scale / output scale from 2^20 on."""
    fine = twice(function, 1.0, 2.0**-18.5)
    assert np.array_equal(simulate(fine, ALL_INPUTS), oracle.run(fine, ALL_INPUTS))
    graph = twice(function, 1.0, 2.0**-19)
    assert apart(graph, ALL_INPUTS, tmp_path) is None
    with pytest.raises(InvalidModel, match=r"^y: A sum cannot be scaled up") as caught:
        validate.validate(graph)
    assert "Calibrate" in caught.value.hint


def test_softmax_of_too_many(tmp_path: Path) -> None:
    """512 exponentials of nearly 1."""
    graph = one(Softmax(), QTensor("x", (600,), 0.1, 0), QTensor("y", (600,), 1 / 256, -128))
    x = np.zeros((1, 600), np.int8)
    assert apart(graph, x, tmp_path) is None
    validate.validate(graph)
    assert simulate(graph, x).tolist() == [[-128] * 600]


@pytest.mark.parametrize("op", [Softmax(), LogSoftmax()])
def test_softmax_of_a_tiny_scale(op: Softmax | LogSoftmax, tmp_path: Path) -> None:
    fixed = (1 / 256, -128) if isinstance(op, Softmax) else (1 / 16, 127)
    graph = one(op, QTensor("x", (2,), 2.0**-26, 0), QTensor("y", (2,), *fixed))
    assert apart(graph, np.zeros((1, 2), np.int8), tmp_path) is None
    with pytest.raises(InvalidModel, match=r"^y: "):
        validate.validate(graph)


# --- It overflows, or reads elsewhere -------------------------------------------------------------


def test_log_softmax_of_too_many() -> None:
    """4095 exponentials fit into the sum; five thousand do not."""

    def graph(depth: int) -> QGraph:
        source, target = QTensor("x", (depth,), 1e-5, 0), QTensor("y", (depth,), 1 / 16, 127)
        return one(LogSoftmax(), source, target)

    x = np.linspace(-128, 127, 5000).astype(np.int8)[np.newaxis]
    validate.validate(graph(4095))
    assert np.array_equal(simulate(graph(4095), x[:, :4095]), oracle.run(graph(4095), x[:, :4095]))
    real = -np.log(5000) * 16 + 127
    assert np.abs(oracle.run(graph(5000), x) - real).max() > 0.5
    with pytest.raises(InvalidModel, match="log-softmax takes 1 to 4,095 elements"):
        validate.validate(graph(5000))


def test_resizing_beyond_the_last_pixel(tmp_path: Path) -> None:
    """One pixel becomes 55: 54 · ⌊1024 / 55⌉ = 1026, which is behind it."""
    source, target = QTensor("x", (1, 1, 1), 0.1, 0), QTensor("y", (1, 55, 1), 0.1, 0)
    graph = one(Resize("bilinear"), source, target)
    validate.validate(graph)
    x = np.full((1, 1, 1, 1), 100, np.int8)
    assert set(simulate(graph, x).ravel().tolist()) == {100}
    theirs = apart(graph, x, tmp_path)
    assert theirs is not None
    assert set(theirs.ravel()[:54].tolist()) == {100}
    assert theirs.ravel()[54] != 100


def test_quotients_beyond_int32() -> None:
    """Huge positive ones become -128, as a conversion overflows."""
    source, target = QTensor("x", (2,), 1.0, 0, "float32"), QTensor("y", (2,), 1e-10, 0)
    graph = one(Quantize(), source, target)
    validate.validate(graph)
    x = np.array([[1.0, -1.0]], np.float32)
    assert oracle.run(graph, x).tolist() == [[-128, -128]]
    assert simulate(graph, x).tolist() == [[127, -128]]
    assert simulate(graph, x * np.float32(np.nan)).tolist() == [[0, 0]]

    elu = one(Unary("elu"), QTensor("x", (256,), 1e5, 0), QTensor("y", (256,), 1e-5, 0))
    validate.validate(elu)
    assert oracle.run(elu, ALL_INPUTS)[0, -1] == -128
    assert simulate(elu, ALL_INPUTS)[0, -1] == 127


def test_shifts_beyond_the_registers() -> None:
    """Hard-swish of scales above 2^24, and inverse roots onto very coarse ones."""
    coarse = one(Unary("hard_swish"), QTensor("x", (256,), 1e8, 0), QTensor("y", (256,), 1e8, 0))
    ours, theirs = simulate(coarse, ALL_INPUTS)[0], oracle.run(coarse, ALL_INPUTS)[0]
    assert ours[:129].tolist() == [0] * 129
    assert np.array_equal(ours[129:], np.arange(1, 128))
    assert not np.array_equal(ours, theirs)

    roots = one(Unary("rsqrt"), QTensor("x", (256,), 1.0, -128), QTensor("y", (256,), 1e4, 5))
    ours, theirs = simulate(roots, ALL_INPUTS)[0], oracle.run(roots, ALL_INPUTS)[0]
    assert ours.tolist() == [127] + [5] * 255
    assert not np.array_equal(ours, theirs)


# --- It refuses -----------------------------------------------------------------------------------


def test_roots_of_negative_numbers() -> None:
    """An error at run time, for any negative input; here 127, and a table in the file."""
    graph = one(Unary("rsqrt"), QTensor("x", (256,), 0.1, 0), QTensor("y", (256,), 0.05, -20))
    file = File(graph)
    source, target = (file.activation(name, graph.tensors[name]) for name in ("x", "y"))
    file.index |= {"x": source, "y": target}
    file.operator(tflite.BuiltinOperator.RSQRT, (source,), target)
    assert np.array_equal(
        oracle.run_bytes(serialize(file), np.abs(ALL_INPUTS.clip(-127))),
        simulate(graph, np.abs(ALL_INPUTS.clip(-127))),
    )
    with pytest.raises(RuntimeError):
        oracle.run_bytes(serialize(file), ALL_INPUTS)
    ours = simulate(graph, ALL_INPUTS)
    assert ours[0, :129].tolist() == [127] * 129
    assert np.array_equal(oracle.run(graph, ALL_INPUTS), ours)


def test_hard_swish_onto_a_much_finer_scale() -> None:
    source, target = QTensor("x", (256,), 1.3, 0), QTensor("y", (256,), 0.01, 0)
    with pytest.raises(InvalidModel, match="too small for the output of a hard-swish"):
        unary.table("hard_swish", source, target)
