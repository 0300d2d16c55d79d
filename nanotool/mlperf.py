"""The five tasks of MLPerf Tiny: what its runner sends, and what it wants to hear.

The runner (mlcommons/tiny, benchmark/runner) picks a test by the name that `profile` answers, and
sends each input as the task's files have it. Which task a firmware serves is chosen when it is
built: `configure` writes it into the model folder's app_model.h.

The streaming wake word listens to the board's own sensor: front end and rule are those of its
reference submission, computed in integers (`as_served`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError
from nanotool.ir import FloatArray, Int8Array, QGraph, QTensor
from nanotool.sensing.description import (
    MOST_MULTIPLIER,
    ClassRule,
    MelSettings,
    Rule,
    Scaling,
    StreamRule,
)

HEADER = "app_model.h"


@dataclass(frozen=True, slots=True)
class Task:
    """One benchmark."""

    name: str  # as --task takes it
    title: str  # for people
    version: str  # what `profile` answers: the runner's key
    db: Literal["int8", "uint8", "float32"]  # what the runner sends
    result: Literal["scores", "mse"]  # what `results` answers
    listens: bool = False  # to the board's own sensor

    @property
    def defines(self) -> tuple[str, ...]:
        """What app_model.h says of it (firmware/app/input.h and result.h)."""
        return (
            f'#define APP_PROFILE "{self.version}"',
            *([f"#define APP_DB_{self.db.upper()}"] if self.db != "int8" else []),
            *(["#define APP_RESULT_MSE"] if self.result == "mse" else []),
            *(["#define APP_SENSOR", "#define APP_DETECT APP_STEP_VALUES"] if self.listens else []),
        )


TASKS: Mapping[str, Task] = MappingProxyType(
    {
        task.name: task
        for task in (
            Task("kws", "keyword spotting", "kws01", "int8", "scores"),
            Task("ic", "image classification", "ic01", "uint8", "scores"),
            Task("vww", "visual wake words", "vww01", "uint8", "scores"),
            Task("ad", "anomaly detection", "ad01", "float32", "mse"),
            Task("sww", "streaming wake word", "sww01", "int8", "scores", listens=True),
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


# The reference's features are (10 log10(P / 1024) + 52) / 64, P being a band's power; a step whose
# first output is above 115 detects.
_DECIBELS, _OFFSET, _RANGE, _LOUDEST = 10 / math.log(10), 52 - 10 * math.log10(1024), 64, 115
_EARS = MelSettings.tensorflow(
    window=1024,
    step=512,
    fft_size=1024,
    bands=40,
    lower_hz=0.0,
    upper_hz=8000.0,
    preemphasis=1 - 2**-5,
    taper="hamming",
)


def as_served(task: Task, graph: QGraph) -> QGraph:
    """``graph`` as the firmware runs it: where the task listens and the model does not say how, as
    the task's reference does. `NanoError` if it cannot."""
    if not task.listens or graph.stream is not None:
        return graph
    x, y = graph.input_tensor, graph.output_tensor
    if x.size % _EARS.features or y.dtype != "int8":
        raise NanoError(
            f"{graph.name} takes {x.size} values and makes {y.dtype}; {task.title} has frames of "
            f"{_EARS.features} features, and int8 outputs.",
            "Use a model of the benchmark's shape, or one with a stream of its own.",
        )
    unit = _DECIBELS / _RANGE / 2**_EARS.fraction / x.scale  # steps of the input for 1
    inverse = Fraction(1 / unit).limit_denominator(MOST_MULTIPLIER)
    offset = _OFFSET / _RANGE / x.scale - 128 - x.zero_point  # the reference's zero point is -128
    # It casts to int8, which cuts towards zero: up, where most features are.
    addend = round(offset * inverse.numerator) + inverse.numerator - 1
    rule = Rule(
        (ClassRule(0, threshold=(_LOUDEST - y.zero_point) * y.scale, refractory=0.0),), window=1
    )
    scaling = Scaling(inverse.denominator, addend, inverse.numerator)
    return replace(graph, stream=StreamRule(_EARS, scaling, rule, hop=1))


def add_block(folder: Path, title: str, lines: tuple[str, ...]) -> None:
    """Let the model folder's app_model.h say more."""
    header = folder / HEADER
    text = header.read_text()
    body, end = text[: text.rindex("#endif")], text[text.rindex("#endif") :]
    header.write_text(body + "\n".join((f"/* {title}. */", *lines, "", "")) + end)


_BLOCK = re.compile(r"/\* MLPerf Tiny: .*? \*/\n(?:#define .*\n)+\n", re.S)


def configure(folder: Path, task: Task) -> None:
    """Make the model folder's firmware serve `task`, and no other that it served before."""
    header = folder / HEADER
    header.write_text(_BLOCK.sub("", header.read_text()))
    add_block(folder, f"MLPerf Tiny: {task.title}", task.defines)


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
