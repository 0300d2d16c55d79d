"""Comparisons, logic, and choices between two tensors: what is true is 1, what is false 0."""

from __future__ import annotations

import numpy as np

from nanotool.frontends.tflite.builder import Call
from nanotool.frontends.tflite.elementwise import AS_IT_IS, BYTES, operand_shape
from nanotool.frontends.tflite.importers import Import, imports
from nanotool.ir import INT8_MAX, INT8_MIN, Binary, QOp, QTensor, Table

BOOL = frozenset({"BOOL"})
NOT = tuple(int(q == 0) for q in range(INT8_MIN, INT8_MAX + 1))


def _joined(call: Call, operands: tuple[int, int], function: str) -> None:
    shapes = [operand_shape(call, i) for i in operands]
    try:
        together = np.broadcast_shapes(*shapes)
    except ValueError:
        call.invalid(f"its inputs {shapes[0]} and {shapes[1]} do not fit together")
    inputs = [call.source(i, shape) for i, shape in zip(operands, shapes, strict=True)]
    call.emit(Binary(function), inputs, tuple(together))


def _comparison(function: str, operands: tuple[int, int] = (0, 1)) -> Import:
    def importer(call: Call) -> None:
        if call.result().type != "BOOL":
            call.invalid(f"its answer is {call.result().type}, not BOOL")
        _joined(call, operands, function)

    return importer


def _logic(function: str) -> Import:
    """The smaller, or the larger of the two."""
    return lambda call: _joined(call, (0, 1), function)


for _code, _run in {
    "EQUAL": _comparison("equal"),
    "NOT_EQUAL": _comparison("not_equal"),
    "GREATER": _comparison("greater"),
    "GREATER_EQUAL": _comparison("greater_equal"),
    "LESS": _comparison("greater", (1, 0)),
    "LESS_EQUAL": _comparison("greater_equal", (1, 0)),
}.items():
    imports(_code, Binary, 2, 2, types=BYTES)(_run)
for _code, _function in {"LOGICAL_AND": "minimum", "LOGICAL_OR": "maximum"}.items():
    imports(_code, Binary, 2, 2, types=BOOL)(_logic(_function))


@imports("LOGICAL_NOT", Table, types=BOOL)
def _logical_not(call: Call) -> None:
    call.emit(Table("logical_not", NOT), [call.source(0)], call.shape(0))


@imports("SELECT_V2", Binary, 3, 3, types=BYTES)
def _select(call: Call) -> None:
    """The bytes of the second input where the first is true, else those of the third:
    max(min(x, 127 where true, else -128), min(y, -128 where true, else 127)). No scale matters."""
    if call.given(0).type != "BOOL":
        call.invalid(f"its condition is {call.given(0).type}, not BOOL")
    shapes = [operand_shape(call, i) for i in range(3)]
    try:
        together = tuple(np.broadcast_shapes(*shapes))
    except ValueError:
        call.invalid(f"its inputs {shapes[0]}, {shapes[1]} and {shapes[2]} do not fit together")
    target, tensors = call.target(), call.builder.tensors

    def step(what: str, op: Table | Binary, inputs: tuple[str, ...]) -> str:
        shape = tuple(np.broadcast_shapes(*(tensors[name].shape for name in inputs)))
        name = call.builder.unique(f"{target.name}/{what}")
        tensors[name] = QTensor(name, shape, target.scale, target.zero_point)
        call.builder.ops.append(QOp(name, op, inputs))
        return name

    condition = call.source(0, shapes[0])
    kept = []
    for number, (what, other) in enumerate((("where", "then"), ("elsewhere", "else"))):
        true, false = (INT8_MAX, INT8_MIN)[:: 1 - 2 * number]
        mask = tuple(true if q else false for q in range(INT8_MIN, INT8_MAX + 1))
        chosen = step(what, Table(what, mask), (condition,))
        source = call.source(1 + number, shapes[1 + number])
        tensor = tensors[source]
        if (tensor.scale, tensor.zero_point) != (target.scale, target.zero_point):
            source = step(f"{other}/same", AS_IT_IS, (source,))
        kept.append(step(other, Binary("minimum"), (source, chosen)))
    call.emit(Binary("maximum"), kept, together)
