"""Random models with states and with several inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import InvalidModel
from nanotool.ir import (
    DTYPES,
    LIMITS,
    Concat,
    Lstm,
    Op,
    QGraph,
    QOp,
    QTensor,
    Reshape,
    Shape,
    Slice,
    State,
    Svdf,
)
from nanotool.ops import layer_of
from nanotool.simulate.run import run_outputs
from nanotool.validate.graph import check_layer, validate
from random_graphs.builder import SAMPLES, Builder
from random_graphs.joins import binary_of


@dataclass
class Steps:
    """A builder with what a step has besides."""

    b: Builder
    inputs: list[str] = field(default_factory=lambda: ["input"])
    states: list[State] = field(default_factory=list)

    def source(self, name: str, like: QTensor, shape: Shape) -> str:
        """A tensor that stands there before the step."""
        low, high = LIMITS[like.dtype] if like.dtype == "int8" else (-9000, 9000)
        self.b.tensors[name] = replace(like, name=name, shape=shape)
        x = self.b.rng.integers(low, high + 1, (SAMPLES, *shape))
        self.b.values[name] = x.astype(DTYPES[like.dtype])
        return name

    def state(self, like: QTensor, shape: Shape, number: int = 0) -> str:
        """A state's tensor; `becomes` makes it one."""
        return self.source(f"state_{len(self.states) + number}", like, shape)

    def becomes(self, read: str, following: str, *, plain: bool = False) -> None:
        """``plain``: it begins with the zero point."""
        tensor = self.b.tensors[read]
        initial = np.full(tensor.shape, tensor.zero_point, DTYPES[tensor.dtype])
        if not plain and self.b.chance(0.5):
            initial = self.b.values[read][0]
        self.states.append(State(read, read, following, initial))

    def add(
        self, op: Op, target: QTensor, inputs: tuple[str, ...], more: QTensor, **parts: Any
    ) -> bool:
        """A layer that writes ``more`` beside its output."""
        b = self.b
        layer = QOp(target.name, op, inputs, more=(more.name,), **parts)
        tensors = {**b.tensors, target.name: target, more.name: more}
        part = layer_of(replace(b.graph("part"), tensors=tensors), layer)
        try:
            check_layer(part)
        except InvalidModel:
            return False
        y, beside = run_outputs(part, *(b.values[name] for name in inputs))
        b.tensors |= {target.name: target, more.name: more}
        b.values |= {target.name: y, more.name: beside}
        b.ops.append(layer)
        b.end = target.name
        return True


# --- Forms: True if one was added -----------------------------------------------------------------


def _delayed(s: Steps) -> bool:
    """The end, and what it was a step before."""
    read = s.state(s.b.tensor, s.b.tensor.shape)
    following = s.b.end
    if not binary_of(s.b, s.b.end, read):
        return False
    s.becomes(read, following)
    return True


def _accumulated(s: Steps) -> bool:
    """A function of the end and of its own last result, which may be requantized."""
    read = s.state(s.b.tensor, s.b.tensor.shape)
    if not binary_of(s.b, read, s.b.end):
        return False
    following = s.b.requantized(s.b.end, s.b.tensors[read])
    if following is None:
        return False
    s.becomes(read, following)
    return True


def _exchanged(s: Steps) -> bool:
    """One state becomes the other, which becomes the end."""
    like, following = s.b.tensor, s.b.end
    first, second = s.state(like, like.shape), s.state(like, like.shape, 1)
    if not binary_of(s.b, s.b.end, first):
        return False
    s.becomes(first, second)
    s.becomes(second, following)
    return True


def _window(s: Steps) -> bool:
    """The last rows and the new ones, whose end is remembered."""
    b, like = s.b, s.b.tensor
    if not like.shape or b.room < 2:
        return False
    rows, rest = b.between(1, 3), like.shape[1:]
    read, total = s.state(like, (rows, *rest)), rows + like.shape[0]
    whole = replace(like, name=b.next_name(), shape=(total, *rest))
    if not b.plain(Concat(0), whole, inputs=(read, b.end)):
        return False
    recent = replace(like, name=b.next_name(), shape=(rows, *rest))
    if not b.plain(Slice((total - rows, *(0,) * len(rest)), (1,) * len(whole.shape)), recent):
        return False
    s.becomes(read, recent.name)
    b.end = whole.name
    return True


def _seen_as(b: Builder, shape: Shape) -> bool:
    if b.tensor.shape == shape:
        return True
    return b.room > 0 and b.plain(Reshape(shape), b.same_quantization(shape))


def _lstm(s: Steps) -> bool:
    b, size = s.b, s.b.tensor.size
    steps = int(b.rng.choice([n for n in range(1, 6) if size % n == 0]))
    features, units = size // steps, b.between(1, 6)
    if features > 80 or b.room < 3 or not _seen_as(b, (steps, features)):
        return False
    source, power = b.end, b.between(-15, -9)
    hidden = s.state(QTensor("h", (), 2.0**-7, b.between(-20, 20)), (units,))
    cell = s.state(QTensor("c", (), 2.0**power, 0, "int16"), (units,), 1)
    scales = np.array([8 / max(1e-6, b.tensor.scale * 127 * features) / 127] * 4 + [0.01] * 4)
    target = replace(b.tensors[hidden], name=b.next_name(), shape=(steps, units))
    following = replace(b.tensors[cell], name=f"{target.name}.cell")
    parts = {
        "weight": b.rng.integers(-127, 128, (units, 4, features + units)).astype(np.int8),
        "weight_scale": (scales * 2.0 ** b.rng.uniform(-1, 2, 8)).astype(np.float32),
        "bias": b.rng.integers(-999, 1000, (units, 4)).astype(np.int32),
    }
    op = Lstm(float(b.rng.choice([0, 0, 0.5, 3])))
    if not s.add(op, target, (source, hidden, cell), following, **parts):
        return False
    row = replace(target, name=b.next_name(), shape=(1, units))
    last = target.name
    if steps > 1:
        if not b.plain(Slice((steps - 1, 0), (1, 1)), row, inputs=(target.name,)):
            return False
        last = row.name
    flat = replace(target, name=b.next_name(), shape=(units,))
    if not b.plain(Reshape((units,)), flat, inputs=(last,)):
        return False
    s.becomes(hidden, flat.name, plain=True)
    s.becomes(cell, following.name, plain=True)
    b.end = target.name if b.chance(0.5) else flat.name
    return True


def _svdf(s: Steps) -> bool:
    b, features = s.b, s.b.tensor.size
    if features > 200 or b.room < 2 or not _seen_as(b, (features,)):
        return False
    units, rank, steps = b.between(1, 6), b.between(1, 3), b.between(1, 8)
    filters, dtype = units * rank, str(b.rng.choice(["int8", "int16"]))
    narrow = dtype == "int8"
    fine = 0.05 if narrow else 0.0002
    read = s.state(
        QTensor("m", (), fine, b.between(-40, 40) if narrow else 0, dtype), (filters * steps,)
    )
    time = f"time_{b.next_name()}"
    limit = 127 if narrow else 3000
    data = b.rng.integers(-limit, limit + 1, (filters, steps)).astype(DTYPES[dtype])
    b.tensors[time] = QTensor(time, (filters, steps), 0.01 if narrow else 0.0003, 0, dtype)
    b.constants[time], b.values[time] = data, np.broadcast_to(data, (SAMPLES, *data.shape))
    target = QTensor(b.next_name(), (units,), 0.1, b.zero_point())
    following = replace(b.tensors[read], name=f"{target.name}.memory")
    parts = {
        "weight": b.rng.integers(-127, 128, (filters, features)).astype(np.int8),
        "weight_scale": np.array([4 / max(1e-6, b.tensor.scale * 127 * features) / 40], np.float32),
        "bias": b.rng.integers(-999, 1000, units).astype(np.int32),
    }
    if not s.add(Svdf(rank), target, (b.end, read, time), following, **parts):
        return False
    s.becomes(read, following.name, plain=True)
    return True


FORMS: tuple[Callable[[Steps], bool], ...] = (
    *(_delayed, _accumulated, _exchanged, _window, _lstm, _svdf),
)


def _tried(s: Steps, form: Callable[[Steps], bool]) -> None:
    """``form``; if it fails, nothing of it is left."""
    before, states = s.b.state(), list(s.states)
    if not form(s):
        s.b.restore(before)
        s.states = states


def grown(b: Builder, wanted: int) -> QGraph | None:
    """A model of about ``wanted`` ops, from a builder that has an input; None if it failed."""
    s = Steps(b)
    b.wanted = wanted
    for number in range(1, 1 + int(b.rng.choice([0, 0, 1, 2]))):
        like = replace(b.tensor, scale=b.tensor.scale * float(2.0 ** b.rng.uniform(-2, 2)))
        s.inputs.append(s.source(f"input_{number}", like, like.shape))
        if not binary_of(b, b.end, s.inputs[-1]):
            return None
    for _ in range(b.between(1, 3)):
        b.grow(b.between(0, 2))
        _tried(s, FORMS[b.between(0, len(FORMS) - 1)])
    b.grow(b.between(0, 2))
    written = [op.name for op in b.ops if b.tensors[op.name].dtype == "int8"]
    if not s.states or not written:
        return None
    chosen = [written[i] for i in b.rng.permutation(len(written))[: b.between(0, 2)]]
    outputs = dict.fromkeys([b.ops[-1].name if b.end not in written else b.end, *chosen])
    read = {name for op in b.ops for name in op.inputs}
    constants = {name: data for name, data in b.constants.items() if name in read}
    gone = set(b.constants) - set(constants)
    graph = QGraph(
        "steps",
        {name: tensor for name, tensor in b.tensors.items() if name not in gone},
        tuple(b.ops),
        tuple(s.inputs),
        tuple(outputs),
        source="random",
        constants=constants,
        states=tuple(s.states),
    )
    try:
        validate(graph)
    except InvalidModel:
        return None
    return graph


def random_sequence(graph: QGraph, count: int, seed: int) -> tuple[NDArray[Any], ...]:
    """Inputs of ``count`` steps."""
    rng = np.random.default_rng([seed, 2])
    return tuple(
        rng.integers(-128, 128, (count, *tensor.shape)).astype(np.int8)
        for tensor in graph.input_tensors
    )
