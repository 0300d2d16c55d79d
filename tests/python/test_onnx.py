"""ONNX files: each operator as onnx's own reference computes it, models that others quantized, and
files that are not what they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

onnx = pytest.importorskip("onnx", reason="the onnx package is not installed")

from onnx.reference import ReferenceEvaluator  # noqa: E402

import nanotool  # noqa: E402
from nanotool.errors import InvalidModel, NanoError, UnsupportedOp  # noqa: E402
from nanotool.frontends.onnx import RUNS, load  # noqa: E402

RNG = np.random.default_rng(3)
IMAGE = (2, 4, 6, 8)


def real(*shape: int) -> NDArray[np.float32]:
    return np.asarray(RNG.normal(size=shape), np.float32)


def file(
    folder: Path, nodes: Sequence[Any], takes: Sequence[int], constants: dict[str, Any], gives: str
) -> Path:
    """An .onnx file of ``nodes`` that takes x."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", kind, ["N", *takes[1:]])],
        [helper.make_tensor_value_info(gives, kind, ["N"])],
        [onnx.numpy_helper.from_array(np.asarray(data), name) for name, data in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    model.ir_version = 10
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def reference(path: Path, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """What onnx answers."""
    answers: Any = ReferenceEvaluator(str(path)).run(None, {"x": x})
    return np.asarray(answers[0], np.float32)


def node(kind: str, *constants: Any, **attributes: Any) -> tuple[Any, dict[str, Any]]:
    """One operator of x and of constants."""
    named = {f"c{i}": data for i, data in enumerate(constants) if data is not None}
    reads = ["x", *(f"c{i}" if data is not None else "" for i, data in enumerate(constants))]
    return onnx.helper.make_node(kind, reads, ["y"], **attributes), named


def ints(*values: int) -> NDArray[np.int64]:
    return np.array(values, np.int64)


CASES: dict[str, Callable[[], tuple[Any, dict[str, Any]]]] = {
    "Relu": lambda: node("Relu"),
    "HardSigmoid": lambda: node("HardSigmoid", alpha=0.3),
    "LeakyRelu": lambda: node("LeakyRelu", alpha=0.2),
    "Elu": lambda: node("Elu"),
    "Clip": lambda: node("Clip", np.float32(-0.5), np.float32(1.0)),
    "Clip above": lambda: node("Clip", None, np.float32(1.0)),
    "Add": lambda: node("Add", real(4, 1, 1)),
    "PRelu": lambda: node("PRelu", real(4, 1, 1)),
    "Conv": lambda: node("Conv", real(6, 2, 3, 3), real(6), group=2, pads=[1, 0, 2, 1]),
    "Conv same": lambda: node("Conv", real(5, 4, 3, 2), auto_pad="SAME_UPPER", strides=[2, 2]),
    "ConvTranspose": lambda: node("ConvTranspose", real(4, 3, 3, 3), strides=[2, 2]),
    "BatchNormalization": lambda: node(
        "BatchNormalization", real(4), real(4), real(4), np.abs(real(4)) + 0.5
    ),
    "LayerNormalization": lambda: node("LayerNormalization", real(8), real(8)),
    "MaxPool": lambda: node("MaxPool", kernel_shape=[3, 2], pads=[1, 0, 1, 0], strides=[2, 2]),
    "AveragePool": lambda: node("AveragePool", kernel_shape=[2, 2], strides=[2, 2]),
    "GlobalAveragePool": lambda: node("GlobalAveragePool"),
    "ReduceMean": lambda: node("ReduceMean", ints(2, 3), keepdims=0),
    "ReduceMax": lambda: node("ReduceMax", ints(1)),
    "Softmax": lambda: node("Softmax", axis=1),
    "MatMul": lambda: node("MatMul", real(8, 5)),
    "Flatten": lambda: node("Flatten"),
    "Reshape": lambda: node("Reshape", ints(0, 4, -1)),
    "Transpose": lambda: node("Transpose", perm=[0, 2, 3, 1]),
    "Unsqueeze": lambda: node("Unsqueeze", ints(1)),
    "Slice": lambda: node("Slice", ints(1, 0), ints(5, 100), ints(2, 3), ints(2, 1)),
    "Slice backwards": lambda: node("Slice", ints(-1), ints(-100), ints(3), ints(-1)),
    "Gather": lambda: node("Gather", ints(3, 0, -1), axis=3),
    "Gather one": lambda: node("Gather", np.array(1), axis=2),
    "Pad": lambda: node("Pad", ints(0, 0, 1, 2, 0, 0, 0, 1), np.float32(0.5)),
    "Pad reflect": lambda: node("Pad", ints(0, 0, 1, 2, 0, 0, 0, 1), mode="reflect"),
    "DepthToSpace": lambda: node("DepthToSpace", blocksize=2),
    "SpaceToDepth": lambda: node("SpaceToDepth", blocksize=2),
    "Resize": lambda: node(
        "Resize", None, np.array([1, 1, 2, 2], np.float32), mode="linear",
        coordinate_transformation_mode="half_pixel",
    ),
    "Tile": lambda: node("Tile", ints(1, 1, 2, 1)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_operators_answer_as_the_reference(name: str, tmp_path: Path) -> None:
    operator, constants = CASES[name]()
    path = file(tmp_path, [operator], IMAGE, constants, "y")
    x = real(*IMAGE)
    expected = reference(path, x)
    with torch.no_grad():
        found = load(path)(torch.tensor(x)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def quantized(folder: Path) -> Path:
    """A convolution and a dense layer with QDQ around them."""
    make, constants, nodes = onnx.helper.make_node, dict[str, Any](), []

    def twice(name: str, scale: float, zero_point: int) -> str:
        constants.update({f"{name}_s": np.float32(scale), f"{name}_z": np.uint8(zero_point)})
        scaled = [f"{name}_s", f"{name}_z"]
        nodes.append(make("QuantizeLinear", [name, *scaled], [f"{name}_q"]))
        nodes.append(make("DequantizeLinear", [f"{name}_q", *scaled], [f"{name}_d"]))
        return f"{name}_d"

    def weight(name: str, data: NDArray[np.float32]) -> str:
        scale = np.abs(data).reshape(len(data), -1).max(axis=1) / np.float32(127)
        steps = np.round(data / scale.reshape(-1, *(1,) * (data.ndim - 1)))
        constants.update({f"{name}_q": steps.astype(np.int8), f"{name}_s": scale})
        constants[f"{name}_z"] = np.zeros(len(data), np.int8)
        reads = [f"{name}_q", f"{name}_s", f"{name}_z"]
        nodes.append(make("DequantizeLinear", reads, [name], axis=0))
        return name

    source = twice("x", 0.03, 128)
    nodes.append(
        make(
            "Conv", [source, weight("w", real(6, 3, 3, 3))], ["c"], name="/body/conv", pads=[1] * 4
        )
    )
    nodes.append(make("Relu", ["c"], ["r"]))
    nodes.append(make("MaxPool", [twice("r", 0.1, 0)], ["p"], kernel_shape=[2, 2], strides=[2, 2]))
    nodes.append(make("Flatten", [twice("p", 0.1, 0)], ["f"]))
    nodes.append(make("Gemm", ["f", weight("v", real(5, 96))], ["o"], transB=1, name="head"))
    gives = twice("o", 0.9, 120)
    return file(folder, nodes, (1, 3, 8, 8), constants, gives)


@pytest.mark.filterwarnings("ignore::nanotool.errors.NanoWarning")
def test_scales_of_a_quantized_model_are_kept(tmp_path: Path) -> None:
    path = quantized(tmp_path)
    x = np.clip(real(32, 3, 8, 8), -3.8, 3.8)
    model = nanotool.quantize(path, x)
    ends = {(round(t.scale, 6), t.zero_point) for t in model.graph.tensors.values()}
    assert ends == {(0.03, 0), (0.1, -128), (0.9, -8)}
    constants = {one.name: one for one in onnx.load(str(path)).graph.initializer}
    for op, name in zip([op for op in model.graph.ops if op.weight is not None], "wv", strict=True):
        assert op.weight is not None
        steps = onnx.numpy_helper.to_array(constants[f"{name}_q"])
        np.testing.assert_array_equal(np.sort(op.weight, axis=None), np.sort(steps, axis=None))
    assert np.abs(model.run(x) - reference(path, x)).max() <= 0.9 * 1.001  # one step


def test_damaged_files_give_one_error(tmp_path: Path) -> None:
    good = quantized(tmp_path).read_bytes()
    path = tmp_path / "damaged.onnx"
    refused = 0
    for _ in range(150):
        data = bytearray(good)
        for _ in range(int(RNG.integers(1, 6))):
            data[int(RNG.integers(len(data)))] = int(RNG.integers(256))
        path.write_bytes(bytes(data[: int(RNG.integers(1, len(data) + 1))]))
        try:
            load(path)
        except NanoError as error:
            assert error.hint
            refused += 1
    assert refused > 75


def test_what_the_package_lets_through_gives_one_error(tmp_path: Path) -> None:
    """A constant of a type that there is not, a name that is no text."""
    path = quantized(tmp_path)
    model = onnx.load(str(path))
    model.graph.initializer[0].data_type = 71
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InvalidModel, match=r"damaged|no sound ONNX file"):
        load(path)
    name = model.graph.node[0].name = "node_to_break"
    model.graph.initializer[0].data_type = (
        onnx.load(str(quantized(tmp_path))).graph.initializer[0].data_type
    )
    path.write_bytes(model.SerializeToString().replace(name.encode(), b"\xff" * len(name)))
    with pytest.raises(InvalidModel, match=r"not UTF-8|no sound ONNX file"):
        load(path)


@pytest.mark.parametrize(
    ("kind", "error", "match"),
    [("Loop", UnsupportedOp, "Loop"), ("NonZero", UnsupportedOp, "NonZero")],
)
def test_other_operators_are_named(
    tmp_path: Path, kind: str, error: type[NanoError], match: str
) -> None:
    assert kind not in RUNS
    operator = onnx.helper.make_node("NonZero", ["x"], ["y"], name="body.3")
    operator.op_type = kind
    path = file(tmp_path, [operator], IMAGE, {}, "y")
    with pytest.raises((error, InvalidModel), match=match):
        load(path)
