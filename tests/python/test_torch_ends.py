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
from step_nets import NETS
from torch import nn
from torch.utils._pytree import tree_flatten, tree_unflatten

import nanotool
from nanotool import QuantizedModel, qfile
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
