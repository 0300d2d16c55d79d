"""ONNX in: a file becomes a PyTorch module that computes it, and goes on as one.

Float models are quantized like any module. Of models that somebody quantized (QuantizeLinear and
DequantizeLinear in pairs, 8 bits, a scale a tensor for activations) the scales are kept, as of
PyTorch's own (`frontends.torch.quantized`). Layers keep their names.

The file is not trusted: it is parsed and checked by the onnx package, its sizes and every
reference are checked here, external data are not opened, and nothing in it runs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from nanotool.errors import InvalidModel, MissingTool, UnsupportedOp

MAX_BYTES = 256 * 2**20
MAX_NODES = 20_000
MAX_ELEMENTS = 2**24  # of a tensor
MAX_PADDING = 4096
EXPORT = "Export it again: torch.onnx.export(model, (x,), 'model.onnx', dynamo=True)."
FIXED = "Export it with fixed sizes, but for the batch."

Value: TypeAlias = Any  # a tensor, or, of shapes, a list of sizes
Run: TypeAlias = "Callable[[_Node, list[Value]], Value]"
RUNS: dict[str, Run] = {}


class _Refused(Exception):
    """What an operator does not do here."""


def load(path: Path) -> nn.Module:
    """The module of the .onnx file at ``path``.

    Raises InvalidModel for an unsound file, UnsupportedOp for an operator that is not here,
    MissingTool without the onnx package.
    """
    try:
        import onnx  # noqa: PLC0415
    except ImportError as error:
        raise MissingTool(
            f"{path.name} needs the onnx package, which is not installed.",
            "Run: pip install 'nanotool[onnx]'",
        ) from error
    if path.stat().st_size > MAX_BYTES:
        raise InvalidModel(f"{path.name} is larger than {MAX_BYTES >> 20} MiB.", EXPORT)
    try:
        model = onnx.load_model_from_string(path.read_bytes())
        onnx.checker.check_model(model, full_check=False)
    except Exception as error:  # protobuf and the checker have a dozen kinds
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InvalidModel(f"{path.name} is no sound ONNX file: {first[:160]}", EXPORT) from error
    if not _is_text(model):
        _refuse(f"{path.name} is no sound ONNX file: a name in it is not UTF-8.")
    if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        import torch.ao.quantization.fx._decomposed  # noqa: F401, PLC0415  (registers the steps)
    return OnnxModule(model, path.name).eval()


def _is_text(message: Any) -> bool:
    """Whether every string in a message of protobuf is one: those that are not UTF-8 are bytes."""
    for field, value in message.ListFields():
        one_only = isinstance(value, (str, bytes)) or hasattr(value, "ListFields")
        each = (value,) if one_only else value
        if field.type == field.TYPE_STRING and not all(isinstance(one, str) for one in each):
            return False
        if field.type == field.TYPE_MESSAGE and not all(map(_is_text, each)):
            return False
    return True


def _refuse(what: str, hint: str = EXPORT) -> NoReturn:
    raise InvalidModel(what, hint)


class OnnxModule(nn.Module):
    """The graph of a checked ONNX ``model``, a submodule a node, named after it."""

    def __init__(self, model: Any, file: str) -> None:
        super().__init__()
        graph = model.graph
        if len(graph.node) > MAX_NODES:
            _refuse(f"{file}: it has {len(graph.node):,} nodes.")
        self.opset = max((one.version for one in model.opset_import if not one.domain), default=1)
        arrays: dict[str, NDArray[Any]] = {}
        for one in graph.initializer:
            if one.external_data:
                _refuse(f"{file}: {one.name[:60]!r} is in another file.", "Export it as one file.")
            arrays[one.name] = _array(one, file)
        arrays.update(
            (node.output[0], _value(node, file))
            for node in graph.node
            if node.op_type == "Constant" and node.output
        )
        self.held: dict[str, str] = {}  # constant -> buffer
        for number, (name, data) in enumerate(arrays.items()):
            self.held[name] = f"held_{number}"
            self.register_buffer(f"held_{number}", torch.from_numpy(data))
        self.takes = [one for one in graph.input if one.name not in self.held]
        self.gives = [one.name for one in graph.output]
        self.batches = {sizes[0] for one in self.takes if (sizes := _dimensions(one))}
        self.steps: list[tuple[str, list[str], list[str]]] = []
        known = {*self.held, *(one.name for one in self.takes), ""}
        for number, node in enumerate(graph.node):
            if node.op_type == "Constant":
                continue
            missing = [name for name in node.input if name not in known]
            if missing:
                _refuse(f"{file}: node {number} reads {missing[0][:60]!r}, which nothing writes.")
            if node.domain not in {"", "ai.onnx"} or node.op_type not in RUNS:
                raise UnsupportedOp(
                    node.name[:60] or f"node {number}",
                    f"the ONNX operator {node.domain + '.' if node.domain else ''}{node.op_type}",
                    f"Known are: {', '.join(sorted(RUNS))}.",
                )
            known.update(node.output)
            name = self._free(node.name or f"{node.op_type}_{number}")
            constants = {i: arrays[one] for i, one in enumerate(node.input) if one in arrays}
            self.add_module(name, _Node(node, self.opset, self.batches, constants))
            self.steps.append((name, list(node.input), list(node.output)))
        lost = [name for name in self.gives if name not in known]
        if lost or not self.takes:
            _refuse(
                f"{file}: nothing writes its output {lost[0][:60]!r}."
                if lost
                else f"{file}: it has no input."
            )

    def _free(self, wanted: str) -> str:
        """A name for a submodule."""
        name = re.sub(r"\W+", "_", wanted.strip("/"))[:80] or "node"
        count, unique = 1, name
        while hasattr(self, unique):
            count += 1
            unique = f"{name}_{count}"
        return unique

    def forward(self, x: Tensor, *more: Tensor) -> Any:
        """The outputs: one tensor, of several a tuple."""
        inputs = (x, *more)
        values: dict[str, Value] = {"": None}
        values.update((one.name, x) for one, x in zip(self.takes, inputs, strict=True))
        values.update((name, getattr(self, buffer)) for name, buffer in self.held.items())
        for name, reads, writes in self.steps:
            found = getattr(self, name)(*(values[one] for one in reads))
            many = found if isinstance(found, tuple) else (found,)
            values.update(zip(writes, many, strict=False))
        results = [values[name] for name in self.gives]
        return results[0] if len(results) == 1 else tuple(results)


def _dimensions(value: Any) -> list[int]:
    """Sizes of a graph's input; 0 where the file leaves them open."""
    return [int(one.dim_value) for one in value.type.tensor_type.shape.dim]


def _array(one: Any, file: str) -> NDArray[Any]:
    """A constant's data."""
    from onnx import numpy_helper  # noqa: PLC0415

    try:
        data = np.array(numpy_helper.to_array(one))
    except Exception as error:  # of an unknown type KeyError, and others
        raise InvalidModel(f"{file}: {one.name[:60]!r} is damaged.", EXPORT) from error
    if data.dtype.kind not in "fiub" or data.dtype.itemsize > 8:
        _refuse(f"{file}: {one.name[:60]!r} holds {data.dtype}.")
    return data.astype(np.float32) if data.dtype.kind == "f" else data


def _value(node: Any, file: str) -> NDArray[Any]:
    """What a Constant holds."""
    for one in node.attribute:
        if one.name == "value":
            return _array(one.t, file)
        if one.name in {"value_float", "value_floats"}:
            return np.array(one.f if one.name == "value_float" else list(one.floats), np.float32)
        if one.name in {"value_int", "value_ints"}:
            return np.array(one.i if one.name == "value_int" else list(one.ints), np.int64)
    _refuse(f"{file}: the constant {node.output[0][:60]!r} is no array of numbers.")


# What PyTorch and Python raise for inputs and attributes that do not go together.
_UNFIT = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError),
    *(RuntimeError, TypeError, ValueError),
)


class _Node(nn.Module):
    """One node: its attributes, and what it runs."""

    def __init__(
        self, node: Any, opset: int, batches: set[int], constants: dict[int, NDArray[Any]]
    ) -> None:
        super().__init__()
        from onnx import helper  # noqa: PLC0415

        self.constants = constants  # by the number of the input

        self.kind, self.opset, self.batches = str(node.op_type), opset, batches
        self.attributes: dict[str, Any] = {}
        for one in node.attribute:
            try:
                value = helper.get_attribute_value(one)
            except ValueError as error:
                raise InvalidModel(
                    f"{node.name[:60]}: its attribute {one.name[:60]!r} is damaged.", EXPORT
                ) from error
            if isinstance(value, bytes):
                value = value.decode("utf-8", "replace")
            if one.type == one.TENSOR:
                value = _array(one.t, node.name)
            if one.type in {one.GRAPH, one.GRAPHS}:
                raise UnsupportedOp(node.name[:60], f"{self.kind}, which holds a graph", EXPORT)
            self.attributes[one.name] = value
        self.outputs = len(node.output)
        self.where = node.name[:60] or self.kind

    def get(self, name: str, otherwise: Any = None) -> Any:
        """An attribute."""
        return self.attributes.get(name, otherwise)

    def forward(self, *inputs: Value) -> Value:
        """What the node gives."""
        try:
            return RUNS[self.kind](self, list(inputs))
        except _Refused as error:
            raise UnsupportedOp(self.where, f"{self.kind} {error}", FIXED) from error
        except _UNFIT as error:
            if isinstance(error, RuntimeError) and "guard" in str(error).lower():
                raise
            first = next(iter(str(error).strip().splitlines()), "")
            what = f"{self.where}: {self.kind} does not fit its inputs: {first[:120]}"
            raise InvalidModel(what, FIXED) from error


def runs(*kinds: str) -> Callable[[Run], Run]:
    """Register the function below for operators."""

    def register(run: Run) -> Run:
        RUNS.update(dict.fromkeys(kinds, run))
        return run

    return register


def _numbers(node: _Node, inputs: list[Value], i: int, what: str) -> list[Any]:
    """Input ``i``: constant integers, or sizes."""
    if isinstance(inputs[i], list):
        return list(inputs[i])
    constant = node.constants.get(i)
    if constant is None or constant.dtype.kind not in "iu" or constant.size > MAX_NODES:
        raise _Refused(f"with {what} that are computed")
    return [int(one) for one in constant.reshape(-1)]


def _number(node: _Node, i: int, what: str) -> float:
    """Input ``i``: one constant number."""
    constant = node.constants.get(i)
    if constant is None or constant.size != 1:
        raise _Refused(f"with a {what} that is no constant number")
    return float(constant.reshape(()))


def _bounded(sizes: list[Any]) -> list[Any]:
    """``sizes``, none of which is out of all proportion."""
    if math.prod(size for size in sizes if isinstance(size, int)) > MAX_ELEMENTS:
        raise _Refused(f"to {sizes[:6]}, more than {MAX_ELEMENTS:,} elements")
    return sizes


def _given(node: _Node, inputs: list[Value], place: int, name: str) -> list[Any] | None:
    """Integers that are an attribute or, in later versions, an input; None: left out."""
    if len(inputs) > place and inputs[place] is not None:
        return _numbers(node, inputs, place, name)
    value = node.get(name)
    return None if value is None else list(value)


# --- One or two tensors, element by element -------------------------------------------------------

for _kind, _function in {
    "Abs": torch.abs,
    "Ceil": torch.ceil,
    "Cos": torch.cos,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Floor": torch.floor,
    "HardSwish": F.hardswish,
    "Identity": lambda x: x,
    "Log": torch.log,
    "Mish": F.mish,
    "Neg": torch.neg,
    "Not": torch.logical_not,
    "Reciprocal": torch.reciprocal,
    "Relu": torch.relu,
    "Round": torch.round,
    "Sigmoid": torch.sigmoid,
    "Sign": torch.sign,
    "Sin": torch.sin,
    "Softplus": F.softplus,
    "Softsign": F.softsign,
    "Sqrt": torch.sqrt,
    "Tanh": torch.tanh,
}.items():
    RUNS[_kind] = lambda node, inputs, f=_function: f(inputs[0])  # type: ignore[misc]


def _pairwise(function: Callable[[Any, Any], Any]) -> Run:
    def run(node: _Node, inputs: list[Value]) -> Value:
        if not any(isinstance(one, list) for one in inputs):
            return function(*inputs)
        left, right = (_numbers(node, inputs, i, "sizes") for i in range(2))
        width = max(len(left), len(right))
        pairs = zip(left * (width // len(left)), right * (width // len(right)), strict=True)
        return [a // b if function is torch.div else function(a, b) for a, b in pairs]

    return run


_PAIRS: dict[str, Callable[[Any, Any], Any]] = {
    "Add": lambda a, b: a + b,
    "Sub": lambda a, b: a - b,
    "Mul": lambda a, b: a * b,
    "Div": torch.div,
    "Pow": torch.pow,
    "PRelu": lambda x, slope: torch.maximum(x, x * 0) + slope * torch.minimum(x, x * 0),
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "Less": torch.lt,
    "LessOrEqual": torch.le,
    "Equal": torch.eq,
    "And": torch.logical_and,
    "Or": torch.logical_or,
    "MatMul": torch.matmul,
}
RUNS.update((_kind, _pairwise(_function)) for _kind, _function in _PAIRS.items())


@runs("Max", "Min")
def _extremum(node: _Node, inputs: list[Value]) -> Value:
    function = torch.maximum if node.kind == "Max" else torch.minimum
    result = inputs[0]
    for other in inputs[1:]:
        result = function(result, other)
    return result


@runs("Sum")
def _sum(_node: _Node, inputs: list[Value]) -> Value:
    return sum(inputs[1:], inputs[0])


@runs("Where")
def _where(_node: _Node, inputs: list[Value]) -> Value:
    return torch.where(*inputs)


@runs("Clip")
def _clip(node: _Node, inputs: list[Value]) -> Value:
    low, high = (
        _number(node, i, name) if len(inputs) > i and inputs[i] is not None else node.get(name)
        for i, name in ((1, "min"), (2, "max"))
    )
    return inputs[0] if low is None and high is None else torch.clamp(inputs[0], low, high)


@runs("LeakyRelu", "Elu", "Selu", "Celu", "Gelu", "HardSigmoid")
def _activation(node: _Node, inputs: list[Value]) -> Value:
    x, alpha = inputs[0], node.get("alpha")
    if node.kind == "HardSigmoid":
        return torch.clamp((0.2 if alpha is None else alpha) * x + node.get("beta", 0.5), 0, 1)
    if node.kind == "Gelu":
        return F.gelu(x, approximate=node.get("approximate", "none"))
    if node.kind == "Selu":
        return F.selu(x)
    function, usual = {
        "LeakyRelu": (F.leaky_relu, 0.01),
        "Elu": (F.elu, 1.0),
        "Celu": (F.celu, 1.0),
    }[node.kind]
    return function(x, usual if alpha is None else alpha)


@runs("Cast")
def _cast(node: _Node, inputs: list[Value]) -> Value:
    kinds = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool, 11: torch.float32}
    kind = kinds.get(node.get("to"))
    if isinstance(inputs[0], list) and kind in {torch.int32, torch.int64}:
        return inputs[0]
    if kind is None:
        raise _Refused("to another type than float, int or bool")
    return inputs[0].to(kind)


@runs("Dropout")
def _dropout(_node: _Node, inputs: list[Value]) -> Value:
    return inputs[0]


# --- Sums of products -----------------------------------------------------------------------------


def _window(
    node: _Node, x: Tensor, kernel: Sequence[int]
) -> tuple[list[int], list[int], list[int]]:
    """Strides, dilations, and what is padded: before each axis, then behind each."""
    axes = len(kernel)
    strides = list(node.get("strides", [1] * axes))
    dilations = list(node.get("dilations", [1] * axes))
    mode = node.get("auto_pad", "NOTSET")
    pads = list(node.get("pads", [0] * 2 * axes))
    if mode.startswith("SAME"):
        pads = [0] * (2 * axes)
        for i, size in enumerate(x.shape[2:]):
            span = dilations[i] * (kernel[i] - 1) + 1
            total = max(0, (-(-int(size) // strides[i]) - 1) * strides[i] + span - int(size))
            first = total // 2 if mode == "SAME_UPPER" else total - total // 2
            pads[i], pads[axes + i] = first, total - first
    elif mode == "VALID":
        pads = [0] * (2 * axes)
    if max(pads, default=0) > MAX_PADDING or min(pads, default=0) < 0:
        raise _Refused(f"with pads {pads}")
    return strides, dilations, pads


def _padded(x: Tensor, pads: Sequence[int], value: float = 0.0) -> tuple[Tensor, list[int]]:
    """``x`` with what a convolution cannot pad by itself, and what is left to pad on both sides."""
    axes = len(pads) // 2
    if pads[:axes] == pads[axes:]:
        return x, list(pads[:axes])
    around = [n for i in range(axes - 1, -1, -1) for n in (pads[i], pads[axes + i])]
    return F.pad(x, around, value=value), [0] * axes


@runs("Conv")
def _conv(node: _Node, inputs: list[Value]) -> Value:
    x, weight, bias = (*inputs, None)[:3]
    strides, dilations, pads = _window(node, x, weight.shape[2:])
    x, padding = _padded(x, pads)
    function = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}[weight.ndim]
    groups = node.get("group", 1)
    return function(x, weight, bias, strides, padding, dilations, groups)


@runs("ConvTranspose")
def _conv_transpose(node: _Node, inputs: list[Value]) -> Value:
    x, weight, bias = (*inputs, None)[:3]
    strides, dilations, pads = _window(node, x, weight.shape[2:])
    axes = len(strides)
    if node.get("output_shape") is not None or pads[:axes] != pads[axes:]:
        raise _Refused("with output_shape or uneven pads")
    more = list(node.get("output_padding", [0] * axes))
    function = {3: F.conv_transpose1d, 4: F.conv_transpose2d}[weight.ndim]
    return function(x, weight, bias, strides, pads[:axes], more, node.get("group", 1), dilations)


@runs("Gemm")
def _gemm(node: _Node, inputs: list[Value]) -> Value:
    a, b, c = (*inputs, None)[:3]
    a = a.t() if node.get("transA", 0) else a
    weight = (b if node.get("transB", 0) else b.t()) * node.get("alpha", 1.0)
    plain = c is not None and c.ndim == 1
    product = F.linear(a, weight, c * node.get("beta", 1.0) if plain else None)
    return product if c is None or plain else product + c * node.get("beta", 1.0)


@runs("BatchNormalization")
def _batch_norm(node: _Node, inputs: list[Value]) -> Value:
    x, weight, bias, mean, variance = inputs
    return F.batch_norm(x, mean, variance, weight, bias, eps=node.get("epsilon", 1e-5))


@runs("LayerNormalization")
def _layer_norm(node: _Node, inputs: list[Value]) -> Value:
    x, weight, bias = (*inputs, None)[:3]
    shape = x.shape[node.get("axis", -1) :]
    return F.layer_norm(x, shape, weight, bias, node.get("epsilon", 1e-5))


@runs("InstanceNormalization")
def _instance_norm(node: _Node, inputs: list[Value]) -> Value:
    x, weight, bias = inputs
    return F.instance_norm(x, weight=weight, bias=bias, eps=node.get("epsilon", 1e-5))


@runs("GroupNormalization")
def _group_norm(node: _Node, inputs: list[Value]) -> Value:
    x, weight, bias = inputs
    return F.group_norm(x, node.get("num_groups"), weight, bias, node.get("epsilon", 1e-5))


# --- Pools, reductions, along an axis -------------------------------------------------------------


@runs("MaxPool", "AveragePool")
def _pool(node: _Node, inputs: list[Value]) -> Value:
    x, kernel = inputs[0], list(node.get("kernel_shape"))
    strides, dilations, pads = _window(node, x, kernel)
    ceil = bool(node.get("ceil_mode", 0))
    axes = len(kernel)
    if node.kind == "MaxPool":
        if node.outputs > 1:
            raise _Refused("with indices")
        x, padding = _padded(x, pads, -math.inf)
        pool = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}[axes]
        return pool(x, kernel, strides, padding, dilations, ceil_mode=ceil)
    if pads[:axes] != pads[axes:] or dilations != [1] * axes:
        raise _Refused("with uneven pads or dilations")
    average = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}[axes]
    return average(x, kernel, strides, pads[:axes], ceil, bool(node.get("count_include_pad", 0)))


@runs("GlobalAveragePool", "GlobalMaxPool")
def _global_pool(node: _Node, inputs: list[Value]) -> Value:
    x = inputs[0]
    axes = tuple(range(2, x.ndim))
    return x.mean(axes, keepdim=True) if "Average" in node.kind else x.amax(axes, keepdim=True)


@runs("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2")
def _reduce(node: _Node, inputs: list[Value]) -> Value:
    x = inputs[0]
    axes = _given(node, inputs, 1, "axes")
    keep = bool(node.get("keepdims", 1))
    dims = axes if axes else list(range(x.ndim))
    match node.kind:
        case "ReduceMean":
            return x.mean(dims, keepdim=keep)
        case "ReduceSum":
            return x.sum(dims, keepdim=keep)
        case "ReduceMax":
            return x.amax(dims, keepdim=keep)
        case "ReduceMin":
            return x.amin(dims, keepdim=keep)
        case _:
            return torch.linalg.vector_norm(x, dim=dims, keepdim=keep)


@runs("Softmax", "LogSoftmax")
def _softmax(node: _Node, inputs: list[Value]) -> Value:
    x = inputs[0]
    axis = node.get("axis", -1 if node.opset >= 13 else 1)
    if node.opset < 13 and axis % x.ndim != x.ndim - 1 and any(n != 1 for n in x.shape[axis + 1 :]):
        raise _Refused("over several axes")
    return (F.softmax if node.kind == "Softmax" else F.log_softmax)(x, dim=axis)


@runs("ArgMax")
def _argmax(node: _Node, inputs: list[Value]) -> Value:
    return inputs[0].argmax(node.get("axis", 0), bool(node.get("keepdims", 1)))


@runs("CumSum")
def _cumsum(node: _Node, inputs: list[Value]) -> Value:
    if node.get("reverse", 0) or node.get("exclusive", 0):
        raise _Refused("in reverse or exclusive")
    return inputs[0].cumsum(_numbers(node, inputs, 1, "axes")[0])


# --- Elements go elsewhere ------------------------------------------------------------------------


def _sized(node: _Node, x: Tensor, wanted: list[Any]) -> list[Any]:
    """Sizes of a reshape; the batch for which the file was exported is that of the data."""
    sizes = [
        x.shape[i] if size == 0 and not node.get("allowzero", 0) else size
        for i, size in enumerate(wanted)
    ]
    if not sizes or not all(isinstance(size, int) for size in sizes):
        return sizes
    rest = [int(size) for size in x.shape[1:]]
    whole = sizes[0] == -1 and min(sizes[1:], default=1) > 0
    if sizes[0] in node.batches - {0} or (whole and math.prod(sizes[1:]) == math.prod(rest)):
        sizes[0] = x.shape[0]
    return sizes


@runs("Reshape")
def _reshape(node: _Node, inputs: list[Value]) -> Value:
    x = inputs[0]
    wanted = _given(node, inputs, 1, "shape")
    assert wanted is not None
    if isinstance(x, list):
        return x
    if not isinstance(inputs[1], list) and x.ndim == 0:
        return x.reshape(wanted)
    return x.reshape(_sized(node, x, wanted))


@runs("Flatten")
def _flatten(node: _Node, inputs: list[Value]) -> Value:
    if node.get("axis", 1) != 1:
        raise _Refused("from another axis than 1")
    return inputs[0].flatten(1)


@runs("Transpose")
def _transpose(node: _Node, inputs: list[Value]) -> Value:
    x = inputs[0]
    return x.permute(list(node.get("perm", range(x.ndim - 1, -1, -1))))


@runs("Squeeze", "Unsqueeze")
def _squeeze(node: _Node, inputs: list[Value]) -> Value:
    x, axes = inputs[0], _given(node, inputs, 1, "axes")
    if isinstance(x, list):
        return x
    if node.kind == "Squeeze":
        return x.squeeze(tuple(axes)) if axes else x.squeeze()
    rank = x.ndim + len(axes or [])
    for axis in sorted(one % rank for one in axes or []):
        x = x.unsqueeze(axis)
    return x


@runs("Concat")
def _concat(node: _Node, inputs: list[Value]) -> Value:
    if any(isinstance(one, list) for one in inputs):
        return [n for i in range(len(inputs)) for n in _numbers(node, inputs, i, "sizes")]
    return torch.cat(inputs, dim=node.get("axis"))


@runs("Split")
def _split(node: _Node, inputs: list[Value]) -> Value:
    x, axis = inputs[0], node.get("axis", 0)
    sizes = _given(node, inputs, 1, "split")
    if sizes is None:
        size = int(x.shape[axis])
        piece = -(-size // node.outputs)
        sizes = [min(piece, size - i * piece) for i in range(node.outputs)]
    return tuple(torch.split(x, sizes, dim=axis))


@runs("Slice")
def _slice(node: _Node, inputs: list[Value]) -> Value:
    x = inputs[0]
    starts, ends = _given(node, inputs, 1, "starts"), _given(node, inputs, 2, "ends")
    assert starts is not None
    assert ends is not None
    axes = _given(node, inputs, 3, "axes") or list(range(len(starts)))
    steps = _given(node, inputs, 4, "steps") or [1] * len(starts)
    if isinstance(x, list):
        return x[starts[0] : ends[0] : steps[0]]
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        size = int(x.shape[axis])
        if step < 1:
            places = list(range(size))[
                start if start < size else None : end if end >= -size else None : step
            ]
            x = x.index_select(axis, torch.tensor(places))
        else:
            index = [slice(None)] * x.ndim
            index[axis] = slice(start, end if end < size else None, step)
            x = x[tuple(index)]
    return x


@runs("Gather")
def _gather(node: _Node, inputs: list[Value]) -> Value:
    x, axis, shape = inputs[0], node.get("axis", 0), node.constants.get(1, np.zeros(1)).shape
    places = _numbers(node, inputs, 1, "places")
    if isinstance(x, list):
        return [x[place] for place in places]
    count = int(x.shape[axis])
    if not shape:
        return x.select(axis, places[0] % count)
    index: list[Any] = [slice(None)] * (axis % x.ndim)
    index.append(torch.tensor(places).reshape(shape) % count)
    return x[tuple(index)]


@runs("Pad")
def _pad(node: _Node, inputs: list[Value]) -> Value:
    x, pads = inputs[0], _given(node, inputs, 1, "pads")
    assert pads is not None
    if len(inputs) > 3 and inputs[3] is not None:
        raise _Refused("along chosen axes")
    value = node.get("value", 0.0)
    if len(inputs) > 2 and inputs[2] is not None:
        value = _number(node, 2, "value")
    if max(pads) > MAX_PADDING:
        raise _Refused(f"by {pads}")
    axes = len(pads) // 2
    around = [n for i in range(axes - 1, -1, -1) for n in (pads[i], pads[axes + i])]
    while len(around) > 2 and around[-2:] == [0, 0]:
        around = around[:-2]
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    kind = mode[node.get("mode", "constant")]
    if kind == "constant":
        return F.pad(x, around, value=value)
    return F.pad(x, around, mode=kind)


@runs("Resize", "Upsample")
def _resize(node: _Node, inputs: list[Value]) -> Value:
    x = inputs[0]
    scales = node.constants.get(1 if node.kind == "Upsample" else 2)
    if len(inputs) > 3 and inputs[3] is not None:
        size = _numbers(node, inputs, 3, "sizes")[2:]
    elif scales is not None and scales.size:
        factors = scales.reshape(-1).tolist()[2:]
        size = [round(int(n) * f) for n, f in zip(x.shape[2:], factors, strict=True)]
    else:
        raise _Refused("without sizes")
    way, mode = (
        node.get("coordinate_transformation_mode", "half_pixel"),
        node.get("mode", "nearest"),
    )
    _bounded([*size, int(x.shape[1])])
    if mode == "nearest":
        return F.interpolate(x, size=size, mode="nearest")
    if mode != "linear" or way not in {"half_pixel", "pytorch_half_pixel", "align_corners"}:
        raise _Refused(f"by {mode}, {way}")
    kind = {1: "linear", 2: "bilinear"}[len(size)]
    return F.interpolate(x, size=size, mode=kind, align_corners=way == "align_corners")


@runs("DepthToSpace", "SpaceToDepth")
def _blocks(node: _Node, inputs: list[Value]) -> Value:
    x, block = inputs[0], node.get("blocksize")
    _, channels, rows, columns = (int(n) if i else n for i, n in enumerate(x.shape))
    if node.kind == "SpaceToDepth":
        x = x.reshape(-1, channels, rows // block, block, columns // block, block)
        x = x.permute(0, 3, 5, 1, 2, 4)
        return x.reshape(-1, channels * block * block, rows // block, columns // block)
    if node.get("mode", "DCR") == "CRD":
        return F.pixel_shuffle(x, block)
    x = x.reshape(-1, block, block, channels // (block * block), rows, columns)
    x = x.permute(0, 3, 4, 1, 5, 2)
    return x.reshape(-1, channels // (block * block), rows * block, columns * block)


@runs("Expand", "Tile")
def _expand(node: _Node, inputs: list[Value]) -> Value:
    x, sizes = inputs[0], _bounded(_numbers(node, inputs, 1, "sizes"))
    if node.kind == "Expand":
        return x.expand(*sizes)
    _bounded([*sizes, *x.shape])
    return x.repeat(*sizes)


@runs("Shape")
def _shape(node: _Node, inputs: list[Value]) -> Value:
    return list(inputs[0].shape)[node.get("start", 0) : node.get("end")]


@runs("ConstantOfShape")
def _constant_of_shape(node: _Node, inputs: list[Value]) -> Value:
    value = node.get("value")
    sizes = _bounded(_numbers(node, inputs, 0, "sizes"))
    return torch.full(sizes, 0.0 if value is None else float(value.reshape(())))


# --- What was quantized before --------------------------------------------------------------------

_LIMITS = {torch.int8: (-128, 127), torch.uint8: (0, 255)}


@runs("QuantizeLinear")
def _quantize(node: _Node, inputs: list[Value]) -> Value:
    """A step of PyTorch's program; the type is that of the zero point."""
    return torch.ops.quantized_decomposed.quantize_per_tensor.default(inputs[0], *_steps(node))


@runs("DequantizeLinear")
def _dequantize(node: _Node, inputs: list[Value]) -> Value:
    """Constants become floats; of an activation the same numbers as its quantization has."""
    x, scale, zero_point = (*inputs, None)[:3]
    if 0 not in node.constants:
        return torch.ops.quantized_decomposed.dequantize_per_tensor.default(x, *_steps(node))
    shape = [1] * x.ndim
    if scale.numel() > 1:
        shape[node.get("axis", 1)] = -1
    real = x.to(torch.float32)
    if zero_point is not None:
        real = real - zero_point.to(torch.float32).reshape(shape if scale.numel() > 1 else ())
    return real * scale.reshape(shape if scale.numel() > 1 else ())


def _steps(node: _Node) -> tuple[float, int, int, int, torch.dtype]:
    """Scale, zero point, limits and type."""
    zero_point = node.constants.get(2, np.zeros((), np.uint8))
    kind = {"int8": torch.int8, "uint8": torch.uint8}.get(str(zero_point.dtype))
    if kind is None or zero_point.size != 1:
        raise _Refused(f"to {zero_point.dtype}, or with a scale a channel")
    return _number(node, 1, "scale"), int(zero_point.reshape(())), *_LIMITS[kind], kind
