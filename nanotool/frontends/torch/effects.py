"""What a module's forward does besides computing its result: `watch`.

The forward is run on a copy of the module, operator by operator and with a look at all that it can
reach before and behind. Found are writes into buffers, parameters, attributes, lists, globals,
closures and the input; random operators and generators; what is read outside of the program (clock,
environment, files); and, whatever the cause, answers that differ between two calls with the same
input. The user's module stays as it was, and so does all
that its code can reach: `apart` puts it back.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import linecache
import operator
import re
import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import fx, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from nanotool.errors import NanoError, UnsupportedOp
from nanotool.frontends.torch import outside
from nanotool.frontends.torch.ends import Call, call_of, is_tensor
from nanotool.frontends.torch.fx_nodes import (
    Arguments,
    module_path,
    named_arguments,
    operator_name,
)
from nanotool.frontends.torch.snapshot import Cell, Snapshot, storage

SAME = 1e-6  # of the largest output, between two calls
TORCH = str(Path(torch.__file__).parent)
NUMPY = str(Path(np.__file__).parent)
OURS = str(Path(__file__).parent)
STANDARD = str(Path(contextlib.__file__).parent)
# Their running statistics are marked as written, also where `training` is off.
NORMALIZATIONS = frozenset({"_native_batch_norm_legit", "_batch_norm_with_update"})


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the user's code."""

    module: str = ""  # path of the module whose code it is, "" for the model itself
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        text = linecache.getline(self.file, self.line).strip()
        return f"{Path(self.file).name}, line {self.line}" + (f": `{text[:80]}`" if text else "")


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that the forward does besides computing its result."""

    # "random", "input", "answer", one of `outside.KINDS`, or what is written: "buffer", ...
    kind: str
    name: str  # of what is written, "cell.past"; of the random operator; of what is called
    place: Place
    once: bool = False  # the first call does it, a second one does not


@dataclass(frozen=True, slots=True)
class Watched:
    """What a forward gave, and did."""

    outputs: tuple[torch.Tensor, ...]
    effects: tuple[Effect, ...]

    @property
    def buffers(self) -> tuple[str, ...]:
        """The buffers that it writes: what a model with a memory keeps from step to step."""
        return tuple(effect.name for effect in self.effects if effect.kind == "buffer")


@contextlib.contextmanager
def apart(model: nn.Module) -> Iterator[nn.Module]:
    """A copy of ``model`` in eval mode, to be run and traced; ``model`` itself where it cannot be
    copied. Behind it the model, all that its code reaches and the random generators are what they
    were, after an exception too."""
    before = Snapshot(model)
    devices = list(range(torch.cuda.device_count()))
    try:
        with torch.random.fork_rng(devices), torch.no_grad():
            try:
                copied = copy.deepcopy(model)
            except Exception:  # a tensor with a history, a lock, an open file: anything
                copied = model
            copied.eval()
            yield copied
    finally:
        before.restore()


def watch(model: nn.Module, given: Mapping[str, Any]) -> Watched:
    """Run ``model``, as `apart` gives it, with the arguments ``given``. NanoError where the forward
    fails."""
    # The forward or the export brings it in any case: several times slower while listened to.
    importlib.import_module("torch._dynamo")
    paths = {id(module): path for path, module in model.named_modules()}
    call = call_of(model, tree_map(lambda leaf: leaf.clone() if is_tensor(leaf) else leaf, given))
    start = Snapshot(model, call.tensors)
    first, second = _Recorder(paths, start.storages), _Recorder(paths, start.storages)
    try:
        outputs = _run(model, call, first)
        found = _found(first, start)
        between = Snapshot(model, call.tensors)
        repeated = _run(model, call, second)
        lasting = _found(second, between)
        for key in [key for key in found if key[0] in outside.KINDS and key not in lasting]:
            del found[key]  # something was made ready, once
    finally:
        second.restore()
        first.restore()
        start.restore()
    if not found and not _agree(outputs, repeated):
        return Watched(outputs, (Effect("answer", "", Place()),))
    unplaced = [cell for place, cell in found.values() if place is None and cell is not None]
    places = _locate(model, call, paths, start, unplaced) if unplaced else {}
    return Watched(
        outputs,
        tuple(
            Effect(*key, place or places.get(id(cell), Place()), once=key not in lasting)
            for key, (place, cell) in found.items()
        ),
    )


def refuse(name: str, effects: tuple[Effect, ...]) -> NoReturn:
    """Raise UnsupportedOp for the gravest of ``effects``, with its line and the way out; ``name``
    is that of the model."""
    order = ("random", "answer")
    worst = min(effects, key=lambda e: order.index(e.kind) if e.kind in order else len(order))
    others = sorted({e.name for e in effects if e.kind == worst.kind and e.name != worst.name})
    also = f" (and {', '.join(others[:4])}{', ...' if others[4:] else ''})" if others else ""
    where = f" ({worst.place})" if worst.place.line else ""
    node = worst.place.module or name
    raise UnsupportedOp(node, f"{_what(worst)}{also}{where}", _way_out(worst))


_DOES = {  # what a forward does, by the kind of its effect; of others that is a variable
    "random": "draws random numbers: {}",
    "answer": "answers the same input differently, call by call,",
    "input": "writes into its input",
    "tensor": "writes into a tensor from outside",
    **dict.fromkeys(("attribute", "buffer", "parameter", "module"), "writes the {kind} self.{}"),
    **{kind: f"{verb}: {{}}" for kind, verb in outside.KINDS.items()},
}


def _what(effect: Effect) -> str:
    said = _DOES.get(effect.kind, "writes the {kind} variable {}")
    return f"a forward that {said.format(effect.name, kind=effect.kind)}"


_KNOWN_WAYS = {
    "random": (
        "Leave it out in eval mode (if self.training: ..., F.dropout(x, training="
        "self.training)); what is drawn once and stays is a buffer, made in __init__."
    ),
    "answer": "Something that lasts from call to call is in it: compute from the input alone.",
    "input": "Make a new tensor: x = x + 1 for x += 1, relu(x) for relu_(x), inplace=False.",
    **dict.fromkeys(
        outside.KINDS,
        "What it says now would stay in the model for ever: give it as an input, or read it once, "
        "in __init__.",
    ),
}


def _way_out(effect: Effect) -> str:
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    if effect.kind in _KNOWN_WAYS:
        return _KNOWN_WAYS[effect.kind]
    if effect.name.endswith(statistics):
        return "Its batch norm trains in eval mode too: pass training=self.training to it."
    if effect.once:
        return (
            "It does so on its first call only: make it in __init__, or call model(x) once first."
        )
    named = f"states=[{effect.name!r}]" if effect.kind == "buffer" else "states=[...]"
    made = "" if effect.kind == "buffer" else "make it a buffer (self.register_buffer) and "
    return (
        f"What it keeps from call to call would be lost: {made}name it in {named}, and it is what "
        "the model remembers from step to step; or let the input be a window that holds the past."
    )


# --- Operators ------------------------------------------------------------------------------------


def is_random(called: torch._ops.OpOverload, given: Arguments) -> bool:
    """Whether ``called`` draws numbers, called with the arguments ``given`` by name."""
    if torch.Tag.nondeterministic_seeded not in called.tags:
        return False
    trains = given.get("train", given.get("training", True))
    return bool(trains) and bool(given.get("dropout_p", given.get("dropout", 1)))


def written(called: torch._ops.OpOverload, given: Arguments) -> list[str]:
    """The names of the arguments into whose memory ``called`` writes."""
    name = called._schema.name.split("::")[-1]
    if name in NORMALIZATIONS and not given.get("training", True):
        return []
    arguments = called._schema.arguments
    return [a.name for a in arguments if a.alias_info is not None and a.alias_info.is_write]


def effects_of(program: torch.export.ExportedProgram) -> tuple[Effect, ...]:
    """What the operators of ``program`` do, as far as they tell."""
    signature = program.graph_signature
    owners = _owners(program)
    found: dict[tuple[str, str], Effect] = {}
    for node in program.graph.nodes:
        if not isinstance(node.target, torch._ops.OpOverload):
            continue
        given, place = named_arguments(node), _place_of(node)
        keys = [owners[n] for name in written(node.target, given) for n in _nodes(given[name])]
        if is_random(node.target, given):
            keys.append(("random", f"torch.{operator_name(node)}"))
        for key in keys:
            if key[0]:
                found.setdefault(key, Effect(*key, place))
    for kind, kept in (
        ("buffer", signature.buffers_to_mutate),
        ("parameter", signature.parameters_to_mutate),
        ("input", signature.user_inputs_to_mutate),
    ):
        for name in kept.values():
            key = (kind, "input" if kind == "input" else name)
            found.setdefault(key, Effect(*key, Place()))
    return tuple(found.values())


def _owners(program: torch.export.ExportedProgram) -> dict[fx.Node, tuple[str, str]]:
    """Whose memory each node's result lies in: kind and name; ("", "") if it is its own."""
    signature = program.graph_signature
    names = dict.fromkeys(signature.user_inputs, ("input", "input"))
    names |= {key: ("parameter", name) for key, name in signature.inputs_to_parameters.items()}
    names |= {key: ("buffer", name) for key, name in signature.inputs_to_buffers.items()}
    names |= dict.fromkeys(signature.inputs_to_lifted_tensor_constants, ("tensor", ""))
    owners: dict[fx.Node, tuple[str, str]] = {}
    for node in program.graph.nodes:
        owners[node] = names.get(node.name, ("", "")) if node.op == "placeholder" else ("", "")
        sources: list[fx.Node] = []
        if isinstance(node.target, torch._ops.OpOverload):  # the result may be a view
            given = named_arguments(node)
            aliased = [a.name for a in node.target._schema.arguments if a.alias_info is not None]
            sources = [source for name in aliased for source in _nodes(given[name])]
        elif node.target is operator.getitem:
            sources = list(node.all_input_nodes)
        for source in sources:
            owners[node] = max(owners[node], owners[source])
    return owners


def _nodes(value: Any) -> list[fx.Node]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, fx.Node)]


def _place_of(node: fx.Node) -> Place:
    """The line that the trace of ``node`` ends in; a saved program has none."""
    lines = re.findall(r'File "(.+)", line (\d+)', node.meta.get("stack_trace") or "")
    users = [(file, int(line)) for file, line in lines if _is_user(file)]
    return Place(module_path(node), *(users[-1] if users else ("", 0)))


# --- Watching -------------------------------------------------------------------------------------

Found = dict[tuple[str, str], tuple["Place | None", "Cell | None"]]


@dataclass
class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes random operators, and writes into memory that the forward did not make itself."""

    paths: dict[int, str]  # of the modules, by id
    storages: dict[int, tuple[str, str]]  # what is known from before: kind and name
    found: Found = field(default_factory=dict)
    own: dict[int, Any] = field(default_factory=dict)  # memory that the forward made; held
    copies: dict[int, tuple[Any, Any]] = field(default_factory=dict)  # foreign memory, as it was

    def __post_init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        keywords = kwargs or {}
        schema = func._schema
        name = schema.name.split("::")[-1]
        given = {argument.name: argument.default_value for argument in schema.arguments}
        given.update(zip(given, args, strict=False))
        given.update(keywords)
        if is_random(func, given):
            self._note("random", f"torch.{name}")
        for argument in written(func, given):
            self._written(given[argument])
        foreign = {storage(t) for t in _tensors(given)} - self.own.keys()
        result = func(*args, **keywords)
        for tensor in _tensors(result):
            if name == "lift_fresh" or storage(tensor) not in foreign:
                self.own[storage(tensor)] = tensor.untyped_storage()
        return result

    def _written(self, value: Any) -> None:
        for tensor in _tensors(value):
            key = storage(tensor)
            if key in self.own:
                continue
            memory = tensor.untyped_storage()
            self.copies.setdefault(key, (memory, memory.clone()))  # type: ignore[no-untyped-call]
            kind, name = self.storages.get(key, ("tensor", ""))
            self._note(kind, name)

    def _note(self, kind: str, name: str, frame: types.FrameType | None = None) -> None:
        place = _place(frame or sys._getframe(1), self.paths)
        self.found.setdefault((kind, name), (place, None))

    def listening(self) -> contextlib.AbstractContextManager[None]:
        """Notes what is asked outside of the program, too."""
        return outside.listening(self._note, _is_user, OURS)

    def restore(self) -> None:
        """Give foreign memory its values back."""
        for memory, before in self.copies.values():
            if memory.nbytes() == before.nbytes():
                memory.copy_(before)


def _tensors(value: Any) -> list[torch.Tensor]:
    found = [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]
    return [tensor for tensor in found if tensor.layout == torch.strided]


_WRONG_NAMES = (
    "The data hold several arrays by names that the forward has not: it got one dictionary. Name "
    "them as its arguments, or give one array."
)


def _run(model: nn.Module, call: Call, recorder: _Recorder) -> tuple[torch.Tensor, ...]:
    try:
        with recorder, recorder.listening():
            outputs = model(*call.args, **call.kwargs)
    except NanoError:
        raise
    except Exception as error:
        place = _failed(error, recorder.paths)
        reason = " ".join(str(error).split())[:200]
        shapes = " and ".join("x".join(map(str, x.shape[1:])) or "()" for x in call.tensors)
        where = f" ({place})" if place.line else ""  # a module of torch has no line of the user's
        raise NanoError(
            f"The model fails on a batch of inputs of shape {shapes}, in "
            f"{place.module or type(model).__name__}{where}: {type(error).__name__}: {reason}",
            _WRONG_NAMES
            if any(isinstance(value, dict) for value in call.args)
            else "Check the shape of the calibration data, N x what one input has, and that "
            "model(batch) runs.",
        ) from error
    return tuple(tensor.detach().clone() for tensor in _tensors(outputs))


def _found(recorder: _Recorder, start: Snapshot) -> Found:
    """What was written or drawn: by what is called, where in the code if that is known."""
    found = dict(recorder.found)
    for cell, name in start.changed():
        place, _ = found.get((cell.kind, name), (None, None))
        found[cell.kind, name] = (place, cell)
    return found


def _agree(first: tuple[torch.Tensor, ...], second: tuple[torch.Tensor, ...]) -> bool:
    if len(first) != len(second):
        return False
    for a, b in zip(first, second, strict=True):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        limit = SAME * float(a.double().abs().nan_to_num().max()) if a.numel() else 0.0
        if not torch.allclose(a.double(), b.double(), rtol=0, atol=limit, equal_nan=True):
            return False
    return True


# --- Lines ----------------------------------------------------------------------------------------


def _is_user(file: str) -> bool:
    """Whether a line is the user's: not PyTorch's, NumPy's, the standard library's, nor ours."""
    if file.startswith((TORCH, NUMPY, OURS, "<frozen")) or not file:
        return False
    return not file.startswith(STANDARD) or "site-packages" in file


def _place(frame: types.FrameType | None, paths: dict[int, str]) -> Place:
    """The innermost line of the user's on the stack, and the innermost module. The frames of
    `_Recorder` may lie between: what the garbage collector calls there is no end of the stack."""
    module, place = None, None
    while frame is not None and frame.f_code is not _run.__code__:
        held = frame.f_locals.get("self") if frame.f_code.co_varnames[:1] else None
        if module is None and id(held) in paths:
            module = paths[id(held)]
        if place is None and _is_user(frame.f_code.co_filename):
            place = (frame.f_code.co_filename, frame.f_lineno)
        if module is not None and place is not None:
            break
        frame = frame.f_back
    return Place(module or "", *(place or ("", 0)))


def _failed(error: BaseException, paths: dict[int, str]) -> Place:
    """Where an exception came from."""
    found, step = Place(), error.__traceback__
    module = ""
    while step is not None:
        code = step.tb_frame.f_code
        module = paths.get(id(step.tb_frame.f_locals.get("self")), module)
        if _is_user(code.co_filename):
            found = Place("", code.co_filename, step.tb_lineno)
        step = step.tb_next
    return Place(module, found.file, found.line)


def _locate(
    model: nn.Module,
    call: Call,
    paths: dict[int, str],
    start: Snapshot,
    cells: list[Cell],
) -> dict[int, Place]:
    """The line behind which each of ``cells`` has changed first, by the cell's id. ``start`` is put
    back behind it."""
    places: dict[int, Place] = {}
    last = Place()

    def look() -> None:
        for cell in cells:
            if id(cell) not in places and cell.changes():
                places[id(cell)] = last

    def trace(frame: types.FrameType, event: str, argument: Any) -> Any:
        nonlocal last
        if not _is_user(frame.f_code.co_filename):
            return None
        look()
        last = _place(frame.f_back if event == "return" else frame, paths)
        return trace

    recorder = _Recorder(paths, start.storages)
    traced = sys.gettrace()
    sys.settrace(trace)
    try:
        _run(model, call, recorder)
    finally:
        sys.settrace(traced)
        look()
        recorder.restore()
        start.restore()
    return places
