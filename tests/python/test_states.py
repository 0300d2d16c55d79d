"""Models with states and with several ends, against TensorFlow Lite Micro and on every target."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from step_model import step_model

from nanotool import qfile
from nanotool.backends.tflite import write
from nanotool.errors import UnsupportedOp
from nanotool.frontends.tflite import file, load
from nanotool.frontends.tflite.convert import from_model
from nanotool.ir import (
    LIMITS,
    Binary,
    Concat,
    Conv2D,
    QGraph,
    QOp,
    QTensor,
    Reshape,
    Slice,
    State,
    Unary,
    Window,
)
from nanotool.lower import lower
from nanotool.pipeline import prepare
from nanotool.plan import plan
from nanotool.runtime import Runtime
from nanotool.simulate import simulate_all, simulate_steps
from nanotool.targets import TARGETS
from nanotool.tflm import Interpreter
from nanotool.validate import validate

CASES = Path(__file__).parents[1] / "models"
WAKE_WORDS = ("alexa", "hey_jarvis", "hey_mycroft", "okay_nabu")
STEPS = round(300 * float(os.environ.get("NANO_EXAMPLES", "1")))


def wake_word(name: str) -> Path:
    spec = importlib.util.find_spec("pymicro_wakeword")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "models" / f"{name}.tflite"


@pytest.fixture(scope="module")
def tflm() -> Iterator[Interpreter]:
    with Interpreter() as interpreter:
        yield interpreter


def random_steps(graph: QGraph, count: int, seed: int = 1) -> tuple[NDArray[Any], ...]:
    rng = np.random.default_rng(seed)
    return tuple(
        rng.integers(*LIMITS[tensor.dtype], (count, *tensor.shape)).astype(tensor.dtype)
        for tensor in graph.input_tensors
    )


def assert_equal(one: tuple[NDArray[Any], ...], two: tuple[NDArray[Any], ...]) -> None:
    assert len(one) == len(two)
    for left, right in zip(one, two, strict=True):
        np.testing.assert_array_equal(left.reshape(len(left), -1), right.reshape(len(right), -1))


@pytest.mark.parametrize("name", WAKE_WORDS)
def test_wake_words(name: str, tflm: Interpreter) -> None:
    """Step by step: the file against TensorFlow Lite Micro, every target's kernels against it, the
    int8 in front of the sigmoid, too, which on noise moves when the answer hardly does."""
    path = wake_word(name)
    graph = load(path)
    x = random_steps(graph, STEPS)
    wanted = tflm.run_ends(path.read_bytes(), x, 1)
    every = simulate_all(graph, x)
    assert graph.name == name and all(state.name.startswith("stream") for state in graph.states)
    assert_equal((every[graph.output],), wanted)
    (logit,) = graph.op(graph.op(graph.output).inputs[0]).inputs
    while isinstance(graph.op(logit).op, Reshape):
        (logit,) = graph.op(logit).inputs
    assert len(np.unique(every[logit])) > 5
    for target in TARGETS:
        assert_equal(Runtime(*prepare(graph, target)).run_steps(x), wanted)
        lowered = lower(graph, target)
        runtime = Runtime(lowered, plan(lowered))
        index = next(i for i, op in enumerate(lowered.ops) if op.output == logit)
        assert_equal((runtime.run_all(x)[index],), (every[logit],))
    assert qfile.to_bytes(qfile.from_bytes(qfile.to_bytes(graph))) == qfile.to_bytes(graph)


@pytest.mark.parametrize(("name", "arena"), [("alexa", 6000), ("okay_nabu", 7000)])
def test_what_stays_is_not_copied(name: str, arena: int) -> None:
    """One copy within the room for each state that is shifted; the rows behind are written where
    they belong, but those that the caller writes."""
    lowered, placed = prepare(load(wake_word(name)), "armv7em")
    assert placed.arena_size <= arena
    assert len(lowered.states) == 6
    shifted = [op for op in lowered.ops if op.kernel == "nano_copy" and op.output in lowered.views]
    assert len(shifted) == 6
    rooms = {whole for whole, _ in lowered.views.values()}
    assert placed.state_size == sum(-(-lowered.buffers[room] // 4) * 4 for room in rooms)


@pytest.mark.parametrize(
    "name", ["two_inputs", "two_outputs", "lstm_mnist_int8", "keyword_svdf_int8"]
)
def test_several_ends(name: str, tflm: Interpreter) -> None:
    path = CASES / f"{name}.tflite"
    graph = load(path)
    x = random_steps(graph, 50)
    wanted = tflm.run_ends(path.read_bytes(), x, len(graph.outputs))
    assert_equal(simulate_steps(graph, x)[0], wanted)
    for target in TARGETS:
        assert_equal(Runtime(*prepare(graph, target)).run_steps(x), wanted)
    assert qfile.to_bytes(qfile.from_bytes(qfile.to_bytes(graph))) == qfile.to_bytes(graph)


# --- Every way in which a state can be followed by the next one -----------------------------------

ROW = (1, 1, 4)


def graph_of(
    shapes: dict[str, tuple[int, ...]],
    ops: tuple[QOp, ...],
    states: dict[str, str],
    outputs: tuple[str, ...],
) -> QGraph:
    """``shapes``: of all tensors, the input "x" first; ``states``: read -> next."""
    rng = np.random.default_rng(3)
    tensors = {name: QTensor(name, shape, 0.5, -3) for name, shape in shapes.items()}
    kept = tuple(
        State(f"s_{read}", read, following, rng.integers(-9, 9, shapes[read]).astype(np.int8))
        for read, following in states.items()
    )
    graph = QGraph("steps", tensors, ops, ("x",), outputs, states=kept)
    validate(graph)
    return graph


def _slice(name: str, source: str, begin: int) -> QOp:
    return QOp(name, Slice((begin, 0, 0), (1, 1, 1)), (source,))


def conv(name: str, source: str, rows: int) -> QOp:
    weight = np.random.default_rng(5).integers(-9, 9, (4, rows, 1, 4)).astype(np.int8)
    scale = np.array([0.1], np.float32)
    return QOp(name, Conv2D(Window((rows, 1))), (source,), weight, scale)


def window(width: int) -> QGraph:
    """The end of s ++ x, of which a convolution reads all."""
    row, rows = (1, 1, width), (3, 1, width)
    return graph_of(
        {"x": row, "s": rows, "all": (4, 1, width), "end": rows, "y": (1, 1, width), "h": row},
        (
            QOp("h", Unary("relu"), ("x",)),
            QOp("all", Concat(0), ("s", "h")),
            _slice("end", "all", 1),
            QOp("y", Binary("add"), ("h", "h")),
        ),
        {"s": "end"},
        ("y", "all"),
    )


def streamed() -> QGraph:
    return graph_of(
        {"x": ROW, "h": ROW, "s": (3, 1, 4), "all": (4, 1, 4), "end": (3, 1, 4), "y": ROW},
        (
            QOp("h", Unary("relu"), ("x",)),
            QOp("all", Concat(0), ("s", "h")),
            _slice("end", "all", 1),
            conv("y", "all", 4),
        ),
        {"s": "end"},
        ("y",),
    )


def remembered_whole() -> QGraph:
    """A window of which the end is one state and the whole another."""
    rows, wide = (3, 1, 4), (4, 1, 4)
    return graph_of(
        {"x": ROW, "h": ROW, "s": rows, "all": wide, "end": rows, "before": wide, "y": wide},
        (
            QOp("h", Unary("relu"), ("x",)),
            QOp("all", Concat(0), ("s", "h")),
            _slice("end", "all", 1),
            QOp("y", Binary("add"), ("all", "before")),
        ),
        {"s": "end", "before": "all"},
        ("y",),
    )


def rolled() -> QGraph:
    return graph_of(
        {"x": ROW, "h": ROW, "s": (4, 1, 4), "end": (3, 1, 4), "all": (4, 1, 4), "y": ROW},
        (
            QOp("h", Unary("relu"), ("x",)),
            _slice("end", "s", 1),
            QOp("all", Concat(0), ("end", "h")),
            conv("y", "all", 4),
        ),
        {"s": "all"},
        ("y",),
    )


def summed() -> QGraph:
    """A sum that is kept, and given away."""
    return graph_of(
        {"x": ROW, "s": ROW, "y": ROW},
        (QOp("y", Binary("add"), ("x", "s")),),
        {"s": "y"},
        ("y",),
    )


def read_late() -> QGraph:
    """The old state is read after the next one has been computed."""
    return graph_of(
        {"x": ROW, "s": ROW, "new": ROW, "y": ROW},
        (QOp("new", Binary("add"), ("x", "s")), QOp("y", Binary("maximum"), ("new", "s"))),
        {"s": "new"},
        ("y",),
    )


def exchanged() -> QGraph:
    """Two states change places; a third one is the input before."""
    return graph_of(
        {"x": ROW, "a": ROW, "b": ROW, "c": ROW, "y": ROW, "z": ROW},
        (QOp("y", Binary("add"), ("a", "c")), QOp("z", Binary("add"), ("y", "x"))),
        {"a": "b", "b": "a", "c": "x"},
        ("z", "a"),
    )


def chained() -> QGraph:
    """A delay line of single states, each the next one's next; one never changes."""
    return graph_of(
        {"x": ROW, "h": ROW, "a": ROW, "b": ROW, "k": ROW, "y": ROW, "z": ROW},
        (
            QOp("h", Unary("relu"), ("x",)),
            QOp("y", Binary("add"), ("b", "h")),
            QOp("z", Binary("add"), ("y", "k")),
        ),
        {"a": "h", "b": "a", "k": "k"},
        ("z",),
    )


FORMS = {
    "streamed": streamed(),
    "window": window(4),
    "odd window": window(3),
    "remembered whole": remembered_whole(),
    "rolled": rolled(),
    "summed": summed(),
    "read late": read_late(),
    "exchanged": exchanged(),
    "chained": chained(),
}
COPIES = {"streamed": 1, "rolled": 1, "summed": 0, "read late": 1}


@pytest.mark.parametrize("form", FORMS)
def test_every_form(form: str) -> None:
    graph = FORMS[form]
    x = random_steps(graph, 40)
    wanted, last = simulate_steps(graph, x, reset_every=13)
    for target in ("portable", "armv7em"):
        for one in (lower(graph, target), prepare(graph, target)[0]):
            placed = plan(one)
            runtime = Runtime(one, placed)
            assert_equal(runtime.run_steps(x, reset_every=13), wanted)
            if form in COPIES and target == "portable":
                assert sum(op.kernel == "nano_copy" for op in one.ops) == COPIES[form]
    session = Runtime(lower(graph), plan(lower(graph))).start()
    for row in x[0][39:]:
        session.step(row)
    assert session.states.keys() == last.keys()


def test_a_session_goes_on_and_back() -> None:
    graph = FORMS["streamed"]
    lowered = lower(graph)
    session = Runtime(lowered, plan(lowered)).start()
    (x,) = random_steps(graph, 12)
    (wanted,), states = simulate_steps(graph, (x,))
    for index in range(6):
        np.testing.assert_array_equal(session.step(x[index])[0], wanted[index])
    saved = session.save()
    for _ in range(2):
        for index in range(6, 12):
            np.testing.assert_array_equal(session.step(x[index])[0], wanted[index])
        np.testing.assert_array_equal(session.states["s_s"], states["s_s"])
        session.load(saved)
    session.reset()
    np.testing.assert_array_equal(session.states["s_s"], graph.states[0].initial)
    np.testing.assert_array_equal(session.step(x[0])[0], wanted[0])
    with pytest.raises(Exception, match="damaged"):
        session.load(saved[:-1] + bytes([saved[-1] ^ 1]))


def test_what_is_no_state_is_refused() -> None:
    graph = summed()
    state = graph.states[0]
    for wrong, message in (
        (replace(state, next="x2"), "no tensor"),
        (replace(state, initial=state.initial[0]), "initial value"),
        (replace(state, initial=state.initial.astype(np.int16)), "initial value"),
        (replace(state, name=""), "named"),
    ):
        with pytest.raises(Exception, match=message):
            validate(replace(graph, states=(wrong,)))
    with pytest.raises(Exception, match="twice"):
        validate(replace(graph, states=(state, replace(state, name="again"))))
    with pytest.raises(Exception, match="2 inputs, and one was asked for"):
        _ = replace(graph, inputs=("x", "s")).input


# --- Written as .tflite ---------------------------------------------------------------------------

WRITTEN = {
    **{f"form {name}": graph for name, graph in FORMS.items()},
    "several ends, first values": step_model(),
    **{
        name: load(CASES / f"{name}.tflite")
        for name in ("two_outputs", "lstm_mnist_int8", "keyword_svdf_int8")
    },
    "alexa": load(wake_word("alexa")),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_states_and_several_ends_are_written(name: str, tflm: Interpreter) -> None:
    graph = WRITTEN[name]
    x, data = random_steps(graph, 12), write(graph)
    wanted = simulate_steps(graph, x)[0]
    assert_equal(tflm.run_ends(data, x, len(graph.outputs)), wanted)
    again = from_model(file.read(data), "again", "test")
    assert len(again.states) == len(graph.states)
    assert_equal(simulate_steps(again, x)[0], wanted)


def lstm_with(**changes: Any) -> QGraph:
    graph = WRITTEN["lstm_mnist_int8"]
    return replace(graph, **{key: change(graph) for key, change in changes.items()})


@pytest.mark.parametrize(
    ("graph", "why"),
    [
        (
            lstm_with(
                states=lambda graph: tuple(
                    replace(state, initial=state.initial + 1) for state in graph.states
                )
            ),
            "does not begin with zeros",
        ),
        (
            lstm_with(outputs=lambda graph: (*graph.outputs, graph.states[0].read)),
            "somebody else reads",
        ),
        (
            lstm_with(
                states=lambda graph: (
                    replace(graph.states[0], next=graph.states[0].read),
                    *graph.states[1:],
                )
            ),
            "becomes something else",
        ),
    ],
    ids=["first values", "read elsewhere", "another next"],
)
def test_a_state_that_tensorflow_lite_cannot_keep_is_told(graph: QGraph, why: str) -> None:
    validate(graph)
    with pytest.raises(UnsupportedOp, match=why):
        write(graph)


@pytest.mark.parametrize(
    ("kernel", "dilation", "channels", "groups"),
    [
        ((21, 1), (1, 1), 64, 64),
        ((3, 2), (2, 1), 4, 4),
        ((2, 3), (1, 2), 12, 12),
        ((3, 1), (3, 1), 8, 8),
        ((2, 3), (1, 1), 8, 8),
        ((5, 3), (1, 1), 7, 1),
        ((1, 1), (1, 1), 64, 1),
    ],
)
def test_one_output_pixel(
    kernel: tuple[int, int], dilation: tuple[int, int], channels: int, groups: int
) -> None:
    """Layers of a streamed step: the whole of the input is one window."""
    rng = np.random.default_rng(7)
    sizes = [1 + (size - 1) * step for size, step in zip(kernel, dilation, strict=True)]
    window = Window(kernel, dilation=dilation)
    tensors = {
        "x": QTensor("x", (*sizes, channels), 0.05, -7),
        "y": QTensor("y", (1, 1, channels), 0.9, 3),
    }
    weight = rng.integers(-127, 128, (channels, *kernel, channels // groups)).astype(np.int8)
    scale = rng.uniform(0.001, 0.02, channels).astype(np.float32)
    bias = rng.integers(-900, 900, channels).astype(np.int32)
    op = QOp("y", Conv2D(window, groups), ("x",), weight, scale, bias, (-120, 90))
    graph = QGraph("pixel", tensors, (op,), ("x",), ("y",))
    lowered = lower(graph, "armv7em")
    found = lowered.ops[0].kernel
    assert found.startswith("nano_depthwise_conv2d_pixel" if groups > 1 else "nano_dense")
    x = random_steps(graph, 64)
    assert_equal(Runtime(lowered, plan(lowered)).run_steps(x), simulate_steps(graph, x)[0])
