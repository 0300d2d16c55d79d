"""Models of steps made of models of windows: the same bytes, less work, or the reason why not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from float_nets import settle
from listening import listener, loud, one_class
from numpy.typing import NDArray
from random_graphs import random_graph
from streamable import random_window_model, recurrent_window_model
from torch import nn
from typer.testing import CliRunner

import nanotool
from nanotool.cli import app
from nanotool.errors import NanoError, NanoWarning
from nanotool.ir import QGraph
from nanotool.pipeline import prepare
from nanotool.runtime import Runtime
from nanotool.sensing.description import Rule
from nanotool.sensing.stream import Stream
from nanotool.simulate import simulate, simulate_all, simulate_steps
from nanotool.streaming import Streamed, stream_graph

MORE = 3  # steps behind the first full window


def sequence(graph: QGraph, axis: int, made: Streamed, seed: int) -> NDArray[np.int8]:
    shape = list(graph.input_tensor.shape)
    shape[axis] = (made.filled + MORE) * made.step
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)


def assert_same(graph: QGraph, axis: int, made: Streamed, x: NDArray[np.int8]) -> None:
    """From the first full window on, steps give what the window model gives, here and in C."""
    count, frames = made.filled + MORE, graph.input_tensor.shape[axis]
    steps = np.stack(np.split(x, count, axis=axis))
    ends = [(index + 1) * made.step for index in range(made.filled - 1, count)]
    windows = np.stack([np.take(x, range(end - frames, end), axis=axis) for end in ends])
    outputs = simulate_steps(made.graph, steps)[0]
    for one, two in zip(outputs, Runtime(*prepare(made.graph)).run_steps(steps), strict=True):
        np.testing.assert_array_equal(one.reshape(count, -1), np.asarray(two).reshape(count, -1))
    wanted = simulate_steps(graph, windows)[0]
    for output, window, end in zip(outputs, wanted, made.ends, strict=True):
        got, expected = output[made.filled - 1 :], window
        if end is not None:
            known = range(end.frames - (end.end - end.begin), end.frames)
            got = np.take(got, known, axis=1 + end.axis)
            expected = np.take(window, range(end.begin, end.end), axis=1 + end.axis)
            assert got.size
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("part", range(4))
def test_random_window_models(part: int) -> None:
    """Convolutions, pools, residuals, cuts, turns: streamed, each of them, by one or more steps."""
    saved = 0
    for seed in range(10 * part, 10 * part + 10):
        graph, axis = random_window_model(seed)
        smallest = stream_graph(graph, axis)
        step = smallest.step * (1 + seed % 3)
        made = stream_graph(graph, axis, step)
        assert_same(graph, axis, made, sequence(graph, axis, made, seed))
        saved += prepare(smallest.graph)[0].macs < prepare(graph)[0].macs / 2
    assert saved > 5


@pytest.mark.parametrize("part", range(2))
def test_random_recurrent_models(part: int) -> None:
    """The convolutions are streamed; the recurrent layer goes through the whole ring in a step."""
    for seed in range(3 * part, 3 * part + 3):
        graph, axis = recurrent_window_model(seed)
        smallest = stream_graph(graph, axis)
        assert smallest.whole
        step = smallest.step * (1 + seed % 2)
        made = stream_graph(graph, axis, step)
        assert_same(graph, axis, made, sequence(graph, axis, made, seed))


def test_any_model() -> None:
    """Whatever there is, along its longest axis: the same bytes, perhaps late, or a refusal."""
    refused = 0
    for seed in range(50):
        graph = random_graph(seed)
        if graph.input_tensor.dtype != "int8" or max(graph.input_tensor.shape, default=0) < 2:
            continue
        axis = int(np.argmax(graph.input_tensor.shape))
        try:
            made = stream_graph(graph, axis, delay=1000)
        except NanoError as error:
            assert any(op.name in str(error) for op in graph.ops)
            refused += 1
            continue
        assert_same(graph, axis, made, sequence(graph, axis, made, seed))
    assert refused < 20


class Tcn(nn.Module):
    """Causal convolutions as users write them: padded on both sides and cut, or in front."""

    def __init__(self, late: int = 0) -> None:
        super().__init__()
        self.a = nn.Conv1d(4, 8, 3, padding=2)
        self.b = nn.Conv1d(8, 8, 3, dilation=2)
        self.c = nn.Conv1d(8, 3, 3, padding=late)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.a(x)[:, :, :-2])
        x = torch.relu(self.b(nn.functional.pad(x, (4, 0))) + x)
        y: torch.Tensor = self.c(x)
        return y


def quantized(net: nn.Module, *shape: int) -> nanotool.QuantizedModel:
    torch.manual_seed(1)
    return nanotool.quantize(settle(net).eval(), torch.randn(40, *shape))


def test_torch() -> None:
    model = quantized(Tcn(), 4, 32)
    steps = nanotool.stream(model, axis=-1)
    assert steps.input_shape == (4, 1)
    assert [state.initial.size for state in steps.graph.states] == [2 * 4, 4 * 8, 2 * 8]
    x = np.random.default_rng(2).normal(size=(4, 50)).astype(np.float32)
    got = steps.run(np.stack(np.split(x, 50, axis=1)))
    for end in range(32, 51):
        (window,) = model.run(x[None, :, end - 32 : end])
        np.testing.assert_array_equal(got[end - 1].ravel(), window.reshape(3, -1)[:, -1])


class Shuffle(nn.Module):
    """Along channels: what any frame does by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv1d(4, 6, 3), nn.Conv1d(6, 3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.b(self.a(x).flip(1).cumsum(1))
        return y


def test_what_works_along_another_axis_is_done_frame_by_frame() -> None:
    graph = quantized(Shuffle(), 4, 12).graph
    assert {"Gather", "CumSum"} <= {type(op.op).__name__ for op in graph.ops}
    made = stream_graph(graph, 1, 1)  # the user's axis; the device has L, C
    assert made.whole == ()
    assert_same(graph, 0, made, sequence(graph, 0, made, 3))


def test_a_model_that_listens_keeps_its_ears() -> None:
    """Where a step takes the frames by which it moved on: that is the default. Else it is told.
    Decisions are the window model's, whose first step is the one that fills a window."""
    for warm_up in (0, 5):
        rule = Rule((one_class(1.0, refractory=0.0),), window=3, warm_up=warm_up)
        graph = listener(rule, hop=2, frames=4)
        made = stream_graph(graph, 0)
        assert made.step == 2 and not made.dropped
        steps, windows = (Stream(one).feed(loud(3000)) for one in (made.graph, graph))
        decided = [(one.step - made.filled + 1, one.sum) for one in steps.decisions]
        assert decided == [(one.step, one.sum) for one in windows.decisions] != []
    with pytest.warns(NanoWarning, match="by 2 new frames, a step takes 1"):
        assert nanotool.stream(graph, axis=0, step=1).graph.stream is None


def test_what_looks_ahead() -> None:
    model = quantized(Tcn(late=1), 4, 32)
    with pytest.raises(NanoError, match=r"c looks 1 frame ahead.*delay=1"):
        nanotool.stream(model, axis=1)
    made = stream_graph(model.graph, 1, delay=1)
    (end,) = made.ends
    assert end is not None and (end.delay, end.end) == (1, 31)
    axis = model.graph.input_tensor.shape.index(32)
    assert_same(model.graph, axis, made, sequence(model.graph, axis, made, 1))


@pytest.mark.parametrize(
    ("layers", "options", "message"),
    [
        ((nn.Conv1d(4, 4, 3, padding=1), nn.AdaptiveAvgPool1d(1)), {}, "0 looks 1 frame ahead"),
        (
            (nn.ConstantPad1d((2, 0), 0.0), nn.Conv1d(4, 4, 3), nn.AdaptiveAvgPool1d(1)),
            {},
            "pads along time",
        ),
        ((nn.Conv1d(4, 4, 4, stride=2),), {"step": 3}, "Steps are of 2 frames"),
        ((nn.Conv1d(4, 4, 3),), {"step": 40}, "more than the window's 32"),
        ((nn.Conv1d(4, 4, 3),), {"axis": 2}, "has no axis 2"),
        ((nn.Conv1d(4, 4, 3),), {"axis": {"y": 0}}, "has no input y"),
        ((nn.Conv1d(4, 4, 3),), {"delay": -1}, "A delay of -1"),
    ],
)
def test_refused(layers: tuple[nn.Module, ...], options: dict[str, Any], message: str) -> None:
    model = quantized(nn.Sequential(*layers), 4, 32)
    with pytest.raises(NanoError, match=message):
        nanotool.stream(model, **{"axis": 1, **options})
    with pytest.raises(NanoError, match="Quantize it first"):
        nanotool.stream(nn.Sequential(*layers), axis=1)  # type: ignore[arg-type]


def test_golden_vectors_are_the_windows_frames() -> None:
    model = quantized(Tcn(), 4, 32)
    steps = nanotool.stream(model, axis=1, step=4)
    (before,), (after,) = model.graph.samples, steps.graph.samples
    assert len(after) == len(before) * 8
    first = np.concatenate(list(after[:8]), axis=before.shape.index(32) - 1)
    np.testing.assert_array_equal(first, before[0])
    with pytest.raises(NanoError, match="has states"):
        nanotool.stream(steps, axis=1)


def test_what_stays_is_not_copied() -> None:
    """A ring costs one move of what is kept; new frames are written where they belong."""
    steps = nanotool.stream(quantized(Tcn(), 4, 32), axis=1).graph
    lowered, plan = prepare(steps, "armv7em")
    moves = [op for op in lowered.ops if op.kernel == "nano_copy"]
    assert len(moves) == len(steps.states) + 1  # the input comes from the caller
    assert plan.state_size <= sum(s.initial.nbytes for s in steps.states) + 4 + 8 + 8 + 12


def test_a_head_learns_behind_steps() -> None:
    """The backbone keeps the states that its features need."""
    net = nn.Sequential(nn.Conv1d(4, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(),
                        nn.Linear(6, 3))  # fmt: skip
    steps = nanotool.stream(quantized(net, 4, 16), axis=1)
    head = steps.trainable([steps.graph.ops[-1].name])
    assert len(head.backbone.states) == len(steps.graph.states) == 2
    x = np.random.default_rng(1).integers(-128, 128, (20, *steps.graph.input_tensor.shape))
    features = head.backbone.output
    whole = simulate_all(steps.graph, x.astype(np.int8))
    got = simulate(head.backbone, x.astype(np.int8))
    np.testing.assert_array_equal(got, whole[features])


def test_command(tmp_path: Path) -> None:
    quantized(Tcn(late=1), 4, 32).save(tmp_path / "w.nano")
    where = [str(tmp_path / "w.nano"), "-o", str(tmp_path / "s.nano")]
    wrong = CliRunner().invoke(app, ["stream", *where, "--axis", "time"])
    assert wrong.exit_code == 2
    done = CliRunner().invoke(app, ["stream", *where, "--axis", "1", "--delay", "1", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["macs"]["step"] * 30 < told["macs"]["window"]
    assert told["steps_until_filled"] == 32 and told["outputs"][0]["delay"] == 1
    steps = nanotool.load(tmp_path / "s.nano")
    assert len(steps.graph.states) == 3
    assert simulate(steps.graph, np.zeros((2, *steps.graph.input_tensor.shape), np.int8)).size
    said = CliRunner().invoke(app, ["stream", *where, "--axis", "1", "--delay", "1"])
    assert "1 frame a step, 1 frame late" in said.stdout
