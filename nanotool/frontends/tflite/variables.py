"""Variables of a .tflite file as states of a step.

A file reads and assigns variables in the midst of its operators: VAR_HANDLE names one,
READ_VARIABLE and ASSIGN_VARIABLE use it, CALL_ONCE runs a subgraph that gives first values.
Followed in order, they say what is read before the first assignment of a step (the state), and what
was assigned last (the next one); a read in between is what was assigned before it. So the operators
go, and a `Variable` each is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from nanotool.errors import InvalidModel, UnsupportedOp
from nanotool.frontends.tflite.content import Operator
from nanotool.frontends.tflite.schema import CallOnceOptions, VarHandleOptions

OPERATORS = frozenset({"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE"})
ONE = "Convert the model anew; TensorFlow Lite's converter makes no such files."

Key: TypeAlias = tuple[str, str]  # container, shared name


def _handle(operator: Operator) -> Key:
    options = operator.options
    assert isinstance(options, VarHandleOptions)
    return options.container, options.shared_name


def _refuse(index: int, operator: Operator, what: str) -> InvalidModel:
    return InvalidModel(f"Operator {index} ({operator.code.name}): {what}.", ONE)


class _Walk:
    """The operators of one subgraph, in order."""

    def __init__(self, operators: Sequence[Operator]) -> None:
        self.operators = operators
        self.keys: dict[int, Key] = {}  # handle's tensor -> variable
        self.first: dict[Key, int] = {}  # variable -> tensor of the read before any assignment
        self.now: dict[Key, int] = {}  # variable -> tensor that it holds
        self.same: dict[int, int] = {}  # tensor -> the one that it is
        self.kept: list[Operator] = []
        self.once: list[int] = []  # subgraphs that give first values
        for index, operator in enumerate(operators):
            self._step(index, operator)

    def _key(self, index: int, operator: Operator, count: int) -> Key:
        if len(operator.inputs) != count or operator.inputs[0] not in self.keys:
            raise _refuse(index, operator, "it names no variable")
        return self.keys[operator.inputs[0]]

    def _step(self, index: int, operator: Operator) -> None:
        results = 0 if operator.code.name in ("ASSIGN_VARIABLE", "CALL_ONCE") else 1
        if operator.code.name in OPERATORS and len(operator.outputs) != results:
            raise _refuse(index, operator, f"it has {len(operator.outputs)} outputs")
        match operator.code.name:
            case "VAR_HANDLE":
                self.keys[operator.outputs[0]] = _handle(operator)
            case "READ_VARIABLE":
                key, result = self._key(index, operator, 1), operator.outputs[0]
                if key not in self.now:
                    self.first[key] = self.now[key] = result
                self.same[result] = self.now[key]
            case "ASSIGN_VARIABLE":
                key = self._key(index, operator, 2)
                self.now[key] = self.same.get(operator.inputs[1], operator.inputs[1])
            case "CALL_ONCE":
                assert isinstance(operator.options, CallOnceOptions)
                self.once.append(operator.options.init_subgraph_index)
            case _:
                inputs = tuple(self.same.get(i, i) for i in operator.inputs)
                self.kept.append(replace(operator, inputs=inputs))


def first_values(operators: Sequence[Operator]) -> Mapping[Key, int]:
    """What a subgraph that CALL_ONCE runs gives to variables: tensors of that subgraph."""
    walk = _Walk(operators)
    if walk.kept or walk.first or walk.once:
        raise UnsupportedOp(
            "CALL_ONCE",
            "an initial value that is computed",
            "Convert the model with variables that begin with constants.",
        )
    return walk.now


def without_variables(
    operators: Sequence[Operator],
) -> tuple[tuple[Operator, ...], dict[Key, tuple[int, int]], dict[int, int], list[int]]:
    """(the other operators, (read, next) of each variable that is read, tensors that are others,
    subgraphs that give first values)."""
    walk = _Walk(operators)
    variables = {key: (read, walk.now[key]) for key, read in walk.first.items()}
    return tuple(walk.kept), variables, walk.same, walk.once
