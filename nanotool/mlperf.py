"""The four tasks of MLPerf Tiny: what its runner sends, and what it wants to hear.

The runner (mlcommons/tiny, benchmark/runner) picks a test by the name that `profile` answers, and
sends each input as the task's files have it. Which task a firmware serves is chosen when it is
built: `configure` writes it into the model folder's app_model.h.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError
from nanotool.ir import FloatArray, Int8Array, QGraph, QTensor

HEADER = "app_model.h"


@dataclass(frozen=True, slots=True)
class Task:
    """One benchmark."""

    name: str  # as --task takes it
    title: str  # for people
    version: str  # what `profile` answers: the runner's key
    db: Literal["int8", "uint8", "float32"]  # what the runner sends
    result: Literal["scores", "mse"]  # what `results` answers

    @property
    def defines(self) -> tuple[str, ...]:
        """What app_model.h says of it (firmware/app/input.h and result.h)."""
        return (
            f'#define APP_PROFILE "{self.version}"',
            *([f"#define APP_DB_{self.db.upper()}"] if self.db != "int8" else []),
            *(["#define APP_RESULT_MSE"] if self.result == "mse" else []),
        )


TASKS: Mapping[str, Task] = MappingProxyType(
    {
        task.name: task
        for task in (
            Task("kws", "keyword spotting", "kws01", "int8", "scores"),
            Task("ic", "image classification", "ic01", "uint8", "scores"),
            Task("vww", "visual wake words", "vww01", "uint8", "scores"),
            Task("ad", "anomaly detection", "ad01", "float32", "mse"),
        )
    }
)


def find_task(name: str) -> Task:
    """The task called `name`; `NanoError` names those there are."""
    try:
        return TASKS[name]
    except KeyError:
        raise NanoError(f"There is no task {name!r}.", f"Tasks: {', '.join(TASKS)}.") from None


def check(task: Task, graph: QGraph) -> None:
    """`NanoError` unless `graph` can serve `task`."""
    x, y = graph.input_tensor, graph.output_tensor
    if graph.states:
        raise NanoError(
            f"{graph.name} has states; {task.title} runs every input by itself.",
            "Leave --task out, or use a model without states.",
        )
    if x.dtype not in ("int8", task.db):
        raise NanoError(
            f"{graph.name} takes {x.dtype}; {task.title} sends {task.db}.",
            f"Use a model whose input is int8 or {task.db}.",
        )
    if task.result == "mse" and (x.dtype != "int8" or y.dtype != "int8" or x.size != y.size):
        raise NanoError(
            f"{graph.name} makes {y.size} {y.dtype} of {x.size} {x.dtype}; {task.title} compares "
            "the input with the output.",
            "Use an int8 autoencoder, whose output has the input's shape.",
        )


_BLOCK = re.compile(r"/\* MLPerf Tiny: .*? \*/\n(?:#define .*\n)+\n", re.S)


def configure(folder: Path, task: Task) -> None:
    """Make the model folder's firmware serve `task`, and no other that it served before."""
    header = folder / HEADER
    text = _BLOCK.sub("", header.read_text())
    body, end = text[: text.rindex("#endif")], text[text.rindex("#endif") :]
    lines = (f"/* MLPerf Tiny: {task.title}. */", *task.defines, "", "")
    header.write_text(body + "\n".join(lines) + end)


def configured(folder: Path) -> Task | None:
    """The task that the model folder's firmware serves."""
    found = re.search(r'^#define APP_PROFILE "(\w+)"$', (folder / HEADER).read_text(), re.M)
    versions = {task.version: task for task in TASKS.values()}
    return None if found is None else versions.get(found[1])


def quantize(tensor: QTensor, real: NDArray[Any]) -> Int8Array:
    """int8 of the float32 ``real``, as the board and the reference implementation make it: the
    quotient is rounded to float32, then to the nearest integer, halves away from zero. (`QTensor`
    divides in float64: next to a half the two can differ by one.) NaN gives the zero point."""
    with np.errstate(over="ignore", invalid="ignore"):
        quotient = np.asarray(real, np.float32) / np.float32(tensor.scale)
    scaled = np.where(np.isnan(quotient), 0.0, quotient.astype(np.float64))
    rounded = np.trunc(scaled + np.copysign(0.5, scaled)) + tensor.zero_point
    quantized: Int8Array = np.clip(rounded, -128, 127).astype(np.int8)
    return quantized


def mean_squared_error(tensor: QTensor, real: FloatArray, output: Int8Array) -> np.float32:
    """1/n Σ (output - real)² of one flat input and its int8 output, of which ``tensor`` tells; in
    float32, summed from first to last, each operation rounded by itself: the board's bits."""
    steps = (output.reshape(-1).astype(np.int32) - tensor.zero_point).astype(np.float32)
    difference = steps * np.float32(tensor.scale) - real.reshape(-1).astype(np.float32)
    sums: FloatArray = np.add.accumulate(difference * difference, dtype=np.float32)
    error: np.float32 = sums[-1] / np.float32(output.size)
    return error
