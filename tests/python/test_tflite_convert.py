"""From .tflite to QGraph: byte for byte what TFLite Micro answers on the same file.

Files are made by hand, one operator each, so that nothing of our own writer is in between; then
the reference models against their golden answers, and what our writer makes of random graphs.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import tflite
from numpy.typing import NDArray
from random_graphs import random_graph, random_inputs
from tflite_files import Spec, code, ints, operator, quantization, serialize
from tflite_micro import runtime

from nanotool.backends import tflite as writer
from nanotool.errors import InvalidModel, UnsupportedOp
from nanotool.frontends.tflite import convert, file, schema
from nanotool.frontends.tflite.operators import INSTEAD, RULES
from nanotool.ir import Conv2D, Dense, QGraph, Reshape, Slice, Unary
from nanotool.simulate import simulate

MODELS = Path(__file__).parent.parent / "models"
NAMES = ("ad", "ic", "kws", "vww")
SEEDS = range(round(6 * float(os.environ.get("NANO_EXAMPLES", "1"))))
SAMPLES = 5
ARENA_BYTES = 1 << 20
SCALE_FIELDS = ("Scale", "ZeroPoint")
DTYPES = {"INT8": np.int8, "UINT8": np.uint8, "FLOAT32": np.float32, "INT32": np.int32}


# --- One operator at a time -----------------------------------------------------------------------


@dataclass
class Net:
    """A .tflite file in the making, and a source of random numbers for it."""

    rng: np.random.Generator
    tensors: list[Spec] = field(default_factory=list)
    buffers: list[bytes] = field(default_factory=lambda: [b""])
    codes: list[str] = field(default_factory=list)
    operators: list[Spec] = field(default_factory=list)

    def between(self, low: int, high: int) -> int:
        """An integer, both ends included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self) -> bool:
        return bool(self.rng.random() < 0.5)

    def pick(self, *items: Any) -> Any:
        return items[self.between(0, len(items) - 1)]

    def scale(self) -> float:
        return float(np.float32(10 ** self.rng.uniform(-2, 0)))

    def zero_point(self) -> int:
        return self.between(-128, 127)

    def tensor(
        self,
        shape: Sequence[int],
        *,
        like: int | None = None,
        scale: float | None = None,
        zero_point: int | None = None,
        kind: str = "INT8",
        **more: Any,
    ) -> int:
        """An activation; ``like``: with the quantization of that tensor. Its index."""
        content = {
            "Name": f"tensor {len(self.tensors)}",
            "Shape": ints(*shape),
            "Type": getattr(tflite.TensorType, kind),
            "Quantization": quantization(
                self.scale() if scale is None else scale,
                zero_points=(self.zero_point() if zero_point is None else zero_point,),
            ),
        }
        if kind in {"FLOAT32", "INT32"}:
            del content["Quantization"]
        if like is not None:
            content["Quantization"] = self.tensors[like][1]["Quantization"]
        self.tensors.append(("Tensor", content | more))
        return len(self.tensors) - 1

    def constant(self, data: NDArray[Any], **more: Any) -> int:
        """A constant; without quantization unless ``more`` has one."""
        kind = {np.dtype(t): name for name, t in DTYPES.items()}[data.dtype]
        self.buffers.append(data.tobytes())
        content = {
            "Name": f"constant {len(self.tensors)}",
            "Shape": ints(*data.shape),
            "Type": getattr(tflite.TensorType, kind),
            "Buffer": len(self.buffers) - 1,
        }
        self.tensors.append(("Tensor", content | more))
        return len(self.tensors) - 1

    def integers(self, *values: int) -> int:
        return self.constant(np.array(values, np.int32))

    def operand(self, shape: Sequence[int], like: int | None = None) -> int:
        """A random int8 constant with one scale."""
        data = self.rng.integers(-128, 128, shape).astype(np.int8)
        given = quantization(self.scale(), zero_points=(self.zero_point(),))
        if like is not None:
            given = self.tensors[like][1]["Quantization"]
        return self.constant(data, Quantization=given)

    def weights(self, shape: Sequence[int], axis: int) -> int:
        """Random weights, with one scale or one for each index of ``axis``."""
        data = self.rng.integers(-127, 128, shape).astype(np.int8)
        count = shape[axis] if self.chance() else 1
        scales = self.rng.uniform(0.002, 0.01, count)
        zeros = (0,) * count
        given = quantization(*scales, zero_points=zeros, QuantizedDimension=axis)
        return self.constant(data, Quantization=given)

    def bias(self, source: int, weights: int, size: int) -> tuple[int, ...]:
        """A bias, or none. Its scales are products: TFLite Micro insists, though it uses none."""
        if self.chance():
            return ()
        data = self.rng.integers(-3000, 3000, size).astype(np.int32)
        scales, zeros = (self.tensors[weights][1]["Quantization"][1][k] for k in SCALE_FIELDS)
        scales = scales * self.tensors[source][1]["Quantization"][1]["Scale"]
        given = quantization(*scales, zero_points=tuple(zeros))
        return (self.constant(data, Quantization=given),)

    def add(
        self, opcode: str, inputs: Sequence[int], outputs: Sequence[int], **options: Any
    ) -> None:
        """An operator; ``options`` by their names in the schema package."""
        if opcode not in self.codes:
            self.codes.append(opcode)
        more = {}
        if opcode in schema.OPTIONS:
            name = schema.OPTIONS[opcode].__name__
            more["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, name)
            more["BuiltinOptions"] = (name, options)
        self.operators.append(
            operator(ints(*inputs), ints(*outputs), self.codes.index(opcode), **more)
        )

    def serialize(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        graph = {
            "Tensors": self.tensors,
            "Inputs": ints(*inputs),
            "Outputs": ints(*outputs),
            "Operators": self.operators,
        }
        content = {
            "Version": 3,
            "OperatorCodes": [code(getattr(tflite.BuiltinOperator, c)) for c in self.codes],
            "Subgraphs": [("SubGraph", graph)],
            "Buffers": [("Buffer", {"Data": data} if data else {}) for data in self.buffers],
        }
        return serialize(("Model", content))


Case: TypeAlias = Callable[[Net], tuple[int, int]]  # adds operators: (input, output)
ACTIVATIONS = (0, 1, 2, 3)  # NONE, RELU, RELU_N1_TO_1, RELU6


def _image(net: Net, least: int = 4) -> tuple[int, int, int, int]:
    """An input of random size: (tensor, height, width, channels)."""
    height, width, depth = net.between(least, 9), net.between(least, 9), net.between(1, 6)
    return net.tensor((1, height, width, depth)), height, width, depth


def _sizes(net: Net, size: tuple[int, int], kernel: tuple[int, int]) -> tuple[Any, Any]:
    """Output size and options of a random window with ``kernel``."""
    stride = (net.between(1, 3), net.between(1, 3))
    padding = net.pick(tflite.Padding.SAME, tflite.Padding.VALID)
    options = {"Padding": padding, "StrideH": stride[0], "StrideW": stride[1]}
    if padding == tflite.Padding.SAME:
        return [-(-s // step) for s, step in zip(size, stride, strict=True)], options
    return [(s - k) // t + 1 for s, k, t in zip(size, kernel, stride, strict=True)], options


def conv2d(net: Net) -> tuple[int, int]:
    source, height, width, depth = _image(net)
    kernel, groups = (net.between(1, 4), net.between(1, 4)), net.pick(1, 1, depth)
    outputs = groups * net.between(1, 4)
    size, options = _sizes(net, (height, width), kernel)
    weights = net.weights((outputs, *kernel, depth // groups), axis=0)
    target = net.tensor((1, *size, outputs))
    options["FusedActivationFunction"] = net.pick(*ACTIVATIONS)
    net.add("CONV_2D", [source, weights, *net.bias(source, weights, outputs)], [target], **options)
    return source, target


def dilated_conv2d(net: Net) -> tuple[int, int]:
    source, height, width, depth = _image(net, least=7)
    weights = net.weights((3, 3, 2, depth), axis=0)
    target = net.tensor((1, height, width, 3))
    options = {"StrideH": 1, "StrideW": 1, "DilationHFactor": 2, "DilationWFactor": 3}
    net.add(
        "CONV_2D", [source, weights, *net.bias(source, weights, 3)], [target], Padding=0, **options
    )
    return source, target


def depthwise_conv2d(net: Net) -> tuple[int, int]:
    source, height, width, depth = _image(net)
    kernel, multiplier = (net.between(1, 4), net.between(1, 4)), net.between(1, 3)
    size, options = _sizes(net, (height, width), kernel)
    weights = net.weights((1, *kernel, depth * multiplier), axis=3)
    target = net.tensor((1, *size, depth * multiplier))
    options |= {"DepthMultiplier": multiplier, "FusedActivationFunction": net.pick(*ACTIVATIONS)}
    inputs = [source, weights, *net.bias(source, weights, depth * multiplier)]
    net.add("DEPTHWISE_CONV_2D", inputs, [target], **options)
    return source, target


def transpose_conv(net: Net) -> tuple[int, int]:
    source, height, width, depth = _image(net, least=2)
    kernel, stride = (net.between(1, 4), net.between(1, 4)), (net.between(1, 3), net.between(1, 3))
    size = [h * s - net.between(0, s - 1) for h, s in zip((height, width), stride, strict=True)]
    padding = tflite.Padding.SAME
    if net.chance():
        padding = tflite.Padding.VALID
        pairs = zip((height, width), stride, kernel, strict=True)
        size = [(h - 1) * s + k + net.between(0, s - 1) for h, s, k in pairs]
    outputs = net.between(1, 4)
    weights = net.weights((outputs, *kernel, depth), axis=0)
    target = net.tensor((1, *size, outputs))
    inputs = [net.integers(1, *size, outputs), weights, source, *net.bias(source, weights, outputs)]
    net.add(
        "TRANSPOSE_CONV", inputs, [target], Padding=padding, StrideH=stride[0], StrideW=stride[1]
    )
    return source, target


def fully_connected(net: Net) -> tuple[int, int]:
    depth, outputs = net.between(1, 20), net.between(1, 9)
    shape, out, depth = net.pick(
        ((1, depth), (1, outputs), depth),
        ((1, 3, depth), (3, outputs), depth),
        ((1, 2, 3, depth), (1, 2, 3, outputs), depth),
        ((1, 2, 5, 3), (1, outputs), 30),
    )
    weights = net.weights((outputs, depth), axis=0)
    source, target = net.tensor(shape), net.tensor(out)
    bias = net.bias(source, weights, outputs) or net.pick((), (-1,))
    options = {"FusedActivationFunction": net.pick(*ACTIVATIONS), "KeepNumDims": len(out) > 2}
    net.add("FULLY_CONNECTED", [source, weights, *bias], [target], **options)
    return source, target


def _pool(opcode: str) -> Case:
    def case(net: Net) -> tuple[int, int]:
        source, height, width, depth = _image(net)
        kernel = (net.between(1, 4), net.between(1, 4))
        size, options = _sizes(net, (height, width), kernel)
        target = net.tensor((1, *size, depth), like=source)
        options |= {"FilterHeight": kernel[0], "FilterWidth": kernel[1]}
        options["FusedActivationFunction"] = net.pick(*ACTIVATIONS)
        net.add(opcode, [source], [target], **options)
        return source, target

    return case


def mean(net: Net) -> tuple[int, int]:
    source, height, width, depth = _image(net)
    full = (1, height, width, depth)
    axes = net.pick((1, 2), (-3, -2), (2, 1), (3,), (0, 1, 2), (1, 2, 3), (2,), (0,))
    keep = net.chance()
    gone = {axis % 4 for axis in axes}
    out = [1 if i in gone else size for i, size in enumerate(full) if keep or i not in gone]
    target = net.tensor(out)
    net.add("MEAN", [source, net.integers(*axes)], [target], KeepDims=keep)
    return source, target


def arg_max(net: Net) -> tuple[int, int]:
    source, height, width, depth = _image(net)
    full = [1, height, width, depth]
    axis = net.pick(1, 2, 3, -1)
    del full[axis]
    target = net.tensor(full, kind="INT32")
    net.add("ARG_MAX", [source, net.integers(axis)], [target], OutputType=tflite.TensorType.INT32)
    return source, target


def _binary(opcode: str, *, same: bool = False) -> Case:
    def case(net: Net) -> tuple[int, int]:
        source, height, width, depth = _image(net)
        full = (1, height, width, depth)
        like = source if same else None
        other = net.pick(
            lambda: net.operand(full, like),
            lambda: net.operand((depth,), like),
            lambda: net.operand((1, 1, 1, depth), like),
            lambda: net.operand((), like),
            lambda: net.operand((1,), like),
            lambda: source,
        )()
        scale = {"MUL": 1.0}.get(opcode)
        target = net.tensor(full, like=like, scale=scale)
        inputs = [source, other] if net.chance() else [other, source]
        fuses = not same
        options = {"FusedActivationFunction": net.pick(*ACTIVATIONS)} if fuses else {}
        net.add(opcode, inputs, [target], **options)
        return source, target

    return case


def residual(net: Net) -> tuple[int, int]:
    """Two branches with scales of their own, and what they share."""
    source, height, width, depth = _image(net)
    full = (1, height, width, depth)
    left, right, total = (net.tensor(full) for _ in range(3))
    net.add("QUANTIZE", [source], [left])
    net.add("RELU", [source], [right])
    net.add("ADD", [left, right], [total])
    return source, total


def prelu(net: Net) -> tuple[int, int]:
    source, height, width, depth = _image(net)
    target = net.tensor((1, height, width, depth))
    net.add("PRELU", [source, net.operand((1, 1, depth))], [target])
    return source, target


def _unary(opcode: str, output: tuple[float, int] | None = None, **options: Any) -> Case:
    def case(net: Net) -> tuple[int, int]:
        shape = net.pick((1, 300), (1, 5, 60), (1, 10, 10, 3), (300,))
        source = net.tensor(shape)
        target = net.tensor(shape)
        if output is not None:
            target = net.tensor(shape, scale=output[0], zero_point=output[1])
        if opcode in {"RELU6", "RESHAPE"}:
            target = net.tensor(shape, like=source)
        net.add(opcode, [source], [target], **options)
        return source, target

    return case


def rsqrt(net: Net) -> tuple[int, int]:
    """TFLite Micro gives an error below 0: the input's zero point is -128."""
    source = net.tensor((1, 300), zero_point=-128)
    target = net.tensor((1, 300))
    net.add("RSQRT", [source], [target])
    return source, target


def reshape(net: Net) -> tuple[int, int]:
    out = net.pick((1, 60), (60,), (1, 3, 20), (2, 5, 6), (1, 1, 1, 60))
    source = net.tensor((1, 3, 4, 5))
    target = net.tensor(out, like=source)
    net.add("RESHAPE", [source, net.integers(*out)], [target])
    return source, target


def squeeze(net: Net) -> tuple[int, int]:
    source = net.tensor((1, 1, 1, 60))
    target = net.tensor((1, 60), like=source)
    net.add("SQUEEZE", [source], [target], SqueezeDims=ints(1, 2))
    return source, target


def expand_dims(net: Net) -> tuple[int, int]:
    source = net.tensor((1, 4, 15))
    target = net.tensor((1, 1, 4, 15), like=source)
    net.add("EXPAND_DIMS", [source, net.integers(1)], [target])
    return source, target


def transpose(net: Net) -> tuple[int, int]:
    source, height, width, depth = _image(net)
    full = (1, height, width, depth)
    order = [int(axis) for axis in net.rng.permutation(4)]
    target = net.tensor([full[axis] for axis in order], like=source)
    net.add("TRANSPOSE", [source, net.integers(*order)], [target])
    return source, target


def concatenation(net: Net) -> tuple[int, int]:
    source, height, width, depth = _image(net)
    full = [1, height, width, depth]
    other = net.tensor(full, like=source)
    net.add("MAXIMUM", [source, net.operand((), like=source)], [other])
    axis = net.pick(0, 1, 2, 3, -1)
    more = net.operand(full, like=source)
    full[axis] *= 3
    target = net.tensor(full, like=source)
    net.add("CONCATENATION", [source, other, more], [target], Axis=axis)
    return source, target


def pack_and_unpack(net: Net) -> tuple[int, int]:
    source, height, width, depth = _image(net)
    full = [1, height, width, depth]
    axis = net.pick(1, 2, 3, -2)
    count = full.pop(axis)
    parts = [net.tensor(full, like=source) for _ in range(count)]
    net.add("UNPACK", [source], parts, Num=count, Axis=axis)
    chosen = [parts[i] for i in net.rng.permutation(count)[: net.between(1, count)]]
    at = net.pick(0, 1, 2, 3, -1)
    full.insert(at % 4, len(chosen))
    target = net.tensor(full, like=source)
    net.add("PACK", chosen, [target], ValuesCount=len(chosen), Axis=at)
    return source, target


def split(net: Net) -> tuple[int, int]:
    source = net.tensor((1, 4, 6, 8))
    axis, pieces = net.pick((1, 2), (2, 3), (-1, 4), (3, 1))
    full = [1, 4, 6, 8]
    full[axis] //= pieces
    parts = [net.tensor(full, like=source) for _ in range(pieces)]
    net.add("SPLIT", [net.integers(axis), source], parts, NumSplits=pieces)
    return source, net.pick(*parts)


def split_v(net: Net) -> tuple[int, int]:
    source = net.tensor((1, 4, 9, 8))
    sizes = net.pick((2, 3, 4), (1, -1, 5), (-1, 2, 2))
    real = [9 - sum(sizes) - 1 if size == -1 else size for size in sizes]
    parts = [net.tensor((1, 4, size, 8), like=source) for size in real]
    net.add("SPLIT_V", [source, net.integers(*sizes), net.integers(2)], parts, NumSplits=3)
    return source, net.pick(*parts)


def slice_(net: Net) -> tuple[int, int]:
    source = net.tensor((1, 5, 6, 7))
    begin = [0, net.between(0, 4), net.between(0, 5), net.between(0, 6)]
    size = [1, *(net.between(1, full - b) for full, b in zip((5, 6, 7), begin[1:], strict=True))]
    out = list(size)
    if net.chance():
        size[2], out[2] = -1, 6 - begin[2]
    target = net.tensor(out, like=source)
    net.add("SLICE", [source, net.integers(*begin), net.integers(*size)], [target])
    return source, target


def strided_slice(net: Net) -> tuple[int, int]:
    source = net.tensor((1, 8, 9, 5))
    begin, end, stride, masks, out = net.pick(
        ((0, 1, 2, 0), (1, 8, 9, 5), (1, 2, 3, 1), {}, (1, 4, 3, 5)),
        ((0, 3, 0, 0), (0, 0, 7, 0), (1, 1, 2, 1), {"BeginMask": 13, "EndMask": 11}, (1, 5, 4, 5)),
        ((0, -3, 0, 0), (1, -1, 9, 5), (1, 1, 1, 1), {}, (1, 2, 9, 5)),
        ((0, 2, 0, 0), (1, 3, 9, 5), (1, 1, 1, 1), {"ShrinkAxisMask": 2}, (1, 9, 5)),
        ((0, 0, 0, -1), (1, 8, 9, 0), (1, 4, 2, 1), {"ShrinkAxisMask": 8}, (1, 2, 5)),
        ((0, 1, 1, 1), (1, 100, 100, 100), (1, 3, 1, 2), {}, (1, 3, 8, 2)),
    )
    target = net.tensor(out, like=source)
    inputs = [source, net.integers(*begin), net.integers(*end), net.integers(*stride)]
    net.add("STRIDED_SLICE", inputs, [target], **masks)
    return source, target


def pad(net: Net) -> tuple[int, int]:
    source, height, width, depth = _image(net)
    amounts = net.rng.integers(0, 4, (4, 2)).astype(np.int32)
    amounts[0] = 0
    full = np.array([1, height, width, depth]) + amounts.sum(axis=1)
    target = net.tensor(full.tolist(), like=source)
    inputs = [source, net.constant(amounts)]
    if net.chance():
        net.add("PADV2", [*inputs, net.operand((), like=source)], [target])
    else:
        net.add("PAD", inputs, [target])
    return source, target


def _resize(opcode: str) -> Case:
    def case(net: Net) -> tuple[int, int]:
        source, _, _, depth = _image(net, least=2)
        size = (net.between(1, 12), net.between(1, 12))
        target = net.tensor((1, *size, depth), like=source)
        mode = net.pick({}, {"AlignCorners": True}, {"HalfPixelCenters": True})
        net.add(opcode, [source, net.integers(*size)], [target], **mode)
        return source, target

    return case


def softmax(net: Net) -> tuple[int, int]:
    shape = net.pick((1, 10), (1, 3, 7), (1, 2, 3, 4), (9,))
    source, target = net.tensor(shape), net.tensor(shape, scale=1 / 256, zero_point=-128)
    net.add("SOFTMAX", [source], [target], Beta=net.pick(1.0, 0.5, 2.0))
    return source, target


def from_float(net: Net) -> tuple[int, int]:
    source, target = net.tensor((1, 300), kind="FLOAT32"), net.tensor((1, 300))
    net.add("QUANTIZE", [source], [target])
    return source, target


def to_float(net: Net) -> tuple[int, int]:
    source, target = net.tensor((1, 300)), net.tensor((1, 300), kind="FLOAT32")
    net.add("DEQUANTIZE", [source], [target])
    return source, target


def from_uint8(net: Net) -> tuple[int, int]:
    scale = net.scale()
    source = net.tensor((1, 300), kind="UINT8", scale=scale, zero_point=130)
    target = net.tensor((1, 300), scale=net.pick(scale, net.scale()), zero_point=2)
    net.add("QUANTIZE", [source], [target])
    return source, target


CASES: dict[str, Case] = {
    "ABS": _unary("ABS"),
    "ADD": _binary("ADD"),
    "ARG_MAX": arg_max,
    "AVERAGE_POOL_2D": _pool("AVERAGE_POOL_2D"),
    "CONCATENATION": concatenation,
    "CONV_2D": conv2d,
    "CONV_2D dilated": dilated_conv2d,
    "DEPTHWISE_CONV_2D": depthwise_conv2d,
    "DEQUANTIZE": to_float,
    "ELU": _unary("ELU"),
    "EXPAND_DIMS": expand_dims,
    "FULLY_CONNECTED": fully_connected,
    "HARD_SWISH": _unary("HARD_SWISH"),
    "LEAKY_RELU": _unary("LEAKY_RELU", Alpha=0.2),
    "LOGISTIC": _unary("LOGISTIC", (1 / 256, -128)),
    "LOG_SOFTMAX": _unary("LOG_SOFTMAX", (1 / 16, 127)),
    "MAXIMUM": _binary("MAXIMUM", same=True),
    "MAX_POOL_2D": _pool("MAX_POOL_2D"),
    "MEAN": mean,
    "MINIMUM": _binary("MINIMUM", same=True),
    "MUL": _binary("MUL"),
    "PACK, UNPACK": pack_and_unpack,
    "PAD, PADV2": pad,
    "PRELU": prelu,
    "QUANTIZE": _unary("QUANTIZE"),
    "QUANTIZE float32": from_float,
    "QUANTIZE uint8": from_uint8,
    "RELU": _unary("RELU"),
    "RELU6": _unary("RELU6"),
    "RESHAPE": reshape,
    "RESIZE_BILINEAR": _resize("RESIZE_BILINEAR"),
    "RESIZE_NEAREST_NEIGHBOR": _resize("RESIZE_NEAREST_NEIGHBOR"),
    "RSQRT": rsqrt,
    "SLICE": slice_,
    "SOFTMAX": softmax,
    "SPLIT": split,
    "SPLIT_V": split_v,
    "SQUEEZE": squeeze,
    "STRIDED_SLICE": strided_slice,
    "SUB": _binary("SUB"),
    "TANH": _unary("TANH", (1 / 128, 0)),
    "TRANSPOSE": transpose,
    "TRANSPOSE_CONV": transpose_conv,
    "residual": residual,
}

# TFLite Micro has no int8 kernel for these: the graph's tests check their tables.
WITHOUT_ORACLE = {"EXP", "GELU", "LOG", "NEG", "RELU_N1_TO_1", "SQRT", "SQUARE"}


def _drawn(case: Case, seed: int) -> tuple[bytes, NDArray[Any]]:
    """A file, and inputs for it, batch included."""
    net = Net(np.random.default_rng(seed))
    source, target = case(net)
    data = net.serialize([source], [target])
    given = file.read(data).tensors[source]
    shape = (SAMPLES, *given.shape)
    if given.type == "FLOAT32":
        return data, net.rng.normal(0, 3, shape).astype(np.float32)
    low = 0 if given.type == "UINT8" else -128
    return data, net.rng.integers(low, low + 256, shape).astype(DTYPES[given.type])


def _tflm(data: bytes, x: NDArray[Any]) -> NDArray[Any]:
    """What TFLite Micro answers, batch included."""
    with contextlib.redirect_stdout(io.StringIO()):
        interpreter = runtime.Interpreter.from_bytes(data, arena_size=ARENA_BYTES)
    outputs = []
    for sample in x:
        interpreter.set_input(sample, 0)
        interpreter.invoke()
        outputs.append(np.array(interpreter.get_output(0)))
    return np.stack(outputs)


def _simulated(graph: QGraph, x: NDArray[Any]) -> NDArray[Any]:
    return simulate(graph, x.reshape(len(x), *graph.input_tensor.shape))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", CASES)
def test_every_operator_answers_as_tflite_micro(name: str, seed: int) -> None:
    data, x = _drawn(CASES[name], seed)
    expected = _tflm(data, x)
    actual = _simulated(convert.convert(file.read(data)), x)
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual.reshape(expected.shape), expected)


def test_every_operator_has_a_case() -> None:
    named = {part for name in CASES for part in name.replace(",", "").split()}
    assert set(RULES) <= named | WITHOUT_ORACLE
    assert not set(INSTEAD) & set(RULES)
    assert all(hasattr(tflite.BuiltinOperator, name) for name in (*RULES, *INSTEAD))


@pytest.mark.parametrize("name", sorted(WITHOUT_ORACLE))
def test_operators_without_an_int8_kernel_in_tflite_micro(name: str) -> None:
    data, _ = _drawn(_unary(name), 1)
    function = name.lower()
    assert convert.convert(file.read(data)).ops[0].op == Unary(function)


def test_gelu_by_tanh() -> None:
    data, _ = _drawn(_unary("GELU", Approximate=True), 1)
    assert convert.convert(file.read(data)).ops[0].op == Unary("gelu_tanh")


# --- Whole models ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_reference_models_answer_with_their_golden_bytes(name: str) -> None:
    graph = convert.load(MODELS / f"{name}.tflite")
    with np.load(MODELS / f"{name}_golden.npz") as golden:
        x, y = golden["x"], golden["y"]
    np.testing.assert_array_equal(_simulated(graph, x).reshape(y.shape), y)
    assert (graph.name, graph.source) == (name, f"tflite: {name}.tflite")


def test_layers_keep_their_names() -> None:
    graph = convert.load(MODELS / "kws.tflite")
    assert [op.name for op in graph.ops][:2] == [
        "functional_1/activation/Relu",
        "functional_1/activation_1/Relu",
    ]
    assert graph.op("functional_1/activation_1/Relu").op == Conv2D(
        graph.ops[1].op.window,  # type: ignore[union-attr]
        groups=64,
    )
    assert graph.ops[0].clamp == (graph.tensors[graph.ops[0].name].zero_point, 127)


@pytest.mark.parametrize("seed", range(60))
def test_what_our_writer_made_comes_back(seed: int) -> None:
    graph = random_graph(seed, tflite=True)
    again = convert.from_model(file.read(writer.write(graph)), "again", "test")
    assert again.input_tensor.shape == graph.input_tensor.shape[-3:]
    x = random_inputs(graph, 6, seed)
    np.testing.assert_array_equal(
        _simulated(again, x).reshape(len(x), -1), simulate(graph, x).reshape(len(x), -1)
    )


# --- What is left out, and what is refused --------------------------------------------------------


def _convert(net: Net, inputs: Sequence[int], outputs: Sequence[int]) -> QGraph:
    return convert.convert(file.read(net.serialize(inputs, outputs)))


def _refused(net: Net, inputs: Sequence[int], outputs: Sequence[int]) -> str:
    """The message with which the file is refused; it names the operator and carries a way out."""
    with pytest.raises((InvalidModel, UnsupportedOp)) as caught:
        _convert(net, inputs, outputs)
    assert caught.value.hint
    assert len(str(caught.value)) < 600
    return str(caught.value)


@pytest.fixture
def net() -> Net:
    return Net(np.random.default_rng(5))


def test_what_the_output_does_not_depend_on_is_left_out(net: Net) -> None:
    """Unread pieces of a split, and an operator that would be refused."""
    source = net.tensor((1, 4, 6))
    parts = [net.tensor((1, 4, 2), like=source) for _ in range(3)]
    other = net.tensor((1, 4, 2))
    net.add("SPLIT", [net.integers(2), source], parts, NumSplits=3)
    net.add("LSTM", [parts[0]], [other])
    graph = _convert(net, [source], [parts[1]])
    assert [op.op for op in graph.ops] == [Slice((0, 2), (1, 1))]


def test_shapes_that_the_model_computes_for_a_reshape_are_not_needed(net: Net) -> None:
    """As Keras has it for Flatten: SHAPE, STRIDED_SLICE, PACK, RESHAPE."""
    source, target = net.tensor((1, 4, 6)), net.tensor((1, 24))
    net.tensors[target][1]["Quantization"] = net.tensors[source][1]["Quantization"]
    shape = net.tensor((3,), kind="INT32")
    net.add("SHAPE", [source], [shape])
    net.add("RESHAPE", [source, shape], [target])
    graph = _convert(net, [source], [target])
    assert [op.op for op in graph.ops] == [Reshape((24,))]


def test_a_constant_that_is_read_twice_is_one(net: Net) -> None:
    source, middle, target = (net.tensor((1, 4, 4, 3)) for _ in range(3))
    constant = net.operand((1, 1, 1, 3))
    net.add("ADD", [source, constant], [middle])
    net.add("MUL", [middle, constant], [target])
    graph = _convert(net, [source], [target])
    assert {name: data.shape for name, data in graph.constants.items()} == {"constant 3": (3,)}
    assert graph.ops[0].inputs[1] == graph.ops[1].inputs[1] == "constant 3"


def test_names_are_short_and_unique(net: Net) -> None:
    source, middle, target = (net.tensor((1, 8)) for _ in range(3))
    net.tensors[source][1]["Name"] = "same;and more"
    net.tensors[middle][1]["Name"] = "same;and other"
    del net.tensors[target][1]["Name"]
    net.add("RELU", [source], [middle])
    net.add("TANH", [middle], [target])
    graph = _convert(net, [source], [target])
    assert (graph.input, *(op.name for op in graph.ops)) == ("same", "same_2", "tanh_1")
    net.tensors[source][1]["Name"] = "x" * 5000
    assert len(_convert(net, [source], [target]).input) <= 120


def test_a_model_is_named_after_its_file(tmp_path: Path) -> None:
    path = tmp_path / "2 faces (v3).tflite"
    path.write_bytes((MODELS / "kws.tflite").read_bytes())
    graph = convert.load(path)
    assert (graph.name, graph.source) == ("model_2_faces_v3", "tflite: 2 faces (v3).tflite")


def test_unsupported_operators_say_what_to_use_instead(net: Net) -> None:
    source, target = net.tensor((1, 4, 6)), net.tensor((1, 8))
    net.add("UNIDIRECTIONAL_SEQUENCE_LSTM", [source, -1, source], [target])
    message = _refused(net, [source], [target])
    assert message == (
        "Operator 0 (UNIDIRECTIONAL_SEQUENCE_LSTM) 'tensor 1': UNIDIRECTIONAL_SEQUENCE_LSTM "
        "(INT8 (1, 4, 6), INT8 (1, 4, 6) -> INT8 (1, 8)) is not supported. "
        "Use convolutions or dense layers over a window of time."
    )


@pytest.mark.parametrize("name", sorted({*INSTEAD, "ROUND", "CUMSUM"}))
def test_every_other_operator_is_refused(net: Net, name: str) -> None:
    source, target = net.tensor((1, 4, 6)), net.tensor((1, 8))
    net.add(name, [source], [target])
    assert f"Operator 0 ({name}) 'tensor 1': {name}" in _refused(net, [source], [target])


def test_several_inputs_and_outputs(net: Net) -> None:
    first, second, target = (net.tensor((1, 8)) for _ in range(3))
    net.add("ADD", [first, second], [target])
    assert "The model has 2 inputs: tensor 0 'tensor 0', tensor 1" in _refused(
        net, [first, second], [target]
    )
    net.operators.clear()
    net.add("ADD", [first, first], [target])
    assert "The model has 2 outputs" in _refused(net, [first], [first, target])


def test_float_operators_in_the_middle(net: Net) -> None:
    source, target = net.tensor((1, 8)), net.tensor((1, 8))
    real, square = net.tensor((1, 8), kind="FLOAT32"), net.tensor((1, 8), kind="FLOAT32")
    net.add("DEQUANTIZE", [source], [real])
    net.add("RELU", [real], [square])
    net.add("QUANTIZE", [square], [target])
    message = _refused(net, [source], [target])
    assert "Operator 1 (RELU) 'tensor 3': RELU on FLOAT32 (1, 8) is not supported." in message


def test_activations_have_one_scale(net: Net) -> None:
    source, target = net.tensor((1, 2)), net.tensor((1, 2))
    net.tensors[target][1]["Quantization"] = quantization(
        1, 2, zero_points=(0, 0), QuantizedDimension=1
    )
    net.add("RELU", [source], [target])
    assert "Tensor tensor 1: as an activation it has one scale, not 2" in _refused(
        net, [source], [target]
    )


def _conv(net: Net, **options: Any) -> tuple[int, int]:
    """A 1x1 convolution that is right but for ``options``."""
    source, target = net.tensor((1, 4, 4, 2)), net.tensor((1, 4, 4, 3))
    right = {"StrideH": 1, "StrideW": 1}
    net.add("CONV_2D", [source, net.weights((3, 1, 1, 2), 0)], [target], **right | options)
    return source, target


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"StrideH": 0}, "one is below 1"),
        ({"StrideW": -1}, "one is below 1"),
        ({"DilationHFactor": 0}, "one is below 1"),
        ({"StrideH": 2}, r"should have the shape \(2, 4, 3\), the file has \(4, 4, 3\)"),
        ({"FusedActivationFunction": 4}, "CONV_2D with a fused TANH is not supported"),
    ],
)
def test_convolutions_that_are_wrong(net: Net, options: Any, message: str) -> None:
    source, target = _conv(net, **options)
    assert re.search(message, _refused(net, [source], [target]))


def test_weights_that_are_wrong(net: Net) -> None:
    source, target = net.tensor((1, 4, 4, 2)), net.tensor((1, 4, 4, 3))
    shape = (3, 1, 1, 2)
    data = np.ones(shape, np.int8)
    wrong = {
        "a zero point": (quantization(1, zero_points=(3,)), "whose zero point is not 0"),
        "an axis": (
            quantization(1, 1, zero_points=(0, 0), QuantizedDimension=3),
            "weight scales along axis 3",
        ),
    }
    options = {"StrideH": 1, "StrideW": 1}
    for given, message in wrong.values():
        net.operators.clear()
        weights = net.constant(data, Quantization=given)
        net.add("CONV_2D", [source, weights], [target], **options)
        assert message in _refused(net, [source], [target])
    net.operators.clear()
    net.add("CONV_2D", [source, source], [target], **options)
    assert "with weights that the model computes" in _refused(net, [source], [target])
    net.operators.clear()
    net.add("CONV_2D", [source], [target], **options)
    assert "it has 1 inputs" in _refused(net, [source], [target])
    net.operators.clear()
    bias = net.constant(np.zeros(2, np.int32))
    net.add("CONV_2D", [source, net.weights(shape, 0), bias], [target], **options)
    assert "its bias has 2 elements for 3 outputs" in _refused(net, [source], [target])


def test_a_batch_of_two(net: Net) -> None:
    source, target = net.tensor((2, 4, 4, 2)), net.tensor((2, 4, 4, 3))
    options = {"StrideH": 1, "StrideW": 1}
    net.add("CONV_2D", [source, net.weights((3, 1, 1, 2), 0)], [target], **options)
    assert "CONV_2D on shape (2, 4, 4, 2) is not supported." in _refused(net, [source], [target])


def test_axes_and_sizes_have_to_be_constant_and_fit(net: Net) -> None:
    source, target = net.tensor((1, 4, 6)), net.tensor((1, 6))
    net.add("MEAN", [source, net.integers(3)], [target])
    assert "there is no axis 3 of 3" in _refused(net, [source], [target])
    net.operators.clear()
    net.add("MEAN", [source, source], [target])
    assert "MEAN with axes that the model computes" in _refused(net, [source], [target])
    net.operators.clear()
    net.add("TRANSPOSE", [source, net.integers(0, 1, 1)], [target])
    assert "is no order of the axes" in _refused(net, [source], [target])
    net.operators.clear()
    net.add("SLICE", [source, net.integers(0, 3, 0), net.integers(1, 2, 6)], [target])
    assert "it takes 2 elements from 3 on, 1 apart, of 4" in _refused(net, [source], [target])
    net.operators.clear()
    inputs = [source, net.integers(0, 0, 0), net.integers(1, 4, 6), net.integers(1, -1, 1)]
    net.add("STRIDED_SLICE", inputs, [target])
    assert "STRIDED_SLICE with stride -1 is not supported" in _refused(net, [source], [target])


def test_more_than_one_row_in_a_dense_layer(net: Net) -> None:
    """Rows that the file makes of several axes are seen as such by a Reshape."""
    source, target = net.tensor((1, 4, 6)), net.tensor((2, 5))
    net.add("FULLY_CONNECTED", [source, net.weights((5, 12), 0)], [target])
    graph = _convert(net, [source], [target])
    assert [op.op for op in graph.ops] == [Reshape((2, 12)), Dense()]
