"""States in a .tflite file: in variable tensors of the operators that keep them, or in variables
that are read at the beginning of a step (READ_VARIABLE) and assigned at its end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from nanotool.backends.tflite.emitters import HINT, emits
from nanotool.backends.tflite.file import NO_TENSOR, Codes, File
from nanotool.errors import UnsupportedOp
from nanotool.ir import QGraph, QOp, Reshape, Slice, State
from nanotool.ops import facts


@dataclass(frozen=True, slots=True)
class Kept:
    """Which states are kept how, and which ops are then left to be written."""

    inside: dict[tuple[str, int], State]  # (recurrent op, number of its input) -> its own state
    variables: tuple[State, ...]
    ops: tuple[QOp, ...]


def kept(graph: QGraph) -> Kept:
    """UnsupportedOp where a layer's state is not one that TensorFlow Lite's operator can keep."""
    inside = {
        key: state
        for op in graph.ops
        if facts(op.op).recurrent and emits.writes[type(op.op)]
        for key, state in _Layer(graph, op).states()
    }
    own = {state.name for state in inside.values()}
    variables = tuple(state for state in graph.states if state.name not in own)
    live = {*graph.outputs, *(state.next for state in variables)}
    ops = []
    for op in reversed(graph.ops):
        if not live.isdisjoint(op.outputs):
            ops.append(op)
            read = (name for i, name in enumerate(op.inputs) if (op.name, i) not in inside)
            live.update(read)
    return Kept(inside, variables, tuple(ops[::-1]))


@dataclass(frozen=True, slots=True)
class _Layer:
    """A recurrent op of a graph."""

    graph: QGraph
    op: QOp

    def states(self) -> Iterator[tuple[tuple[str, int], State]]:
        """Its states, by the numbers of its inputs: the last one is what it writes beside its
        output; the one before is its output's last row."""
        numbers = [i for i in range(1, len(self.op.inputs)) if self._varies(i)]
        if facts(self.op.op).gates and len(numbers) < len(self.op.inputs) - 1:
            self._refuse(
                "it begins anew in every run, and TensorFlow Lite's goes on where it was",
                "Keep the .nano file, or export the model as C; a model whose states are carried "
                "from step to step can be written.",
            )
        for i in numbers:
            yield (self.op.name, i), self._state(i, is_output=i != numbers[-1])

    def _varies(self, i: int) -> bool:
        return self.op.inputs[i] not in self.graph.constants

    def _state(self, i: int, *, is_output: bool) -> State:
        chain = self._back(self.op.inputs[i])
        state = next((one for one in self.graph.states if one.read == chain[-1]), None)
        if state is None:
            self._refuse(f"input {i} is no state")
        after = self._back(state.next)
        source = self.op.name if is_output else self.op.more[0]
        if is_output and after[-1] != source:
            after += self._last_row(after[-1])
        if after[-1] != source:
            self._refuse(f"the state {state.name} becomes something else")
        self._check_alone(chain)
        if not is_output:
            self._check_alone(after, state)
        tensor = self.graph.tensors[state.read]
        if (state.initial != tensor.zero_point).any():
            self._refuse(f"the state {state.name} does not begin with zeros")
        return state

    def _back(self, name: str) -> list[str]:
        """``name`` and what it is the same elements of."""
        names = [name]
        while (op := self._writer(names[-1])) is not None:
            if op.op != Reshape(self.graph.tensors[names[-1]].shape):
                break
            names.append(op.inputs[0])
        return names

    def _last_row(self, name: str) -> list[str]:
        """What ``name`` is the last row of, with what that is the same elements of."""
        op = self._writer(name)
        source = self.graph.tensors[op.inputs[0]].shape if op else ()
        if op is None or not source:
            return []
        wanted = Slice((source[0] - 1, *(0,) * (len(source) - 1)), (1,) * len(source))
        row = (1, *source[1:])
        same = op.op == wanted and self.graph.tensors[name].shape == row
        return self._back(op.inputs[0]) if same else []

    def _writer(self, name: str) -> QOp | None:
        return next((op for op in self.graph.ops if name in op.outputs), None)

    def _check_alone(self, names: list[str], state: State | None = None) -> None:
        """Only the layer, and views on the way, read ``names``: in the file they are gone."""
        others = [one.next for one in self.graph.states if one is not state]
        for name in names:
            readers = {op.name for op in self.graph.ops if name in op.inputs}
            ends = name in self.graph.outputs or name in others
            if ends or not readers <= {self.op.name, *names}:
                self._refuse(f"somebody else reads {name}")

    def _refuse(self, what: str, hint: str = HINT) -> NoReturn:
        kind = type(self.op.op).__name__
        raise UnsupportedOp(self.op.name, f"{kind} in a .tflite file, as {what}", hint)


# --- Writing --------------------------------------------------------------------------------------


def write_reads(file: File, states: tuple[State, ...]) -> dict[str, int]:
    """Handles by the states' names; what is read of each stands in its tensor."""
    if any(_is_initial(file.graph, state) for state in states):
        file.operator(Codes.CALL_ONCE, (), NO_TENSOR, "CallOnceOptions", InitSubgraphIndex=1)
        file.once = _initial(file.graph, states)
    handles = {state.name: _handle(file, state) for state in states}
    for state in states:
        file.operator(
            Codes.READ_VARIABLE,
            (handles[state.name],),
            file.index[state.read],
            "ReadVariableOptions",
        )
    return handles


def write_assignments(file: File, states: tuple[State, ...], handles: dict[str, int]) -> None:
    """At the end of a step."""
    for state in states:
        _assign(file, handles[state.name], file.index[state.next])


def _is_initial(graph: QGraph, state: State) -> bool:
    """Whether it begins with something else than TensorFlow Lite Micro's zeros."""
    return bool((state.initial != graph.tensors[state.read].zero_point).any())


def _initial(graph: QGraph, states: tuple[State, ...]) -> File:
    """The subgraph that gives first values."""
    once = File(graph)
    for state in states:
        if _is_initial(graph, state):
            tensor = graph.tensors[state.read]
            name = f"{state.name}/initial"
            data = once.constant(
                name, state.initial[np.newaxis], (tensor.scale,), tensor.zero_point
            )
            _assign(once, _handle(once, state), data)
    return once


def _handle(file: File, state: State) -> int:
    handle = file.handle(f"{state.name}/variable")
    file.operator(Codes.VAR_HANDLE, (), handle, "VarHandleOptions", SharedName=state.name)
    return handle


def _assign(file: File, handle: int, source: int) -> None:
    file.operator(Codes.ASSIGN_VARIABLE, (handle, source), NO_TENSOR, "AssignVariableOptions")
