"""From a model of windows to a model of steps, which computes only what is new.

A window model sees the last T frames of a signal, as often as it is asked. Two windows that follow
each other share all but a few frames, and nearly all work. `stream` makes the model that takes the
new frames alone: each layer keeps the past frames that it still needs as a state, and computes the
frames that these and the new ones complete. As soon as T frames were seen, its bytes are those of
the window model on the last T frames.

The frames of a tensor in the window are numbered from 0. Of each tensor along time is known:

    last    the newest frame that needs no frame after the window; a step completes the
            step / rate frames that end there
    clean   the first frame that sees none of the padding in front of the window
    rate    frames of the input for each frame

A layer with a window of span s reads, for its frame j, the frames j stride + first to
j stride + first + s - 1 of its input, so

    last'  = min(floor((last - first - s + 1) / stride), frames' - 1)
    clean' = max(ceil((clean - first) / stride), 0)
    rate'  = rate stride

What reads all frames (a mean over time, a dense layer behind a flattening, a recurrent layer) gets
them from the ring of its input, and is computed as in the window.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError
from nanotool.graphs import unused
from nanotool.ir import (
    AveragePool2D,
    Concat,
    Conv2D,
    Dense,
    LogSoftmax,
    MaxPool2D,
    Mean,
    Op,
    Pad,
    QGraph,
    QOp,
    QTensor,
    Reshape,
    Shape,
    Slice,
    Softmax,
    State,
    Transpose,
    Window,
)
from nanotool.ops import Layer, Registry, layer_of
from nanotool.sensing.description import StreamRule
from nanotool.validate import validate

Axes: TypeAlias = "tuple[int | None, ...]"  # of each input: where time is; None: nowhere


@dataclass(frozen=True, slots=True)
class Along:
    """How an operator's output lies along time, and which frames of its inputs it reads."""

    axis: int  # of the output
    op: Op  # the operator in a step, for frames that are all there
    first: int = 0
    span: int = 1
    stride: int = 1


@dataclass(frozen=True, slots=True)
class End:
    """An output along time. Its last frames in a step are frames ``begin`` to ``end`` - 1 of the
    window model's output."""

    axis: int
    frames: int  # that a step completes
    begin: int
    end: int
    delay: int  # input frames that it is behind


@dataclass(frozen=True, slots=True)
class Streamed:
    """A model of steps, and what it is."""

    graph: QGraph
    step: int  # new frames that a step takes
    filled: int  # steps until the window is full of frames: from then on, bytes are the window's
    ends: tuple[End | None, ...]  # one an output; None: it has no time, and is the window's
    whole: tuple[str, ...]  # layers that read all frames of the window
    dropped: str = ""  # why the model of steps does not listen, where that of windows does


def _whole(_layer: Layer[Any], _axes: Axes, _frames: int) -> Along | None:
    return None


TimeRule: TypeAlias = Callable[[Layer[Any], Axes, int], "Along | None"]
# An operator along time, its output's number of frames in a step given; None: it needs all frames.
along = Registry[TimeRule]("streaming.py", default=_whole)


@along(Conv2D, MaxPool2D, AveragePool2D)
def _windowed(layer: Layer[Any], axes: Axes, _frames: int) -> Along | None:
    (axis,) = axes
    if axis not in (0, 1):
        return None
    window: Window = layer.op.window
    padding = list(window.padding)
    before = padding[axis]
    padding[axis] = padding[axis + 2] = 0
    top, left, bottom, right = padding
    inner = replace(window, padding=(top, left, bottom, right))
    span = window.dilation[axis] * (window.kernel[axis] - 1) + 1
    op = replace(layer.op, window=inner)
    return Along(axis, op, -before, span, window.stride[axis])


@along(Slice)
def _slice(layer: Layer[Slice], axes: Axes, _frames: int) -> Along | None:
    (axis,) = axes
    assert axis is not None
    begin = list(layer.op.begin)
    first, begin[axis] = begin[axis], 0
    op = replace(layer.op, begin=tuple(begin))
    return Along(axis, op, first, 1, layer.op.stride[axis])


@along(Pad)
def _pad(layer: Layer[Pad], axes: Axes, _frames: int) -> Along | None:
    (axis,) = axes
    assert axis is not None
    before, after = list(layer.op.before), list(layer.op.after)
    first = -before[axis]
    before[axis] = after[axis] = 0
    return Along(axis, replace(layer.op, before=tuple(before), after=tuple(after)), first)


@along.where(lambda what: what.is_table)
def _elementwise(layer: Layer[Op], axes: Axes, _frames: int) -> Along | None:
    axis = axes[0]
    return None if axis is None else Along(axis, layer.op)


@along.where(lambda what: what.elementwise and not what.is_table)
def _broadcast(layer: Layer[Op], axes: Axes, _frames: int) -> Along | None:
    """Whatever broadcasts has one element along time."""
    rank = len(layer.output.shape)
    places = {
        axis + rank - len(tensor.shape)
        for axis, tensor in zip(axes, layer.inputs, strict=True)
        if axis is not None
    }
    if len(places) != 1:
        return None
    (place,) = places
    for axis, tensor in zip(axes, layer.inputs, strict=True):
        own = place - rank + len(tensor.shape)
        if axis is None and own >= 0 and tensor.shape[own] != 1:
            return None
        if axis is not None and tensor.shape[axis] != layer.output.shape[place]:
            return None
    return Along(place, layer.op)


@along(Concat)
def _concat(layer: Layer[Concat], axes: Axes, _frames: int) -> Along | None:
    if len(set(axes)) != 1 or axes[0] is None or axes[0] == layer.op.axis:
        return None
    return Along(axes[0], layer.op)


@along(Dense, Softmax, LogSoftmax)
def _over_last_axis(layer: Layer[Op], axes: Axes, _frames: int) -> Along | None:
    axis = axes[0]
    return None if axis is None or axis == len(layer.input.shape) - 1 else Along(axis, layer.op)


@along.where(lambda what: what.along_axis)
def _over_axis(layer: Layer[Any], axes: Axes, _frames: int) -> Along | None:
    axis, over = axes[0], layer.op.axis
    if axis is None or axis == over:
        return None
    gone = len(layer.input.shape) - len(layer.output.shape) if over < axis else 0
    return Along(axis - gone, layer.op)


@along(Mean)
def _mean(layer: Layer[Mean], axes: Axes, _frames: int) -> Along | None:
    axis = axes[0]
    if axis is None or axis in layer.op.axes:
        return None
    gone = 0 if layer.op.keep_dims else sum(over < axis for over in layer.op.axes)
    return Along(axis - gone, layer.op)


@along(Transpose)
def _transpose(layer: Layer[Transpose], axes: Axes, _frames: int) -> Along | None:
    (axis,) = axes
    assert axis is not None
    return Along(layer.op.permutation.index(axis), layer.op)


@along(Reshape)
def _reshape(layer: Layer[Reshape], axes: Axes, frames: int) -> Along | None:
    """Time stays where as many elements lie in front of it, and as many are along it."""
    (axis,) = axes
    assert axis is not None
    source, shape = layer.input.shape, layer.op.shape
    for place, size in enumerate(shape):
        if size == source[axis] and math.prod(shape[:place]) == math.prod(source[:axis]):
            return Along(place, Reshape((*shape[:place], frames, *shape[place + 1 :])))
    return None


along.complete()


# --- Time, tensor by tensor -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Track:
    """A tensor along time; see the module."""

    axis: int
    frames: int  # in the window
    last: int
    clean: int
    rate: int

    @property
    def ahead(self) -> int:
        """Frames of the input that its last frame needs after the window."""
        return (self.frames - 1 - self.last) * self.rate


@dataclass(frozen=True, slots=True)
class _Piece:
    """Frames ``begin`` to ``end``, both included, of a tensor along time."""

    tensor: str
    begin: int
    end: int
    loose: bool = False  # newer frames behind them do no harm


@dataclass
class _Streaming:
    """The work on one graph."""

    graph: QGraph
    delay: int
    tracks: dict[str, _Track] = field(default_factory=dict)
    rules: dict[str, Along] = field(default_factory=dict)  # of ops whose output is along time, or
    # is one frame that is read from a piece of the window
    step: int = 0

    # --- First: how every tensor lies -------------------------------------------------------------

    def track(self) -> None:
        """Find the track of every tensor that has one."""
        for op in self.graph.ops:
            layer = layer_of(self.graph, op)
            rule = self._rule(layer)
            if rule is None:
                continue
            self.rules[op.name] = rule
            frames = layer.output.shape[rule.axis]
            sources = [self.tracks[name] for name in op.inputs if name in self.tracks]
            if frames > 1:
                self.tracks[op.name] = _Track(
                    rule.axis,
                    frames,
                    min(
                        frames - 1,
                        *((t.last - rule.first - rule.span + 1) // rule.stride for t in sources),
                    ),
                    max(0, *(-(-(t.clean - rule.first) // rule.stride) for t in sources)),
                    max(t.rate for t in sources) * rule.stride,
                )

    def _rule(self, layer: Layer[Any], frames: int = 1) -> Along | None:
        """How ``layer`` is along time; None where nothing that it reads is, or where it needs
        everything, because it does or because another of its inputs depends on the window."""
        names, tracks = layer.qop.inputs, self.tracks
        axes = tuple(tracks[name].axis if name in tracks else None for name in names)
        fixed = [name for name in names if name not in tracks and name not in self.graph.constants]
        rates = {tracks[name].rate for name in names if name in tracks}
        if len(rates) != 1 or fixed or layer.more:
            return None
        return along.of(layer.op)(layer, axes, frames)

    def choose_step(self, step: int | None) -> None:
        """Take ``step``; or the one by which the model listens, or else the smallest."""
        smallest = math.lcm(*(track.rate for track in self.tracks.values()))
        hop = smallest if self.graph.stream is None else self.graph.stream.hop
        usual = smallest if hop % smallest else hop
        self.step = usual if step is None else step
        if self.step >= 1 and self.step % smallest == 0:
            return
        stride = {name: rule.stride for name, rule in self.rules.items() if name in self.tracks}
        layers = [
            name for name in stride if stride[name] > 1 and self.step % self.tracks[name].rate
        ]
        where = f": {layers[0]} yields a frame for {self.tracks[layers[0]].rate} of them" * bool(
            layers and self.step >= 1
        )
        raise NanoError(
            f"A step of {self.step} frames is none for {self.graph.name}{where}.",
            f"Steps are of {smallest} frame{'s' * (smallest > 1)}, or a multiple of that.",
        )

    # --- Second: which frames of which tensors a step reads ---------------------------------------

    def new(self, tensor: str) -> int:
        """Frames of ``tensor`` that a step completes."""
        return self.step // self.tracks[tensor].rate

    def piece(self, op: QOp, tensor: str) -> _Piece | None:
        """What ``op`` reads of ``tensor`` in a step; None: the tensor as it is."""
        if tensor not in self.tracks:
            return None
        track, rule = self.tracks[tensor], self.rules.get(op.name)
        if rule is None:
            return self._fixed(_Piece(tensor, 0, track.frames - 1), op.name)
        if op.name not in self.tracks:  # one frame of the window
            end = rule.first + rule.span - 1
            loose = track.last - end < rule.stride
            return self._fixed(_Piece(tensor, rule.first, end, loose), op.name)
        last = self.tracks[op.name].last
        begin = (last - self.new(op.name) + 1) * rule.stride + rule.first
        end = last * rule.stride + rule.first + rule.span - 1
        return _Piece(tensor, begin, end, track.last - end < rule.stride)

    def _fixed(self, piece: _Piece, reader: str) -> _Piece:
        """``piece``, of which every window must give what the stream gives."""
        track = self.tracks[piece.tensor]
        if piece.end > track.last and track.ahead:
            self.refuse_ahead(piece.tensor, f", and {reader} needs these frames now", 0)
        if piece.begin < track.clean or piece.end > track.last:
            layer = self._origin(piece.tensor, lambda one: one.clean > 0) or reader
            raise NanoError(
                f"{layer} pads along time, and {reader} sees the padding: it is elsewhere in every "
                "window, so that no frame stays what it was.",
                "Let the layers pad nothing along time (padding 0), or the model end with frames "
                "that see none of it.",
            )
        return piece

    def _origin(self, tensor: str, holds: Callable[[_Track], bool]) -> str:
        """The first layer on the way to ``tensor`` whose track ``holds``; "" if none does."""
        found = ""
        while tensor in self.rules and tensor in self.tracks and holds(self.tracks[tensor]):
            found = tensor
            inputs = [name for name in self.graph.op(tensor).inputs if name in self.tracks]
            tensor = next((name for name in inputs if holds(self.tracks[name])), "")
        return found

    def refuse_ahead(self, tensor: str, reader: str, delay: int) -> NoReturn:
        """Refuse what looks ahead, with the layer where that begins."""
        layer = self._origin(tensor, lambda one: one.ahead > 0) or tensor
        own, total = self.tracks[layer].ahead, self.tracks[tensor].ahead
        text = f"{layer} looks {own} frame{'s' * (own > 1)} ahead"
        if total != own:
            text += f", all layers up to {tensor} {total}"
        hint = "Let the layers pad nothing along time (padding 0)."
        if delay:
            hint = (
                f"Let the answer be {delay} frames late (delay={delay}), or let the layers pad in "
                "front only."
            )
        raise NanoError(f"{text}{reader}.", hint)

    def check_outputs(self) -> None:
        """Each output's newest frames are the window's."""
        for name in self.graph.outputs:
            track = self.tracks.get(name)
            if track is None:
                continue
            if track.ahead > self.delay:
                self.refuse_ahead(name, "", track.ahead)
            if track.clean > track.last:
                layer = self._origin(name, lambda one: one.clean > 0)
                raise NanoError(
                    f"No frame of {name} is free of the padding that {layer} puts in front of the "
                    f"window: it sees more frames than the window has.",
                    f"Make the model for a window of {(track.clean - track.last) * track.rate} "
                    "more frames.",
                )

    def end(self, output: str) -> End | None:
        """What a step tells of ``output``."""
        track = self.tracks.get(output)
        if track is None:
            return None
        new = self.new(output)
        begin = max(track.last - new + 1, track.clean)
        return End(track.axis, new, begin, track.last + 1, track.ahead)

    # --- Third: the model of steps ----------------------------------------------------------------

    def build(self, name: str) -> QGraph:
        """The graph, in which tensors along time have the new frames only."""
        graph = self.graph
        wanted = [
            piece
            for op in graph.ops
            for tensor in dict.fromkeys(op.inputs)
            if (piece := self.piece(op, tensor)) is not None
        ]
        builder = _Builder(self, {*graph.tensors})
        for source in graph.inputs:
            builder.tensor(source)
            builder.ring(source, wanted)
        for op in graph.ops:
            builder.op(op)
            for output in op.outputs:
                builder.ring(output, wanted)
        for constant in graph.constants:
            builder.tensor(constant)
        sizes = {output: builder.tensors[output].size for output in graph.outputs}
        kept = sizes[graph.outputs[0]] == graph.tensors[graph.outputs[0]].size
        return replace(
            graph,
            name=name,
            tensors=builder.tensors,
            ops=tuple(builder.ops),
            states=tuple(builder.states),
            labels=graph.labels if kept else (),
            samples=self._samples(),
        )

    def _samples(self) -> tuple[NDArray[Any], ...]:
        """The windows one behind the other, as steps."""
        if not self.graph.samples:
            return ()
        counts = {self.tracks[one].frames for one in self.graph.inputs if one in self.tracks}
        each = min(counts) // self.step
        return tuple(
            self._split(data, self.tracks.get(name), each)
            for name, data in zip(self.graph.inputs, self.graph.samples, strict=True)
        )

    def _split(self, data: NDArray[Any], track: _Track | None, each: int) -> NDArray[Any]:
        if track is None:
            return np.repeat(data, each, axis=0)
        frames = np.moveaxis(data, 1 + track.axis, 1)[:, : each * self.step]
        steps = frames.reshape(len(data) * each, self.step, *frames.shape[2:])
        return np.ascontiguousarray(np.moveaxis(steps, 1, 1 + track.axis))


@dataclass
class _Builder:
    """Tensors, ops and states of the model of steps, one behind the other."""

    streaming: _Streaming
    taken: set[str]
    tensors: dict[str, QTensor] = field(default_factory=dict)
    ops: list[QOp] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    rings: dict[str, tuple[str, int]] = field(default_factory=dict)  # tensor -> (ring, its frames)

    def _fresh(self, name: str) -> str:
        result = unused(name, self.taken)
        self.taken.add(result)
        return result

    def _sized(self, tensor: str, frames: int, name: str) -> str:
        """A tensor like ``tensor``, with so many frames."""
        like = self.streaming.graph.tensors[tensor]
        axis = self.streaming.tracks[tensor].axis
        shape = (*like.shape[:axis], frames, *like.shape[axis + 1 :])
        self.tensors[name] = replace(like, name=name, shape=shape)
        return name

    def tensor(self, name: str) -> None:
        """``name`` as a step has it."""
        if name in self.streaming.tracks:
            self._sized(name, self.streaming.new(name), name)
        else:
            self.tensors[name] = self.streaming.graph.tensors[name]

    def ring(self, name: str, wanted: Sequence[_Piece]) -> None:
        """Keep the frames of ``name`` that a later step reads again, if it does."""
        begins = [piece.begin for piece in wanted if piece.tensor == name]
        if not begins:
            return
        track, new = self.streaming.tracks[name], self.streaming.new(name)
        past = track.last - new + 1 - min(begins)
        if past < 1:
            return
        axis = track.axis
        read = self._sized(name, past, self._fresh(f"{name}.past"))
        ring = self._sized(name, past + new, self._fresh(f"{name}.window"))
        kept = self._sized(name, past, self._fresh(f"{name}.kept"))
        self.ops.append(QOp(ring, Concat(axis), (read, name)))
        self._cut(kept, ring, axis, new)
        tensor = self.tensors[read]
        initial = np.full(tensor.shape, self._rest(name), tensor.dtype)
        self.states.append(State(name, read, kept, initial))
        self.rings[name] = (ring, past + new)

    def _rest(self, name: str) -> int:
        """What frames before the first one are: as a padding that the model itself adds."""
        graph = self.streaming.graph
        op = next((op.op for op in graph.ops if op.name == name), None)
        padding: int | None = getattr(op, "value", None)  # of an operator that pads
        return graph.tensors[name].zero_point if padding is None else padding

    def _cut(self, name: str, source: str, axis: int, begin: int) -> None:
        """``name``: the frames of ``source`` from ``begin`` on."""
        rank = len(self.tensors[source].shape)
        start = tuple(begin if i == axis else 0 for i in range(rank))
        self.ops.append(QOp(name, Slice(start, (1,) * rank), (source,)))

    def _read(self, piece: _Piece) -> str:
        """The tensor that holds ``piece``."""
        name = piece.tensor
        track, new = self.streaming.tracks[name], self.streaming.new(name)
        source, frames = self.rings.get(name, (name, new))
        oldest = track.last - frames + 1
        behind = 0 if piece.loose else track.last - piece.end
        if piece.begin == oldest and behind == 0:
            return source
        part = self._sized(name, track.last - behind - piece.begin + 1, self._fresh(f"{name}.part"))
        self._cut(part, source, track.axis, piece.begin - oldest)
        return part

    def op(self, op: QOp) -> None:
        """``op`` on what a step has."""
        streaming = self.streaming
        found = {name: streaming.piece(op, name) for name in op.inputs}
        read = {name: name if p is None else self._read(p) for name, p in found.items()}
        made = op.op
        if op.name in streaming.rules:
            frames = streaming.new(op.name) if op.name in streaming.tracks else 1
            rule = streaming._rule(layer_of(streaming.graph, op), frames)
            assert rule is not None
            made = rule.op
        for output in op.outputs:
            self.tensor(output)
        self.ops.append(replace(op, op=made, inputs=tuple(read[name] for name in op.inputs)))


# --- The door -------------------------------------------------------------------------------------


def stream_graph(
    graph: QGraph,
    axis: int | Mapping[str, int] | None = None,
    step: int | None = None,
    *,
    delay: int = 0,
    name: str = "",
) -> Streamed:
    """``graph``, a model of windows, as a model of steps; `nanotool.stream` explains it."""
    if graph.states:
        raise NanoError(f"{graph.name} has states: it is a model of steps.", "Run it as it is.")
    if delay < 0:
        raise NanoError(f"A delay of {delay} frames is none.", "It is 0 or more.")
    work = _Streaming(graph, delay)
    for source, place in _time_axes(graph, axis).items():
        frames = graph.tensors[source].shape[place]
        work.tracks[source] = _Track(place, frames, frames - 1, 0, 1)
    frames = _frames(graph, work.tracks)
    work.track()
    work.choose_step(step)
    if work.step > frames:
        raise NanoError(f"A step of {work.step} frames is more than the window's {frames}.")
    work.check_outputs()
    result = work.build(name or f"{graph.name[:57]}_stream")
    filled = -(-frames // work.step)
    dropped = _why_dropped(graph, result, work.step)
    kept = None if dropped or graph.stream is None else _rule_of(graph.stream, filled)
    result = replace(result, stream=kept)
    validate(result)
    whole = [
        op.name
        for op in graph.ops
        if op.name not in work.rules and any(tensor in work.tracks for tensor in op.inputs)
    ]
    ends = tuple(work.end(output) for output in graph.outputs)
    return Streamed(result, work.step, filled, ends, tuple(whole), dropped)


def _why_dropped(graph: QGraph, result: QGraph, step: int) -> str:
    """Why what is around the model, front end and rule, does not fit its steps; "" if it does, or
    there is nothing."""
    if graph.stream is None:
        return ""
    if graph.stream.hop != step:
        return (
            f"{graph.name} listens by {graph.stream.hop} new frames, a step takes {step}: its "
            f"front end and rule are left out. A step of {graph.stream.hop} keeps them."
        )
    before, after = (one.output_tensors[0] for one in (graph, result))
    if before.shape == after.shape:
        return ""
    return (
        f"The rule of {graph.name} decides by an output of {before.size} elements, a step yields "
        f"{after.size}: its front end and rule are left out."
    )


def _rule_of(rule: StreamRule, filled: int) -> StreamRule:
    """What is around the model, which decides what the window model decides: a mean is one of
    steps whose windows are full."""
    warm_up = filled - 1 + max(rule.rule.warm_up, rule.rule.window - 1)
    return replace(rule, rule=replace(rule.rule, warm_up=warm_up))


def _frames(graph: QGraph, tracks: Mapping[str, _Track]) -> int:
    """The window's frames, of which there are some."""
    counts = {track.frames for track in tracks.values()}
    if len(counts) != 1:
        raise NanoError(
            f"The inputs of {graph.name} have {' and '.join(map(str, sorted(counts)))} frames."
            if counts
            else f"No input of {graph.name} is along time.",
            "Name the axis of time of each input that has one, by the input's name.",
        )
    (count,) = counts
    if count < 2:
        raise NanoError(
            f"The axis has {count} element: it is not that of time.",
            f"{graph.name} takes {', '.join(_user_shape(graph, i) for i in graph.inputs)}.",
        )
    return count


def _user_shape(graph: QGraph, name: str) -> str:
    return f"{name} {'x'.join(map(str, _user_sizes(graph, name)))}"


def _user_sizes(graph: QGraph, name: str) -> Shape:
    tensor, order = graph.tensors[name], graph.permutations[graph.inputs.index(name)]
    sizes = list(tensor.shape)
    for device, user in enumerate(order):
        sizes[user] = tensor.shape[device]
    return tuple(sizes)


def _time_axes(graph: QGraph, axis: int | Mapping[str, int] | None) -> dict[str, int]:
    """The device's axis of time of every input that has one."""
    if axis is None:
        raise NanoError(
            f"Which axis is time? {graph.name} takes "
            f"{', '.join(_user_shape(graph, name) for name in graph.inputs)}.",
            "Axes are counted from 0, from -1 at the end, and without the batch.",
        )
    asked = dict(axis) if isinstance(axis, Mapping) else dict.fromkeys(graph.inputs, axis)
    result = {}
    for name, place in asked.items():
        if name not in graph.inputs:
            raise NanoError(
                f"{graph.name} has no input {name}.", f"It has {', '.join(graph.inputs)}."
            )
        sizes = _user_sizes(graph, name)
        if not -len(sizes) <= place < len(sizes):
            raise NanoError(f"Input {_user_shape(graph, name)} has no axis {place}.")
        order = graph.permutations[graph.inputs.index(name)] or tuple(range(len(sizes)))
        result[name] = order.index(place % len(sizes))
    return result
