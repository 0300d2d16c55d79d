"""A stream in this process: the C library's, or its twin in NumPy. Both give the same values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError
from nanotool.ir import DTYPES, QGraph
from nanotool.pipeline import prepare
from nanotool.sensing.description import Rule, Scaling, StreamRule
from nanotool.sensing.rule import (
    Decider,
    Decision,
    check_stream,
    class_integers,
    frames_of,
    stream_of,
)
from nanotool.signal.frontend import (
    ENGINES,
    as_struct,
    compiled_kind,
    front_end,
    in_turn,
    room,
)
from nanotool.simulate import simulate_steps


@dataclass(frozen=True, slots=True)
class Heard:
    """What samples brought."""

    outputs: NDArray[Any]  # [steps, *the first output's shape]: the model's integers
    decisions: tuple[Decision, ...]


class Stream:
    """Samples in, decisions out, as on the board.

    >>> stream = Stream(nanotool.load("alexa.tflite").graph)
    >>> stream.feed(samples).decisions
    (Decision(step=41, index=0, sum=1201),)
    """

    def __init__(self, graph: QGraph, *, engine: str = "c") -> None:
        """``graph`` must have a `stream`, else `InvalidModel`. ``engine``: "c", the library in this
        process, or "numpy", its twin."""
        if engine not in ENGINES:
            raise NanoError(f"There is no engine {engine!r}.", f"Engines are {', '.join(ENGINES)}.")
        check_stream(graph)
        self.graph = graph
        self._engine = _Compiled(graph) if engine == "c" else _Twin(graph)

    def feed(self, samples: NDArray[np.int16]) -> Heard:
        """What ``samples``, int16 of any number, bring; those that make no whole step wait. Of a
        sensor with several channels they are [n, channels], or a row with the channels in turn."""
        return self._engine.feed(in_turn(stream_of(self.graph).front_end, samples))

    def reset(self) -> None:
        """Forget everything: samples, features, states, decisions."""
        self._engine.reset()


def quantize(graph: QGraph, scaling: Scaling, features: NDArray[Any]) -> NDArray[Any]:
    """Features as the model's integers."""
    tensor = graph.input_tensor
    info = np.iinfo(tensor.dtype)
    q = (features.astype(np.int64) * scaling.multiplier + scaling.addend) // scaling.divisor
    return np.clip(q + tensor.zero_point, info.min, info.max).astype(DTYPES[tensor.dtype])


class _Twin:
    """Front end, simulator and decider, one after the other."""

    def __init__(self, graph: QGraph) -> None:
        self._graph, self._stream = graph, stream_of(graph)
        self._front_end = front_end(self._stream.front_end, engine="numpy")
        self._decider = Decider(graph)
        self.reset()

    def reset(self) -> None:
        self._front_end.reset()
        self._decider.reset()
        self._rest = np.zeros((0, self._stream.front_end.features), np.int32)
        self._states: dict[str, NDArray[Any]] | None = None

    def feed(self, samples: NDArray[np.int16]) -> Heard:
        graph, hop, frames = self._graph, self._stream.hop, frames_of(self._graph)
        whole = np.concatenate([self._rest, self._front_end.process(samples)])
        steps = max(0, (len(whole) - frames) // hop + 1)
        self._rest = whole[steps * hop :]
        output = graph.output_tensors[0]
        if not steps:
            return Heard(np.zeros((0, *output.shape), DTYPES[output.dtype]), ())
        windows = np.stack([whole[i * hop : i * hop + frames] for i in range(steps)])
        x = quantize(graph, self._stream.scaling, windows)
        shaped = x.reshape(steps, *graph.input_tensor.shape)
        (outputs, *_), self._states = simulate_steps(graph, shaped, states=self._states)
        made = [decision for one in outputs for decision in self._decider.decide(one)]
        return Heard(outputs, tuple(made))


class _Compiled:
    """lib/nano/src/stream."""

    def __init__(self, graph: QGraph) -> None:
        # Late, so that the twin works where nothing is compiled.
        from nanotool.runtime import Runtime, load  # noqa: PLC0415
        from nanotool.runtime.arena import new_arena  # noqa: PLC0415
        from nanotool.runtime.structs import Structs  # noqa: PLC0415

        self._graph, self._stream = graph, stream_of(graph)
        self._runtime = Runtime(*prepare(graph), fast=True)
        extension = load()
        self._ffi, self._lib = extension.ffi, extension.lib
        self._structs = Structs(self._ffi)
        params = self._structs.new("nano_stream_params *", self._params(self._stream))
        self._arena = new_arena(extension, self._room(self._stream))
        self._state = self._structs.new("nano_stream *", None)
        status = self._lib.nano_stream_init(self._state, params, self._arena)
        if status != self._lib.NANO_OK:
            text = self._ffi.string(self._lib.nano_status_text(status)).decode()
            raise NanoError(f"{graph.name} cannot listen: {text}.")

    def _params(self, stream: StreamRule) -> dict[str, Any]:
        scaling = stream.scaling
        return {
            "model": self._runtime.model,
            "front_end": compiled_kind(self._lib, stream.front_end),
            "front_end_params": self._structs.of(as_struct(stream.front_end)),
            "rule": _rule(self._structs, self._graph),
            "features": stream.front_end.features,
            "frames": frames_of(self._graph),
            "hop": stream.hop,
            "multiplier": scaling.multiplier,
            "addend": scaling.addend,
            "divisor": scaling.divisor,
        }

    def _room(self, stream: StreamRule) -> int:
        """Bytes, generously: as the macros of nano/stream.h count, on a machine of 64 bits."""
        window = stream.front_end.features * (2 + frames_of(self._graph)) + 64
        ears = room(stream.front_end)
        return self._runtime.arena_size + ears + _decider_room(stream.rule) + window

    def reset(self) -> None:
        self._lib.nano_stream_reset(self._state)

    def feed(self, samples: NDArray[np.int16]) -> Heard:
        output, stream = self._graph.output_tensors[0], self._stream
        ears = stream.front_end
        most = math.ceil((len(samples) // (ears.step * ears.values) + 2) / stream.hop) + 1
        outputs = np.empty((most, *output.shape), DTYPES[output.dtype])
        decisions = self._ffi.new("nano_decision[]", most * stream.rule.top)
        made = self._ffi.new("size_t *")
        steps = self._lib.nanotool_stream(
            self._state,
            len(samples),
            self._ffi.from_buffer("int16_t[]", np.ascontiguousarray(samples)),
            self._ffi.from_buffer("uint8_t[]", outputs, require_writable=True),
            decisions,
            made,
        )
        found = tuple(Decision(d.step, d.index, d.sum) for d in decisions[0 : made[0]])
        return Heard(outputs[:steps].copy(), found)


def _rule(structs: Any, graph: QGraph) -> Any:
    """A `nano_rule *`."""
    rule = stream_of(graph).rule
    rows = [
        {name: getattr(one, name) for name in ("index", "refractory", "threshold", "release")}
        for one in class_integers(graph)
    ]
    fields = {
        "classes": structs.new("nano_class[]", rows),
        "class_count": len(rows),
        "window": rule.window,
        "warm_up": rule.warm_up,
        "top": rule.top,
        "vote": rule.vote,
    }
    return structs.new("nano_rule *", fields)


def _decider_room(rule: Rule) -> int:
    return len(rule.classes) * (7 + rule.window) + 16 * rule.top + 64


def decide_all(graph: QGraph, outputs: NDArray[Any]) -> tuple[Decision, ...]:
    """What the rule of ``graph`` makes of the model's ``outputs`` [steps, *shape], from a reset on:
    the library's arithmetic."""
    from nanotool.runtime import load  # noqa: PLC0415
    from nanotool.runtime.arena import new_arena  # noqa: PLC0415
    from nanotool.runtime.structs import Structs  # noqa: PLC0415

    check_stream(graph)
    extension, tensor, rule = load(), graph.output_tensors[0], stream_of(graph).rule
    ffi, lib = extension.ffi, extension.lib
    structs = Structs(ffi)
    told = {
        "size": tensor.nbytes,
        "zero_point": tensor.zero_point,
        "type": getattr(lib, f"NANO_{tensor.dtype.upper()}"),
    }
    decider, arena = ffi.new("nano_decider *"), new_arena(extension, _decider_room(rule))
    output = structs.new("nano_tensor *", told)
    status = lib.nano_decider_init(decider, _rule(structs, graph), output, arena)
    assert status == lib.NANO_OK
    rows = np.ascontiguousarray(outputs, DTYPES[tensor.dtype])
    made = ffi.new("nano_decision[]", max(1, len(rows) * rule.top))
    count = lib.nanotool_decide(decider, len(rows), ffi.from_buffer("uint8_t[]", rows), made)
    return tuple(Decision(d.step, d.index, d.sum) for d in made[0:count])
