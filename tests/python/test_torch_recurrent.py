"""nn.GRU, nn.LSTM, nn.RNN and their cells: captured, quantized, and the same bytes in C."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import nanotool
from nanotool.backends.tflite import write
from nanotool.errors import NanoError, UnsupportedOp
from nanotool.frontends.torch import capture
from nanotool.ir import Gru, Lstm, Rnn, Slice
from nanotool.lower import lower
from nanotool.passes import canonicalize
from nanotool.passes.roll import MOST_STEPS
from nanotool.simulate import simulate

FEATURES, UNITS = 5, 8
LAYERS: dict[str, Callable[..., nn.Module]] = {
    "gru": nn.GRU,
    "lstm": nn.LSTM,
    "rnn": nn.RNN,
    "relu": lambda *sizes, **more: nn.RNN(*sizes, nonlinearity="relu", **more),
}
READERS: dict[
    str, Callable[..., torch.Tensor]
] = {  # (sequence, h_n [layers directions, N, units], x) -> vectors, for batch_first or not
    "last": lambda out, h, first: out[:, -1] if first else out[-1],
    "sequence": lambda out, h, first: (out if first else out.permute(1, 0, 2)).flatten(1),
    "mean": lambda out, h, first: out.mean(1) if first else out.transpose(0, 1).mean(1),
    "top": lambda out, h, first: h[-1],
    "ends": lambda out, h, first: torch.cat([h[-2], h[-1]], 1),
    "all": lambda out, h, first: h.transpose(0, 1).flatten(1),
    "viewed": lambda out, h, first: h.view(-1, 1, *h.shape[1:])[0, 0],
}


class Net(nn.Module):
    """Layers, and readers of theirs."""

    def __init__(self, kind: str, *readers: str, **more: object) -> None:
        super().__init__()
        self.first = bool(more.get("batch_first", False))
        self.readers = [READERS[reader] for reader in readers]
        self.layers = LAYERS[kind](FEATURES, UNITS, **more)
        self.answer = nn.LazyLinear(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out, h = self.layers(x if self.first else x.transpose(0, 1))
        h = h[0] if isinstance(h, tuple) else h
        found = [reader(out, h, self.first) for reader in self.readers]
        return self.answer(torch.cat(found, 1))  # type: ignore[no-any-return]


def settled(model: nn.Module, x: torch.Tensor, seed: int = 3) -> nn.Module:
    """With weights, in eval mode."""
    torch.manual_seed(seed)
    model(x)
    return model.eval()


def windows(steps: int, count: int = 48, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, steps, FEATURES, generator=torch.Generator().manual_seed(seed))


def noise(model: nn.Module, x: torch.Tensor, quantized: nanotool.QuantizedModel) -> float:
    """Signal to noise of the int8 model, in decibels; its C bytes are the simulator's."""
    found = quantized.simulate(x.numpy())
    assert (quantized.run(x.numpy()) == found).all()
    right = model(x).detach().numpy()
    return float(10 * np.log10((right**2).sum() / ((found - right) ** 2).sum()))


SHAPES: list[dict[str, Any]] = [
    {"batch_first": True},
    {"num_layers": 2, "dropout": 0.5},
    {"num_layers": 2, "bidirectional": True, "batch_first": True, "bias": False},
]


@pytest.mark.parametrize(("kind", "shape"), itertools.product(LAYERS, range(3)))
def test_layers(kind: str, shape: int) -> None:
    """`capture` compares the float graph with the module."""
    readers = [name for name in READERS if shape or name != "ends"]
    model = settled(Net(kind, *readers, **SHAPES[shape]), x := windows(3))
    assert noise(model, x, nanotool.quantize(model, [x.numpy()])) > 30


@pytest.mark.parametrize("kind", ["gru", "lstm", "rnn"])
def test_a_long_sequence_costs_no_more(kind: str) -> None:
    """Neither accuracy nor bytes of flash: 30 steps are one op, and its last row is all it has."""
    model = settled(Net(kind, "last", batch_first=True), windows(2))
    sizes, rooms = set(), set()
    for steps in (2, 30):
        quantized = nanotool.quantize(model, [windows(steps).numpy()])
        lowered = lower(quantized.graph, "armv7em", "speed")
        sizes.add((len(lowered.ops), lowered.weight_bytes))
        rooms.add(sum(n for name, n in lowered.buffers.items() if name not in lowered.inputs))
        assert noise(model, windows(steps, seed=1), quantized) > 25
    assert len(sizes) == len(rooms) == 1


class Cells(nn.Module):
    """A loop in Python over steps of one cell, or of two."""

    def __init__(self, cell: nn.Module, second: nn.Module | None = None) -> None:
        super().__init__()
        self.cell, self.second, self.answer = cell, second, nn.Linear(UNITS, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = x.new_zeros(x.shape[0], UNITS)
        state = (h, h) if isinstance(self.cell, nn.LSTMCell) else h
        other = h
        for step in range(x.shape[1]):
            state = self.cell(x[:, step], state)
            h = state[0] if isinstance(state, tuple) else state
            if self.second is not None:
                h = other = self.second(h, other)
        return self.answer(h)  # type: ignore[no-any-return]


CELLS = {
    "gru": (Cells(nn.GRUCell(FEATURES, UNITS)), 1),
    "rnn": (Cells(nn.RNNCell(FEATURES, UNITS)), 1),
    "lstm": (Cells(nn.LSTMCell(FEATURES, UNITS)), 1),
    "two": (Cells(nn.LSTMCell(FEATURES, UNITS), nn.GRUCell(UNITS, UNITS)), 2),
}


@pytest.mark.parametrize("kind", CELLS)
def test_cells_in_a_loop_of_the_users_are_a_loop(kind: str) -> None:
    (model, loops), x = CELLS[kind], windows(4)
    quantized = nanotool.quantize(model.eval(), [x.numpy()])
    assert noise(model, x, quantized) > 30
    assert len(lower(quantized.graph, "portable").ops) == loops + 1  # and the dense layer


def test_cells_joined_backwards_and_between() -> None:
    """Outputs that are stacked again are the loop's; a loop may go backwards; where something is
    computed between the steps they stay, up to a number."""
    torch.manual_seed(4)
    cell, other = nn.GRUCell(FEATURES, UNITS), nn.GRUCell(UNITS, FEATURES)

    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.other = cell, other

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h, out = x.new_zeros(x.shape[0], UNITS), []
            for step in reversed(range(3)):
                h = self.cell(x[:, step], h)
            for step in range(3):
                h = self.cell(x[:, step], h)
                out.append(h)
            return torch.stack(out, 1)

    model, x = Loop().eval(), windows(3)
    quantized = nanotool.quantize(model, [x.numpy()])
    assert [type(op.op) for op in quantized.graph.ops if isinstance(op.op, Gru)] == [Gru, Gru]
    assert noise(model, x, quantized) > 30

    class Between(Loop):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = x.new_zeros(x.shape[0], UNITS)
            for step in range(x.shape[1]):
                h = self.cell(self.cell.bias_hh[:FEATURES] * x[:, step], torch.relu(h))
            return h

    program = capture(Between().eval(), windows(MOST_STEPS + 1))
    with pytest.raises(UnsupportedOp, match="of its own"):
        canonicalize(program)


class Step(nn.Module):
    """One frame, and what is remembered."""

    def __init__(self, kind: str, **more: object) -> None:
        super().__init__()
        self.layers = LAYERS[kind](FEATURES, UNITS, batch_first=True, **more)
        self.answer = nn.Linear(UNITS, 3)

    def forward(self, x: torch.Tensor, *state: torch.Tensor) -> tuple[torch.Tensor, ...]:
        out, after = self.layers(x[:, None], state if len(state) > 1 else state[0])
        return self.answer(out[:, 0]), *(after if isinstance(after, tuple) else (after,))


class LstmStep(Step):
    def forward(  # type: ignore[override]
        self, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        return super().forward(x, h, c)


class OneStep(Step):
    def forward(  # type: ignore[override]
        self, x: torch.Tensor, h: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        return super().forward(x, h)


@pytest.mark.parametrize("kind", ["gru", "lstm", "rnn", "stacked"])
def test_states_carried_over_calls(kind: str) -> None:
    """What a layer keeps in 16 bits it keeps from step to step."""
    torch.manual_seed(6)
    count = 2 if kind == "stacked" else 1
    model = LstmStep("lstm") if kind == "lstm" else OneStep("gru" if count == 2 else kind)
    if count == 2:
        model = OneStep("gru", num_layers=2)
    zeros = torch.zeros(count, 1, UNITS)
    states = {"h": zeros, "c": zeros} if kind == "lstm" else {"h": zeros}
    x = windows(60, count=1)[0]
    quantized = nanotool.quantize(model.eval(), x.numpy(), states=states)
    found = quantized.run(x.numpy())
    assert (found == quantized.simulate(x.numpy())).all()
    kept, answers = list(states.values()), []
    for frame in x:
        answer, *kept = model(frame[None], *kept)
        answers.append(answer.detach().numpy()[0])
    error, right = found - np.array(answers), np.array(answers)
    assert 10 * np.log10((right**2).sum() / (error**2).sum()) > 30
    types = [quantized.graph.tensors[state.read].dtype for state in quantized.graph.states]
    wide = {"gru": ["int16"], "lstm": ["int8", "int16"], "rnn": ["int8"], "stacked": ["int16"] * 2}
    assert types == wide[kind]


class Given(nn.Module):
    """The first state comes from a layer, or is learned."""

    def __init__(self, computed: bool) -> None:
        super().__init__()
        self.lstm, self.answer = nn.LSTM(FEATURES, UNITS, batch_first=True), nn.Linear(UNITS, 3)
        self.start, self.computed = nn.Linear(FEATURES, 2 * UNITS), computed
        self.h, self.c = (nn.Parameter(torch.randn(1, 1, UNITS) * 0.5) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h, c = (one.expand(1, x.shape[0], UNITS) for one in (self.h, self.c))
        if self.computed:
            h, c = (one.unsqueeze(0) for one in self.start(x[:, 0]).tanh().chunk(2, 1))
        out, (_, c) = self.lstm(x, (h, c))
        return self.answer(out[:, -1] + c[0])  # type: ignore[no-any-return]


@pytest.mark.parametrize("computed", [False, True])
def test_first_states(computed: bool) -> None:
    torch.manual_seed(7)
    model, x = Given(computed).eval(), windows(3)
    assert noise(model, x, nanotool.quantize(model, [x.numpy()])) > 27


REFUSED = {
    "projection": (nn.LSTM(FEATURES, UNITS, proj_size=3, batch_first=True), "proj_size"),
    "batch second": (nn.GRU(FEATURES, UNITS), "batch_first=True"),
}


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    model, hint = REFUSED[name]
    with pytest.raises(UnsupportedOp) as caught:
        capture(model.eval(), windows(4))
    assert hint in str(caught.value)


def test_an_input_that_is_not_normalized_is_told() -> None:
    torch.manual_seed(0)
    x = windows(3) * 1e6
    model = settled(Net("gru", "last", batch_first=True), x)
    with pytest.raises(NanoError, match="Normalize"):
        nanotool.quantize(model.eval(), [x.numpy()])


def test_tensorflow_lite_says_no_window() -> None:
    """Its LSTM goes on where the last run ended, and it has no GRU."""
    torch.manual_seed(0)
    for kind, reason in (("lstm", "begins anew"), ("gru", "has none")):
        model = settled(Net(kind, "last", batch_first=True), x := windows(3))
        with pytest.raises(UnsupportedOp, match=reason):
            write(nanotool.quantize(model.eval(), [x.numpy()]).graph)


def test_backwards_is_forwards_on_the_mirrored_input() -> None:
    torch.manual_seed(2)
    for kind, op in (("gru", Gru), ("lstm", Lstm), ("rnn", Rnn)):
        model = settled(Net(kind, "sequence", batch_first=True), x := windows(5))
        graph = nanotool.quantize(model, [x.numpy()]).graph
        layer = next(one for one in graph.ops if isinstance(one.op, op))
        graph = replace(graph, outputs=(layer.name,), labels=(), quality=(), samples=())
        turned = replace(layer, op=replace(layer.op, reverse=True))  # type: ignore[arg-type]
        mirrored = replace(graph, ops=tuple(turned if o is layer else o for o in graph.ops))
        q = graph.input_tensor.quantize(x.numpy())
        assert (simulate(graph, q) == simulate(mirrored, q[:, ::-1])[:, ::-1]).all()
        assert not any(isinstance(one.op, Slice) for one in graph.ops)
