"""Layer by layer against TensorFlow Lite Micro: agreement, the first difference, its crashes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handmade import GraphBuilder, digits_cnn
from numpy.typing import NDArray
from random_graphs import ALL, random_graph, random_inputs
from test_states import wake_word

from nanotool import bisect, tflm
from nanotool.backends import tflite
from nanotool.backends.c.emit import golden_inputs
from nanotool.errors import MissingTool, UnsupportedOp
from nanotool.ir import Binary, MaxPool2D, QGraph, QOp, QTensor, State, Unary, Window
from nanotool.models import load_model
from nanotool.ops import Layer
from nanotool.simulate import kernel, simulate

MODELS = Path(__file__).parents[1] / "models"


def noise(graph: QGraph) -> NDArray[Any]:
    (x,), _ = golden_inputs(graph, 2)
    return x


@pytest.mark.parametrize("name", ["kws", "ic", "vww", "ad"])
def test_the_reference_models_agree(name: str) -> None:
    seen: list[tuple[int, int]] = []
    path = MODELS / f"{name}.tflite"
    result = bisect.bisect_model(path, noise, lambda *step: seen.append(step))
    graph = load_model(path)
    assert result.agrees and "0 bytes differ" in bisect.verdict(result)
    assert [layer.name for layer in result.layers[:-1]] == [op.name for op in graph.ops]
    assert result.layers[-1].name == "the whole file"
    assert all(layer.size == 2 * np.prod(layer.shape) for layer in result.layers)
    assert seen[-1][0] == len(graph.ops)


@pytest.mark.parametrize("seed", range(4))
def test_random_graphs_agree(seed: int) -> None:
    graph = random_graph(100 + seed, kinds=ALL, tflite=True, borders=True)
    result = bisect.bisect(graph, random_inputs(graph, 3, seed), tflite.write(graph))
    assert result.agrees, bisect.verdict(result)


@pytest.fixture
def broken_pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The simulator's max pool is wrong by 3 in one element of each image."""
    right = kernel.handlers[MaxPool2D]

    def wrong(layer: Layer[MaxPool2D], x: NDArray[Any]) -> NDArray[Any]:
        y: NDArray[Any] = right(layer, x).copy()
        corner = y[:, 0, 0, 0]
        y[:, 0, 0, 0] = np.where(corner > 0, corner - 3, corner + 3)
        return y

    monkeypatch.setitem(kernel.handlers, MaxPool2D, wrong)
    yield


@pytest.mark.usefixtures("broken_pool")
def test_a_wrong_kernel_is_named() -> None:
    graph = digits_cnn()
    result = bisect.bisect(graph, random_inputs(graph, 4))
    assert result.first is not None and result.first.name == "features.2"
    assert (result.first.differing, result.first.worst) == (4, 3)
    assert result.first.size == 4 * 14 * 14 * 8
    assert not result.agrees
    assert [layer.differing for layer in result.layers[:1]] == [0]
    assert len(result.layers) == len(graph.ops)  # what follows is compared too
    assert "is features.2: 4 of 6,272 bytes, by 3 at most" in bisect.verdict(result)
    assert result.to_json()["first_difference"] == "features.2"


def test_a_mistake_of_the_import_shows_in_the_whole_file() -> None:
    """Each layer by itself is right, but this is another model."""
    graph = digits_cnn()
    weight = graph.op("classifier").weight
    assert weight is not None
    other = replace(graph.op("classifier"), weight=-weight)
    ops = tuple(other if op.name == other.name else op for op in graph.ops)
    file = tflite.write(replace(graph, ops=ops))
    result = bisect.bisect(graph, random_inputs(graph, 2), file)
    assert result.first is not None and result.first.name == "the whole file"


def test_a_layer_without_a_tflite_form_ends_it() -> None:
    builder = GraphBuilder("dilated", (9, 9, 2))
    builder.conv2d("conv", 2)
    builder.plain("pool", MaxPool2D(Window((2, 2), dilation=(2, 2))), (7, 7, 2))
    builder.conv2d("after", 2)
    graph = builder.graph()
    with pytest.raises(UnsupportedOp):
        tflite.write(graph)
    result = bisect.bisect(graph, random_inputs(graph, 2))
    assert [layer.name for layer in result.layers] == ["conv", "pool"]
    assert result.problem is not None and not result.agrees
    text = bisect.verdict(result)
    assert "1 of 3 layers could be compared" in text and "pool" in text and ".tflite" in text


def test_a_cut_graph_holds_what_it_needs_and_no_more() -> None:
    for seed in range(20):
        graph = random_graph(seed, kinds=ALL)
        x = random_inputs(graph, 2, seed)
        for op in graph.ops:
            part = bisect.before(graph, op.name)
            assert set(part.tensors) == {
                *part.inputs, *part.constants, *(one.name for one in part.ops)
            }  # fmt: skip
            assert part.ops[-1] is op
        assert np.array_equal(simulate(bisect.before(graph, graph.output), x), simulate(graph, x))


# --- TFLite Micro's process -----------------------------------------------------------------------


def crashing() -> QGraph:
    """A softmax over so many equal elements that TFLite Micro aborts: their sum overflows."""
    builder = GraphBuilder("deadly", (600,))
    builder.dense("dense", 600)
    op = builder.ops[0]
    assert op.weight is not None
    builder.ops[0] = replace(op, weight=np.zeros_like(op.weight), bias=np.zeros(600, np.int32))
    builder.softmax("softmax")
    builder.dense("after", 2)
    return builder.graph()


def test_a_crash_is_survived_and_named() -> None:
    graph = digits_cnn()
    x = random_inputs(graph, 2)
    with tflm.Interpreter() as interpreter:
        interpreter.run(tflite.write(graph), x)
        assert interpreter._process is not None
        os.kill(interpreter._process.pid, signal.SIGABRT)
        with pytest.raises(tflm.TflmError, match=r"It crashed \(SIGABRT\)"):
            interpreter.run(tflite.write(graph), x)
        y = interpreter.run(tflite.write(graph), x)  # another process
    assert np.array_equal(y, simulate(graph, x).reshape(2, -1))


def test_files_that_tflite_micro_does_not_take() -> None:
    x = np.zeros((1, 6), np.int8)
    with tflm.Interpreter() as interpreter:
        for content in (b"", b"TFL3" * 50):
            with pytest.raises(tflm.TflmError, match=r"It (crashed|refused)"):
                interpreter.run(content, x)


def test_a_crash_at_a_layer_is_tflite_micros() -> None:
    """The first layer agrees; the second one kills TFLite Micro, and is named."""
    result = bisect.bisect(crashing(), np.zeros((1, 600), np.int8))
    assert [layer.name for layer in result.layers] == ["dense", "softmax"]
    assert result.first is None and not result.agrees
    text = bisect.verdict(result)
    assert "1 of 3 layers could be compared on 1 input." in text
    assert "Layer softmax: TensorFlow Lite Micro has no answer. It crashed (SIGABRT)." in text


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanotool.tflm.importlib.util.find_spec", lambda name: None)
    graph = digits_cnn()
    with pytest.raises(MissingTool, match="pip install tflite-micro"):
        bisect.bisect(graph, random_inputs(graph, 1))


def test_steps_and_several_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model with states, step by step; a wrong layer is named in the first step that differs,
    not one in front of it that a state makes differ later."""
    path = wake_word("hey_mycroft")
    result = bisect.bisect_model(path, lambda graph: golden_inputs(graph, 6)[0])
    assert result.agrees and result.steps and "on 6 steps" in bisect.verdict(result)
    for name in ("two_inputs", "two_outputs"):
        ends = bisect.bisect_model(MODELS / f"{name}.tflite", lambda g: golden_inputs(g, 3)[0])
        assert ends.agrees and not ends.steps
    right = kernel.handlers[Binary]

    def wrong(layer: Layer[Binary], *x: NDArray[Any]) -> NDArray[Any]:
        """Wrong from the third step on, when the sum that is kept is above 20."""
        y = right(layer, *x)
        return np.asarray(np.where(y > 20, y - 1, y), y.dtype)

    monkeypatch.setitem(kernel.handlers, Binary, wrong)
    shape = (2,)
    tensors = {name: QTensor(name, shape, 0.5, 0) for name in ("x", "s", "front", "sum")}
    graph = QGraph(
        "counter",
        tensors,
        (QOp("front", Unary("relu"), ("s",)), QOp("sum", Binary("add"), ("front", "x"))),
        ("x",),
        ("sum",),
        states=(State("s", "s", "sum", np.zeros(shape, np.int8)),),
    )
    found = bisect.bisect(graph, np.full((6, *shape), 9, np.int8))
    assert found.first is not None
    assert (found.first.name, found.first.step) == ("sum", 2)
    assert found.to_json()["first_step"] == 2 and "sum, in step 2" in bisect.verdict(found)
