"""`nanotool console`: a pleasant terminal for the board's console (docs/console.md).

Three parts that know nothing of each other's work: `parse` makes blocks from an answer's lines,
`view` makes a block a picture for the terminal, a `Session` takes the user's lines one by one.
`interact` feeds it from a prompt, `replay` from a script; only `interact` needs a terminal.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

import numpy as np
import platformdirs
from numpy.typing import NDArray
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from nanotool.errors import DeviceError, NanoError
from nanotool.files import read_array
from nanotool.inputs import to_device
from nanotool.ir import DTYPES, QGraph, QTensor
from nanotool.report.graph_svg import shape_text
from nanotool.report.text import bar, table

# The firmware's commands, for completion and help.
COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "name": "who answers",
        "profile": "protocol and model",
        "timestamp": "microseconds since start-up",
        "help": "the board's own list of commands",
        "db load": "N: begin an input of N bytes",
        "db print": "show the input buffer",
        "db": "HH…: append bytes of the input, in hex",
        "infer": "N [W]: W warm-up inferences (10), then N timed ones",
        "results": "the newest output",
        "info": "versions, clock, model, shapes",
        "mem": "arena, RAM, stack and flash",
        "layers": "ticks and output CRC of every layer",
        "dump": "[I]: the newest output, or that of op I, as bytes",
        "crc": "CRC-32 of image, input and output",
        "reset": "start over as after power-on",
    }
)
LOCAL: Mapping[str, str] = MappingProxyType(
    {
        ":load": "FILE.npy [I]: send the file, or its I-th sample, as the input",
        ":live": "FILE.npy [I]: run its samples one by one, from the I-th on, until Ctrl-C",
        ":raw": "show answers as they come over the line, or not",
        ":help": "this list",
        ":quit": "leave; so does Ctrl-D",
    }
)
MOST_CLASSES = 20  # shown of an output
TIMEOUT = 30.0  # s that an ordinary answer may take
SYNC_TIMEOUT = 3.0  # s that a board may take to be in step again
LONG_TIMEOUT = 24 * 3600.0  # s for `infer`, which may run 100,000 times; Ctrl-C ends the wait


# --- What an answer says --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines that have no better form."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Results:
    """`m-results`: the de-quantized output."""

    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One `m-layer` line."""

    index: int
    ticks: int
    crc: str
    name: str


@dataclass(frozen=True, slots=True)
class LayerTable:
    """`layers`: every op's ticks, and the whole inference's."""

    rows: tuple[LayerRow, ...]
    total: int


@dataclass(frozen=True, slots=True)
class MemoryTable:
    """`mem`: (what, bytes used, bytes there are or 0)."""

    rows: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """`info` and `crc`: names and values."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Lap:
    """`infer`: microseconds between the two laps, for so many inferences."""

    micros: int
    inferences: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """`e-[…]`: the board will not."""

    reason: str


Block: TypeAlias = Lines | Results | LayerTable | MemoryTable | Facts | Lap | Refusal

_LAYER = re.compile(r"m-layer-\[(\d+) (\d+) ([0-9a-f]{8}) (.*)\]")
_LAYERS = re.compile(r"m-layers-\[(\d+) (\d+)\]")
_RESULTS = re.compile(r"m-results-\[(-?[\d.]+(?:,-?[\d.]+)*)\]")
_MEMORY = re.compile(r"m-mem-(\w+)-\[(\d+)(?: (\d+))?\]")
_FACT = re.compile(r"m-(?:info|crc)-(\w+)-\[(.*)\]")
_TENSOR = re.compile(r"(\d{1,9}(?:x\d{1,9}){0,3}) ([0-9a-f]{8}) (-?\d{1,3})(?: (\w+))?")
_LAP = re.compile(r"m-lap-us-(\d+)")
_START = re.compile(r"m-infer-start-(\d+)")
_REFUSED = re.compile(r"e-\[(.*)\]")
_MEMORY_NAMES = {
    "arena": "arena",
    "db": "input buffer (db)",
    "static": "static RAM, with both",
    "stack": "stack, peak",
    "flash": "flash",
}


def parse(lines: Sequence[str]) -> tuple[Block, ...]:
    """The blocks of an answer, in order; a line that fits none is kept as it is."""
    blocks: list[Block] = []
    layers: list[LayerRow] = []
    memory: list[tuple[str, int, int]] = []
    facts: list[tuple[str, str]] = []
    plain: list[str] = []
    for line in lines:
        if match := _LAYER.fullmatch(line):
            layers.append(LayerRow(int(match[1]), int(match[2]), match[3], match[4]))
        elif match := _LAYERS.fullmatch(line):
            blocks.append(LayerTable(tuple(layers), int(match[2])))
            layers = []
        elif match := _MEMORY.fullmatch(line):
            name = _MEMORY_NAMES.get(match[1], match[1])
            memory.append((name, int(match[2]), int(match[3] or 0)))
        elif match := _FACT.fullmatch(line):
            facts.append((match[1], match[2]))
        elif match := _REFUSED.fullmatch(line):
            blocks.append(Refusal(match[1]))
        elif (values := _values(line)) is not None:
            blocks.append(Results(values))
        else:
            plain.append(line)
    plain += [f"m-layer-[{row.index} {row.ticks} {row.crc} {row.name}]" for row in layers]
    lap, plain = _take_lap(plain)
    found = [
        Lines(tuple(plain)) if plain else None,
        lap,
        Facts(tuple(facts)) if facts else None,
        MemoryTable(tuple(memory)) if memory else None,
    ]
    return (*(block for block in found if block is not None), *blocks)


def _values(line: str) -> tuple[float, ...] | None:
    """The numbers of an `m-results` line; None for any other line."""
    match = _RESULTS.fullmatch(line)
    if match is None:
        return None
    try:
        return tuple(float(value) for value in match[1].split(","))
    except ValueError:  # "1.2.3": leave the line as it came
        return None


def _take_lap(lines: list[str]) -> tuple[Lap | None, list[str]]:
    """The time of an `infer`, and the lines without those that only tell about it."""
    count = next((int(m[1]) for line in lines if (m := _START.fullmatch(line))), 0)
    laps = [int(m[1]) for line in lines if (m := _LAP.fullmatch(line))]
    if not count or len(laps) != 2:
        return None, lines
    noise = re.compile(r"m-(warmup|infer)-\S*|m-lap-us-\d+")
    rest = [line for line in lines if not noise.fullmatch(line)]
    return Lap((laps[1] - laps[0]) % (1 << 32), count), rest


# --- How it looks ---------------------------------------------------------------------------------


def view(block: Block, labels: Sequence[str] = ()) -> RenderableType:
    """``block`` as something rich can print."""
    if isinstance(block, Results):
        return _view_results(block, labels)
    return _VIEWS[type(block)](block)


def _view_lap(block: Lap) -> Text:
    each = block.micros / block.inferences
    what = "inference" if block.inferences == 1 else "inferences"
    return Text(f"{block.inferences:,} {what} in {block.micros:,} us, {each:,.1f} us each")


def _view_refusal(block: Refusal) -> Text:
    return Text(f"refused: {block.reason}", style="red")


def _view_lines(block: Lines) -> Text:
    return Text("\n".join(block.lines))


def _view_results(block: Results, labels: Sequence[str]) -> Table:
    """A line a class: the winner stands out; bars run from the lowest value (or 0) up. Of many
    values only the highest are shown."""
    values, count = block.values, len(block.values)
    names = labels if len(labels) == count else [str(index) for index in range(count)]
    low, high = min(0.0, *values), max(0.0, *values)
    ranked = sorted(range(count), key=lambda index: -values[index])
    shown = range(count) if count <= MOST_CLASSES else ranked[:MOST_CLASSES]
    result = table("", ("class", "left"), ("value", "right"), ("", "left"))
    for index in shown:
        length = (values[index] - low) / (high - low) if high > low else 0.0
        style = "bold green" if index == ranked[0] else ""
        result.add_row(Text(names[index]), f"{values[index]:.3f}", bar(length), style=style)
    if count > MOST_CLASSES:
        result.add_row(f"and {count - MOST_CLASSES:,} more", "", "")
    return result


def _view_layers(block: LayerTable) -> Table:
    result = table("",
        ("#", "right"), ("layer", "left"), ("ticks", "right"), ("share", "right"), ("", "left"),
        ("output CRC", "left"),
    )  # fmt: skip
    whole = block.total or sum(row.ticks for row in block.rows)
    for row in block.rows:
        share = row.ticks / whole if whole else 0.0
        result.add_row(
            str(row.index), Text(row.name), f"{row.ticks:,}", f"{share:.1%}", bar(share), row.crc
        )
    result.add_section()
    result.add_row("", "whole inference", f"{block.total:,}", "", "", "")
    return result


def _view_memory(block: MemoryTable) -> Table:
    result = table("", ("memory", "left"), ("used", "right"), ("of", "right"), ("", "left"))
    for name, used, available in block.rows:
        share = used / available if available else 0.0
        result.add_row(
            name,
            f"{used:,} B",
            f"{available:,} B" if available else "–",
            f"{bar(share)} {share:.1%}" if available else "",
        )
    return result


def _view_facts(block: Facts) -> Table:
    result = Table.grid(padding=(0, 2))
    for name, value in block.pairs:
        result.add_row(Text(name, style="dim"), Text(_readable(value)))
    return result


def _readable(value: str) -> str:
    """A tensor as `info` gives it, its scale as a number; any other value as it is."""
    if _TENSOR.fullmatch(value):
        tensor = _tensor(value)
        return (
            f"{shape_text(tensor.shape)} {tensor.dtype}, scale {tensor.scale:.6g}, "
            f"zero point {tensor.zero_point}"
        )
    return value


def _tensor(value: str) -> QTensor:
    """The tensor that "28x28x1 3b808081 -128 int8" describes; `NanoError` if it can be none."""
    match = _TENSOR.fullmatch(value)
    if match is None:
        raise DeviceError(f"The board describes a tensor as {value!r}.", "Is this its firmware?")
    shape = tuple(int(size) for size in match[1].split("x"))
    scale = np.frombuffer(bytes.fromhex(match[2]), ">f4")[0]
    return QTensor("input", shape, float(scale), int(match[3]), match[4] or "int8")


_VIEWS: Mapping[type[Block], Callable[[Any], RenderableType]] = {
    LayerTable: _view_layers,
    MemoryTable: _view_memory,
    Facts: _view_facts,
    Lap: _view_lap,
    Refusal: _view_refusal,
    Lines: _view_lines,
}


# --- One line after another -----------------------------------------------------------------------


class Link(Protocol):
    """The part of `nanotool.device.Device` that the terminal uses."""

    def exchange(  # noqa: D102
        self, command: str, timeout: float | None = None
    ) -> tuple[list[str], list[Any]]: ...
    def load(self, data: bytes | NDArray[Any]) -> None: ...  # noqa: D102
    def sync(self, timeout: float = 10.0) -> None: ...  # noqa: D102


Prepare: TypeAlias = Callable[[Any, int], NDArray[Any]]
"""(array, sample index) -> the input, of the model's type; raises `NanoError`."""


class Session:
    """Takes the user's lines: local commands itself, all others to the board."""

    def __init__(
        self,
        link: Link,
        console: Console,
        *,
        labels: Sequence[str] = (),
        prepare: Prepare | None = None,
        raw: bool = False,
    ) -> None:
        self.link = link
        self.console = console
        self.labels = labels
        self.prepare = prepare or prepare_from_board(link)
        self.raw = raw
        self.failures = 0  # lines that were refused or went wrong
        self._in_step = True  # False: an answer may still be on its way

    def execute(self, line: str) -> bool:
        """Do what ``line`` says and print the answer. False: the user wants to leave."""
        line = line.strip().rstrip("%").rstrip()
        if not line:
            return True
        try:
            if line.startswith(":"):
                return self._local(line)
            self._get_in_step()
            timeout = LONG_TIMEOUT if line.startswith("infer") else TIMEOUT
            lines, frames = self.link.exchange(line, timeout)
            self._show(lines, frames)
        except KeyboardInterrupt:
            self._in_step = False
            self._fail("Stopped waiting. The board works on, and listens again when it is done.")
        except NanoError as error:
            self._fail(str(error))
        return True

    def _get_in_step(self) -> None:
        """After an interruption: hear the board out, or say that it is still at work."""
        if self._in_step:
            return
        try:
            self.link.sync(SYNC_TIMEOUT)
        except DeviceError as error:
            raise DeviceError(
                "The board is still at work and does not listen.",
                "Try again later, or leave and begin anew.",
            ) from error
        self._in_step = True

    def _fail(self, text: str) -> None:
        self.failures += 1
        self.console.print(Text(text, style="red"), soft_wrap=True)

    def _show(self, lines: Sequence[str], frames: Sequence[Any]) -> None:
        if self.raw:
            for line in lines:
                self.console.print(Text(line), soft_wrap=True)
            return
        data = b"".join(bytes(frame.data) for frame in frames)
        if data:
            values = np.frombuffer(data, np.int8)
            self.console.print(Text(np.array2string(values, threshold=256)), soft_wrap=True)
        for block in parse(lines):
            self.console.print(view(block, self.labels))

    def _local(self, line: str) -> bool:
        try:
            command, *arguments = shlex.split(line)
        except ValueError as error:
            raise NanoError(f"{line}: {error}.", "Quote a path that holds blanks.") from error
        if command == ":quit":
            return False
        if command == ":load" and len(arguments) in {1, 2}:
            self._load(Path(arguments[0]), arguments[1] if len(arguments) == 2 else "0")
        elif command == ":live" and len(arguments) in {1, 2}:
            self._live(Path(arguments[0]), arguments[1] if len(arguments) == 2 else "0")
        elif command == ":raw" and not arguments:
            self.raw = not self.raw
            self.console.print("Answers as they come." if self.raw else "Answers made readable.")
        elif command == ":help" and not arguments:
            self.console.print(_view_facts(Facts((*LOCAL.items(), *COMMANDS.items()))))
        else:
            if command in LOCAL:
                raise NanoError(f"{line}: so it is not called.", f"{command} {LOCAL[command]}")
            raise NanoError(f"{line} is no local command.", f"Try {', '.join(LOCAL)}.")
        return True

    def _load(self, path: Path, index: str) -> None:
        number = sample_number(index)
        self._get_in_step()
        data = self.prepare(read_array(path.expanduser()), number)
        self.link.load(data)
        self.console.print(f"Loaded {data.size:,} values. Next: infer 1 0")

    def _live(self, path: Path, index: str) -> None:
        """The classes' bars, redrawn after every inference, until the samples end or Ctrl-C."""
        first = sample_number(index)
        samples = read_array(path.expanduser())
        self._get_in_step()
        done = 0
        with Live(console=self.console, auto_refresh=False) as picture:
            try:
                for number in itertools.count(first):
                    self.link.load(self.prepare(samples, number))
                    lines, _ = self.link.exchange("infer 1 0", LONG_TIMEOUT)
                    done += 1
                    parts = [view(block, self.labels) for block in parse(lines)]
                    picture.update(Group(Text(f"sample {number}"), *parts), refresh=True)
            except NoSampleError:
                if not done:
                    raise
            except KeyboardInterrupt:
                self._in_step = False  # its answer may still be on its way
        if not self.console.is_terminal:
            self.console.line()  # which Live adds on a terminal alone
        self.console.print(f"{done:,} samples from {first} on.")


def sample_number(text: str) -> int:
    """The number of a sample as the user typed it; `NanoError` if it is none."""
    if not re.fullmatch(r"\d{1,9}", text):
        raise NanoError(f"{text!r} is no sample number.", "The first sample is 0.")
    return int(text)


class NoSampleError(NanoError):
    """A file holds fewer samples."""


def prepare_from_board(link: Link) -> Prepare:
    """How to make an input with nothing but the board's own `info`: device shape only."""

    def prepare(array: Any, index: int) -> NDArray[Any]:
        tensor = input_tensor(link.exchange("info", TIMEOUT)[0])
        samples = array[None] if tuple(array.shape) == tensor.shape else array
        if tuple(samples.shape[1:]) != tensor.shape or samples.ndim == 0:
            raise NanoError(
                f"The array's shape is {array.shape}; the board takes N samples of {tensor.shape}.",
                "Name the model as well (nanotool console … MODEL): then its user layout is known.",
            )
        sample = pick(samples, index)
        if sample.dtype == DTYPES[tensor.dtype]:
            return np.ascontiguousarray(sample)
        if sample.dtype.kind != "f" or tensor.dtype != "int8":
            raise NanoError(
                f"The array holds {sample.dtype}.", f"Give {tensor.dtype} (raw) or float values."
            )
        return tensor.quantize(sample)

    return prepare


def prepare_from_model(graph: QGraph) -> Prepare:
    """How to make an input where the model is at hand: user or device layout, float or int8."""

    def prepare(array: Any, index: int) -> NDArray[Any]:
        sample: NDArray[Any] = pick(to_device(graph, array), index)
        return sample

    return prepare


def pick(samples: Any, index: int) -> Any:
    """``samples[index]``; `NoSampleError` if there are not so many."""
    if index >= len(samples):
        raise NoSampleError(
            f"There is no sample {index}.", f"The file holds {len(samples)}, from 0."
        )
    return samples[index]


def input_tensor(lines: Iterable[str]) -> QTensor:
    """The input tensor that `info` describes."""
    for line in lines:
        if (match := _FACT.fullmatch(line)) and match[1] == "input":
            return _tensor(match[2])
    raise DeviceError("The board's `info` names no input.", "Is this nanotool's firmware?")


# --- Where lines come from ------------------------------------------------------------------------


def replay(session: Session, lines: Iterable[str]) -> int:
    """Take ``lines`` to the board one by one; # begins a comment. How many of them failed."""
    for line in lines:
        command = line.strip()
        if command and not command.startswith("#") and not session.execute(command):
            break
    return session.failures


def interact(session: Session, title: str) -> None:
    """The prompt: history, completion, Ctrl-C drops the line, Ctrl-D leaves."""
    prompt: PromptSession[str] = PromptSession(
        history=open_history(), completer=BoardCompleter(), complete_while_typing=False
    )
    session.console.print(Text(f"{title} – TAB completes, :help lists, Ctrl-D leaves.", "dim"))
    while True:
        try:
            line = prompt.prompt("nano> ")
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        if not session.execute(line):
            return


class _TolerantHistory(FileHistory):
    """A history that goes on in memory when its file cannot be read or written any more."""

    def load_history_strings(self) -> Iterator[str]:
        with contextlib.suppress(OSError):
            yield from super().load_history_strings()

    def store_string(self, string: str) -> None:
        with contextlib.suppress(OSError):
            super().store_string(string)


def open_history(folder: Path | None = None) -> History:
    """The lines typed before, kept in the user's data folder; in memory where that is read-only."""
    folder = folder or Path(platformdirs.user_data_dir("nanotool", appauthor=False))
    path = folder / "console_history"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("ab"):
            pass
    except OSError:
        return InMemoryHistory()
    return _TolerantHistory(str(path))


class BoardCompleter(Completer):
    """Completes commands from the line's start, and the path behind :load and :live."""

    def __init__(self) -> None:
        self._paths = PathCompleter(expanduser=True, file_filter=_is_folder_or_npy)

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterator[Completion]:
        """See prompt_toolkit."""
        typed = document.text_before_cursor.lstrip()
        if typed.startswith((":load ", ":live ")):
            inner = Document(typed.partition(" ")[2].lstrip())
            yield from self._paths.get_completions(inner, event)
            return
        for name, what in (*COMMANDS.items(), *LOCAL.items()):
            if name.startswith(typed):
                yield Completion(name, start_position=-len(typed), display_meta=what)


def _is_folder_or_npy(name: str) -> bool:
    return name.endswith(".npy") or Path(name).expanduser().is_dir()
