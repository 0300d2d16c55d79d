"""`nanotool console`: a pleasant terminal for the board's console (docs/console.md).

`answers.read` makes blocks from an answer's lines, `view` makes a block a picture for the terminal,
a `Session` takes the user's lines one by one.
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

from nanotool.boards import Board
from nanotool.device import answers
from nanotool.device.answers import (
    Block,
    Crcs,
    Info,
    Lap,
    Layers,
    Lines,
    Memory,
    Models,
    Refusal,
    Results,
    Status,
    TrainTicks,
    Uptime,
)
from nanotool.device.commands import BOARD_COMMANDS
from nanotool.device.tensors import TensorInfo
from nanotool.errors import DeviceError, NanoError
from nanotool.files import read_arrays
from nanotool.inputs import Clipping, by_name, check_finite, clipped, clipping, to_device
from nanotool.ir import DTYPES, QGraph, QTensor
from nanotool.report.graph_svg import shape_text
from nanotool.report.text import bar, table

LOCAL: Mapping[str, str] = MappingProxyType(
    {
        ":load": "FILE.npy [I]: send its sample, the I-th or the first; several inputs: .npz",
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


# --- How it looks ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Clock:
    """What a board's figures are: of silicon, unless it is emulated."""

    unit: str = "ticks"  # what `layers` counts
    emulated: bool = False
    tells_time: bool = True  # its microseconds are some; not where it counts instructions

    @property
    def note(self) -> str:
        """Behind every figure that is no board's."""
        return ", emulated" if self.emulated else ""


def clock_of(board: Board, source: str, *, emulated: bool) -> Clock:
    """The clock of ``board``, whose tick source is as `info` tells it."""
    unit = board.tick_unit(source, emulated=emulated)
    return Clock(unit, emulated, not emulated or unit == "nanoseconds")


SILICON = Clock()


def view(block: Block, labels: Sequence[str] = (), clock: Clock = SILICON) -> RenderableType:
    """``block`` as something rich can print."""
    if isinstance(block, Results):
        return _view_results(block, labels)
    return _VIEWS[type(block)](block, clock)


def _view_lap(block: Lap, clock: Clock) -> Text:
    what = "inference" if block.inferences == 1 else "inferences"
    done = f"{block.inferences:,} {what}"
    if not clock.tells_time:
        return Text(f"{done} done. The board is emulated and tells no time: `layers` counts.")
    each = block.micros / block.inferences
    return Text(f"{done} in {block.micros:,} us, {each:,.1f} us each{clock.note}")


def _view_uptime(block: Uptime, clock: Clock) -> Text:
    if not clock.tells_time:
        return Text(f"{block.micros:,} of an emulated clock, which tells no time")
    return Text(f"{block.micros:,} us since start-up{clock.note}")


def _view_ticks(block: TrainTicks, clock: Clock) -> Table:
    return _view_facts(
        ("a sample", f"{block.gradient:,} {clock.unit}{clock.note}"),
        ("with an update", f"{block.update:,} {clock.unit}{clock.note}"),
    )


def _view_status(block: Status, _: Clock) -> Table:
    return _view_facts(
        ("head", f"{block.origin}, configuration {block.config:08x}"),
        ("classes", f"{block.classes} of at most {block.most_classes}"),
        ("learned", f"{block.samples:,} samples in {block.steps:,} updates"),
        ("mini-batch", f"{block.pending} of {block.batch}"),
        ("replay buffer", f"{block.replay_used:,} of {block.replay_slots:,}, "
                          f"{block.replay_seen:,} offered"),
        ("right", f"{block.correct:,} of {block.evaluated:,} evaluated"),
        *((f"bytes, {part}", f"{saved.size:,}, CRC {saved.crc:08x}")
          for part, saved in block.parts.items()),
    )  # fmt: skip


def _view_refusal(block: Refusal, _: Clock) -> Text:
    return Text(f"refused: {block.reason}", style="red")


def _view_lines(block: Lines, _: Clock) -> Text:
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


def _view_layers(block: Layers, clock: Clock) -> Table:
    result = table("",
        ("#", "right"), ("layer", "left"), (clock.unit + clock.note, "right"), ("share", "right"),
        ("", "left"), ("output CRC", "left"),
    )  # fmt: skip
    whole = block.total or sum(layer.ticks for layer in block.layers)
    for layer in block.layers:
        share = layer.ticks / whole if whole else 0.0
        result.add_row(
            *(str(layer.index), Text(layer.name), f"{layer.ticks:,}", f"{share:.1%}", bar(share)),
            f"{layer.crc:08x}",
        )
    result.add_section()
    result.add_row("", "whole inference", f"{block.total:,}", "", "", "")
    return result


def _view_memory(block: Memory, clock: Clock) -> Table:
    rows = [
        ("arena", block.arena, 0),
        ("input buffer (db)", block.db, 0),
        ("static RAM, with both", block.static, block.ram),
        ("stack, peak", block.stack_peak, block.stack),
        ("flash", block.flash_used, block.flash),
    ]
    if block.saved_states:
        rows.append(("states, of the arena", block.states, 0))
        rows.append(("copy of the states", block.saved_states, 0))
    if block.heap:
        rows.append(("heap, peak", block.heap_peak, block.heap))
    if block.train:
        rows.append(("trainable head", block.train, 0))
        rows.append((f"store ({block.store_medium})", block.store, 0))
    heading = f"memory{clock.note}"
    result = table("", (heading, "left"), ("used", "right"), ("of", "right"), ("", "left"))
    for name, used, available in rows:
        share = used / available if available else 0.0
        result.add_row(
            name,
            f"{used:,} B",
            f"{available:,} B" if available else "–",
            f"{bar(share)} {share:.1%}" if available else "",
        )
    return result


def _view_info(block: Info, clock: Clock) -> Table:
    counts = f"{block.tick_source}: {clock.unit}"
    rate = "" if clock.emulated and not clock.tells_time else f", {block.tick_hz:,} a second"
    return _view_facts(
        ("board", block.board + clock.note),
        ("firmware", f"{block.version}, ABI {block.abi}"),
        ("clock", f"{block.clock_hz:,} Hz" if block.clock_hz else "unknown"),
        ("ticks", counts + rate),
        ("model", f"{block.model} ({block.hash}), {block.ops} ops"),
        *(("also", model.name) for model in block.models if model.hash != block.hash),
        *_ends("input", block.inputs),
        *_ends("output", block.outputs),
        *(("state", _tensor_text(state)) for state in block.states),
        ("input buffer", f"{block.db.nbytes:,} bytes of {block.db.dtype}"),
        ("frame", f"at most {block.frame_bytes} bytes"),
    )


def _view_models(block: Models, _: Clock) -> Table:
    if not block.listed:
        return _view_facts(("chosen", f"{block.number} {block.name}"))
    return _view_facts(
        *(
            (f"{m.number} {m.name}", m.hash + (", chosen" if m.number == block.number else ""))
            for m in block.listed
        )
    )


def _view_crcs(block: Crcs, _: Clock) -> Table:
    outputs = (("output", crc) for crc in block.outputs)
    named = (("image", block.image), ("input", block.input), *outputs)
    return _view_facts(*((name, "–" if crc is None else f"{crc:08x}") for name, crc in named))


def _view_facts(*pairs: tuple[str, str]) -> Table:
    result = Table.grid(padding=(0, 2))
    for name, value in pairs:
        result.add_row(Text(name, style="dim"), Text(value))
    return result


def _ends(what: str, tensors: Sequence[TensorInfo]) -> Iterator[tuple[str, str]]:
    """A line each; of several with their numbers."""
    for number, tensor in enumerate(tensors):
        yield (what if len(tensors) == 1 else f"{what} {number}"), _tensor_text(tensor)


def _tensor_text(tensor: TensorInfo) -> str:
    name = f"{tensor.name}: " if tensor.name else ""
    return (
        f"{name}{shape_text(tensor.shape)} {tensor.dtype}, scale {tensor.scale:.6g}, "
        f"zero point {tensor.zero_point}"
    )


_VIEWS: Mapping[type[Block], Callable[[Any, Clock], RenderableType]] = {
    Layers: _view_layers,
    Memory: _view_memory,
    Info: _view_info,
    Crcs: _view_crcs,
    Lap: _view_lap,
    Uptime: _view_uptime,
    TrainTicks: _view_ticks,
    Status: _view_status,
    Refusal: _view_refusal,
    Lines: _view_lines,
    Models: _view_models,
}


# --- One line after another -----------------------------------------------------------------------


class Link(Protocol):
    """The part of `nanotool.device.Device` that the terminal uses."""

    def exchange(  # noqa: D102
        self, command: str, timeout: float | None = None
    ) -> tuple[list[str], list[Any]]: ...
    def load(self, data: Sequence[NDArray[Any]]) -> None: ...  # noqa: D102
    def sync(self, timeout: float = 10.0) -> None: ...  # noqa: D102


Arrays: TypeAlias = Mapping[str, NDArray[Any]]  # as `read_arrays` gives them
Prepared: TypeAlias = tuple[list[NDArray[Any]], list[str]]
Prepare: TypeAlias = Callable[[Arrays, int], Prepared]
"""(arrays, sample index) -> each input, of its type, and sentences on what of them saturates;
raises `NanoError`."""


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
        clock: Clock = SILICON,
        graphs: Mapping[str, QGraph] = MappingProxyType({}),
        model: str = "",
    ) -> None:
        """``graphs``: models by their names on the board, which runs ``model``: then labels and the
        way inputs are prepared go by it, and by what `model` chooses."""
        self._graphs = graphs
        self.link = link
        self.clock = clock
        self.console = console
        self.labels = labels
        self.prepare = prepare or prepare_from_board(link)
        self.raw = raw
        self.failures = 0  # lines that were refused or went wrong
        self._in_step = True  # False: an answer may still be on its way
        if graphs:
            self._use(model)

    def _use(self, model: str) -> None:
        """Take the board's model for the one called ``model``."""
        graph = self._graphs.get(model)
        self.labels = () if graph is None else graph.labels
        self.prepare = prepare_from_board(self.link) if graph is None else prepare_from_model(graph)

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
        for block in answers.read(lines):
            if isinstance(block, Models) and self._graphs:
                self._use(block.name)
            self.console.print(view(block, self.labels, self.clock))

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
            tables = (LOCAL, *BOARD_COMMANDS)
            self.console.print(_view_facts(*(pair for part in tables for pair in part.items())))
        else:
            if command in LOCAL:
                raise NanoError(f"{line}: so it is not called.", f"{command} {LOCAL[command]}")
            raise NanoError(f"{line} is no local command.", f"Try {', '.join(LOCAL)}.")
        return True

    def _load(self, path: Path, index: str) -> None:
        number = sample_number(index)
        self._get_in_step()
        data, doubts = self.prepare(read_arrays(path.expanduser()), number)
        self.link.load(data)
        for doubt in doubts:
            self.console.print(Text.assemble(("warning:", "yellow"), " ", doubt), soft_wrap=True)
        loaded = " and ".join(f"{one.size:,}" for one in data)
        self.console.print(f"Loaded {loaded} values. Next: infer 1 0")

    def _live(self, path: Path, index: str) -> None:
        """The classes' bars, redrawn after every inference, until the samples end or Ctrl-C."""
        first = sample_number(index)
        samples = read_arrays(path.expanduser())
        self._get_in_step()
        done = 0
        with Live(console=self.console, auto_refresh=False) as picture:
            try:
                for number in itertools.count(first):
                    self.link.load(self.prepare(samples, number)[0])
                    lines, _ = self.link.exchange("infer 1 0", LONG_TIMEOUT)
                    done += 1
                    parts = [view(block, self.labels, self.clock) for block in answers.read(lines)]
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

    def prepare(arrays: Arrays, index: int) -> Prepared:
        info = answers.parse_info(link.exchange("info", TIMEOUT)[0])
        names = [tensor.name for tensor in info.inputs]
        given = [
            data[None] if tuple(data.shape) == tensor.shape else data
            for data, tensor in zip(_matched(names, arrays, info.model), info.inputs, strict=True)
        ]
        made = [_sample(data, t, index) for data, t in zip(given, info.inputs, strict=True)]
        return [sample for sample, _ in made], _told(names, [beyond for _, beyond in made])

    return prepare


def _matched(names: Sequence[str], arrays: Arrays, model: str) -> tuple[NDArray[Any], ...]:
    found: tuple[NDArray[Any], ...] = by_name(names, arrays, "The file", model)
    return found


def _sample(
    samples: NDArray[Any], tensor: TensorInfo, index: int
) -> tuple[NDArray[Any], Clipping | None]:
    """One of ``samples`` as the board's ``tensor``, and what of it saturates."""
    if tuple(samples.shape[1:]) != tensor.shape or samples.ndim == 0:
        raise NanoError(
            f"The array's shape is {samples.shape}; the board takes N samples of {tensor.shape}.",
            "Name the model as well (nanotool console … MODEL): then its user layout is known.",
        )
    sample: NDArray[Any] = pick(samples, index)
    if sample.dtype == DTYPES[tensor.dtype]:
        return np.ascontiguousarray(sample), None
    if sample.dtype.kind != "f":
        raise NanoError(
            f"The array holds {sample.dtype}.", f"Give {tensor.dtype} (raw) or float values."
        )
    check_finite(sample[None])
    if tensor.dtype == "float32":
        return np.ascontiguousarray(sample, np.float32), None
    held = QTensor("input", tensor.shape, tensor.scale, tensor.zero_point, tensor.dtype)
    beyond = clipped(tensor.dtype, tensor.scale, tensor.zero_point, sample[None])
    return held.quantize(sample), beyond


def _told(names: Sequence[str], beyond: Sequence[Clipping | None]) -> list[str]:
    """Sentences on what saturates, with the input's name where there are several."""
    several = len(names) > 1
    return [
        f"{name}: {one}" if several else str(one)
        for name, one in zip(names, beyond, strict=True)
        if one is not None
    ]


def prepare_from_model(graph: QGraph) -> Prepare:
    """How to make an input where the model is at hand: user or device layout, float or int8."""

    def prepare(arrays: Arrays, index: int) -> Prepared:
        given = _matched(graph.inputs, arrays, graph.name)
        ready = [pick(to_device(graph, data, end), index) for end, data in enumerate(given)]
        ones = [data[index : index + 1] for data in given]
        beyond = [clipping(graph, data, end) for end, data in enumerate(ones)]
        return ready, _told(graph.inputs, beyond)

    return prepare


def pick(samples: Any, index: int) -> Any:
    """``samples[index]``; `NoSampleError` if there are not so many."""
    if index >= len(samples):
        raise NoSampleError(
            f"There is no sample {index}.", f"The file holds {len(samples)}, from 0."
        )
    return samples[index]


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
        tables = (*BOARD_COMMANDS, LOCAL)
        for name, what in (pair for part in tables for pair in part.items()):
            if name.startswith(typed):
                yield Completion(name, start_position=-len(typed), display_meta=what)


def _is_folder_or_npy(name: str) -> bool:
    return name.endswith(".npy") or Path(name).expanduser().is_dir()
