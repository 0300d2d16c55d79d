"""Weights in int4: read, written, quantized, and computed as TensorFlow Lite Micro does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tflite
import torch
from differential import differences
from random_graphs import TFLITE, in_int4, random_graph, random_inputs

import nanotool
from nanotool.backends import tflite as writer
from nanotool.errors import NanoError
from nanotool.frontends.tflite import convert, file
from nanotool.ir import Conv2D, Dense, QGraph


def written(graph: QGraph) -> list[int]:
    """The types of the weights in the .tflite file of ``graph``."""
    model = tflite.Model.GetRootAsModel(writer.write(graph), 0)
    subgraph = model.Subgraphs(0)
    assert subgraph is not None
    tensors = [subgraph.Tensors(i) for i in range(subgraph.TensorsLength())]
    return [int(one.Type()) for one in tensors if one.Name().endswith(b"/weight")]


@pytest.mark.parametrize("block", range(3))
def test_random_graphs_answer_as_tflite_micro(block: int) -> None:
    """Those of odd sizes too; `python -m bench.differential --int4` counts more."""
    narrow = 0
    for seed in range(8 * block, 8 * block + 8):
        kinds = ("conv2d", "depthwise_conv2d", "dense") if seed % 2 else TFLITE
        graph = in_int4(random_graph(seed, kinds=kinds, tflite=True))
        narrow += written(graph).count(tflite.TensorType.INT4)
        assert differences(graph, random_inputs(graph, 3, seed)) == {}, seed
    assert narrow >= 8


class _Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(3, 8, 3)
        self.second = torch.nn.Conv2d(8, 8, 3, groups=8)
        self.last = torch.nn.Linear(8 * 4 * 4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.second(torch.relu(self.first(x))))
        logits: torch.Tensor = self.last(y.flatten(1))
        return logits


def _quantized(**options: Any) -> QGraph:
    torch.manual_seed(0)
    x = np.random.default_rng(0).normal(size=(32, 3, 8, 8)).astype(np.float32)
    return nanotool.quantize(_Net().eval(), x, observer="minmax", **options).graph


def test_all_layers_or_those_named() -> None:
    for options, layers in (
        ({"weights": "int4"}, {"first", "second", "last"}),
        ({"int4": ["last"]}, {"last"}),
        ({}, set()),
    ):
        graph = _quantized(**options)
        weights = {op.name: op.weight for op in graph.ops if isinstance(op.op, (Conv2D, Dense))}
        most = {name: int(np.abs(w).max()) for name, w in weights.items() if w is not None}
        assert {name for name, peak in most.items() if peak == 7} == layers, most
        assert written(graph).count(tflite.TensorType.INT4) == len(layers - {"last"})
        again = convert.from_model(file.read(writer.write(graph)), "again", "test")
        for name, weight in weights.items():
            assert weight is not None
            assert any(
                np.array_equal(weight, op.weight) for op in again.ops if op.weight is not None
            ), name


def test_refused() -> None:
    with pytest.raises(NanoError, match="third cannot have weights in int4"):
        _quantized(int4=["third"])
    with pytest.raises(NanoError, match="no weights 'int2'"):
        _quantized(weights="int2")
