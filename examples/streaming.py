"""What the tasks that stream recordings to boards share: their command, and what a board costs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from rich.console import Console

import nanotool
from examples.flow import Steps
from nanotool.boards import Board
from nanotool.device import Device
from nanotool.errors import NanoError
from nanotool.files import write_atomic

BOARD_NAMES = ("native", "stm32")


class Failed(Exception):
    """Something is not as it should be."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of the recordings that a board has heard."""

    instructions: int | None  # of a second, where they are counted
    ram: int  # static and the most of the stack; 0 where the board cannot know

    @classmethod
    def of(cls, board: Board, device: Device, ticks: int, seconds: float) -> Cost:
        """What ``device``, an emulated ``board``, took for so many seconds."""
        found = device.mem()
        unit = board.tick_unit(device.info().tick_source, emulated=True)
        counted = round(ticks / seconds) if unit == "instructions" else None
        return cls(counted, found.static + found.stack_peak)


class Told(Protocol):
    """What became of the recordings on one board: a dataclass, which says more."""

    @property
    def recordings(self) -> int:
        """How many."""

    @property
    def instructions(self) -> int | None:
        """`Cost.instructions`."""

    @property
    def ram(self) -> int:
        """`Cost.ram`."""


def cost_cells(told: Told) -> tuple[str, str]:
    """Instructions and RAM for a table."""
    count = "–" if told.instructions is None else f"{told.instructions:,}"
    return count, f"{told.ram:,} B" if told.ram else "–"


Kind = TypeVar("Kind", bound=Told)


@dataclass(frozen=True, slots=True)
class Streamed(Generic[Kind]):
    """A task, as a command."""

    module: str
    title: str  # begins the last line
    description: str | None
    short: str  # what --short leaves out
    fresh: str  # why --fresh changes nothing
    record: Path
    perform: Callable[[bool, Steps], list[Kind]]
    show: Callable[[Console, list[Kind]], None]

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """0 if everything was as it should be."""
        parser = argparse.ArgumentParser(self.module, description=self.description)
        parser.add_argument("--short", action="store_true", help=self.short)
        parser.add_argument("--fresh", action="store_true", help=f"as always: {self.fresh}")
        keep = f"keep the figures in {self.record.name}"
        parser.add_argument("--record", action="store_true", help=keep)
        chosen = parser.parse_args(arguments)
        if chosen.record and chosen.short:
            parser.error("--record keeps full figures only: leave out --short")
        console = Console(emoji=False)
        try:
            results = self.perform(chosen.short, Steps(console))
        except (NanoError, Failed) as error:
            text = f"{self.title} FAILED: {error}"
            console.print(text, markup=False, highlight=False, soft_wrap=True)
            return 1
        self.show(console, results)
        if chosen.record:
            runs = [asdict(told) for told in results]  # type: ignore[call-overload]
            figures = {"nanotool": nanotool.__version__, "runs": runs}
            write_atomic(self.record, json.dumps(figures, indent=2) + "\n")
        count = sum(told.recordings for told in results)
        ok = f"{self.title} OK: {count} recordings, every step as it should be"
        console.print(ok, highlight=False)
        return 0
