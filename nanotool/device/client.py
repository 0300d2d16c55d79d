"""A board at the end of a serial line, as Python calls (docs/console.md is the agreement).

Whatever comes from the line is checked before it is used: lengths are bounded, tensors carry a
CRC, numbers are parsed strictly. What arrives garbled is asked for again a few times; then there
is a `DeviceError` that says what was expected and what was heard.
"""

from __future__ import annotations

import itertools
import re
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Protocol, TypeVar

import numpy as np
import serial
from numpy.typing import NDArray

from nanotool.device import frames
from nanotool.device.frames import Frame, Garbled, Item, Splitter, Text
from nanotool.device.tensors import DbInfo, TensorInfo, db_bytes
from nanotool.errors import DeviceError
from nanotool.ir import DTYPES, ZERO_POINTS, Int8Array

T = TypeVar("T")

READY = "m-ready"
MAX_COMMAND = 95  # bytes of a command line
MAX_ITEMS = 1 << 17  # lines and frames in one answer
MAX_TENSOR = 1 << 24  # bytes of a tensor that `dump` may send
RETRIES = 4  # tries of a query or a load before giving up
_HEARD = 6  # last lines quoted in an error
_POLL = 0.02  # s that one read waits
# Commands that change nothing, and how the answer of each begins.
_QUESTIONS = (
    ("name", "m-name-dut-["),
    ("timestamp", "m-lap-us-"),
    ("profile", "m-profile-["),
    ("mem", "m-mem-"),
)


class DeviceRefused(DeviceError):
    """The board answered `e-[…]`: it understood the line and will not do it."""

    def __init__(self, command: str, reason: str) -> None:
        super().__init__(f"The board refused `{command}`: {reason}.")
        self.reason = reason


class DeviceGarbled(DeviceError):
    """What came over the line makes no sense, or nothing came."""


@dataclass(frozen=True, slots=True)
class Info:
    """The answer to `info`."""

    version: str
    abi: int
    board: str
    clock_hz: int  # 0: unknown
    tick_source: str  # "dwt", "tim2", "ns", ...
    tick_hz: int
    model: str
    hash: str  # 16 hex digits
    ops: int
    input: TensorInfo
    output: TensorInfo
    db: DbInfo
    frame_bytes: int  # most data bytes in a frame


@dataclass(frozen=True, slots=True)
class Memory:
    """The answer to `mem`, in bytes; 0 where the board cannot know."""

    arena: int
    db: int
    static: int  # .data and .bss with arena and db
    ram: int  # there is
    stack_peak: int  # most ever used
    stack: int  # reserved
    flash_used: int
    flash: int  # there is
    heap_peak: int = 0  # of a vendor's system, most ever used; our own firmware has no heap
    heap: int = 0  # there is
    train: int = 0  # arena of a trainable head
    store: int = 0  # where it is kept: there is
    store_medium: str = ""  # "flash", "file"; "ram": lost with the power


@dataclass(frozen=True, slots=True)
class LayerTicks:
    """One op of `layers`."""

    index: int
    ticks: int
    crc: int  # CRC-32 of its output
    name: str


@dataclass(frozen=True, slots=True)
class Layers:
    """The answer to `layers`: one watched inference."""

    layers: tuple[LayerTicks, ...]
    total: int  # ticks


@dataclass(frozen=True, slots=True)
class Crcs:
    """The answer to `crc`; None where there is nothing to sum up."""

    image: int | None
    input: int | None
    output: int | None


class Line(Protocol):
    """The part of `serial.Serial` that is used here."""

    timeout: float | None

    def read(self, size: int = 1, /) -> bytes: ...  # noqa: D102
    def write(self, data: bytes, /) -> int | None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class Device:
    """A board on a port, in step after construction.

    `port` is a device path, a pyserial URL, or an open line. `timeout` (seconds) bounds every
    answer unless a call says otherwise, `sync_timeout` how long the board may take to start.
    """

    def __init__(
        self,
        port: str | Line,
        baud: int = 115200,
        *,
        timeout: float = 10.0,
        sync_timeout: float = 10.0,
    ) -> None:
        self.name = port if isinstance(port, str) else "the line"
        self.timeout = timeout
        self._line = _open(port, baud) if isinstance(port, str) else port
        self._line.timeout = _POLL
        self._splitter = Splitter()
        self._info: Info | None = None
        try:
            self.sync(sync_timeout)
        except BaseException:
            self._line.close()
            raise

    def close(self) -> None:
        """Let go of the port."""
        self._line.close()

    def __enter__(self) -> Device:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- the line ---------------------------------------------------------------------------------

    def sync(self, timeout: float = 10.0) -> None:
        """Get in step, whatever the line was left in the middle of.

        Every question begins with a delimiter, which ends a frame that was begun, and a line end,
        which ends a line. A board that takes the delimiter for a frame's beginning has the next
        question to find out. Each question has an answer of its own: once the newest one is
        answered, nothing is under way any more.
        """
        end = time.monotonic() + timeout
        heard: list[Item] = []
        patience = 0.3
        for question, answer in itertools.cycle(_QUESTIONS):
            self._write(b"\0\r" + question.encode() + b"\r")
            if self._hears(answer, min(patience, end - time.monotonic()), heard):
                return
            if time.monotonic() >= end:
                break
            patience = min(patience * 1.5, 2.0)
        raise DeviceGarbled(
            f"No board answers on {self.name}: expected `m-name-dut-[…]` and `{READY}` within "
            f"{timeout:g} s, heard {_quote(heard)}.",
            "Check the port, that it is 115200 baud, that no other program has it open, and that "
            "the board runs this firmware.",
        )

    def _hears(self, answer: str, timeout: float, heard: list[Item]) -> bool:
        """Whether a line that begins with `answer` comes, and `m-ready` behind it."""
        found = False
        for item in self._items(timeout):
            heard.append(item)
            del heard[:-_HEARD]
            if isinstance(item, Text):
                found = found or item.line.startswith(answer)
                if found and item.line == READY:
                    return True
        return False

    def _read(self) -> bytes:
        try:
            data = self._line.read(1)
            waiting = getattr(self._line, "in_waiting", 0) if data else 0
            return data + (self._line.read(min(waiting, 65536)) if waiting else b"")
        except (serial.SerialException, OSError) as error:
            raise DeviceError(
                f"The line {self.name} broke: {error}.", "Plug the board in again."
            ) from error

    def _write(self, data: bytes) -> None:
        try:
            self._line.write(data)
        except (serial.SerialException, OSError) as error:
            raise DeviceError(
                f"The line {self.name} broke: {error}.", "Plug the board in again."
            ) from error

    def _items(self, timeout: float) -> Iterator[Item]:
        """What comes within `timeout` seconds."""
        end = time.monotonic() + timeout
        while True:
            data = self._read()
            yield from self._splitter.feed(data) if data else self._splitter.pause()
            if time.monotonic() >= end:
                return

    def _answer(self, command: str, timeout: float) -> list[Item]:
        """Everything up to `m-ready`."""
        items: list[Item] = []
        for item in self._items(timeout):
            if item == Text(READY):
                return items
            items.append(item)
            if len(items) > MAX_ITEMS:
                raise DeviceGarbled(f"The answer to `{command}` has no end.")
        raise DeviceGarbled(
            f"The board did not finish `{command}` within {timeout:g} s: expected `{READY}`, heard "
            f"{_quote(items)}.",
            "Reset the board; a slow model may need a longer time-out.",
        )

    def exchange(self, command: str, timeout: float | None = None) -> tuple[list[str], list[Frame]]:
        """Send one command; its answer's lines (without `m-ready`) and frames.

        `DeviceRefused` for `e-[…]`, `DeviceGarbled` if the answer is damaged or does not end.
        """
        printable = command.isascii() and command.isprintable()
        if len(command) > MAX_COMMAND or not printable or "%" in command:
            raise DeviceError(
                f"{command[:MAX_COMMAND]!r} is no command line.",
                f"Send at most {MAX_COMMAND} printable ASCII characters without %.",
            )
        self._write(command.encode("ascii") + b"%")
        items = self._answer(command, self.timeout if timeout is None else timeout)
        return _sort(command, items)

    def command(self, command: str, timeout: float | None = None) -> list[str]:
        """Send one command; the lines of its answer without `m-ready`. See `exchange`."""
        return self.exchange(command, timeout)[0]

    def ask(
        self,
        command: str,
        parse: Callable[[list[str], list[Frame]], T],
        timeout: float | None = None,
    ) -> T:
        """A question that can be asked again: until its answer parses, `RETRIES` times.

        A refusal is asked again, too: the command may have been garbled on its way.
        """
        for attempt in range(RETRIES):
            try:
                return parse(*self.exchange(command, timeout))
            except DeviceRefused:
                if attempt == RETRIES - 1:
                    raise
            except DeviceGarbled as garbled:
                if attempt == RETRIES - 1:
                    raise
                self.resync(garbled)
        raise AssertionError("unreachable")

    def resync(self, why: DeviceGarbled) -> None:
        """Get in step again, or fail with `why` it was needed."""
        try:
            self.sync(max(2.0, self.timeout))
        except DeviceGarbled:
            raise why from None

    # --- questions --------------------------------------------------------------------------------

    def info(self) -> Info:
        """What runs there: board, clock, model, shapes."""
        self._info = self.ask("info", lambda lines, _: _parse_info(lines))
        return self._info

    def mem(self) -> Memory:
        """What memory it takes."""
        return self.ask("mem", lambda lines, _: _parse_memory(lines))

    def layers(self) -> Layers:
        """Run one inference on the loaded input; each op's ticks and its output's CRC."""
        return self.ask("layers", lambda lines, _: _parse_layers(lines))

    def crc(self) -> Crcs:
        """CRCs of the image, the loaded input and the newest output."""
        return self.ask("crc", lambda lines, _: _parse_crcs(lines))

    def results(self) -> tuple[float, ...]:
        """What the board makes of the newest output, three decimals: its elements de-quantized, or
        the one number that a benchmark wants."""
        return self.ask("results", lambda lines, _: _parse_results(lines))

    def timestamp(self) -> int:
        """Microseconds since start-up, modulo 2^32."""
        return self.ask(
            "timestamp", lambda lines, _: integer(one_line(lines, r"m-lap-us-(\d{1,10})")[0])
        )

    def output(self) -> Int8Array:
        """The newest output, flat: its bytes, whatever type it has."""
        return self.ask("dump", lambda lines, got: _parse_dump("-", lines, got))

    def dump(self, index: int) -> Int8Array:
        """Run up to op `index` on the loaded input; that op's output, flat: its bytes."""
        return self.ask(f"dump {index}", lambda lines, got: _parse_dump(str(index), lines, got))

    # --- actions ----------------------------------------------------------------------------------

    def encode(self, x: NDArray[Any]) -> bytes:
        """What the board's `db` must hold so that `x` is the input: see `tensors.db_bytes`."""
        info = self._info or self.info()
        return db_bytes(x, info.input, info.db)

    def load(self, data: bytes | NDArray[Any], *, frame_bytes: int = frames.MAX_DATA) -> None:
        """Make `data` the input: an array of the model's or of the `db`'s type, or the bytes that
        `db` shall hold. Garbled frames are sent again."""
        raw = self.encode(data) if isinstance(data, np.ndarray) else bytes(data)
        if not raw:
            raise DeviceError("There is no input to load.", "Give an array or bytes.")
        step = max(1, min(frame_bytes, frames.MAX_DATA))
        for attempt in range(RETRIES):
            try:
                if self._load_once(raw, step):
                    return
            except DeviceGarbled as garbled:
                if attempt == RETRIES - 1:
                    raise
                self.resync(garbled)
        raise DeviceGarbled(
            f"The board did not take the input's {len(raw)} bytes whole: no `m-load-done`.",
            "Compare with `info`: is this the model's input size?",
        )

    def _load_once(self, raw: bytes, step: int) -> bool:
        done = False
        for offset in range(0, len(raw), step):
            chunk = raw[offset : offset + step]
            lines = self._send_frame(Frame(frames.INPUT, offset, chunk))
            if f"m-frame-[{offset} {len(chunk)}]" not in lines:
                raise DeviceGarbled(
                    f"Frame {offset} was answered by {_quote([Text(line) for line in lines])}, "
                    f"expected `m-frame-[{offset} {len(chunk)}]`."
                )
            done = "m-load-done" in lines
        return done

    def send(self, frame: Frame) -> list[str]:
        """Send one frame, once; the lines of its answer. See `exchange` for the errors."""
        what = f"frame at {frame.offset}"
        self._write(frames.encode(frame))
        return _sort(what, self._answer(what, min(self.timeout, 2.0)))[0]

    def _send_frame(self, frame: Frame) -> list[str]:
        for attempt in range(RETRIES):
            try:
                return self.send(frame)
            except DeviceRefused as refused:
                if attempt == RETRIES - 1:
                    raise DeviceGarbled(refused.message, "Check the cable and the rate.") from None
        raise AssertionError("unreachable")

    def infer(self, n: int = 1, warmup: int = 0, *, timeout: float | None = None) -> int:
        """Run `warmup` inferences, then `n` timed ones; microseconds that the `n` took."""
        return self.ask(f"infer {n} {warmup}", lambda lines, _: _parse_lap(lines), timeout)

    def run(self, data: bytes | NDArray[Any], *, timeout: float | None = None) -> Int8Array:
        """Load `data`, infer once, and fetch the output: see `load` and `output`."""
        self.load(data)
        self.infer(1, 0, timeout=timeout)
        return self.output()


def _open(port: str, baud: int) -> Line:
    try:
        # Typed as the part of it that is used; serial_for_url also takes plain device paths.
        return serial.serial_for_url(port, baudrate=baud, timeout=_POLL, write_timeout=10)
    except (serial.SerialException, OSError, ValueError) as error:
        raise DeviceError(
            f"Cannot open {port}: {error}.", "`nanotool boards` lists the ports there are."
        ) from error


def _quote(items: Sequence[Item]) -> str:
    """The last few things heard, for an error message."""
    if not items:
        return "nothing"
    shown = []
    for item in items[-_HEARD:]:
        if isinstance(item, Text):
            shown.append(f"`{item.line[:60]}`")
        elif isinstance(item, Frame):
            shown.append(f"frame at {item.offset}")
        else:
            shown.append(item.why)
    return ", ".join(shown)


def _sort(command: str, items: Sequence[Item]) -> tuple[list[str], list[Frame]]:
    """Lines and frames apart; an error line or anything garbled raises."""
    lines = [item.line for item in items if isinstance(item, Text)]
    for line in lines:
        if line.startswith("e-["):
            raise DeviceRefused(command, line.removeprefix("e-[").removesuffix("]"))
    for item in items:
        if isinstance(item, Garbled):
            raise DeviceGarbled(
                f"The answer to `{command}` came damaged: {item.why}; heard {_quote(items)}.",
                "Check the cable and the rate.",
            )
    return lines, [item for item in items if isinstance(item, Frame)]


def one_line(lines: Sequence[str], pattern: str) -> tuple[str, ...]:
    """The groups of the one line that matches `pattern` whole."""
    found = [match for line in lines if (match := re.fullmatch(pattern, line))]
    if len(found) != 1:
        raise DeviceGarbled(
            f"Expected one line like `{pattern}`, heard {_quote([Text(line) for line in lines])}."
        )
    return found[0].groups()


def integer(text: str, base: int = 10) -> int:
    """The number that `text` says; it must fit 32 bits, signed or unsigned."""
    value = int(text, base)
    if not -(1 << 31) <= value < (1 << 32):
        raise DeviceGarbled(f"The number {text} does not fit 32 bits.")
    return value


def _tensor_info(text: tuple[str, ...]) -> TensorInfo:
    shape = tuple(integer(extent) for extent in text[0].split("x"))
    (scale,) = struct.unpack(">f", bytes.fromhex(text[1]))
    info = TensorInfo(shape, float(scale), integer(text[2]), text[3])
    low, high = ZERO_POINTS.get(info.dtype, (0, 0))
    if not (np.isfinite(scale) and scale > 0 and low <= info.zero_point <= high):
        raise DeviceGarbled(f"The board reports an impossible tensor: {info}.")
    if not 0 < info.nbytes <= MAX_TENSOR:
        raise DeviceGarbled(f"The board reports an impossible shape: {text[0]}.")
    return info


def _db_info(text: tuple[str, ...], tensor: TensorInfo) -> DbInfo:
    info = DbInfo(text[0], integer(text[1]))
    if info.nbytes != tensor.size * DTYPES[info.dtype].itemsize:
        raise DeviceGarbled(f"The board reports an impossible buffer for {tensor}: {info}.")
    return info


def _parse_info(lines: Sequence[str]) -> Info:
    def field(name: str, pattern: str) -> tuple[str, ...]:
        return one_line(lines, rf"m-info-{name}-\[{pattern}\]")

    dtype = f"({'|'.join(DTYPES)})"
    tensor = rf"(\d{{1,9}}(?:x\d{{1,9}}){{0,3}}) ([0-9a-f]{{8}}) (-?\d{{1,3}}) {dtype}"
    source, tick_hz = field("ticks", r"(\w+) (\d{1,10})")
    taken = _tensor_info(field("input", tensor))
    return Info(
        version=field("version", r"([\w.+-]{1,40})")[0],
        abi=integer(field("abi", r"(\d{1,10})")[0]),
        board=field("board", r"([\w-]{1,40})")[0],
        clock_hz=integer(field("clock", r"(\d{1,10})")[0]),
        tick_source=source,
        tick_hz=integer(tick_hz),
        model=field("model", r"(\w{1,200})")[0],
        hash=field("hash", r"([0-9a-f]{16})")[0],
        ops=integer(field("ops", r"(\d{1,5})")[0]),
        input=taken,
        output=_tensor_info(field("output", tensor)),
        db=_db_info(field("db", rf"{dtype} (\d{{1,10}})"), taken),
        frame_bytes=integer(field("frame", r"(\d{1,10})")[0]),
    )


def _parse_memory(lines: Sequence[str]) -> Memory:
    def numbers(name: str, count: int) -> list[int]:
        pattern = " ".join([r"(\d{1,10})"] * count)
        return [integer(text) for text in one_line(lines, rf"m-mem-{name}-\[{pattern}\]")]

    (arena,), (db,) = numbers("arena", 1), numbers("db", 1)
    static, ram = numbers("static", 2)
    stack_peak, stack = numbers("stack", 2)
    flash_used, flash = numbers("flash", 2)
    heap_peak, heap = numbers("heap", 2) if any("m-mem-heap" in line for line in lines) else (0, 0)
    memory = Memory(arena, db, static, ram, stack_peak, stack, flash_used, flash, heap_peak, heap)
    if not any("m-mem-train" in line for line in lines):
        return memory
    medium, store = one_line(lines, r"m-mem-store-\[(\w{1,20}) (\d{1,10})\]")
    return replace(memory, train=numbers("train", 1)[0], store=integer(store), store_medium=medium)


def _parse_layers(lines: Sequence[str]) -> Layers:
    pattern = re.compile(r"m-layer-\[(\d{1,5}) (\d{1,10}) ([0-9a-f]{8}) (.*)\]")
    layers = []
    for line in lines:
        if match := pattern.fullmatch(line):
            index, ticks, crc, name = match.groups()
            layers.append(LayerTicks(integer(index), integer(ticks), integer(crc, 16), name))
    count, total = one_line(lines, r"m-layers-\[(\d{1,5}) (\d{1,10})\]")
    if [layer.index for layer in layers] != list(range(integer(count))):
        raise DeviceGarbled(f"`layers` answered {len(layers)} of {count} layers.")
    return Layers(tuple(layers), integer(total))


def _parse_crcs(lines: Sequence[str]) -> Crcs:
    def crc(name: str) -> int | None:
        text = one_line(lines, rf"m-crc-{name}-\[([0-9a-f]{{8}}|-)\]")[0]
        return None if text == "-" else integer(text, 16)

    return Crcs(crc("image"), crc("input"), crc("output"))


def _parse_lap(lines: Sequence[str]) -> int:
    laps = [line for line in lines if line.startswith("m-lap-us-")]
    if len(laps) != 2 or "m-infer-done" not in lines:
        raise DeviceGarbled(
            "Expected two `m-lap-us-T` and `m-infer-done`, heard "
            f"{_quote([Text(line) for line in lines])}."
        )
    begin, end = (integer(one_line([lap], r"m-lap-us-(\d{1,10})")[0]) for lap in laps)
    return (end - begin) % (1 << 32)


def _parse_results(lines: Sequence[str]) -> tuple[float, ...]:
    number = r"-?\d{1,40}\.\d{3}"
    (text,) = one_line(lines, rf"m-results-\[({number}(?:,{number})*)\]")
    return tuple(float(value) for value in text.split(","))


def _parse_dump(index: str, lines: Sequence[str], got: Sequence[Frame]) -> Int8Array:
    announced = one_line(lines, rf"m-dump-\[{index} (\d{{1,10}}) ([0-9a-f]{{8}})\]")
    return np.frombuffer(join_frames("dump", announced, got), np.int8)


def join_frames(command: str, announced: tuple[str, ...], got: Sequence[Frame]) -> bytes:
    """The bytes that came as frames, checked against their announced size and CRC."""
    size, crc = announced
    data = bytearray()
    for frame in got:
        if frame.type != frames.TENSOR or frame.offset != len(data):
            raise DeviceGarbled(
                f"`{command}` sent a frame for offset {frame.offset} after {len(data)} bytes."
            )
        data += frame.data
        if len(data) > MAX_TENSOR:
            raise DeviceGarbled(f"`{command}` sent more than {MAX_TENSOR} bytes.")
    if len(data) != integer(size) or zlib.crc32(data) != integer(crc, 16):
        raise DeviceGarbled(f"`{command}` sent {len(data)} bytes, announced {size} with CRC {crc}.")
    return bytes(data)
