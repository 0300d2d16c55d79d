"""What a report shows: plain values, no behaviour. Unknown numbers are None, never 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from nanotool.ir import Shape, Trial
from nanotool.pipeline import CurvePoint
from nanotool.report.peers import Peer


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One operation of the model, in execution order."""

    name: str  # the tensor that it writes
    kind: str  # "Conv2D 3x3 stride 1"
    inputs: tuple[str, ...]  # names of the tensors that it reads
    shape: Shape  # of the output, H, W, C
    macs: int = 0
    weight_bytes: int = 0
    offset: int | None = None  # of the output in the arena
    ticks: int | None = None  # in `ReportData.tick_unit`
    sqnr_db: float | None = None  # inf if exact
    saturation: float | None = None  # 0..1


@dataclass(frozen=True, slots=True)
class Budget:
    """One kind of memory: what is used, part by part, of what the board has."""

    name: str  # "Flash"
    parts: tuple[tuple[str, int], ...]  # (what, bytes)
    available: int = 0  # bytes; 0: unknown

    @property
    def used(self) -> int:
        """Bytes of all parts."""
        return sum(size for _, size in self.parts)


@dataclass(frozen=True, slots=True)
class Sample:
    """One real input and what the model made of it."""

    pixels: NDArray[Any]  # [h, w] or [h, w, 1 | 3] picture, [samples, sensors] curves
    answer: str  # class name
    score: float | None = None  # of the answer, 0..1
    expected: str = ""  # the truth, if known

    @property
    def right(self) -> bool | None:
        """Whether the answer is the truth; None where that is unknown."""
        return None if not self.expected else self.answer == self.expected


@dataclass(frozen=True, slots=True)
class GoalRow:
    """What one goal of `--optimize` takes. Unmeasured numbers are None."""

    goal: str
    target: str
    arena_bytes: int
    weight_bytes: int
    code_bytes: int | None = None
    ticks: int | None = None  # one inference, in `ReportData.tick_unit`
    chosen: bool = False  # the report is about this one


@dataclass(frozen=True, slots=True)
class ReportData:
    """All that a report can show; what is empty is left out of the page."""

    title: str
    hash: str  # of the int8 graph
    layers: tuple[LayerRow, ...]
    # What layers read that none of them writes: (tensor, "input" or "state", shape).
    ends: tuple[tuple[str, str, Shape], ...] = (("input", "input", ()),)
    source: str = ""
    version: str = ""  # of nanotool
    target: str = ""  # which kernels
    board: str = ""
    accuracy: tuple[tuple[str, float], ...] = ()  # ("float32, PC", 0..1)
    ticks: int | None = None  # one inference
    tick_unit: str = "instructions"
    emulated: bool = False  # no real board was measured, and its figures say so
    arena_bytes: int | None = None
    mismatches: int | None = None  # bytes that differ from the simulator's
    compared: int = 0  # inferences in which they were sought
    budgets: tuple[Budget, ...] = ()
    trouble: str = ""  # why the board cannot run it
    memory_svg: str = ""  # the planner's picture, an <svg> element
    passes: tuple[tuple[str, str], ...] = ()  # (pass, before and after line by line)
    samples: tuple[Sample, ...] = ()
    trials: tuple[Trial, ...] = ()  # ways to quantize, as far as several were tried
    goals: tuple[GoalRow, ...] = ()
    slow: tuple[str, ...] = ()  # sentences about layers on portable kernels
    curve: tuple[CurvePoint, ...] = ()  # of memory against time, the fastest plan first
    curve_target: str = ""  # whose kernels it is about
    peers: tuple[Peer, ...] = ()
    pictures: tuple[tuple[str, str], ...] = ()  # (heading, an <svg> element)
    page: str = ""  # where the model itself runs, from where the report is: "page.html"

    @property
    def counted(self) -> str:
        """What the ticks are, for people."""
        return f"{self.tick_unit}, emulated" if self.emulated else self.tick_unit

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(layer.macs for layer in self.layers)

    @property
    def weight_bytes(self) -> int:
        """Bytes of all layers' constant arrays."""
        return sum(layer.weight_bytes for layer in self.layers)
