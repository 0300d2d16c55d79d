"""Operators that packages bring: the example's, through every room, and packages that fail."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import own_operator
import pytest
import torch
from exported import library, run_exported
from random_graphs import KINDS, random_graph, random_inputs
from torch import nn

import nanotool
from nanotool import qfile, simulate
from nanotool.api import QuantizedModel
from nanotool.custom import check
from nanotool.errors import InvalidModel, NanoWarning, UnsupportedOp
from nanotool.ir import Custom, QGraph
from nanotool.ops import custom
from nanotool.pipeline import prepare
from nanotool.runtime import Runtime

__all__ = ["library"]  # a fixture


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return own_operator.built(tmp_path_factory.mktemp("own"))


@pytest.fixture
def _own(site: Path) -> Iterator[None]:
    with own_operator.installed(site):
        yield


class Net(nn.Module):
    """An image, an activation and a function along an axis, both not PyTorch's."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.answer = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4 * 6 * 5, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        own = own_operator.example()
        x = torch.relu(own.edge(own.snake(self.conv(x), 0.7)))
        answer: torch.Tensor = self.answer(x.flatten(1))
        return answer


@pytest.fixture(scope="module")
def model(site: Path) -> QuantizedModel:
    torch.manual_seed(0)
    data = np.random.default_rng(0).normal(size=(64, 1, 6, 6)).astype(np.float32)
    with own_operator.installed(site):
        return nanotool.quantize(Net().eval(), data, name="own", observer="minmax")


@pytest.mark.usefixtures("_own")
def test_a_net_with_own_operators(model: QuantizedModel, library: Path, tmp_path: Path) -> None:
    graph = model.graph
    own = [op.op for op in graph.ops if isinstance(op.op, Custom)]
    assert own == [Custom("lab::snake", (0.7,)), Custom("lab::edge")]
    assert min(layer.sqnr_db for layer in graph.quality) > 30
    x = random_inputs(graph, 20)
    for target in ("portable", "armv7em", "scalar"):
        lowered, planned = prepare(graph, target)
        found = Runtime(lowered, planned).run(x)
        assert np.array_equal(found, simulate.simulate(graph, x))
    run_exported(library, tmp_path, prepare(graph)[0], x)
    files = {path.name for path in (tmp_path / "model").iterdir()}
    assert {"lab_snake.c", "lab_snake.h", "lab_edge.c", "lab_edge.h"} <= files
    model.report(tmp_path / "report.html")
    assert "lab::snake" in (tmp_path / "report.html").read_text("utf-8")
    with pytest.raises(UnsupportedOp, match="lab::snake"):
        model.to_tflite()
    with pytest.raises(InvalidModel, match=r"would be called lab_edge.*another name"):
        QuantizedModel(replace(graph, name="lab")).export(tmp_path / "lab")


def test_a_file_needs_the_package(model: QuantizedModel, site: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.nano"
    with own_operator.installed(site):
        model.save(path)
        again = nanotool.load(path)
        assert qfile.to_bytes(again.graph) == path.read_bytes()
    with pytest.raises(InvalidModel, match=r"needs the operator 'lab::snake'.* package .*none"):
        nanotool.load(path)


@pytest.mark.usefixtures("_own")
def test_a_file_never_imports(model: QuantizedModel) -> None:
    """What it names is looked up among what is installed: a module of that name is left alone."""
    content = qfile.to_bytes(model.graph).replace(b"lab::snake", b"this::fly_")
    _, version, length, _ = qfile.PREFIX.unpack_from(content)
    body = content[qfile.PREFIX.size :]
    digest = hashlib.sha256(body).digest()
    forged = qfile.PREFIX.pack(qfile.MAGIC, version, length, digest) + body
    with pytest.raises(InvalidModel, match=r"'this::fly_', which no .*lab::edge, lab::snake"):
        qfile.from_bytes(forged)
    assert "this" not in sys.modules


@pytest.mark.usefixtures("_own")
def test_random_trials() -> None:
    for operator in own_operator.example().OPERATORS:
        trials = check(operator, 20)
        assert trials.elements > 1000 and trials.in_place > 5 and trials.worst_steps <= 1


@pytest.mark.usefixtures("_own")
def test_random_graphs() -> None:
    seen = 0
    for seed in range(20):
        graph: QGraph = random_graph(seed, kinds=(*KINDS, *("custom",) * 12))
        seen += sum(isinstance(op.op, Custom) for op in graph.ops)
        x = random_inputs(graph, 4, seed)
        assert np.array_equal(Runtime(*prepare(graph)).run(x), simulate.simulate(graph, x)), seed
    assert seen > 10


def test_a_package_that_fails_is_named(tmp_path: Path) -> None:
    for name, code in (("broken_one", "1 / 0"), ("broken_two", "OPERATORS = 'snake'")):
        (tmp_path / f"{name}.py").write_text(code)
        facts = tmp_path / f"{name}-1.0.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (facts / "entry_points.txt").write_text(
            f"[nanotool.operators]\n{name} = {name}:OPERATORS\n"
        )
    with own_operator.installed(tmp_path), pytest.warns(NanoWarning) as caught:
        assert not custom.installed()
    told = " ".join(str(one.message) for one in caught)
    assert "broken_one: ZeroDivisionError" in told and "broken_two: it is no CustomOp" in told


def test_names_are_pytorchs() -> None:
    known = custom.CustomOperator(
        name="lab::any",
        shape=lambda _op, shapes: shapes[0],
        real=print,
        integer=print,
        lower=print,
        sources=(),
    )
    with pytest.raises(TypeError, match="is no name of a PyTorch operator"):
        replace(known, name="snake")
    with pytest.raises(TypeError, match="no name of a C file"):
        replace(known, sources=(Path("../a b.c"),))
