""".tflite files with one operator each, made by hand: none of our own writer is in them.

CASES: by the operator's name, a function that adds it to a `Net` with random geometry and numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import tflite
from numpy.typing import NDArray
from tflite_files import Spec, code, ints, operator, quantization, serialize

from nanotool.frontends.tflite import file, schema

SAMPLES = 5
SCALE_FIELDS = ("Scale", "ZeroPoint")
DTYPES = {name: np.dtype(name.lower()) for name in ("INT8", "UINT8", "INT16", "INT32", "FLOAT32")}


@dataclass
class Net:
    """A .tflite file in the making, and a source of random numbers for it."""

    rng: np.random.Generator
    tensors: list[Spec] = field(default_factory=list)
    buffers: list[bytes] = field(default_factory=lambda: [b""])
    codes: list[str] = field(default_factory=list)
    operators: list[Spec] = field(default_factory=list)
    custom: str = ""  # the own name of a CUSTOM operator

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
        if kind in {"FLOAT32", "BOOL"} or (kind == "INT32" and scale is None):
            del content["Quantization"]
        if like is not None:
            content["Quantization"] = self.tensors[like][1]["Quantization"]
        self.tensors.append(("Tensor", content | more))
        return len(self.tensors) - 1

    def constant(self, data: NDArray[Any], **more: Any) -> int:
        """A constant; without quantization unless ``more`` has one."""
        kind = {dtype: name for name, dtype in DTYPES.items()}[data.dtype]
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
            "OperatorCodes": [
                code(
                    getattr(tflite.BuiltinOperator, c),
                    **({"CustomCode": self.custom} if c == "CUSTOM" else {}),
                )
                for c in self.codes
            ],
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


def _reduction(opcode: str) -> Case:
    def case(net: Net) -> tuple[int, int]:
        return mean(net, opcode)

    return case


def mean(net: Net, opcode: str = "MEAN") -> tuple[int, int]:
    source, height, width, depth = _image(net)
    full = (1, height, width, depth)
    axes = net.pick((1, 2), (-3, -2), (2, 1), (3,), (0, 1, 2), (1, 2, 3), (2,), (0,))
    keep = net.chance()
    gone = {axis % 4 for axis in axes}
    out = [1 if i in gone else size for i, size in enumerate(full) if keep or i not in gone]
    like = source if opcode.startswith("REDUCE") else None
    target = net.tensor(out, like=like)
    net.add(opcode, [source, net.integers(*axes)], [target], KeepDims=keep)
    return source, target


def arg_max(net: Net, opcode: str = "ARG_MAX") -> tuple[int, int]:
    source, height, width, depth = _image(net)
    full = [1, height, width, depth]
    axis = net.pick(1, 2, 3, -1)
    del full[axis]
    target = net.tensor(full, kind="INT32")
    net.add(opcode, [source, net.integers(axis)], [target], OutputType=tflite.TensorType.INT32)
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


def quotient(net: Net) -> tuple[int, int]:
    """By constants other than 0, or by what a maximum keeps above it: by 0 TFLite Micro shifts by
    32 bits, as it does where the scales' ratio is below 64."""
    source, height, width, depth = _image(net)
    full = (1, height, width, depth)
    zero_point = net.between(-128, 126)
    divisor_scale, ratio = net.scale(), 70 * 10 ** net.rng.uniform(0, 1)
    given = quantization(divisor_scale, zero_points=(zero_point,))
    if net.chance():
        dividend = source
        data = net.rng.integers(-128, 127, net.pick(full, (depth,), (1, 1, 1, depth), (), (1,)))
        divisor = net.constant((data + (data >= zero_point)).astype(np.int8), Quantization=given)
    else:
        wide, divisor = (net.tensor(full, Quantization=given) for _ in range(2))
        least = net.constant(
            np.array(net.between(zero_point + 1, 127), np.int8), Quantization=given
        )
        dividend = net.pick(source, net.operand((depth,)))
        net.add("QUANTIZE", [source], [wide])
        net.add("MAXIMUM", [wide, least], [divisor])
    (dividend_scale,) = net.tensors[dividend][1]["Quantization"][1][SCALE_FIELDS[0]]
    target = net.tensor(full, scale=float(dividend_scale) / (divisor_scale * ratio))
    net.add("DIV", [dividend, divisor], [target], FusedActivationFunction=net.pick(*ACTIVATIONS))
    return source, target


def squared_difference(net: Net) -> tuple[int, int]:
    """The scales' ratio as TFLite Micro bears it."""
    source, height, width, depth = _image(net)
    full = (1, height, width, depth)
    other = net.pick(
        lambda: net.operand(full),
        lambda: net.operand((depth,)),
        lambda: net.operand(()),
    )()
    scales = [net.tensors[i][1]["Quantization"][1]["Scale"][0] for i in (source, other)]
    target = net.tensor(full, scale=float(max(scales)) ** 2 * 10 ** net.rng.uniform(-1, 3))
    inputs = [source, other] if net.chance() else [other, source]
    net.add("SQUARED_DIFFERENCE", inputs, [target])
    return source, target


def _truths(net: Net, source: int, shape: Sequence[int]) -> int:
    """A BOOL tensor: where the source is larger than something."""
    truths = net.tensor(shape, kind="BOOL")
    net.add("GREATER", [source, net.operand((shape[-1],))], [truths])
    return truths


def _as_bytes(net: Net, truths: int, shape: Sequence[int]) -> int:
    target = net.tensor(shape, scale=1.0, zero_point=0)
    net.add("CAST", [truths], [target])
    return target


def _comparison(opcode: str) -> Case:
    def case(net: Net) -> tuple[int, int]:
        source, height, width, depth = _image(net)
        full = (1, height, width, depth)
        other = net.pick(
            lambda: net.operand(full, net.pick(source, None)),
            lambda: net.operand((depth,), net.pick(source, None)),
            lambda: net.operand((1, 1, 1, depth)),
            lambda: source,
        )()
        truths = net.tensor(full, kind="BOOL")
        net.add(opcode, [source, other] if net.chance() else [other, source], [truths])
        return source, net.pick(truths, _as_bytes(net, truths, full))

    return case


def logic(net: Net) -> tuple[int, int]:
    source, height, width, depth = _image(net)
    full = (1, height, width, depth)
    one, two = (_truths(net, source, full) for _ in range(2))
    both, either, result = (net.tensor(full, kind="BOOL") for _ in range(3))
    net.add("LOGICAL_AND", [one, two], [both])
    net.add("LOGICAL_OR", [both, two if net.chance() else one], [either])
    net.add("LOGICAL_NOT", [either], [result])
    return source, _as_bytes(net, result, full)


def select(net: Net) -> tuple[int, int]:
    source, height, width, depth = _image(net)
    full = (1, height, width, depth)
    other = net.operand(net.pick(full, (), (depth,)), like=net.pick(source, source, None))
    inputs = [source, other] if net.chance() else [other, source]
    target = net.tensor(full, like=net.pick(source, source, None))
    net.add("SELECT_V2", [_truths(net, source, full), *inputs], [target])
    return source, target


def cast(net: Net) -> tuple[int, int]:
    source = net.tensor((1, 60))
    target = net.pick(
        lambda: net.tensor((1, 60), kind="INT32"), lambda: net.tensor((1, 60), kind="FLOAT32")
    )()
    net.add("CAST", [source], [target])
    return source, target


def arg_min(net: Net) -> tuple[int, int]:
    return arg_max(net, "ARG_MIN")


def gather(net: Net) -> tuple[int, int]:
    source, height, width, depth = _image(net)
    full = (1, height, width, depth)
    axis = net.pick(0, 1, 2, 3, -1)
    shape = net.pick((5,), (2, 3), ())
    places = np.asarray(net.rng.integers(0, full[axis], shape), np.int32)
    at = axis % 4
    target = net.tensor((*full[:at], *shape, *full[at + 1 :]), like=source)
    if len(full) + len(shape) - 1 > 5:
        return gather(net)
    net.add("GATHER", [source, net.constant(places)], [target], Axis=axis)
    return source, target


def look_up(net: Net) -> tuple[int, int]:
    """A table, as our writer has it."""
    source = net.tensor((1, 60))
    wide, index = (net.tensor((1, 60), kind="INT32") for _ in range(2))
    target = net.tensor((1, 60))
    net.add("CAST", [source], [wide])
    net.add("ADD", [wide, net.integers(128)], [index])
    net.add("GATHER", [net.operand((256,), like=target), index], [target])
    return source, target


def gather_nd(net: Net) -> tuple[int, int]:
    source, height, width, depth = _image(net)
    full = (1, height, width, depth)
    count = net.between(1, 4)
    places = net.rng.integers(0, full[:count], (5, count)).astype(np.int32)
    target = net.tensor((5, *full[count:]), like=source)
    net.add("GATHER_ND", [source, net.constant(places)], [target])
    return source, target


def reverse(net: Net) -> tuple[int, int]:
    source, height, width, depth = _image(net)
    target = net.tensor((1, height, width, depth), like=source)
    net.add("REVERSE_V2", [source, net.integers(net.pick(1, 2, 3))], [target])
    return source, target


def mirror_pad(net: Net) -> tuple[int, int]:
    source, height, width, depth = _image(net)
    mode = net.pick(tflite.MirrorPadMode.REFLECT, tflite.MirrorPadMode.SYMMETRIC)
    amounts = [net.between(0, 3) for _ in range(4)]
    full = (1, height + sum(amounts[:2]), width + sum(amounts[2:]), depth)
    target = net.tensor(full, like=source)
    paddings = net.constant(np.array([0, 0, *amounts, 0, 0], np.int32).reshape(4, 2))
    net.add("MIRROR_PAD", [source, paddings], [target], Mode=mode)
    return source, target


def broadcast_to(net: Net) -> tuple[int, int]:
    shape = [1, net.pick(1, 3), net.pick(1, 4), net.pick(1, 5)]
    wide = [1, *(net.between(2, 5) if size == 1 else size for size in shape[1:])]
    source = net.tensor(shape)
    target = net.tensor(wide, like=source)
    net.add("BROADCAST_TO", [source, net.integers(*wide)], [target])
    return source, target


def space_to_depth(net: Net) -> tuple[int, int]:
    block, rows, columns, depth = (net.between(1, 3) for _ in range(4))
    source = net.tensor((1, rows * block, columns * block, depth))
    target = net.tensor((1, rows, columns, depth * block * block), like=source)
    net.add("SPACE_TO_DEPTH", [source], [target], BlockSize=block)
    return source, target


def depth_to_space(net: Net) -> tuple[int, int]:
    block, rows, columns, depth = (net.between(1, 3) for _ in range(4))
    source = net.tensor((1, rows, columns, depth * block * block))
    target = net.tensor((1, rows * block, columns * block, depth), like=source)
    net.add("DEPTH_TO_SPACE", [source], [target], BlockSize=block)
    return source, target


def blocks(net: Net, convolves: bool = False) -> tuple[int, int]:
    """Apart and together again; in between a sum, or a convolution. What TFLite Micro pads with is
    undefined: the padding is cut off again."""
    down, across, depth = net.between(1, 3), net.between(1, 3), net.between(1, 4)
    rows, columns = down * net.between(5, 6), across * net.between(5, 6)
    top, left = net.between(0, down), net.between(0, across)
    source = net.tensor((1, rows - top, columns - left, depth))
    block = net.integers(down, across)
    apart = net.tensor((down * across, rows // down, columns // across, depth), like=source)
    around = net.constant(np.array([[top, 0], [left, 0]], np.int32))
    net.add("SPACE_TO_BATCH_ND", [source, block, around], [apart])
    kernel = (2, 3) if convolves else (1, 1)
    y, x = (rows // down - kernel[0] + 1, columns // across - kernel[1] + 1)
    middle = net.tensor((down * across, y, x, depth))
    if convolves:
        weights = net.weights((depth, *kernel, depth), axis=0)
        inputs = [apart, weights, *net.bias(apart, weights, depth)]
        activation = net.pick(*ACTIVATIONS)
        options = {"StrideH": 1, "StrideW": 1, "FusedActivationFunction": activation}
        net.add("CONV_2D", inputs, [middle], Padding=tflite.Padding.VALID, **options)
    else:
        net.add("ADD", [apart, net.operand((depth,))], [middle])
    target = net.tensor((1, y * down - top, x * across - left, depth), like=middle)
    margins = net.constant(np.array([[top, 0], [left, 0]], np.int32))
    net.add("BATCH_TO_SPACE_ND", [middle, block, margins], [target])
    return source, target


def dilated(net: Net) -> tuple[int, int]:
    return blocks(net, convolves=True)


def batch_matmul(net: Net) -> tuple[int, int]:
    rows, inner, columns, count = (net.between(1, 6) for _ in range(4))
    adj_x, adj_y = net.chance(), net.chance()
    x = (1, count, inner, rows) if adj_x else (1, count, rows, inner)
    y = (columns, inner) if adj_y else (inner, columns)
    source, target = net.tensor(x), net.tensor((1, count, rows, columns))
    other = net.operand((1, count, *y))
    if net.chance():
        activation = net.tensor((1, count, *y))
        net.add("QUANTIZE", [other], [activation])
        other = activation
    net.add("BATCH_MATMUL", [source, other], [target], AdjX=adj_x, AdjY=adj_y)
    return source, target


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


def unary_case(opcode: str, output: tuple[float, int] | None = None, **options: Any) -> Case:
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


def cumsum(net: Net) -> tuple[int, int]:
    """Of at most 15 elements, whose sums fit int32 at any zero point; or more with zero point 0."""
    if net.chance():
        source, target = net.tensor((1, 3, 15)), net.tensor((1, 3, 15))
        options = {"Exclusive": net.chance(), "Reverse": net.chance()}
        net.add("CUMSUM", [source, net.integers(-1)], [target], **options)
        return source, target
    shape = net.pick((1, 31), (1, 3, 7), (1, 2, 3, 4), (1, 5))
    source, target = net.tensor(shape, zero_point=0), net.tensor(shape)
    axis = net.pick(*range(1, len(shape)), -1)
    options = {"Exclusive": net.chance(), "Reverse": net.chance()}
    net.add("CUMSUM", [source, net.integers(axis)], [target], **options)
    return source, target


def lstm(net: Net) -> tuple[int, int]:
    """Batch first and time first, with and without a clip; states go on from sample to sample."""
    steps, features, units = net.between(1, 5), net.between(1, 9), net.between(1, 7)
    major = net.chance()
    shape = [steps, 1] if major else [1, steps]
    source = net.tensor((*shape, features), scale=net.pick(0.01, 0.05))
    hidden = net.tensor((1, units), scale=1 / 128, IsVariable=True)
    power = net.between(-15, -9)
    cell_scale = 2.0**power * net.pick(1, 1, 1.25)
    cell = net.tensor((1, units), kind="INT16", scale=cell_scale, zero_point=0, IsVariable=True)
    target = net.tensor((*shape, units), like=hidden)
    weights = [
        net.constant(
            net.rng.integers(-127, 128, (units, columns)).astype(np.int8),
            Quantization=quantization(float(net.rng.uniform(0.004, 0.03)), zero_points=(0,)),
        )
        for columns in (features, units)
        for _ in range(4)
    ]
    biases = [net.constant(net.rng.integers(-3000, 3000, units).astype(np.int32)) for _ in range(4)]
    none = -1
    inputs = [source, *weights, none, none, none, *biases, none, none, hidden, cell, *(none,) * 4]
    net.add(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        inputs,
        [target],
        FusedActivationFunction=tflite.ActivationFunctionType.TANH,
        CellClip=net.pick(0.0, 0.5, 100.0),
        TimeMajor=major,
    )
    return source, target


def svdf(net: Net) -> tuple[int, int]:
    """Both types of the memory, any rank; the memory goes on from sample to sample."""
    features, units, rank = net.between(1, 9), net.between(1, 6), net.between(1, 3)
    steps, kind = net.between(1, 9), net.pick("INT8", "INT16")
    filters = units * rank
    source, target = net.tensor((1, features), scale=0.05), net.tensor((1, units), scale=0.1)
    zero_point = net.zero_point() if kind == "INT8" else 0
    scale = net.pick(0.02, 0.1) if kind == "INT8" else 0.0003
    memory = net.tensor(
        (1, filters * steps), kind=kind, scale=scale, zero_point=zero_point, IsVariable=True
    )
    weights = net.constant(
        net.rng.integers(-127, 128, (filters, features)).astype(np.int8),
        Quantization=quantization(float(net.rng.uniform(0.005, 0.03)), zero_points=(0,)),
    )
    limit, fine = (127, 0.008) if kind == "INT8" else (2000, 0.0004)
    time = net.constant(
        net.rng.integers(-limit, limit + 1, (filters, steps)).astype(DTYPES[kind]),
        Quantization=quantization(fine, zero_points=(0,)),
    )
    bias = net.constant(
        net.rng.integers(-999, 1000, units).astype(np.int32),
        Quantization=quantization(scale * fine, zero_points=(0,)),
    )
    net.add("SVDF", [source, weights, time, bias, memory], [target], Rank=rank)
    return source, target


def wide(net: Net) -> tuple[int, int]:
    """int16 at both ends: turned into int8, and a softmax's int16 into int32."""
    source = net.tensor((1, 40), kind="INT16", scale=net.pick(1e-4, 6e-4), zero_point=0)
    narrow = net.tensor((1, 40), scale=0.05)
    row = net.tensor((1, 40), kind="INT16", scale=net.pick(1 / 65536, 1 / 65535), zero_point=-32768)
    target = net.tensor((1, 40), kind="INT32", scale=net.pick(2.0**-15, 1e-7), zero_point=0)
    net.add("QUANTIZE", [source], [narrow])
    net.add("SOFTMAX", [narrow], [row], Beta=net.pick(1.0, 0.5))
    net.add("QUANTIZE", [row], [target])
    return source, target


def widened(net: Net) -> tuple[int, int]:
    """int8 to int16 and on to int16 of another scale."""
    source, middle = (
        net.tensor((1, 60)),
        net.tensor((1, 60), kind="INT16", scale=1e-3, zero_point=0),
    )
    target = net.tensor((1, 60), kind="INT16", scale=net.pick(1e-4, 0.02), zero_point=0)
    net.add("QUANTIZE", [source], [middle])
    net.add("QUANTIZE", [middle], [target])
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
    "ABS": unary_case("ABS"),
    "ADD": _binary("ADD"),
    "ARG_MAX": arg_max,
    "ARG_MIN": arg_min,
    "BATCH_MATMUL": batch_matmul,
    "BROADCAST_TO": broadcast_to,
    "CAST": cast,
    "CAST, ADD, GATHER": look_up,
    "DEPTH_TO_SPACE": depth_to_space,
    "EQUAL": _comparison("EQUAL"),
    "GATHER": gather,
    "GATHER_ND": gather_nd,
    "GREATER": _comparison("GREATER"),
    "GREATER_EQUAL": _comparison("GREATER_EQUAL"),
    "LESS": _comparison("LESS"),
    "LESS_EQUAL": _comparison("LESS_EQUAL"),
    "LOGICAL_AND, LOGICAL_OR, LOGICAL_NOT": logic,
    "MIRROR_PAD": mirror_pad,
    "NOT_EQUAL": _comparison("NOT_EQUAL"),
    "REVERSE_V2": reverse,
    "SELECT_V2": select,
    "SPACE_TO_BATCH_ND, BATCH_TO_SPACE_ND": blocks,
    "SPACE_TO_BATCH_ND around CONV_2D": dilated,
    "SPACE_TO_DEPTH": space_to_depth,
    "SQUARED_DIFFERENCE": squared_difference,
    "AVERAGE_POOL_2D": _pool("AVERAGE_POOL_2D"),
    "CONCATENATION": concatenation,
    "CUMSUM": cumsum,
    "CONV_2D": conv2d,
    "CONV_2D dilated": dilated_conv2d,
    "DEPTHWISE_CONV_2D": depthwise_conv2d,
    "DEQUANTIZE": to_float,
    "DIV": quotient,
    "ELU": unary_case("ELU"),
    "EXPAND_DIMS": expand_dims,
    "FULLY_CONNECTED": fully_connected,
    "HARD_SWISH": unary_case("HARD_SWISH"),
    "LEAKY_RELU": unary_case("LEAKY_RELU", Alpha=0.2),
    "LOGISTIC": unary_case("LOGISTIC", (1 / 256, -128)),
    "LOG_SOFTMAX": unary_case("LOG_SOFTMAX", (1 / 16, 127)),
    "MAXIMUM": _binary("MAXIMUM", same=True),
    "MAX_POOL_2D": _pool("MAX_POOL_2D"),
    "MEAN": mean,
    "MINIMUM": _binary("MINIMUM", same=True),
    "MUL": _binary("MUL"),
    "PACK, UNPACK": pack_and_unpack,
    "PAD, PADV2": pad,
    "PRELU": prelu,
    "QUANTIZE": unary_case("QUANTIZE"),
    "QUANTIZE float32": from_float,
    "QUANTIZE uint8": from_uint8,
    "REDUCE_MAX": _reduction("REDUCE_MAX"),
    "REDUCE_MIN": _reduction("REDUCE_MIN"),
    "SUM": _reduction("SUM"),
    "RELU": unary_case("RELU"),
    "RELU6": unary_case("RELU6"),
    "RESHAPE": reshape,
    "RESIZE_BILINEAR": _resize("RESIZE_BILINEAR"),
    "RESIZE_NEAREST_NEIGHBOR": _resize("RESIZE_NEAREST_NEIGHBOR"),
    "RSQRT": rsqrt,
    "SLICE": slice_,
    "SOFTMAX": softmax,
    "SPLIT": split,
    "SPLIT_V": split_v,
    "SVDF": svdf,
    "SOFTMAX int16": wide,
    "QUANTIZE int16": widened,
    "SQUEEZE": squeeze,
    "STRIDED_SLICE": strided_slice,
    "SUB": _binary("SUB"),
    "TANH": unary_case("TANH", (1 / 128, 0)),
    "TRANSPOSE": transpose,
    "TRANSPOSE_CONV": transpose_conv,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": lstm,
    "residual": residual,
}


def drawn(case: Case, seed: int) -> tuple[bytes, NDArray[Any]]:
    """A file, and inputs for it, batch included."""
    net = Net(np.random.default_rng(seed))
    source, target = case(net)
    data = net.serialize([source], [target])
    given = file.read(data).tensors[source]
    shape = (SAMPLES, *given.shape)
    if given.type == "FLOAT32":
        return data, net.rng.normal(0, 3, shape).astype(np.float32)
    limits = np.iinfo(DTYPES[given.type])
    return data, net.rng.integers(limits.min, limits.max + 1, shape).astype(DTYPES[given.type])
