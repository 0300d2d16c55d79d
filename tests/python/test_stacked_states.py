"""Step models with what several layers or cells remember, in every way of writing it: captured,
as accurate as single ones, the simulator's bytes in C, and stepping is the window unrolled."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from differential import step_differences
from numpy.random import Generator
from torch import nn

import nanotool
from nanotool.backends.tflite import write
from nanotool.errors import UnsupportedOp
from nanotool.frontends.torch import capture
from nanotool.ir import Concat, Graph
from nanotool.lower import lower
from nanotool.passes import canonicalize
from nanotool.quantization import quantize
from nanotool.quantization.calibrate import Steps, calibrate
from nanotool.simulate import simulate, simulate_steps

FEATURES, UNITS = 5, 8
LEAST = 30  # dB, int8 against float
CELLS = {"gru": nn.GRUCell, "rnn": nn.RNNCell, "lstm": nn.LSTMCell}
LAYERS: dict[str, Callable[..., nn.Module]] = {"gru": nn.GRU, "rnn": nn.RNN, "lstm": nn.LSTM}

# A stack [layers, 1, units] as one [1, units] a layer, and back.
SPLITS: dict[str, Callable[[torch.Tensor], Any]] = {
    "index": lambda h: [h[i] for i in range(len(h))],
    "from the end": lambda h: [h[i - len(h), :, :] for i in range(len(h))],
    "unbind": lambda h: h.unbind(0),
    "chunk": lambda h: [one.squeeze(0) for one in h.chunk(len(h), 0)],
    "slice": lambda h: [h[i : i + 1][0] for i in range(len(h))],
    "split": lambda h: [one.view(1, UNITS) for one in torch.split(h, 1)],
    "narrow": lambda h: [h.narrow(0, i, 1).reshape(1, UNITS) for i in range(len(h))],
    "batch first": lambda h: [h.transpose(0, 1)[:, i] for i in range(len(h))],
}
JOINS: dict[str, Callable[[list[torch.Tensor]], torch.Tensor]] = {
    "stack": torch.stack,
    "cat": lambda parts: torch.cat([one.unsqueeze(0) for one in parts], 0),
    "view": lambda parts: torch.cat(parts, 0).view(len(parts), 1, UNITS),
    "stack 1": lambda parts: torch.stack(parts, 1).transpose(0, 1),
    "flat": lambda parts: torch.cat(parts, 1).view(len(parts), 1, UNITS),
}


class Step(nn.Module):
    """`advance` of the body, with its states in one of several forms: arguments, a tuple, a
    dictionary, buffers that are assigned or copied to."""

    def __init__(self, advance: Callable[..., Any], parts: Any, kind: str, form: str) -> None:
        super().__init__()
        self.advance, self.parts, self.form = advance, parts, form
        self.names = ["h", "c"] if kind == "lstm" else ["h"]

    def forward(self, x: Any, **given: Any) -> Any:
        """With the states by name; `signed` gives it the parameters that a user would write."""
        held = [getattr(self, n) for n in self.names] if "buffer" in self.form else None
        match self.form:
            case "arguments":
                held = [given[name] for name in self.names]
            case "tuple":
                held = list(given["state"])
            case "dictionary":
                held = [given["state"][name] for name in self.names]
        y, after = self.advance(x, held)
        match self.form:
            case "arguments":
                return y, *after
            case "tuple":
                return y, tuple(after)
            case "dictionary":
                return {"y": y, "state": dict(zip(self.names, after, strict=True))}
        for name, value in zip(self.names, after, strict=True):
            if self.form == "buffers":
                setattr(self, name, value)
            else:
                getattr(self, name).copy_(value)
        return y


class Arguments(Step):
    def forward(self, x: Any, h: Any) -> Any:  # type: ignore[override]
        return super().forward(x, h=h)


class TwoArguments(Step):
    def forward(self, x: Any, h: Any, c: Any) -> Any:  # type: ignore[override]
        return super().forward(x, h=h, c=c)


class Nested(Step):
    def forward(self, x: Any, state: Any) -> Any:  # type: ignore[override]
        return super().forward(x, state=state)


class Buffers(Step):
    def forward(self, x: Any) -> Any:  # type: ignore[override]
        return super().forward(x)


def module(rng: Generator) -> tuple[Step, Any, tuple[int, ...]]:
    """A random one in eval mode, its states, and the shape of its input."""
    kind, form = str(rng.choice(list(CELLS))), str(rng.choice(FORMS))
    count, learned = int(rng.integers(1, 4)), rng.random() < 0.3
    advance, parts, stacked, shape = (cells if rng.random() < 0.5 else layers)(rng, kind, count)
    width = 2 if kind == "lstm" else 1
    first = [
        torch.from_numpy(rng.normal(0, 0.3 * learned, (stacked, 1, UNITS)).astype(np.float32))
        for _ in range(width)
    ]
    cls: type[Step] = Nested if form in {"tuple", "dictionary"} else Buffers
    if form == "arguments":
        cls = TwoArguments if width == 2 else Arguments
    made = cls(advance, parts, kind, form).eval()
    states: Any = dict(zip(made.names, first, strict=True))
    if cls is Buffers:
        for name, value in states.items():
            made.register_buffer(name, value)
        states = made.names
    elif form == "tuple":
        states = {"state": tuple(first)}
    elif form == "dictionary":
        states = {"state": states}
    return made, states, shape


FORMS = ["arguments", "tuple", "dictionary", "buffers", "buffers, copied to"]


def cells(rng: Generator, kind: str, count: int) -> Any:
    parts = nn.ModuleList([CELLS[kind](UNITS if i else FEATURES, UNITS) for i in range(count)])
    answer = nn.Linear(UNITS, 3)
    split = SPLITS[str(rng.choice(list(SPLITS)))]
    join = JOINS[str(rng.choice(list(JOINS)))]

    def advance(x: Any, held: Any) -> Any:
        rows = list(zip(*(split(one) for one in held), strict=True))
        found = []
        for cell, row in zip(parts, rows, strict=True):
            after = cell(x, tuple(row) if kind == "lstm" else row[0])
            found.append(after if kind == "lstm" else (after,))
            x = found[-1][0]
        return answer(x), [join(list(one)) for one in zip(*found, strict=True)]

    return advance, nn.ModuleList([parts, answer]), count, (FEATURES,)


def layers(rng: Generator, kind: str, count: int) -> Any:
    first, ways, frames = bool(rng.integers(2)), 1 + int(rng.random() < 0.25), int(rng.integers(4))
    layer = LAYERS[kind](
        FEATURES, UNITS, num_layers=count, batch_first=first, bidirectional=ways == 2
    )
    answer, reads = nn.Linear(UNITS * ways, 3), str(rng.choice(["last", "top", "all"]))

    def advance(x: Any, held: Any) -> Any:
        x = x if frames else x[:, None]
        out, after = layer(
            x if first else x.transpose(0, 1), tuple(held) if len(held) > 1 else held[0]
        )
        after = list(after) if isinstance(after, tuple) else [after]
        out = out if first else out.transpose(0, 1)
        y = out if reads == "all" else out[:, -1]
        if reads == "top" and ways == 1:
            y = after[0][-1]
        return answer(y), after

    shape = (frames, FEATURES) if frames else (FEATURES,)
    return advance, nn.ModuleList([layer, answer]), count * ways, shape


def in_float(model: Step, states: Any, x: torch.Tensor) -> Any:
    """What it gives step by step."""
    model, found = copy.deepcopy(model), []
    kept = dict(states) if isinstance(states, dict) else {}
    with torch.no_grad():
        for one in x:
            answer = model(one[None], **kept)
            if isinstance(answer, dict):
                y, kept = answer["y"], {"state": answer["state"]}
            elif isinstance(answer, tuple):
                y, *rest = answer
                kept = dict(zip(kept, rest, strict=True))
            else:
                y = answer
            found.append(y.numpy())
    return np.concatenate(found)


@pytest.mark.parametrize("seed", range(16))
def test_random_modules(seed: int) -> None:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model, states, shape = module(rng)
    x = torch.from_numpy(rng.normal(size=(24, *shape)).astype(np.float32))
    quantized = nanotool.quantize(model, x.numpy(), states=states)
    found, right = quantized.run(x.numpy()), in_float(model, states, x)
    assert (found == quantized.simulate(x.numpy())).all()
    error = found.reshape(right.shape) - right
    assert 10 * np.log10((right**2).sum() / (error**2).sum()) > LEAST
    kept = [quantized.graph.tensors[state.read].dtype for state in quantized.graph.states]
    held = {"GRUCell": "int16", "GRU": "int16"}
    kinds = {type(one).__name__ for one in model.parts.modules()}
    assert all(dtype == "int16" for dtype in kept) or not kinds & held.keys()
    assert ("int16" in kept) == (not kinds & {"RNN", "RNNCell"})


@pytest.mark.parametrize("kind", LAYERS)
def test_stepping_is_the_window_unrolled(kind: str) -> None:
    """With the same ranges, bytes of each frame: two layers over nine frames, or frame by frame."""
    torch.manual_seed(4)
    layer, answer = LAYERS[kind](FEATURES, UNITS, 2, batch_first=True), nn.Linear(UNITS, 3)

    class Window(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.answer = layer, answer

        def forward(self, x: Any) -> Any:
            return self.answer(self.layer(x)[0])

    class Frame(Window):
        def forward(self, x: Any, state: Any) -> Any:  # type: ignore[override]
            y, state = self.layer(x, state)
            return self.answer(y), state

    x, zeros = torch.randn(1, 9, FEATURES), torch.zeros(2, 1, UNITS)
    state = (zeros, zeros) if kind == "lstm" else zeros
    frames = x[0, :, None]
    window = canonicalize(capture(Window().eval(), x))
    step = canonicalize(capture(Frame().eval(), frames, states={"state": state}))

    def ranges(graph: Graph, data: Any) -> Any:
        return calibrate(graph, [(data.numpy(),)], "minmax", Steps(None, 1))

    known = ranges(step, frames)
    one = quantize(step, [(frames.numpy(),)], given=known)
    names = {"x": "x", **dict.fromkeys(window.inputs, step.inputs[0])}
    given = {n: known.get(names.get(n, n), bounds) for n, bounds in ranges(window, x).items()}
    whole = quantize(window, [(x.numpy(),)], given=given)
    integers = whole.input_tensor.quantize(x.numpy())
    expected = simulate(whole, integers)[0]
    found = simulate_steps(one, (integers[0][:, None],))[0][0]
    assert np.array_equal(found[:, 0], expected)


class Whole(nn.Module):
    """A stack of which something reads all; what is put in is changed in place."""

    h: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.GRUCell(FEATURES, UNITS), nn.GRUCell(UNITS, UNITS)
        self.answer = nn.Linear(UNITS, 3)
        self.register_buffer("h", torch.zeros(2, 1, UNITS))

    def forward(self, x: Any) -> Any:
        before = self.h.mean(0)
        self.h[0] = self.a(x, self.h[0])
        self.h[1:2] = self.b(self.h[0], self.h[1])[None]
        return self.answer(self.h[1] + before)


def test_a_stack_that_is_read_as_a_whole() -> None:
    torch.manual_seed(5)
    x = torch.randn(40, FEATURES)
    quantized = nanotool.quantize(Whole().eval(), x.numpy(), states=["h"])
    assert (quantized.run(x.numpy()) == quantized.simulate(x.numpy())).all()
    names = {
        state.name: quantized.graph.tensors[state.read].dtype for state in quantized.graph.states
    }
    assert names == {"h.0": "int16", "h.1": "int16"}
    assert sum(isinstance(op.op, Concat) for op in quantized.graph.ops) == 1


def test_stacked_cells_copy_nothing() -> None:
    torch.manual_seed(6)
    layer = nn.GRU(FEATURES, UNITS, 3, batch_first=True)

    class Frame(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Any, h: Any) -> Any:
            y, h = self.layer(x[:, None], h)
            return y[:, 0], h

    x = torch.randn(20, FEATURES)
    made = nanotool.quantize(Frame().eval(), x.numpy(), states={"h": torch.zeros(3, 1, UNITS)})
    assert [op.kernel for op in lower(made.graph, "portable").ops] == ["nano_gru"] * 3


class Denoiser(nn.Module):
    """Two cells whose h and c lie side by side in one state, 1 x layers x units x 2, as denoisers
    for TensorFlow Lite have it."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.LSTM(FEATURES, UNITS, batch_first=True)
        self.b = nn.LSTM(UNITS, UNITS, batch_first=True)
        self.mask = nn.Linear(UNITS, FEATURES)

    def forward(self, x: Any, state: Any) -> Any:
        (h1, c1), (h2, c2) = (
            [state[:, layer, :, which].unsqueeze(0).contiguous() for which in range(2)]
            for layer in range(2)
        )
        y, (h1, c1) = self.a(x, (h1, c1))
        y, (h2, c2) = self.b(y, (h2, c2))
        parts = [torch.stack([h[0], c[0]], -1) for h, c in ((h1, c1), (h2, c2))]
        return torch.sigmoid(self.mask(y)) * x, torch.stack(parts, 1)


def test_h_and_c_side_by_side() -> None:
    torch.manual_seed(7)
    x, states = torch.randn(40, 1, FEATURES), {"state": torch.zeros(1, 2, UNITS, 2)}
    quantized = nanotool.quantize(Denoiser().eval(), x.numpy(), states=states)
    assert (quantized.run(x.numpy()) == quantized.simulate(x.numpy())).all()
    types = [quantized.graph.tensors[state.read].dtype for state in quantized.graph.states]
    assert types == ["int8", "int16", "int8", "int16"]
    steps = (quantized.graph.input_tensor.quantize(x.numpy()),)
    assert not step_differences(quantized.graph, steps)  # nor from TensorFlow Lite Micro


def test_tensorflow_lite_has_no_gru() -> None:
    torch.manual_seed(8)
    x = torch.randn(8, FEATURES)
    made = nanotool.quantize(Whole().eval(), x.numpy(), states=["h"])
    with pytest.raises(UnsupportedOp, match="TensorFlow Lite has none"):
        write(made.graph)
