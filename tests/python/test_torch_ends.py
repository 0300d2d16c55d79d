"""PyTorch in: several inputs and outputs, arguments and buffers as states."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from step_nets import NETS, Delay, Gru, Leaky
from torch import nn
from torch.utils._pytree import tree_flatten, tree_unflatten

import nanotool
from nanotool import NanoError, QuantizedModel, project, qfile
from nanotool.errors import NanoWarning
from nanotool.frontends.torch.ends import next_states, results, state_parts
from nanotool.ir import LIMITS
from nanotool.pipeline import prepare
from nanotool.runtime import Runtime
from nanotool.simulate import simulate_steps

TARGETS = ("portable", "armv7em")


def ratio(wanted: NDArray[Any], found: NDArray[Any]) -> float:
    """Signal to noise in dB."""
    real = wanted.reshape(len(wanted), -1).astype(np.float64)
    noise = real - found.reshape(len(found), -1)
    return float(10 * np.log10((real**2).sum() / max(float((noise**2).sum()), 1e-30)))


def in_torch(model: nn.Module, x: torch.Tensor, states: Any) -> list[NDArray[Any]]:
    """The outputs, step by step."""
    model, given = copy.deepcopy(model).eval(), dict(states) if isinstance(states, dict) else {}
    for name in [name for name, _ in model.named_buffers() if name in given]:
        model.get_buffer(name).copy_(given.pop(name))
    flat, spec = tree_flatten(given)
    wanted = [part for name, value in given.items() for part in state_parts(name, value)]
    rows: list[list[NDArray[Any]]] = []
    with torch.no_grad():
        for step in torch.split(x, 1):
            found = [
                (n, y)
                for n, y in results(model(step, **tree_unflatten(flat, spec)))
                if y is not None
            ]
            places = next_states(found, wanted) if wanted else []
            flat = [found[place][1] for place in places]
            rows.append([y.numpy().copy() for i, (_, y) in enumerate(found) if i not in places])
    return [np.stack([row[i] for row in rows]) for i in range(len(rows[0]))]


def assert_the_same_bytes(model: QuantizedModel, steps: int = 30) -> None:
    """The simulator, and C of two targets, over random inputs; the .nano file's graph is it."""
    graph, rng = model.graph, np.random.default_rng(1)
    assert qfile.to_bytes(qfile.from_bytes(qfile.to_bytes(graph))) == qfile.to_bytes(graph)
    x = tuple(
        rng.integers(*LIMITS[t.dtype], (steps, *t.shape)).astype(t.dtype)
        for t in graph.input_tensors
    )
    wanted, _ = simulate_steps(graph, x, reset_every=11)
    for target in TARGETS:
        found = Runtime(*prepare(graph, target)).run_steps(x, reset_every=11)
        for one, two in zip(wanted, found, strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("name", NETS)
def test_steps(name: str) -> None:
    """The float module step by step, the integers on every side; the module stays as it was."""
    kind, shape_of_it, shape, states, least = NETS[name]
    torch.manual_seed(0)
    model = kind(*shape_of_it)
    x, unseen = torch.randn(200, *shape), torch.randn(60, *shape)
    before = copy.deepcopy(model.state_dict())
    quantized = nanotool.quantize(model, x, states=states)
    after = model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    parts = (
        [part for s in states for part in state_parts(s, states[s])]
        if isinstance(states, dict)
        else states
    )
    assert [s.name for s in quantized.graph.states] == (
        [parts] if isinstance(parts, str) else parts
    )
    assert_the_same_bytes(quantized)
    answers = quantized.run(unseen)
    for wanted, found in zip(
        in_torch(model, unseen, states),
        [answers] if isinstance(answers, np.ndarray) else answers,
        strict=True,
    ):
        assert ratio(wanted, found) > least


def test_the_page_runs() -> None:
    """Every Python block of docs/states.md, in order."""
    page = Path(__file__).parents[2] / "docs" / "states.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    assert names["y"].shape == (400, 2)
    assert [state.name for state in names["echo"].graph.states] == ["past"]


# --- Several inputs and outputs -------------------------------------------------------------------


class Fusion(nn.Module):
    """Two inputs, one of them optional; nested outputs, None and an input among them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.box, self.kind = nn.Conv2d(1, 4, 3), nn.Linear(6, 4), nn.Linear(6, 3)

    def forward(self, image: Any, speed: Any, gain: Any = None) -> Any:
        x = torch.cat([torch.relu(self.conv(image)).mean((2, 3)), speed], 1)
        x = x if gain is None else x * gain
        heads = {"box": self.box(x), "kind": self.kind(x).softmax(1)}
        return {"heads": heads, "parts": (x, None), "speed": speed}


class Siamese(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(6, 4)

    def forward(self, pair: Any) -> Any:
        one, other = (torch.tanh(self.body(x)) for x in pair)
        return (one - other).abs(), one, one


class Kept(nn.Module):
    """A result that is no activation, and a buffer that nobody writes."""

    fixed: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)
        self.register_buffer("fixed", torch.ones(1, 2))

    def forward(self, x: Any) -> Any:
        y = self.layer(x) + self.fixed
        return {"y": y, "anchors": self.fixed * 2} if x.shape[0] != 1 else {"y": y}


class Ignores(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x: Any, speed: Any) -> Any:
        return self.layer(x)


class Slow(Leaky):
    """A leaky integrator that takes a thousand steps."""

    def forward(self, x: Any) -> Any:
        self.v = 0.999 * self.v + 0.001 * self.layer(x)
        return self.v * 2


IMAGES, SPEEDS = torch.rand(40, 1, 6, 6), torch.randn(40, 2)
FORMS: dict[str, Any] = {
    "tuple": (IMAGES, SPEEDS),
    "by name": {"speed": SPEEDS.numpy(), "image": IMAGES.numpy()},
    "by number": {"0": IMAGES, "1": SPEEDS},
    "batches": [(IMAGES[:20], SPEEDS[:20]), (IMAGES[20:], SPEEDS[20:])],
    "batches by name": [{"image": IMAGES, "speed": SPEEDS}],
    "with targets": [((IMAGES, SPEEDS), torch.zeros(40))],
    "a DataLoader": torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(IMAGES, SPEEDS, torch.zeros(40)), batch_size=32
    ),
}


def test_several_ends(tmp_path: Path) -> None:
    """Names, nesting and order; every form of data is the same data."""
    torch.manual_seed(0)
    model = Fusion()
    quantized = {
        form: nanotool.quantize(model, data, observer="minmax") for form, data in FORMS.items()
    }
    assert len({one.hash for one in quantized.values()}) == 1
    one = quantized["tuple"]
    assert one.input_shapes == {"image": (1, 6, 6), "speed": (2,)}
    assert list(one.output_shapes) == ["heads.box", "heads.kind", "parts.0", "speed"]
    assert_the_same_bytes(one)
    answers = one.run((IMAGES, SPEEDS))
    with torch.no_grad():
        wanted = model.eval()(IMAGES, SPEEDS)
    assert ratio(wanted["heads"]["box"].numpy(), answers["heads.box"]) > 30
    np.testing.assert_array_equal(answers[3], answers["speed"])
    assert set(dict(answers)) == set(answers.names)
    np.testing.assert_array_equal(one.simulate({"speed": SPEEDS, "image": IMAGES})[0], answers[0])
    one.export(tmp_path / "c", golden=2)
    assert "output 1 heads.kind: 3 int8" in (tmp_path / "c" / "model.h").read_text()
    one.report(tmp_path / "r.html")


def test_nested_inputs() -> None:
    torch.manual_seed(0)
    pair = (torch.randn(40, 6), torch.randn(40, 6))
    model = Siamese()
    one = nanotool.quantize(model, {"pair": pair})
    assert one.graph.inputs == ("pair.0", "pair.1") and not one.graph.output_names
    numbered = {"pair.0": pair[0], "pair.1": pair[1]}
    assert one.hash == nanotool.quantize(model, numbered).hash
    assert_the_same_bytes(one)
    first, second, third = one.run({"pair": pair})
    np.testing.assert_array_equal(second, third)
    np.testing.assert_array_equal(first, one.run(pair)[0])


def test_from_a_saved_program(tmp_path: Path) -> None:
    """Of one sample and of a free batch: the same integers as from the module."""
    kind, _, shape, states, _ = NETS["GRU by hand"]
    torch.manual_seed(0)
    model, x = kind().eval(), torch.randn(60, *shape)
    free = {0: torch.export.Dim("batch", min=2)}
    programs = {
        "one": torch.export.export(model, (x[:1], torch.zeros(1, 8))),
        "many": torch.export.export(
            model, (x[:2], torch.zeros(2, 8)), dynamic_shapes={"x": free, "h": free}
        ),
    }
    np.save(tmp_path / "x.npy", x.numpy())
    np.save(tmp_path / "h.npy", states["h"].numpy())
    wanted = nanotool.quantize(model, x, states=states, reset_every=20)
    for name, program in programs.items():
        path = tmp_path / f"{name}.pt2"
        torch.export.save(program, path)
        given = project.parse_states(f"h={tmp_path / 'h.npy'}")
        source = project.load_source(path, tmp_path / "x.npy", states=given, reset_every=20)
        assert qfile.graph_hash(project.quantize_source(source, "minmax")) == wanted.hash


# --- What cannot be -------------------------------------------------------------------------------

REFUSED: dict[str, tuple[Any, Any, Any, str]] = {
    "no such state": (
        Delay(),
        torch.randn(20, 4),
        ["three"],
        r"three is neither .*\(x\).*one, two",
    ),
    "one state left out": (Delay(), torch.randn(20, 4), ["one"], r"self.two .*states=\['two'\]"),
    "no initial value": (Gru(), torch.randn(20, 4), ["h"], r"no initial value.*torch.zeros"),
    "another shape": (Gru(), torch.randn(20, 4), {"h": torch.zeros(1, 7)}, "fails on .*7"),
    "whole numbers": (Gru(), torch.randn(20, 4), {"h": torch.zeros(1, 8).int()}, "int32.*floats"),
    "nothing in its place": (
        Fusion(),
        (IMAGES,),
        {"speed": torch.zeros(1, 2), "gain": torch.zeros(1, 6)},
        "takes the state speed, gain, and gives heads.box",
    ),
    "one input of two": (Fusion(), IMAGES, None, "one tensor; the forward takes image, speed"),
    "another name": (Fusion(), {"image": IMAGES, "sped": SPEEDS}, None, "image, sped; the forward"),
    "sizes that differ": (Fusion(), (IMAGES, SPEEDS[:9]), None, "image: 40, speed: 9"),
    "a constant": (Kept(), torch.randn(20, 4), None, "result anchors, which is the same"),
    "never written": (Kept(), torch.randn(20, 4), ["fixed"], "fixed, which holds the same"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    model, data, states, message = REFUSED[name]
    with pytest.raises(NanoError, match=message) as caught:
        nanotool.quantize(model, data, states=states)
    assert "\n" not in str(caught.value) and caught.value.hint


def test_what_is_doubtful() -> None:
    """A state that moves by less than a step, an input that nobody reads."""
    torch.manual_seed(0)
    with pytest.warns(NanoWarning, match=r"The state v keeps .* hardly follows"):
        nanotool.quantize(Slow(1, 6), torch.randn(200, 4) + 1, states=["v"])
    with pytest.warns(NanoWarning, match="No layer reads the input speed"):
        one = nanotool.quantize(Ignores(), (torch.randn(20, 4), torch.randn(20, 2)))
    assert_the_same_bytes(one)
