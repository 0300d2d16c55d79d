"""What people see while a board listens: level, features as a moving picture, decisions."""

from __future__ import annotations

import math
from collections import deque
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.live import Live
from rich.text import Text

from nanotool.ir import QGraph
from nanotool.listen import Listened
from nanotool.sensing.rule import Decision, step_seconds, stream_of
from nanotool.signal.frontend import front_end
from nanotool.sound import Int16Array

COLUMNS, ROWS = 60, 10  # of the picture: frames, and groups of channels
_SHADES = " ░▒▓█"
_BAR = 30
_FULL_SCALE = 32768


def label_of(graph: QGraph, index: int) -> str:
    """The class's name."""
    return graph.labels[index] if index < len(graph.labels) else f"class {index}"


def decision_line(graph: QGraph, made: Decision) -> str:
    """`1.80 s  Alexa (step 59, mean 0.96)`."""
    stream = stream_of(graph)
    seconds = _heard(graph, made.step)
    unit = 1.0 if stream.rule.vote else graph.output_tensors[0].scale
    mean = made.sum * unit / stream.rule.window
    what = "share" if stream.rule.vote else "mean"
    return (
        f"{seconds:.2f} s  {label_of(graph, made.index)} (step {made.step}, {what} {mean:.3g} of "
        f"{stream.rule.window} steps)"
    )


def _heard(graph: QGraph, step: int) -> float:
    """Seconds of sound that end with this step."""
    stream = stream_of(graph)
    ears = stream.front_end
    frames = graph.input_tensor.size // ears.features
    first = (ears.window + (frames - 1) * ears.step) / ears.sample_rate
    return first + step * float(step_seconds(stream))


def verdict(result: Listened) -> str:
    """The comparison in a sentence."""
    steps, count = len(result.outputs), len(result.decisions)
    differ = f"{len(result.differing):,} differ from this computer's"
    if result.differing:
        differ += f", the first is step {result.differing[0]}"
    return f"{steps:,} steps, {count:,} decision{'' if count == 1 else 's'}: {differ}."


def pace(sound: float, seconds: float) -> str:
    """How long it took."""
    slower = f"{seconds / sound:.1f} times real time" if sound else "nothing was heard"
    real = " (slower than real time: the line or the board takes longer)" * (seconds > sound)
    return f"{sound:.1f} s of sound in {seconds:.1f} s, {slower}{real}."


class View:
    """A moving picture on a terminal; nothing elsewhere."""

    def __init__(self, graph: QGraph, console: Console) -> None:
        self._graph = graph
        self._stream = stream_of(graph)
        self._ears = front_end(self._stream.front_end)
        self._picture: deque[NDArray[Any]] = deque(maxlen=COLUMNS)
        self._newest = "–"
        self._live = Live(console=console, transient=True) if console.is_terminal else None

    def __enter__(self) -> View:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def step(
        self, samples: Int16Array, output: NDArray[Any], decisions: tuple[Decision, ...]
    ) -> None:
        """Show a step."""
        if self._live is None:
            return
        self._picture.extend(self._ears.process(samples))
        for made in decisions:
            self._newest = decision_line(self._graph, made)
        self._live.update(self._text(samples, output))

    def _text(self, samples: Int16Array, output: NDArray[Any]) -> Text:
        loudness = float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))
        decibel = 20 * math.log10(max(loudness, 1) / _FULL_SCALE)
        lines = [f"level   {_bar(1 + decibel / 90)} {decibel:4.0f} dB", *self._rows()]
        real = self._graph.output_tensors[0].dequantize(output).reshape(-1)
        for one in self._stream.rule.classes:
            value = float(real[one.index])
            name = label_of(self._graph, one.index)
            lines.append(f"{name[:20]:20} {_bar(value)} {value:.3f}")
        return Text("\n".join([*lines, f"decided {self._newest}"]))

    def _rows(self) -> list[str]:
        """Low channels below, the newest frame on the right."""
        if not self._picture:
            return []
        frames = np.stack(self._picture).astype(np.float64)
        groups = np.array_split(frames, min(ROWS, frames.shape[1]), axis=1)
        frames -= frames.min()
        top = max(1.0, frames.max())
        return [
            "".join(_SHADES[int(x / top * (len(_SHADES) - 1))] for x in group.mean(axis=1))
            for group in reversed(groups)
        ]


def _bar(share: float) -> str:
    filled = round(_BAR * min(1.0, max(0.0, share)))
    return "█" * filled + "·" * (_BAR - filled)
