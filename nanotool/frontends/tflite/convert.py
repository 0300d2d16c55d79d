"""A .tflite model as a QGraph: `load` a file, or `convert` what `file.read` gave.

Operators on which neither an output nor a next state depends are left out. A layer is named after
the tensor that it writes. An operator that has no int8 form here is an `UnsupportedOp` with its
name, its shapes and what to use instead.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import InvalidModel, UnsupportedOp
from nanotool.frontends.tflite import (  # noqa: F401  (register)
    axis,
    choices,
    dilation,
    elementwise,
    file,
    linear,
    move,
    pooling,
    recurrent,
)
from nanotool.frontends.tflite.builder import Builder, Call
from nanotool.frontends.tflite.content import (
    FULL_INTEGER,
    NO_TENSOR,
    SHOWN,
    Model,
    Operator,
    Variable,
)
from nanotool.frontends.tflite.importers import IMPORTERS, Importer
from nanotool.frontends.tflite.instead import way_out
from nanotool.identifiers import model_identifier
from nanotool.ir import DTYPES, QGraph, QOp, QTensor, State
from nanotool.ops import facts
from nanotool.validate import validate

IMPORTERS.complete()

MAX_NAME = 64  # characters of the graph's name
MAX_STATE_NAME = 120
HINT = "Convert the model anew; TensorFlow Lite's converter makes no such files."


def load(path: Path | str) -> QGraph:
    """The graph in the .tflite file at ``path``, named after the file.

    Raises NanoError without a file, InvalidModel for an unsound one, UnsupportedOp for an operator
    that has no int8 form here.
    """
    model = file.load(path, screen)
    name = Path(path).name
    return from_model(model, Path(path).stem, f"tflite: {name}")


def from_model(model: Model, name: str, source: str) -> QGraph:
    """`convert` and `validate`."""
    graph = convert(model, name, source)
    try:
        validate(graph)
    except InvalidModel as error:
        raise InvalidModel(error.message, error.hint or HINT) from error
    return graph


def convert(model: Model, name: str = "model", source: str = "tflite") -> QGraph:
    """``model`` as a graph, which is still to be validated."""
    model = dilation.fold(model)
    builder = Builder(model)
    several = len(model.inputs) > 1
    inputs = [
        builder.activation(index, f"input_{number}" if several else "input").name
        for number, index in enumerate(model.inputs)
    ]
    reads = [
        builder.activation(variable.read, f"state_{number}").name
        for number, variable in enumerate(model.variables)
    ]
    live = _live(model)
    for position, operator in enumerate(model.operators):
        if not live.isdisjoint(operator.outputs):
            _import(Call(builder, operator, position, live))
    for index in model.results:
        if index not in builder.activations:
            what = "output" if index in model.outputs else "next state"
            raise InvalidModel(
                f"The model's {what}, {model.describe(index)}, is a constant.",
                "Convert a model that computes.",
            )
    return QGraph(
        name=model_identifier(name)[:MAX_NAME],
        tensors=builder.tensors,
        ops=tuple(builder.ops),
        inputs=tuple(inputs),
        outputs=tuple(builder.activations[index] for index in model.outputs),
        source=source,
        constants=builder.constants,
        states=_states(builder, reads),
    )


def _states(builder: Builder, reads: list[str]) -> tuple[State, ...]:
    """Variables that operators of their own read and assign, then those that layers update."""
    states: list[State] = []

    def add(name: str, read: str, following: str, first: NDArray[Any]) -> None:
        called = name[:MAX_STATE_NAME]
        while any(state.name == called for state in states):
            called += "_"
        states.append(State(called, read, following, first))

    for read, variable in zip(reads, builder.model.variables, strict=True):
        first = _first_value(variable, builder.tensors[read])
        add(variable.name, read, builder.activations[variable.next], first)
    for index, following in builder.remembered.items():
        tensor = builder.tensors[builder.activations[index]]
        first = np.full(tensor.shape, tensor.zero_point, DTYPES[tensor.dtype])
        add(tensor.name, tensor.name, following, first)
    return tuple(states)


def _first_value(variable: Variable, tensor: QTensor) -> NDArray[Any]:
    """What the first step reads: TensorFlow Lite Micro begins with the zero point."""
    dtype = DTYPES[tensor.dtype]
    if variable.initial is None:
        return np.full(tensor.shape, tensor.zero_point, dtype)
    if len(variable.initial) != tensor.nbytes:
        raise InvalidModel(
            f"State {variable.name[:SHOWN]}: it begins with {len(variable.initial)} bytes, and has "
            f"{tensor.nbytes}.",
            HINT,
        )
    return np.frombuffer(variable.initial, dtype.newbyteorder("<")).reshape(tensor.shape)


def screen(model: Model) -> None:
    """UnsupportedOp for the first operator that has no int8 form here, of those that the output
    depends on or that have none and so act by the way; tensors need not be judged yet."""
    live = _live(model)
    for position, operator in enumerate(model.operators):
        acts = not operator.outputs
        if operator.code.name not in IMPORTERS.handlers and (
            acts or not live.isdisjoint(operator.outputs)
        ):
            _unknown(model, position, operator)


def _unknown(model: Model, position: int, operator: Operator) -> NoReturn:
    """Refuse an operator that is not in IMPORTERS: with what it does, and what to do."""
    code = operator.code
    name = ""
    if operator.outputs:
        name = model.tensors[operator.outputs[0]].name.split(";")[0][:SHOWN]
    what = f"{code.name} {code.custom[:SHOWN]!r}" if code.custom else code.name
    raise UnsupportedOp(
        f"Operator {position} ({code.name})" + (f" {name!r}" if name else ""),
        f"{what} ({_shapes(model, operator)})",
        way_out(code.name, code.custom),
    )


def _live(model: Model) -> frozenset[int]:
    """The tensors on which an output or a next state depends."""
    live = set(model.results)
    for operator in reversed(model.operators):
        if not live.isdisjoint(operator.outputs):
            live.update(_read(operator))
    return frozenset(live)


def _read(operator: Operator) -> tuple[int, ...]:
    """The tensors that an operator reads, without those that only repeat the output's shape."""
    importer = IMPORTERS.get(operator.code.name)
    unread = importer.unread if importer else frozenset()
    return tuple(
        index
        for position, index in enumerate(operator.inputs)
        if index != NO_TENSOR and position not in unread
    )


def _import(call: Call) -> None:
    """Add the operator to the graph, if it is one that we know, in a form that we know."""
    operator = call.operator
    importer = IMPORTERS.get(call.code)
    if importer is None:
        _unknown(call.builder.model, call.position, operator)
    if not importer.least <= len(operator.inputs) <= importer.most:
        call.invalid(f"it has {len(operator.inputs)} inputs")
    if len(operator.outputs) > 1 and not importer.several:
        call.invalid(f"it has {len(operator.outputs)} outputs")
    _check_types(call, importer)
    before = len(call.builder.ops)
    try:
        importer.run(call)
        _check_int16(call, call.builder.ops[before:])
    except InvalidModel as error:
        if error.message.startswith(call.node):
            raise
        raise InvalidModel(f"{call.node}: {error.message}", error.hint) from error


def _check_types(call: Call, importer: Importer) -> None:
    """Activations are INT8 or INT16, but for truth values and at the model's borders."""
    if importer.border:
        return
    tensors = call.builder.model.tensors
    given = [tensors[i] for i in _read(call.operator)]
    used = [t for t in given if t.data is None] + [tensors[i] for i in call.operator.outputs]
    for tensor in used:
        if tensor.type not in {*importer.types, "INT16"}:
            call.unsupported(f"{call.code} on {tensor.type} {tensor.shape}", FULL_INTEGER)


def _check_int16(call: Call, made: list[QOp]) -> None:
    """``made`` of the operator, on INT16, has a form for it; and all of its activations are."""
    for op in made:
        what = facts(op.op)
        inputs = [n for n in op.inputs if not (what.int8_constants and n in call.builder.constants)]
        types = {call.builder.tensors[name].dtype for name in (*inputs, op.name)}
        if what.types or "int16" not in types:
            continue
        if not what.int16:
            call.unsupported(
                f"{call.code} on INT16", "Keep what it reads and writes in INT8: convert anew."
            )
        if types != {"int16"}:
            call.unsupported(f"{call.code} on INT8 and INT16 together", FULL_INTEGER)


def _shapes(model: Model, operator: Operator) -> str:
    """Types and shapes of what an operator reads and writes."""

    def listed(indices: tuple[int, ...]) -> str:
        tensors = [model.tensors[i] for i in indices[:4] if i != NO_TENSOR]
        return ", ".join(f"{t.type} {t.shape}" for t in tensors)

    return f"{listed(operator.inputs)} -> {listed(operator.outputs)}"
