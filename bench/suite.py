"""What is measured: six models. What others need for the same work is in peers.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import numpy as np

from nanotool.ir import Dense, QGraph, QOp, QTensor
from nanotool.models import load_model

ROOT = Path(__file__).resolve().parents[1]
GOAL = "speed"  # what `balanced` gives up of it for memory depends on estimates
# Emulated boards whose instruction counts repeat exactly; the first three are the gate.
BOARDS = ("stm32", "mps2_an385", "mps3_an547", "xtensa_sim", "xtensa_lx6", "riscv_virt")
GATE = BOARDS[:3]


def mlp() -> QGraph:
    """The keyword net of many tutorials: 416-128-64-10, ReLU between, per-channel scales.

    The weights are random, the same every time: dense layers take as long for any weights.
    """
    rng = np.random.default_rng(416)
    sizes = (416, 128, 64, 10)
    tensors = {"input": QTensor("input", (sizes[0],), 1 / 128, 0)}
    ops = []
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        name, source = f"fc{index + 1}", tensors[f"fc{index}" if index else "input"]
        last = index == len(sizes) - 2
        tensors[name] = QTensor(name, (outputs,), source.scale * 2, 0 if last else -128)
        weight = rng.integers(-127, 128, (outputs, inputs)).astype(np.int8)
        scales = rng.uniform(0.01, 0.03, outputs).astype(np.float32)
        bias = rng.integers(-2000, 2000, outputs).astype(np.int32)
        ops.append(QOp(name, Dense(), (source.name,), weight, scales, bias))
    x = rng.integers(-128, 128, (4, sizes[0])).astype(np.int8)
    return QGraph(
        "mlp", tensors, tuple(ops), ("input",), ("fc3",), samples=(x,), source="bench.suite"
    )


def _benchmark(name: str) -> Callable[[], QGraph]:
    return lambda: load_model(ROOT / "tests" / "models" / f"{name}.tflite")


MODELS: Mapping[str, Callable[[], QGraph]] = MappingProxyType(
    {
        "ad": _benchmark("ad"),
        "kws": _benchmark("kws"),
        "ic": _benchmark("ic"),
        "vww": _benchmark("vww"),
        "mlp": mlp,
        "digits": lambda: load_model(ROOT / "firmware" / "models" / "default" / "model.nano"),
    }
)

TITLES: Mapping[str, str] = MappingProxyType(
    {
        "ad": "ad, autoencoder",
        "kws": "kws, DS-CNN",
        "ic": "ic, ResNet-8",
        "vww": "vww, MobileNetV1 0.25",
        "mlp": "MLP 416-128-64-10",
        "digits": "digits, CNN 8-16",
    }
)
