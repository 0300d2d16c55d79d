"""One walk over an exported program, node by node."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from nanotool.errors import InvalidModel, UnsupportedOp
from nanotool.frontends.torch.ends import (
    INPUT,
    next_states,
    program_inputs,
    program_results,
    results,
)
from nanotool.frontends.torch.fx_nodes import (
    Arguments,
    is_number,
    is_of_torch,
    module_kinds,
    module_path,
    named_arguments,
    operator_name,
    provenance,
)
from nanotool.frontends.torch.hints import ATTENTION, DEFAULT_HINT, HINTS, MAXIMUM
from nanotool.frontends.torch.memory import Memory
from nanotool.frontends.torch.whole import reaches_over, shifted
from nanotool.graphs import frozen
from nanotool.ir import (
    ArgMax,
    Concat,
    Custom,
    FloatArray,
    Gather,
    Graph,
    Node,
    Op,
    Quantize,
    Reshape,
    Shape,
    Slice,
    State,
    Svdf,
    Table,
    Transpose,
)
from nanotool.ops import OPERATORS, Reads

# A tensor of the graph, a constant, several results, or something that is no activation.
Value: TypeAlias = "str | torch.Tensor | list[Value] | None"

# (walk, arguments by name, node) -> the result
Handler: TypeAlias = "Callable[[Walk, Arguments, fx.Node], Value]"

# Operators that fill a new tensor, and with what.
FILLS = {
    **dict.fromkeys(("zeros", "new_zeros", "zeros_like"), 0.0),
    **dict.fromkeys(("ones", "new_ones", "ones_like"), 1.0),
    **dict.fromkeys(("full", "new_full", "full_like"), 0.0),
}
MAX_AXES = 6  # of a tensor, the batch aside; of one that is computed on four

# By the operator's name, without the _ of in-place forms.
HANDLERS = Reads[Handler](
    "frontends/torch", operators=OPERATORS, without=(Custom, Quantize, Svdf, Table)
)
_VIEWS: set[str] = set()  # those whose result shares its input's memory
_ANYWHERE: set[str] = set()  # those that take tensors whose batch is not in front


def handles(
    *names: str,
    makes: type[Op] | tuple[type[Op], ...],
    view: bool = False,
    anywhere: bool = False,
) -> Callable[[Handler], Handler]:
    """Register the function below as the handler of the operators ``names``, which become
    ``makes`` (`Reads`). ``anywhere``: also where the batch is not the first axis, `Walk.place`."""
    if anywhere:
        _ANYWHERE.update(names)
    if view:
        _VIEWS.update(names)
    return HANDLERS(*names, makes=makes)


class Unhandled(UnsupportedOp):
    """An operator without a handler, ``target``: it may have parts that have one."""

    def __init__(self, error: UnsupportedOp, target: object) -> None:
        super().__init__(error.node, "", error.hint)
        self.args, self.message, self.target = error.args, error.message, target


_FALLBACKS: list[Handler] = []  # asked in turn about operators without one


def falls_back(function: Handler) -> Handler:
    """Register the function below: it answers what an operator without a handler becomes, or None
    if it does not know."""
    _FALLBACKS.append(function)
    return function


def _fallback(walk: Walk, given: Arguments, node: fx.Node) -> Value:
    """The handler of operators without one."""
    for function in _FALLBACKS:
        result = function(walk, given, node)
        if result is not None:
            return result
    kind = operator_name(node).rstrip("_")
    try:
        walk.refuse(
            f"the operation {kind} on {walk.shapes_of_inputs(node)}", HINTS.get(kind, DEFAULT_HINT)
        )
    except UnsupportedOp as error:
        raise Unhandled(error, node.target) from None


def _indices(view: fx.Node, base: fx.Node) -> tuple[int, range] | None:
    """Which elements of ``base`` a ``view`` has: an axis and the indices along it, one behind the
    other; None if it is no such part."""
    shape, given = base.meta["val"].shape, named_arguments(view)
    kind = operator_name(view)
    if kind in {"alias", "detach"}:
        return 0, range(int(shape[0]))
    if kind not in {"select", "slice", "narrow"}:
        return None
    axis = int(given["dim"]) % len(shape)
    every = range(int(shape[axis]))
    if kind == "select":
        index = every[int(given["index"])]
        return axis, range(index, index + 1)
    if kind == "narrow":
        return axis, every[int(given["start"]) :][: int(given["length"])]
    return (axis, every[given["start"] : given["end"]]) if given["step"] == 1 else None


@dataclass
class Walk:
    """One walk over an exported program."""

    program: torch.export.ExportedProgram
    name: str
    values: dict[fx.Node, Value] = field(default_factory=dict)
    roots: dict[fx.Node, fx.Node] = field(default_factory=dict)  # whose memory a view shares
    shapes: dict[str, Shape] = field(default_factory=dict)
    constants: dict[str, FloatArray] = field(default_factory=dict)
    weights: dict[fx.Node, FloatArray] = field(default_factory=dict)  # so that sharers share
    images: dict[str, str] = field(default_factory=dict)  # C, L -> the same as C, 1, L
    spread: dict[str, str] = field(default_factory=dict)  # expanded tensor -> what it repeats
    nodes: list[Node] = field(default_factory=list)
    current: fx.Node | None = None  # the fx node being captured
    batch: Any = None  # the batch dimension's symbol
    memory: Memory = field(default_factory=Memory)  # what becomes states
    shown: bool = False  # behind its results the program gives what the memory's buffers hold
    inputs: list[str] = field(default_factory=list)
    states: dict[str, tuple[str, fx.Node | None, FloatArray]] = field(default_factory=dict)
    outputs: list[tuple[str, str]] = field(default_factory=list)  # what it is called, tensor
    whole: bool = False  # the current node's tensors are whole, see `whole`
    place: int = 0  # of the batch among the axes of the current node's inputs
    gates: dict[tuple[Any, ...], object] = field(default_factory=dict)  # weights, by parameters
    order: dict[fx.Node, int] = field(default_factory=dict)  # of execution
    scales: dict[str, tuple[float, int]] = field(default_factory=dict)  # that the program brings

    def graph(self) -> Graph:
        """Walk everything."""
        self.order = {node: i for i, node in enumerate(self.program.graph.nodes)}
        self.batch = self._batch()
        for node in self.order:
            self.current = node
            if node.op == "placeholder":
                self._placeholder(node)
            elif node.op == "call_function":
                self._call(node)
            elif node.op == "output":
                self._output(node)
            else:
                self.refuse(f"the graph node {node.op} {node.target}", DEFAULT_HINT)
        return Graph(
            name=self.name,
            inputs=tuple(self.inputs),
            input_shapes=tuple(self.shapes[name] for name in self.inputs),
            nodes=tuple(self.nodes),
            outputs=tuple(tensor for _, tensor in self.outputs),
            constants=self.constants,
            states=tuple(self._states()),
            output_names=tuple(name for name, _ in self.outputs if name),
            scales=self.scales,
        )

    # --- Names and shapes ----------------------------------------------------------------------

    def refuse(self, what: str, hint: str) -> NoReturn:
        """Raise UnsupportedOp for the current node; its inputs' shapes are added if ``what`` tells
        none. Whatever is refused within an attention module is refused as attention."""
        assert self.current is not None
        if "MultiheadAttention" in module_kinds(self.current):
            what, hint = "nn.MultiheadAttention", ATTENTION
        shapes = self.shapes_of_inputs(self.current)
        if shapes and not re.search(r"\dx\d|\[\d|\(\d", what):
            what += f" (on {shapes})"
        raise UnsupportedOp(module_path(self.current) or "model", what, hint)

    def unique_name(self, suffix: str = "") -> str:
        """A free name for a tensor of the current node."""
        assert self.current is not None
        path = provenance(self.current) + (f".{suffix}" if suffix else "")
        name, count = path, 1
        while name in self.shapes:
            count += 1
            name = f"{path}_{count}"
        return name

    def batchless(self, node: fx.Node) -> Shape:
        """The shape of ``node``'s result without its leading batch."""
        return self.without_batch(node.meta["val"])

    def without_batch(self, value: Any) -> Shape:
        """The shape of a result of the current node without its leading batch."""
        assert self.current is not None
        what = operator_name(self.current)
        if not isinstance(value, torch.Tensor):
            self.refuse(f"{what} with several results", DEFAULT_HINT)
        sizes = list(value.shape)
        if self.whole:
            if len(sizes) > MAX_AXES:
                self.refuse(f"a tensor of {len(sizes)} axes", "Use at most four axes.")
            return tuple(int(size) for size in sizes)
        place = self.batch_place(value)
        rest = [] if place is None else [*sizes[:place], *sizes[place + 1 :]]
        anywhere = what.rstrip("_") in {*_ANYWHERE, "getitem"}
        if place is None or (place and not anywhere) or not all(isinstance(s, int) for s in rest):
            self.refuse(
                f"{what} to shape {[str(size) for size in sizes]}, which mixes the "
                "batch with other axes,",
                "Keep the batch as the first axis: x.flatten(1), x.reshape(len(x), -1), "
                "x.mean((2, 3)).",
            )
        if len(sizes) > MAX_AXES + 1:
            self.refuse(f"a tensor of {len(sizes)} axes", "Use at most four axes and the batch.")
        if 0 in rest:
            self.refuse(f"an empty tensor {tuple(rest)}", "Leave it out.")
        return tuple(int(size) for size in rest)

    def batch_place(self, value: Any) -> int | None:
        """Which axis of a result is the batch's; None: none is. Of whole tensors it is one more in
        front of all that they have."""
        if self.whole:
            return 0
        sizes = [str(size) for size in value.shape]
        return sizes.index(str(self.batch)) if str(self.batch) in sizes else None

    def axis(self, number: int, rank: int, what: str) -> int:
        """The axis without batch of PyTorch's axis ``number`` of a tensor with ``rank`` axes
        (without batch)."""
        axis = int(number) % (rank + 1)
        if axis == self.place:
            self.refuse(f"{what} over the batch", "Each sample is on its own: use dim=1.")
        return axis - (axis > self.place)

    # --- Values --------------------------------------------------------------------------------

    def constant(self, argument: Any, what: str) -> FloatArray | None:
        """A weight: the value of a parameter, buffer or constant expression, as float32."""
        if argument is None:
            return None
        value = self.values.get(argument) if isinstance(argument, fx.Node) else argument
        if not isinstance(value, torch.Tensor):
            self.refuse(f"a {what} that depends on the input", "Use a layer with fixed weights.")
        if argument not in self.weights:
            array: FloatArray = value.detach().to("cpu", torch.float32).numpy().copy()
            self.check_finite(array, what)
            array.setflags(write=False)
            self.weights[argument] = array
        return self.weights[argument]

    def once(self, value: NDArray[Any]) -> NDArray[Any]:
        """A constant that holds the same for each sample of the batch, for one of them; another one
        as it is."""
        batch = self.batch if isinstance(self.batch, int) else None
        if value.ndim and batch is not None and len(value) == batch and (value == value[:1]).all():
            return value[:1]
        return value

    def check_finite(self, array: NDArray[Any], what: str) -> None:
        """InvalidModel for NaN and infinity."""
        if not np.isfinite(array).all():
            assert self.current is not None
            raise InvalidModel(
                f"{module_path(self.current) or 'model'}: the {what} holds NaN or infinity.",
                "Train again, with a lower learning rate or gradient clipping.",
            )

    def is_activation(self, argument: Any) -> bool:
        """Whether ``argument`` depends on the input."""
        return isinstance(argument, fx.Node) and isinstance(self.values.get(argument), str)

    def source(self, argument: Any) -> str:
        """The tensor's name for an argument that must be an activation."""
        value = self.values.get(argument) if isinstance(argument, fx.Node) else None
        if not isinstance(value, str):
            self.refuse("an operation on something that is no activation", DEFAULT_HINT)
        if any(node.name == value and isinstance(node.op, ArgMax) for node in self.nodes):
            self.refuse("an operation on indices", "Let the argmax be the last operation.")
        return value

    def number(self, argument: Any, what: str) -> float:
        """An argument that must be a number."""
        value = self.values.get(argument) if isinstance(argument, fx.Node) else argument
        if isinstance(value, torch.Tensor) and value.numel() == 1:
            value = value.item()
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.refuse(f"a {what} that is no plain number", "Use a number.")
        return float(value)

    # --- Emitting ------------------------------------------------------------------------------

    def emit(
        self,
        op: Op,
        inputs: tuple[str, ...],
        shape: Shape,
        *,
        weight: FloatArray | None = None,
        bias: FloatArray | None = None,
        suffix: str = "",
        more: int = 0,
    ) -> str:
        """Append a node named after the current fx node (``suffix`` for auxiliary ones), which
        writes ``more`` tensors beside its output; its tensor's name."""
        name = self.unique_name(suffix)
        self.shapes[name] = shape
        beside = [self.unique_name(f"{suffix}.kept".strip(".")) for _ in range(more)]
        self.shapes.update((one, shape[-1:]) for one in beside)
        self.nodes.append(Node(name, op, inputs, shape, weight, bias, more=tuple(beside)))
        return name

    def add_constant(self, data: NDArray[Any], suffix: str = "constant") -> str:
        """A constant of the graph, without batch; its tensor's name."""
        self.check_finite(data, suffix)
        name = self.unique_name(suffix)
        array: FloatArray = np.array(data, np.float32)
        array.setflags(write=False)
        self.constants[name] = array
        self.shapes[name] = array.shape
        return name

    def image(self, tensor: str, what: str) -> str:
        """``tensor`` as C, H, W; a C, L one as C, 1, L."""
        shape = self.shapes[tensor]
        if len(shape) == 3:
            return tensor
        if len(shape) != 2:
            self.refuse(f"{what} on shape {shape}", "Give it N x C x H x W, or N x C x L.")
        if tensor not in self.images:
            flat = (shape[0], 1, shape[1])
            self.images[tensor] = self.emit(Reshape(flat), (tensor,), flat, suffix="image")
        return self.images[tensor]

    def from_image(self, image: str, rank: int) -> str:
        """What `image` was before, for a result: C, 1, L as C, L where ``rank`` is 2."""
        if rank == 3:
            return image
        channels, _, length = self.shapes[image]
        line = self.emit(Reshape((channels, length)), (image,), (channels, length), suffix="line")
        self.images[line] = image
        return line

    def reshaped(self, tensor: str, shape: Shape, suffix: str = "") -> str:
        """``tensor``'s elements in their order under another shape."""
        if self.shapes[tensor] == shape:
            return tensor
        return self.emit(Reshape(shape), (tensor,), shape, suffix=suffix)

    def gathered(self, tensor: str, axis: int, indices: Any, suffix: str = "") -> str:
        """The elements ``indices`` along ``axis``."""
        shape, places = self.shapes[tensor], tuple(int(index) for index in indices)
        if places == tuple(range(shape[axis])):
            return tensor
        after = (*shape[:axis], len(places), *shape[axis + 1 :])
        return self.emit(Gather(axis, places), (tensor,), after, suffix=suffix)

    def transposed(self, tensor: str, permutation: tuple[int, ...], suffix: str = "") -> str:
        """Axis ``i`` of the result is axis ``permutation[i]`` of ``tensor``."""
        shape = tuple(self.shapes[tensor][axis] for axis in permutation)
        return self.emit(Transpose(permutation), (tensor,), shape, suffix=suffix)

    # --- The kinds of fx node ------------------------------------------------------------------

    def _batch(self) -> Any:
        """The size or symbol of the batch: the first axis of an input."""
        nodes = {node.name: node for node in self.order}
        users = map(str, self.program.graph_signature.user_inputs)
        for user, name in zip(users, program_inputs(self.program), strict=True):
            value = nodes[user].meta.get("val") if user in nodes else None
            if isinstance(value, torch.Tensor) and value.ndim and name not in self.memory.parts:
                return value.shape[0]
        return None

    def _placeholder(self, node: fx.Node) -> None:
        signature = self.program.graph_signature
        lifted = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        if node.name in lifted:
            target = lifted[node.name]
            if target in self.memory.buffers and node.name in signature.inputs_to_buffers:
                self._state(node, target, self.memory.buffers[target])
                return
            state = self.program.state_dict
            self.values[node] = state[target] if target in state else self.program.constants[target]
            return
        names = program_inputs(self.program)
        place = [str(name) for name in signature.user_inputs].index(node.name)
        value, name = node.meta.get("val"), names[place]
        if not isinstance(value, torch.Tensor):
            self.values[node] = None  # None and numbers have gone into the program
            return
        if not value.is_floating_point():
            self.refuse(
                f"the input {name} of {str(value.dtype).removeprefix('torch.')}",
                "Inputs are real numbers: cast inside, self.embedding(x.long()), and give floats.",
            )
        if name in self.memory.parts:
            self._state(node, name, self.memory.parts[name])
            return
        if value.ndim and str(value.shape[0]) != str(self.batch):
            self.refuse(f"the input {name}, whose batch is another,", "Export them with one batch.")
        name = INPUT if len(names) == 1 else name
        self.shapes[name] = shape = self.batchless(node)
        if len(shape) > 3:
            self.refuse(f"an input of shape {shape}", "Use at most three axes: C, H, W.")
        self.inputs.append(name)
        self.values[node] = name

    def _state(self, node: fx.Node, name: str, initial: torch.Tensor) -> None:
        """A tensor that is read as the step before left it."""
        value = node.meta["val"]
        fixed = tuple(size if isinstance(size, int) else 1 for size in value.shape)
        if tuple(initial.shape) != fixed and tuple(initial.shape) != (1, *fixed[1:]):
            self.refuse(
                f"the initial value {tuple(initial.shape)} of the state {name} of shape {fixed}",
                "Give it as the forward takes it for one sample.",
            )
        array = initial.detach().to("cpu", torch.float32).numpy()
        if self.batch == 1:
            single = bool(fixed) and fixed[0] == 1
            shape = fixed[1:] if single else fixed
            if len(shape) > MAX_AXES:
                self.refuse(f"the state {name} of shape {fixed}", "Use at most four axes.")
        elif name in self.memory.buffers:
            self.refuse(
                f"the state {name} of a program for a batch of {self.batch}",
                "Export it for one sample: torch.export.export(model, (one[:1],)).",
            )
        else:
            single, shape = True, self.batchless(node)
        self.shapes[name] = shape
        self.states[name] = (name, node, frozen(array[0] if single else array))
        self.values[node] = name

    def _states(self) -> Iterator[State]:
        """As the user named them."""
        wanted = {name: i for i, name in enumerate((*self.memory.parts, *self.memory.buffers))}
        for name in sorted(self.states, key=lambda name: wanted[name]):
            read, node, initial = self.states[name]
            following = None if node is None else self.values.get(node)
            assert node is not None
            if not isinstance(following, str) or following in (*self.constants, read):
                lost = name in self.memory.buffers and not self.shown
                self.refuse(
                    f"the state {name}, which holds the same in every step,",
                    "torch.export loses what an inner module assigns (self.past = x): write into "
                    "the buffer, self.past.copy_(x)."
                    if lost
                    else "Leave it out of states.",
                )
            if self.shapes[following] != self.shapes[read]:
                self.refuse(
                    f"the state {name} of shape {self.shapes[read]}, which becomes "
                    f"{self.shapes[following]},",
                    "What takes a state's place has its shape.",
                )
            yield State(name, read, following, initial)

    def _output(self, node: fx.Node) -> None:
        signature = self.program.graph_signature
        mutated = len(signature.user_outputs)
        given = node.args[0]
        assert isinstance(given, (tuple, list))
        assert mutated <= len(given)
        users = given[len(given) - mutated :]
        for changed in given[: len(given) - mutated]:  # of a program without in-place operators
            target = signature.buffers_to_mutate.get(getattr(changed, "name", ""))
            if target in self.states and isinstance(changed, fx.Node):
                read, _, initial = self.states[target]
                self.states[target] = (read, changed, initial)
        given = program_results(self.program, users)
        if self.shown:
            given, held = given
            for name, leaf in zip(self.memory.buffers, held, strict=True):
                read, _, initial = self.states[name]
                self.states[name] = (read, leaf, initial)
        found = [(name, leaf) for name, leaf in results(given) if leaf is not None]
        parts = list(self.memory.parts)
        places = next_states(found, parts) if parts else []
        for name, place in zip(parts, places, strict=True):
            leaf = found[place][1]
            read, _, initial = self.states[name]
            self.states[name] = (read, leaf if isinstance(leaf, fx.Node) else None, initial)
        for i, (name, leaf) in enumerate(found):
            if i in places:
                continue
            value = self.values.get(leaf) if isinstance(leaf, fx.Node) else None
            which = f"the result {name or i}" if len(found) > 1 else "a result"
            elsewhere = isinstance(leaf, fx.Node) and self.batch_place(leaf.meta["val"])
            if isinstance(value, str) and elsewhere and not self.memory:
                self.refuse(f"{which}, whose batch is not its first axis,", "Transpose it back.")
            if not isinstance(value, str):
                self.refuse(
                    f"{which}, which is the same for every input,",
                    "Leave it out of the forward's results, and keep it in your own code.",
                )
            self.outputs.append((name, value))
        if not self.outputs:
            self.refuse("a forward that gives no tensor", "Return what the model shall answer.")

    def _call(self, node: fx.Node) -> None:
        value = node.meta.get("val")
        if node.target is operator.getitem:
            self._take(node)
            return
        if value is None or is_number(value):
            return  # sizes, arithmetic on them and assertions; their use shows in the shapes
        if not isinstance(node.target, torch._ops.OpOverload):
            what = getattr(node.target, "__name__", node.target)
            self.refuse(f"the operation {what}", DEFAULT_HINT)
        if self._filled(node) or self._fold_constant(node):
            return
        name = operator_name(node)
        kind = name.rstrip("_")
        if name == "copy_":
            self._copied(node)
            return
        # Another package's relu is not PyTorch's.
        handler = HANDLERS.get(kind) if is_of_torch(node) else None
        result = self._handled(handler or _fallback, node)
        self.values[node] = result
        if kind in _VIEWS or name.endswith("_"):
            first = node.all_input_nodes[0]
            if kind in _VIEWS:
                self.roots[node] = self.roots.get(first, first)
            else:
                self._written_in_place(first, node, result)

    def _handled(self, handler: Handler, node: fx.Node) -> Value:
        """What ``handler`` gives for ``node``; in a step of one sample with its tensors whole,
        where it has to see them so."""
        sources = [n for n in node.all_input_nodes if isinstance(self.values.get(n), str)]
        if not (self.memory and self.batch == 1 and reaches_over(node, sources)):
            self._find_batch(node)
            return handler(self, named_arguments(node), node)
        before = {source: self.values[source] for source in sources}
        self.whole, self.place = True, 0
        try:
            for source in sources:
                self.values[source] = self._as_whole(source)
            result = handler(self, shifted(named_arguments(node)), node)
        finally:
            self.whole = False
            self.values.update(before)
        if isinstance(result, list):
            pairs = zip(result, node.meta["val"], strict=True)
            return [self._as_sample(one, value) for one, value in pairs]
        return self._as_sample(result, node.meta["val"])

    def _as_whole(self, source: fx.Node) -> str:
        """The tensor of ``source`` with all its axes."""
        tensor, shape = self.values[source], tuple(source.meta["val"].shape)
        assert isinstance(tensor, str)
        return self.reshaped(tensor, tuple(int(size) for size in shape), suffix="whole")

    def _as_sample(self, result: Value, value: Any) -> Value:
        """Without a leading 1, which is the batch's."""
        if not isinstance(result, str) or not value.ndim or value.shape[0] != 1:
            return result
        return self.reshaped(result, tuple(int(size) for size in value.shape[1:]), suffix="sample")

    def _find_batch(self, node: fx.Node) -> None:
        """Set `place`; what needs the batch in front is refused where it is not."""
        activations = (one for one in node.all_input_nodes if self.is_activation(one))
        places = {self.batch_place(one.meta["val"]) for one in activations}
        first = next((n for n in node.all_input_nodes if self.is_activation(n)), None)
        self.place = (self.batch_place(first.meta["val"]) or 0) if first is not None else 0
        kind = operator_name(node).rstrip("_")
        if places - {0, None} and kind not in _ANYWHERE:
            self.refuse(
                f"the operation {kind} on a tensor whose batch is not its first axis",
                "Keep the batch as the first axis (batch_first=True), or transpose it back first.",
            )

    def shapes_of_inputs(self, node: fx.Node) -> str:
        """For messages."""
        tensors = (self.values.get(argument) for argument in node.all_input_nodes)
        shapes = (self.shapes[tensor] for tensor in tensors if isinstance(tensor, str))
        return ", ".join("x".join(map(str, shape)) for shape in shapes)

    def _take(self, node: fx.Node) -> None:
        """One of several results."""
        results, index = node.args
        assert isinstance(results, fx.Node)
        found = self.values.get(results)
        if isinstance(found, list):
            assert isinstance(index, int)
            if found[index] is None and node.users:
                self.refuse(
                    f"the values of {operator_name(results)} along an axis of "
                    f"{self.shapes_of_inputs(results)}",
                    MAXIMUM,
                )
            self.values[node] = found[index]
            self.roots[node] = self.roots.get(results, results)

    def _filled(self, node: fx.Node) -> bool:
        """A tensor that holds the same for every sample, as the first state of a recurrence does
        (new_zeros, zeros_like, a buffer that is repeated): a constant, of one sample."""
        name, value = operator_name(node), node.meta["val"]
        if name not in {*FILLS, "repeat", "expand"} or not value.is_floating_point():
            return False
        sizes, place = list(value.shape), self.batch_place(value)
        if place is not None and not self.memory:
            sizes[place] = 1
        few = len(sizes) < 2 or place is None
        if (few and not self.memory) or not all(isinstance(size, int) for size in sizes):
            return False
        given = named_arguments(node)
        if name in FILLS:
            fill = given.get("fill_value", FILLS[name])
            if isinstance(fill, (int, float)):
                self.values[node] = torch.full(sizes, float(fill))
            return node in self.values
        source = given.get("self")
        held = self.values.get(source) if isinstance(source, fx.Node) else None
        if not isinstance(held, torch.Tensor) or few or place is None:
            return False
        at = place - len(sizes) + held.ndim  # the batch's axis, if it has that
        if at < 0 or held.shape[at] == 1:
            times = [1 if axis == place else n for axis, n in enumerate(given.get("repeats", ()))]
            self.values[node] = held.expand(*sizes) if name == "expand" else held.repeat(*times)
        return node in self.values

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
        if isinstance(result, (tuple, list)):
            result = list(result)
        elif not isinstance(result, torch.Tensor):
            return False
        self.values[node] = result
        return True

    def _copied(self, node: fx.Node) -> None:
        """Elements written over others: x.copy_(y), x[:, -1] = y."""
        target, source = node.args[:2]
        assert isinstance(target, fx.Node)
        shape = tuple(target.meta["val"].shape)
        value = self.values.get(source) if isinstance(source, fx.Node) else None
        if isinstance(value, torch.Tensor):
            full = value.expand(shape) if all(isinstance(n, int) for n in shape) else value
            single = self.batch == 1 and full.ndim and full.shape[0] == 1
            value = self.add_constant(full[0 if single else ...].numpy())
        fits = isinstance(source, fx.Node) and tuple(source.meta["val"].shape) == shape
        if not isinstance(value, str) or not (fits or value in self.constants):
            self.refuse(f"copying to shape {list(shape)}", "Copy what has the same shape.")
        self.values[node] = value
        self._written_in_place(target, node, value)

    def _climbed(self, view: fx.Node, value: str) -> tuple[fx.Node, str] | None:
        """What ``view`` is a part of, as a whole, and what it holds when the part holds ``value``;
        None for a view of another kind."""
        while view in self.roots and self.roots[view] is not view:
            base = view.all_input_nodes[0]
            if not operator_name(view).endswith("_"):
                indices = _indices(view, base)
                if indices is None or not isinstance(self.values.get(base), str):
                    return None
                value = self._with_part(base, value, *indices)
            view = base
        return view, value

    def _with_part(self, base: fx.Node, part: str, axis: int, indices: range) -> str:
        """``base`` with ``part`` in the place of its elements ``indices`` along ``axis``."""
        whole = self._as_whole(base)
        shape = self.shapes[whole]
        part = self.reshaped(part, (*shape[:axis], len(indices), *shape[axis + 1 :]), "part")
        pieces = [part]
        for kept, front in (
            (range(indices.start), True),
            (range(indices.stop, shape[axis]), False),
        ):
            if kept:
                begin = tuple(kept.start if i == axis else 0 for i in range(len(shape)))
                after = (*shape[:axis], len(kept), *shape[axis + 1 :])
                op = Slice(begin, (1,) * len(shape))
                piece = self.emit(op, (whole,), after, suffix="kept")
                pieces.insert(0 if front else len(pieces), piece)
        if len(pieces) > 1:
            part = self.emit(Concat(axis), tuple(pieces), shape)
        result = self._as_sample(part, base.meta["val"])
        assert isinstance(result, str)
        return result

    def _written_in_place(self, target: fx.Node, node: fx.Node, result: Value) -> None:
        """x.relu_() also changes x, and all that shares its memory, for later readers."""
        root = self.roots.get(target, target)
        self.roots[node] = root
        before = self.values[target]
        climbed = (
            self._climbed(target, result) if self.batch == 1 and isinstance(result, str) else None
        )
        if target is not root and climbed is not None:
            self.values[node], before, (_, result) = result, self.values[root], climbed
        for other, value in list(self.values.items()):
            if self.roots.get(other, other) is not root or other is node:
                continue
            if isinstance(value, str) and value == before:
                self.values[other] = result
            elif any(self.order[user] > self.order[node] for user in other.users):
                self.refuse(
                    f"the in-place {operator_name(node)} on a tensor with other views",
                    "Use the form that returns a new tensor (no underscore, no inplace=True).",
                )
