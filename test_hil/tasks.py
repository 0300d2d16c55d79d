"""The five tasks of MLPerf Tiny with their reference models, and what a board must answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool import mlperf, simulate
from nanotool.boards import Board
from nanotool.build import BuildResult, build
from nanotool.device import open_board
from nanotool.frontends import tflite
from nanotool.ir import FloatArray, Int8Array, QGraph

MODELS = Path(__file__).parent.parent / "tests" / "models"
MOST_SHOWN = Decimal("4294967295.999")
CHUNK = 31  # bytes that the runner sends in one `db` line


@dataclass(frozen=True)
class Served:
    """A board that serves a task."""

    board: Board
    task: mlperf.Task
    firmware: BuildResult
    port: str
    x: Int8Array  # [n, *input shape], golden
    y: Int8Array  # [n, *output shape], golden: TFLite Micro's answers

    @property
    def graph(self) -> QGraph:
        return self.firmware.graph


def load_task(name: str) -> tuple[QGraph, Int8Array, Int8Array]:
    """The task's model, its golden inputs and outputs."""
    graph = tflite.load(MODELS / f"{name}.tflite")
    with np.load(MODELS / f"{name}_golden.npz") as golden:
        x = golden["x"].reshape(-1, *graph.input_tensor.shape)
        y = golden["y"].reshape(-1, *graph.output_tensor.shape)
    return graph, x, y


@contextmanager
def serve(
    board: Board, name: str, *, sensor: Path | None = None, more: Sequence[str] = ()
) -> Iterator[Served]:
    """The emulated board, running, with the firmware of the task called `name`. `sensor`: the file
    that it plays; `more`: arguments for the emulator."""
    graph, x, y = load_task(name)
    task = mlperf.find_task(name)
    firmware = build(graph, board, optimize="size", task=task)
    with open_board(board, firmware.elf, sensor=sensor, more=more) as port:
        yield Served(board, task, firmware, port, x, y)


def file_bytes(served: Served, x: Int8Array) -> bytes:
    """The input as the task's files have it: what `db` holds."""
    if served.task.db == "uint8":
        return (x.astype(np.int16) + 128).astype(np.uint8).tobytes()
    if served.task.db == "float32":
        return served.graph.input_tensor.dequantize(x).astype("<f4").tobytes()
    return x.tobytes()


def answer(served: Served, raw: bytes) -> str:
    """What stands between the brackets of `m-results-[…]` if `db` holds `raw`, by the simulator."""
    graph = served.graph
    shape = graph.input_tensor.shape
    if served.task.db == "float32":
        real: FloatArray = np.frombuffer(raw, "<f4").astype(np.float32)
        y = simulate.simulate(graph, mlperf.quantize(graph.input_tensor, real).reshape(1, *shape))
        error = mlperf.mean_squared_error(graph.output_tensor, real, y)
        return decimals([Decimal(float(error))])
    x = np.frombuffer(raw, np.uint8)
    q = (x ^ 0x80 if served.task.db == "uint8" else x).view(np.int8)
    y = simulate.simulate(graph, q.reshape(1, *shape)).reshape(-1)
    scale, zero_point = Decimal(graph.output_tensor.scale), graph.output_tensor.zero_point
    return decimals([scale * (int(step) - zero_point) for step in y])


def decimals(values: list[Decimal]) -> str:
    """As the board writes them: three decimals, halves away from zero, exactly; no -0.000; what
    is too large to show, and NaN, as it shows them."""
    return ",".join(map(_decimal, values))


def _decimal(value: Decimal) -> str:
    if value.is_nan():
        return str(MOST_SHOWN)
    if abs(value) > MOST_SHOWN:
        return str(MOST_SHOWN.copy_sign(value))
    rounded = value.quantize(Decimal("0.001"), ROUND_HALF_UP)
    return str(rounded if rounded else abs(rounded))


def plausible(served: Served, rng: np.random.Generator, count: int) -> NDArray[Any]:
    """`count` inputs as the task's files have them: int8 or uint8 bytes, or floats in the range
    that the model was quantized for."""
    shape = (count, served.graph.input_tensor.size)
    if served.task.db == "float32":
        low, high = served.graph.input_tensor.dequantize(np.array([-128, 127], np.int8))
        return rng.uniform(low, high, shape).astype("<f4")
    return rng.integers(0, 256, shape, np.uint8).view(served.task.db)
