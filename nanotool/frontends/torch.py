"""PyTorch in: a module becomes a float `Graph`, through `torch.export` without decompositions.

The exported program is walked node by node. Every ATen operator that has a place in the IR has
one handler here; anything else is refused with the path of the module that called it, its
shapes, and what to use instead. The batch axis is exported as a free dimension and
then left out: a node that mixes samples of a batch is refused.
"""

from __future__ import annotations

import contextlib
import math
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias

import numpy as np
import torch
from torch import fx, nn

from nanotool.errors import InvalidModel, NanoError, UnsupportedOp
from nanotool.ir import (
    AveragePool2D,
    BatchNorm,
    Clamp,
    Conv2D,
    Dense,
    FloatArray,
    Graph,
    MaxPool2D,
    Node,
    Op,
    Reshape,
    Shape,
    Softmax,
    Transpose,
    Unary,
    Window,
)

# What to do instead, by the ATen operator's name.
HINTS = {
    "add": "Additions (residual connections) are not in this version: use a plain chain.",
    "mul": "Multiplications (gates) are not in this version: use a plain chain of layers.",
    "sub": "Normalize the inputs before the model, or use a BatchNorm2d.",
    "div": "Scale the inputs before the model, or use a BatchNorm2d.",
    "cat": "Concatenations are not in this version: use a plain chain of layers.",
    "pad": "Give the padding to the Conv2d (zeros) or the pooling layer itself.",
    "conv1d": "Use a Conv2d with kernel (1, k) on inputs of height 1.",
    "conv3d": "Use Conv2d layers.",
    "conv_transpose2d": "Use a Conv2d; up-sampling is not in this version.",
    "log_softmax": "Use nn.Softmax, or leave it out: the class with the largest logit is the same.",
    "gelu": "Use nn.ReLU, nn.Sigmoid or nn.Tanh.",
    "silu": "Use nn.ReLU, nn.Sigmoid or nn.Tanh.",
    "hardswish": "Use nn.ReLU6.",
    "hardsigmoid": "Use nn.Sigmoid.",
    "leaky_relu": "Use nn.ReLU.",
    "prelu": "Use nn.ReLU.",
    "elu": "Use nn.ReLU or nn.Tanh.",
    "layer_norm": "Use nn.BatchNorm1d or nn.BatchNorm2d, which cost nothing once folded.",
    "group_norm": "Use nn.BatchNorm2d, which costs nothing once folded.",
    "instance_norm": "Use nn.BatchNorm2d, which costs nothing once folded.",
    "adaptive_max_pool2d": "Use nn.MaxPool2d with the kernel spelled out.",
    "lstm": "Recurrent layers are not in this version.",
    "gru": "Recurrent layers are not in this version.",
}
DEFAULT_HINT = (
    "Supported are Conv2d, Linear, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, BatchNorm, ReLU, "
    "ReLU6, Hardtanh, clamp, Sigmoid, Tanh, Softmax, Dropout, flatten, reshape, permute: use these "
    "or keep it outside the model."
)

# Operators that change nothing at inference time; their first argument is the result.
PASS_THROUGH = frozenset(
    {"alias", "alpha_dropout", "clone", "contiguous", "detach", "detach_", "dropout", "dropout_"}
    | {"feature_alpha_dropout", "feature_dropout", "lift_fresh_copy"}
)
RESHAPES = frozenset(
    {"_unsafe_view", "flatten", "reshape", "reshape_as", "squeeze", "unflatten", "unsqueeze"}
    | {"view", "view_as"}
)
VIEWS = PASS_THROUGH | RESHAPES | {"permute", "transpose", "to"}

STAND_IN = 61  # a batch size that no other axis is likely to have

Value: TypeAlias = "str | torch.Tensor | None"  # tensor of the graph, constant, or not a tensor
Arguments: TypeAlias = dict[str, Any]


def capture(model: nn.Module, example: torch.Tensor, name: str = "model") -> Graph:
    """The float graph of ``model`` as it behaves in eval mode, C, H, W like PyTorch.

    ``example`` is one batch, N x input shape, float; its values do not matter. The model keeps its
    mode and its weights; the graph has copies. ``name`` becomes the graph's name.

    Raises UnsupportedOp for what has no int8 form here, NanoError if torch.export gives up
    (data-dependent control flow, a fixed batch size).
    """
    if example.ndim < 2 or not example.is_floating_point():
        raise NanoError(
            f"The example has shape {tuple(example.shape)} and type {example.dtype}.",
            "Pass one float batch, N x input shape: torch.zeros(1, 1, 28, 28).",
        )
    program = _export(model, example)
    return _Walk(program, name).graph()


def capture_program(program: torch.export.ExportedProgram, name: str = "model") -> Graph:
    """The float graph of an already exported ``program``, as a saved .pt2 file holds it: traced in
    eval mode, one input with the batch first, of free or fixed size. Raises as `capture` does."""
    return _Walk(program, name).graph()


@contextlib.contextmanager
def _eval_mode(model: nn.Module) -> Iterator[None]:
    """``model`` in eval mode; each module's own mode comes back afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _export(model: nn.Module, example: torch.Tensor) -> torch.export.ExportedProgram:
    """Export with a free batch dimension.

    Where the forward pins it to the example's (len(x) does), a batch of STAND_IN samples takes its
    place, and every result has to keep that size in front.
    """
    free = torch.export.Dim("batch", min=2, max=65536)  # 1 is special to torch
    reason = ""
    for count, dimension in ((2, free), (STAND_IN, None)):
        batch = example.detach().new_zeros(count, *example.shape[1:])
        shapes = None if dimension is None else ({0: dimension},)
        try:
            with _eval_mode(model), torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what matters to us, the walk refuses
                return torch.export.export(model, (batch,), dynamic_shapes=shapes)
        except Exception as error:
            # torch.export raises a dozen types, from its own to ValueError and RuntimeError.
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            reason = reason or (lines[0] if lines else type(error).__name__)[:300]
    raise NanoError(
        f"torch.export cannot trace {type(model).__name__}: {reason}",
        "Its forward must take one tensor, keep the batch as the first axis (x.flatten(1), not "
        "x.view(1, -1)) and have no control flow that depends on the data. Check that "
        "model(example) runs.",
    )


@dataclass
class _Walk:
    """One pass over an exported program."""

    program: torch.export.ExportedProgram
    name: str
    values: dict[fx.Node, Value] = field(default_factory=dict)
    roots: dict[fx.Node, fx.Node] = field(default_factory=dict)  # whose memory a view shares
    shapes: dict[str, Shape] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    current: fx.Node | None = None  # the fx node being captured
    batch: Any = None  # the batch dimension's symbol
    input: str = "input"
    order: dict[fx.Node, int] = field(default_factory=dict)  # of execution

    def graph(self) -> Graph:
        """Walk everything."""
        output = ""
        self.order = {node: i for i, node in enumerate(self.program.graph.nodes)}
        for node in self.order:
            self.current = node
            if node.op == "placeholder":
                self._placeholder(node)
            elif node.op == "call_function":
                self._call(node)
            elif node.op == "output":
                output = self._output(node)
            else:
                self.refuse(f"the graph node {node.op} {node.target}", DEFAULT_HINT)
        return Graph(
            name=self.name,
            input=self.input,
            input_shape=self.shapes[self.input],
            nodes=tuple(self.nodes),
            output=output,
        )

    # --- Names, shapes, values ---------------------------------------------------------------

    def refuse(self, what: str, hint: str) -> NoReturn:
        """Raise UnsupportedOp for the current node."""
        assert self.current is not None
        raise UnsupportedOp(self.module_path(self.current) or "model", what, hint)

    def module_path(self, node: fx.Node) -> str:
        """Where in the user's module tree ``node`` was called: "features.4", "" at the top."""
        stack = node.meta.get("nn_module_stack") or {}
        paths = [str(path) for path, _ in stack.values() if "_empty_nn_module" not in str(path)]
        # A module called a second time is written "features.4@1".
        return re.sub(r"@\d+", "", paths[-1]) if paths else ""

    def unique_name(self, node: fx.Node) -> str:
        """The module's path; where a forward calls a function, its name behind the path."""
        stack = node.meta.get("nn_module_stack") or {}
        path = self.module_path(node)
        kinds = [str(kind) for _, kind in stack.values()]
        leaf = bool(kinds) and kinds[-1].startswith("torch.nn.modules.")
        if not (leaf and path):
            path = f"{path}.{operator_name(node)}".strip(".")
        name, count = path, 1
        while name in self.shapes:
            count += 1
            name = f"{path}_{count}"
        return name

    def batchless(self, node: fx.Node) -> Shape:
        """The shape of ``node``'s result without its leading batch."""
        value = node.meta["val"]
        if not isinstance(value, torch.Tensor):
            self.refuse(f"{operator_name(node)} with several results", DEFAULT_HINT)
        sizes = list(value.shape)
        if not sizes or str(sizes[0]) != str(self.batch) or not all_ints(sizes[1:]):
            self.refuse(
                f"{operator_name(node)} to shape {[str(size) for size in sizes]}, which mixes the "
                "batch with other axes,",
                "Keep the batch as the first axis: x.flatten(1), x.reshape(len(x), -1), "
                "x.mean((2, 3)).",
            )
        if len(sizes) > 5:
            self.refuse(f"a tensor of {len(sizes)} axes", "Use at most four axes and the batch.")
        return tuple(int(size) for size in sizes[1:])

    def constant(self, argument: Any, what: str) -> FloatArray | None:
        """A weight: the value of a parameter, buffer or constant expression, as float32."""
        if argument is None:
            return None
        value = self.values.get(argument)
        if not isinstance(value, torch.Tensor):
            self.refuse(f"a {what} that depends on the input", "Use a layer with fixed weights.")
        array: FloatArray = value.detach().to("cpu", torch.float32).numpy().copy()
        if not np.isfinite(array).all():
            assert self.current is not None
            raise InvalidModel(
                f"{self.module_path(self.current) or 'model'}: the {what} holds NaN or infinity.",
                "Train again, with a lower learning rate or gradient clipping.",
            )
        array.setflags(write=False)
        return array

    def source(self, argument: Any) -> str:
        """The tensor's name for an argument that must be an activation."""
        value = self.values.get(argument) if isinstance(argument, fx.Node) else None
        if not isinstance(value, str):
            self.refuse("an operation on something that is no activation", DEFAULT_HINT)
        return value

    def emit(
        self,
        op: Op,
        inputs: tuple[str, ...],
        shape: Shape,
        *,
        weight: FloatArray | None = None,
        bias: FloatArray | None = None,
    ) -> str:
        """Append a node named after the current fx node; its tensor's name."""
        assert self.current is not None
        name = self.unique_name(self.current)
        self.nodes.append(Node(name, op, inputs, shape, weight, bias))
        self.shapes[name] = shape
        return name

    # --- The kinds of fx node ----------------------------------------------------------------

    def _placeholder(self, node: fx.Node) -> None:
        signature = self.program.graph_signature
        lifted = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        if node.name in lifted:
            target = lifted[node.name]
            state = self.program.state_dict
            self.values[node] = state[target] if target in state else self.program.constants[target]
        elif node.name in signature.user_inputs and self.batch is None:
            self.batch = node.meta["val"].shape[0]
            self.shapes[self.input] = self.batchless(node)
            self.values[node] = self.input
            if len(self.shapes[self.input]) > 3:
                self.refuse(
                    f"an input of shape {self.shapes[self.input]}",
                    "Use at most three axes: C, H, W.",
                )
        else:
            self.refuse("a second input", "The forward must take one tensor.")

    def _output(self, node: fx.Node) -> str:
        results = node.args[0]
        if not isinstance(results, (tuple, list)) or len(results) != 1:
            self.refuse(
                "several results", "Return one tensor; export the parts as models of their own."
            )
        return self.source(results[0])

    def _call(self, node: fx.Node) -> None:
        if not isinstance(node.target, torch._ops.OpOverload):
            # Sizes and arithmetic on them; their use shows in the shapes.
            if isinstance(node.meta.get("val"), (torch.SymInt, int, torch.SymBool, bool)):
                return
            self.refuse(
                f"the operation {getattr(node.target, '__name__', node.target)}", DEFAULT_HINT
            )
        value = node.meta.get("val")
        if value is None or isinstance(value, (torch.SymInt, int, torch.SymBool, bool)):
            return  # sizes, and assertions about them
        arguments = named_arguments(node)
        if self._fold_constant(node):
            return
        name = operator_name(node)
        operator = name.rstrip("_")
        handler = HANDLERS.get(operator)
        if handler is None:
            shapes = [
                "x".join(map(str, self.shapes[tensor]))
                for tensor in (self.values.get(argument) for argument in node.all_input_nodes)
                if isinstance(tensor, str)
            ]
            self.refuse(
                f"the operation {operator} on {', '.join(shapes)}",
                HINTS.get(operator, DEFAULT_HINT),
            )
        result = handler(self, arguments, node)
        self.values[node] = result
        first = node.args[0]
        assert isinstance(first, fx.Node)
        if operator in VIEWS:
            self.roots[node] = self.roots.get(first, first)
        elif name.endswith("_"):
            self._written_in_place(first, node, result)

    def _fold_constant(self, node: fx.Node) -> bool:
        """Compute a node whose tensors are all constants (weight normalization and the like)."""
        inputs = node.all_input_nodes
        if inputs and not any(isinstance(i.meta.get("val"), torch.Tensor) for i in inputs):
            return True  # zeros of the batch's size and the like: refused where they are used
        if not all(isinstance(self.values.get(i), torch.Tensor) for i in inputs):
            return False
        assert callable(node.target)
        arguments = fx.node.map_arg(node.args, lambda argument: self.values[argument])
        keywords = fx.node.map_arg(node.kwargs, lambda argument: self.values[argument])
        with torch.no_grad():
            result = node.target(*arguments, **keywords)
        if not isinstance(result, torch.Tensor):
            return False
        self.values[node] = result
        return True

    def _written_in_place(self, target: fx.Node, node: fx.Node, result: str) -> None:
        """x.relu_() also changes x, and all that shares its memory, for later readers."""
        root = self.roots.get(target, target)
        self.roots[node] = root
        for other, value in list(self.values.items()):
            if self.roots.get(other, other) is not root or other is node:
                continue
            if value == self.values[target]:
                self.values[other] = result
            elif any(self.order[user] > self.order[node] for user in other.users):
                self.refuse(
                    f"the in-place {operator_name(node)} on a tensor with other views",
                    "Use the form that returns a new tensor (no underscore, no inplace=True).",
                )


def all_ints(sizes: list[Any]) -> bool:
    """Whether no size is symbolic."""
    return all(isinstance(size, int) for size in sizes)


def operator_name(node: fx.Node) -> str:
    """The ATen operator without name space and overload: "max_pool2d", "relu_"."""
    target = node.target
    if isinstance(target, torch._ops.OpOverload):
        return str(target._schema.name).split("::")[-1]
    return str(getattr(target, "__name__", target))


def named_arguments(node: fx.Node) -> Arguments:
    """A node's arguments by the names of its ATen schema, defaults filled in."""
    assert isinstance(node.target, torch._ops.OpOverload)
    schema = node.target._schema.arguments
    found = {argument.name: argument.default_value for argument in schema}
    found.update(zip((argument.name for argument in schema), node.args, strict=False))
    found.update(node.kwargs)
    return found


def pair(value: Any) -> tuple[int, int]:
    """A size per axis, from one number or two."""
    if isinstance(value, int):
        return value, value
    numbers = [int(number) for number in value]
    return (numbers[0], numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1])


# --- Handlers: (walk, arguments, node) -> name of the result's tensor ---------------------------


def _image(walk: _Walk, tensor: str, what: str) -> tuple[int, int, int]:
    """C, H, W of ``tensor``, which must be an image."""
    shape = walk.shapes[tensor]
    if len(shape) != 3:
        walk.refuse(f"{what} on shape {shape}", "Give it N x C x H x W.")
    return shape[0], shape[1], shape[2]


def _conv_padding(padding: Any, kernel: tuple[int, int], dilation: tuple[int, int]) -> list[int]:
    """top, left, bottom, right. 'same' puts the odd element behind, as PyTorch does."""
    if padding == "valid":
        return [0, 0, 0, 0]
    if padding == "same":
        total = [step * (size - 1) for step, size in zip(dilation, kernel, strict=True)]
        return [total[0] // 2, total[1] // 2, total[0] - total[0] // 2, total[1] - total[1] // 2]
    return [*pair(padding), *pair(padding)]


def _conv2d(walk: _Walk, args: Arguments, node: fx.Node) -> str:
    source = walk.source(args["input"])
    _image(walk, source, "Conv2d")
    weight = walk.constant(args["weight"], "weight")
    assert weight is not None
    kernel = (weight.shape[2], weight.shape[3])
    dilation = pair(args["dilation"])
    top, left, bottom, right = _conv_padding(args["padding"], kernel, dilation)
    window = Window(kernel, pair(args["stride"]), (top, left, bottom, right), dilation)
    op = Conv2D(window, int(args["groups"]))
    bias = walk.constant(args["bias"], "bias")
    return walk.emit(op, (source,), walk.batchless(node), weight=weight, bias=bias)


def _linear(walk: _Walk, args: Arguments, node: fx.Node) -> str:
    weight, bias = walk.constant(args["weight"], "weight"), walk.constant(args["bias"], "bias")
    source = walk.source(args["input"])
    return walk.emit(Dense(), (source,), walk.batchless(node), weight=weight, bias=bias)


def _pool_window(walk: _Walk, args: Arguments, node: fx.Node, source: str) -> Window:
    """The window of a pooling layer. ceil_mode is more padding behind, which never counts."""
    _, height, width = _image(walk, source, operator_name(node))
    shape = walk.batchless(node)
    kernel = pair(args["kernel_size"])
    stride = pair(args["stride"]) if args["stride"] else kernel
    padding = pair(args["padding"])
    dilation = pair(args.get("dilation", 1))
    behind = []
    for axis, size in enumerate((height, width)):
        span = dilation[axis] * (kernel[axis] - 1) + 1
        reach = (shape[1 + axis] - 1) * stride[axis] + span
        behind.append(max(padding[axis], reach - size - padding[axis]))
    return Window(kernel, stride, (*padding, behind[0], behind[1]), dilation)


def _max_pool2d(walk: _Walk, args: Arguments, node: fx.Node) -> str:
    source = walk.source(args["self"])
    window = _pool_window(walk, args, node, source)
    return walk.emit(MaxPool2D(window), (source,), walk.batchless(node))


def _avg_pool2d(walk: _Walk, args: Arguments, node: fx.Node) -> str:
    source = walk.source(args["self"])
    window = _pool_window(walk, args, node, source)
    if args["count_include_pad"] and any(pair(args["padding"])):
        walk.refuse(
            "an average over its own padding",
            "Give the AvgPool2d count_include_pad=False, or no padding.",
        )
    if args["divisor_override"] not in (None, math.prod(window.kernel)):
        walk.refuse("divisor_override", "Leave it out; put the factor into the next layer.")
    return walk.emit(AveragePool2D(window), (source,), walk.batchless(node))


def _adaptive_avg_pool2d(walk: _Walk, args: Arguments, node: fx.Node) -> str:
    source = walk.source(args["self"])
    channels, height, width = _image(walk, source, "AdaptiveAvgPool2d")
    shape = walk.batchless(node)
    out_h, out_w = shape[1], shape[2]
    if height % out_h or width % out_w:
        walk.refuse(
            f"AdaptiveAvgPool2d from {height}x{width} to {out_h}x{out_w}, which needs windows of "
            "several sizes,",
            "Choose an output size that divides the input's, or use an AvgPool2d.",
        )
    kernel = (height // out_h, width // out_w)
    return walk.emit(AveragePool2D(Window(kernel, kernel)), (source,), (channels, out_h, out_w))


def _mean(walk: _Walk, args: Arguments, node: fx.Node) -> str:
    source = walk.source(args["self"])
    rank = len(walk.shapes[source]) + 1
    axes = sorted(int(axis) % rank for axis in args.get("dim") or ())
    if rank != 4 or axes != [2, 3]:
        walk.refuse(
            f"mean over axes {axes} of {walk.shapes[source]}",
            "Use x.mean((2, 3)) on N x C x H x W.",
        )
    channels, height, width = _image(walk, source, "mean")
    window = Window((height, width), (height, width))
    pooled = walk.emit(AveragePool2D(window), (source,), (channels, 1, 1))
    if args["keepdim"]:
        return pooled
    return walk.emit(Reshape((channels,)), (pooled,), (channels,))


def _batch_norm(walk: _Walk, args: Arguments, node: fx.Node) -> str:
    source = walk.source(args["input"])
    shape = walk.shapes[source]
    if len(shape) not in (1, 3):
        walk.refuse(f"BatchNorm on shape {shape}", "Use it on N x C or N x C x H x W.")
    mean = walk.constant(args["running_mean"], "running mean")
    variance = walk.constant(args["running_var"], "running variance")
    if mean is None or variance is None or args.get("training"):
        walk.refuse("BatchNorm that normalizes by the batch", "Leave track_running_stats at True.")
    gain, offset = walk.constant(args["weight"], "weight"), walk.constant(args["bias"], "bias")
    # In float64, so that folding loses nothing: y = (x - mean) / sqrt(var + eps) * gain + offset
    scale = 1.0 / np.sqrt(variance.astype(np.float64) + float(args["eps"]))
    if gain is not None:
        scale = scale * gain
    shift = (0.0 if offset is None else offset) - mean.astype(np.float64) * scale
    weight, bias = scale.astype(np.float32), shift.astype(np.float32)
    return walk.emit(BatchNorm(), (source,), shape, weight=weight, bias=bias)


def _pass_through(walk: _Walk, args: Arguments, node: fx.Node) -> str:
    if args.get("train"):
        walk.refuse("dropout that is on in eval mode", "Pass training=self.training to F.dropout.")
    first = next(iter(args.values()))
    return walk.source(first)


def _to(walk: _Walk, args: Arguments, node: fx.Node) -> str:
    if not node.meta["val"].is_floating_point():
        walk.refuse(f"a cast to {node.meta['val'].dtype}", "Keep the activations in float.")
    return walk.source(args["self"])


def _reshape(walk: _Walk, args: Arguments, node: fx.Node) -> str:
    source, shape = walk.source(args["self"]), walk.batchless(node)
    return walk.emit(Reshape(shape), (source,), shape)


def _permute(walk: _Walk, args: Arguments, node: fx.Node) -> str:
    source, shape = walk.source(args["self"]), walk.batchless(node)
    rank = len(shape) + 1
    if "dims" in args:
        order = [int(axis) % rank for axis in args["dims"]]
    else:
        order = list(range(rank))
        first, second = int(args["dim0"]) % rank, int(args["dim1"]) % rank
        order[first], order[second] = order[second], order[first]
    if order[0] != 0:
        walk.refuse("a transpose of the batch axis", "Keep the batch as the first axis.")
    return walk.emit(Transpose(tuple(axis - 1 for axis in order[1:])), (source,), shape)


def _clamp(low: Any, high: Any) -> Callable[[_Walk, Arguments, fx.Node], str]:
    """A handler for a clamp whose bounds are numbers, or names of arguments."""

    def bound(walk: _Walk, args: Arguments, limit: Any, default: float) -> float:
        value = args.get(limit) if isinstance(limit, str) else limit
        if isinstance(value, fx.Node):
            walk.refuse("a clamp with a tensor as bound", "Use numbers.")
        return default if value is None else float(value)

    def handler(walk: _Walk, args: Arguments, node: fx.Node) -> str:
        source = walk.source(args["self"])
        lowest = bound(walk, args, low, -math.inf)
        highest = bound(walk, args, high, math.inf)
        if not lowest < highest:
            walk.refuse(
                f"a clamp to {lowest}..{highest}", "The lower bound must be below the upper."
            )
        return walk.emit(Clamp(lowest, highest), (source,), walk.shapes[source])

    return handler


def _unary(function: str) -> Callable[[_Walk, Arguments, fx.Node], str]:
    def handler(walk: _Walk, args: Arguments, node: fx.Node) -> str:
        source = walk.source(args["self"])
        return walk.emit(Unary(function), (source,), walk.shapes[source])

    return handler


def _softmax(walk: _Walk, args: Arguments, node: fx.Node) -> str:
    """Softmax takes the last axis; another one is brought there and back."""
    source = walk.source(args["self"])
    shape = walk.shapes[source]
    rank = len(shape)
    axis = int(args["dim"]) % (rank + 1) - 1
    if axis < 0:
        walk.refuse("softmax over the batch", "Use dim=1.")
    if axis == rank - 1:
        return walk.emit(Softmax(), (source,), shape)
    order = (*(other for other in range(rank) if other != axis), axis)
    turned = walk.emit(Transpose(order), (source,), tuple(shape[i] for i in order))
    result = walk.emit(Softmax(), (turned,), walk.shapes[turned])
    back = tuple(order.index(i) for i in range(rank))
    return walk.emit(Transpose(back), (result,), shape)


HANDLERS: dict[str, Callable[[_Walk, Arguments, fx.Node], str]] = {
    "conv2d": _conv2d,
    "linear": _linear,
    "max_pool2d": _max_pool2d,
    "avg_pool2d": _avg_pool2d,
    "adaptive_avg_pool2d": _adaptive_avg_pool2d,
    "mean": _mean,
    "batch_norm": _batch_norm,
    "relu": _clamp(0.0, math.inf),
    "relu6": _clamp(0.0, 6.0),
    "hardtanh": _clamp("min_val", "max_val"),
    "clamp": _clamp("min", "max"),
    "clip": _clamp("min", "max"),
    "clamp_min": _clamp("min", math.inf),
    "clamp_max": _clamp(-math.inf, "max"),
    "sigmoid": _unary("sigmoid"),
    "tanh": _unary("tanh"),
    "softmax": _softmax,
    "permute": _permute,
    "transpose": _permute,
    "to": _to,
    **{name.rstrip("_"): _pass_through for name in PASS_THROUGH},
    **dict.fromkeys(RESHAPES, _reshape),
}
