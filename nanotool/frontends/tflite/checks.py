"""Whether the parts of a .tflite file fit each other: indices, order, types."""

from __future__ import annotations

from nanotool.frontends.tflite.content import (
    FULL_INTEGER,
    NO_TENSOR,
    QUANTIZED,
    Model,
    Operator,
    refuse,
)

WHOLE = frozenset({"INT8", "INT16"})  # the types of activations


def needed(model: Model) -> list[tuple[int, Operator]]:
    """The operators on which an output depends, or that write an input; with their numbers."""
    wanted = {*model.inputs, *model.results}
    needed = []
    for i, operator in reversed(list(enumerate(model.operators))):
        if not wanted.isdisjoint(operator.outputs):
            needed.append((i, operator))
            wanted.update(operator.inputs)
    return needed[::-1]


def used_tensors(model: Model) -> set[int]:
    """The tensors that an input, an output or an operator that is needed names."""
    used = {*model.inputs, *model.results, *(variable.read for variable in model.variables)}
    for _, operator in needed(model):
        used.update(operator.outputs, operator.inputs)
    return used - {NO_TENSOR}


def check_indices(model: Model) -> None:
    """Every index leads to a tensor; only an operator's inputs may be left out."""
    count = len(model.tensors)
    for what, indices in (("inputs", model.inputs), ("outputs", model.outputs)):
        if not indices:
            refuse("The graph", f"it has no {what}")
        if len(set(indices)) != len(indices):
            refuse("The graph", f"one of its {what} is listed twice")
        _check_range("The graph", what, indices, 0, count)
    for i, operator in enumerate(model.operators):
        where = f"Operator {i} ({operator.code.name})"
        _check_range(where, "inputs", operator.inputs, NO_TENSOR, count)
        _check_range(where, "outputs", operator.outputs, 0, count)


def _check_range(where: str, what: str, indices: tuple[int, ...], low: int, count: int) -> None:
    for index in indices:
        if not low <= index < count:
            refuse(where, f"its {what} name tensor {index} of {count}")


def check_results(model: Model) -> None:
    """Every operator has outputs: those of variables, which have none, are not ours."""
    for i, operator in enumerate(model.operators):
        if not operator.outputs:
            refuse(f"Operator {i} ({operator.code.name})", "it has no outputs")


def check_order(model: Model) -> None:
    """Activations are written once, before they are read; nobody writes constants or inputs."""
    tensors = model.tensors
    written = {i for i, t in enumerate(tensors) if t.data is not None or t.is_variable}
    written.update(variable.read for variable in model.variables)
    for index in model.inputs:
        if index in written:
            refuse("The graph", f"its input, {model.describe(index)}, is no activation")
        written.add(index)
    for i, operator in needed(model):
        where = f"Operator {i} ({operator.code.name})"
        for index in operator.inputs:
            if index != NO_TENSOR and index not in written:
                refuse(where, f"it reads {model.describe(index)} before it is written")
        for index in operator.outputs:
            if index in written:
                refuse(where, f"it writes {model.describe(index)}, which holds something already")
            written.add(index)
    for index in model.results:
        if index not in written:
            what = "output" if index in model.outputs else "next state"
            refuse("The graph", f"nothing writes its {what}, {model.describe(index)}")


def check_float(model: Model) -> None:
    """A model in floats is told so, whatever its operators are."""
    types = {model.tensors[i].type for i in used_tensors(model)}
    if types & {"FLOAT32", "FLOAT16", "FLOAT64"} and not types & QUANTIZED:
        refuse("The model", f"it computes in {', '.join(sorted(types))}, not in INT8", FULL_INTEGER)


def check_integer(model: Model) -> None:
    """Some activation is int8 or int16, and every one of them that is used has a scale."""
    activations = [i for i in sorted(used_tensors(model)) if model.tensors[i].data is None]
    types = {model.tensors[i].type for i in activations}
    if types.isdisjoint(WHOLE):
        refuse("The model", f"it computes in {', '.join(sorted(types))}, not in INT8", FULL_INTEGER)
    for index in activations:
        tensor = model.tensors[index]
        if tensor.type in WHOLE and tensor.quantization is None:
            what = f"it is {tensor.type} without a scale"
            refuse(f"T{model.describe(index)[1:]}", what, FULL_INTEGER)
