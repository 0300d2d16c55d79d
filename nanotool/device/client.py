"""A board at the end of a serial line, as Python calls (docs/console.md is the agreement).

`protocol` sees to it that an answer is whole and is the answer to what was asked, `answers` to
what it says. What arrives damaged is asked for again a few times; then there is a `DeviceError`
that says what was expected and what was heard.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from nanotool.device import answers, frames
from nanotool.device.answers import (
    Crcs,
    Info,
    Layers,
    Memory,
    Saved,
    SensorValues,
    StreamCounts,
    StreamStatus,
    StreamStep,
)
from nanotool.device.frames import Frame
from nanotool.device.line import Line, SerialPort, Stream
from nanotool.device.protocol import (
    Conversation,
    DeviceGarbled,
    DeviceLost,
    DeviceRefused,
    DeviceSilent,
)
from nanotool.device.tensors import TensorInfo, db_bytes
from nanotool.errors import DeviceError, NanoWarning
from nanotool.inputs import check_finite, clipped
from nanotool.ir import DTYPES, Int8Array

__all__ = ["Device", "DeviceGarbled", "DeviceLost", "DeviceRefused", "DeviceSilent"]

T = TypeVar("T")
# One input; of several one after the other in the model's order, or by name.
Inputs: TypeAlias = "bytes | NDArray[Any] | Sequence[NDArray[Any]] | Mapping[str, NDArray[Any]]"

MAX_COMMAND = 95  # bytes of a command line
_OFFSETS = 1 << 24  # a stream's are modulo this
_STATE_HEADER = 12  # bytes in front of saved states (nano/model.h, NANO_STATE_HEADER)


class Device:
    """A board on a port, in step after construction.

    `port` is a device path or pyserial URL, a `SerialPort`, an open `serial.Serial`, or a `Line`;
    what is opened here is opened for this program alone. `timeout` (seconds) bounds every answer
    unless a call says otherwise, `sync_timeout` how long the board may take to start. A command
    whose answer came damaged is sent again, up to sixteen times; one that is not answered in its
    time, once. Nothing is done twice by that.
    """

    def __init__(
        self,
        port: str | SerialPort | Stream | Line,
        *,
        timeout: float = 10.0,
        sync_timeout: float = 10.0,
    ) -> None:
        self.timeout = timeout
        self.line = port if isinstance(port, Line) else Line(port)
        self._conversation = Conversation(self.line)
        self._info: Info | None = None
        try:
            self.sync(sync_timeout)
        except BaseException:
            self.line.close()
            raise

    def close(self) -> None:
        """Let go of the port."""
        with contextlib.suppress(DeviceError):
            self._conversation.close()
        self.line.close()

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
        """Get in step, whatever the line was left in the middle of."""
        self._conversation.bind(timeout)

    def exchange(self, command: str, timeout: float | None = None) -> tuple[list[str], list[Frame]]:
        """Send one command; its answer's lines (without the last one) and frames.

        `DeviceRefused` for `e-[…]`. `DeviceGarbled`: no whole answer came, and it is open whether
        the command was done. `DeviceLost`: the board started over, or obeyed another program.
        """
        printable = command.isascii() and command.isprintable()
        if not 0 < len(command) <= MAX_COMMAND or not printable or "%" in command:
            raise DeviceError(
                f"{command[:MAX_COMMAND]!r} is no command line.",
                f"Send 1 to {MAX_COMMAND} printable ASCII characters without %.",
            )
        timeout = self.timeout if timeout is None else timeout
        if command.split()[:1] in (["reset"], ["model"]):
            self._info = None  # of another model, perhaps
        if command.split() == ["reset"]:
            return self._conversation.restart(timeout), []
        return self._conversation.exchange(command.encode("ascii"), command, timeout)

    def command(self, command: str, timeout: float | None = None) -> list[str]:
        """Send one command; the lines of its answer without the last one. See `exchange`."""
        return self.exchange(command, timeout)[0]

    def ask(
        self,
        command: str,
        parse: Callable[[list[str], list[Frame]], T],
        timeout: float | None = None,
    ) -> T:
        """Send one command; what `parse` makes of its answer's lines and frames."""
        return parse(*self.exchange(command, timeout))

    def agree_baud(self, *rates: int) -> int:
        """Talk at the first of these rates, in bits a second, that board, port and cable can; the
        rate from here on. Where there is none it is the one of before."""
        for baud in rates:
            if baud == self.line.baud or self._conversation.agree(baud):
                break
        return self.line.baud

    def reset(self) -> None:
        """Have the board start over, as after power-on."""
        self.command("reset")

    def send(self, piece: Frame) -> list[str]:
        """Send a piece of data; the lines of its answer. See `exchange` for the errors."""
        title = f"{chr(piece.type)} {piece.offset}"
        data = title.encode("ascii") + b"\0" + piece.data
        return self._conversation.exchange(data, title, self.timeout)[0]

    # --- questions --------------------------------------------------------------------------------

    def info(self) -> Info:
        """What runs there: board, clock, model, shapes."""
        self._info = self.ask("info", lambda lines, _: answers.parse_info(lines))
        return self._info

    def choose(self, model: int | str) -> Info:
        """Have a firmware of several models run this one, by its number or name, from its beginning
        on: nothing is loaded, and its states have their initial values. What runs then.
        `DeviceRefused` if there is none."""
        chosen = self.ask(f"model {model}", lambda lines, _: answers.parse_models(lines))
        info = self.info()
        if info.model != chosen.name:
            raise DeviceGarbled(f"The board chose {chosen.name}, and runs {info.model}.")
        return info

    def mem(self) -> Memory:
        """What memory it takes."""
        return self.ask("mem", lambda lines, _: answers.parse_memory(lines))

    def layers(self) -> Layers:
        """Run one inference on the loaded input; each op's ticks and its output's CRC. A model with
        states tries the step that comes next: its states stay, and it has no output after that."""
        return self.ask("layers", lambda lines, _: answers.parse_layers(lines))

    def crc(self) -> Crcs:
        """CRCs of the image, the loaded input and the newest outputs."""
        return self.ask("crc", lambda lines, _: answers.parse_crcs(lines))

    def results(self) -> tuple[float, ...]:
        """What the board makes of the newest outputs, three decimals: their elements de-quantized,
        one output behind the other, or the one number that a benchmark wants."""
        return self.ask("results", lambda lines, _: answers.parse_results(lines))

    def timestamp(self) -> int:
        """Microseconds since start-up, modulo 2^32."""
        return self.ask("timestamp", lambda lines, _: answers.parse_uptime(lines))

    def output(self) -> Int8Array:
        """The newest output, flat: its bytes, whatever type it has. Of a model with one output."""
        found = self.outputs()
        if len(found) != 1:
            raise DeviceError(
                f"The model has {len(found)} outputs, and one was asked for.",
                "Device.outputs() has all of them.",
            )
        return found[0]

    def outputs(self) -> tuple[Int8Array, ...]:
        """The newest outputs in the model's order, flat: their bytes."""
        return self.ask("dump", answers.parse_outputs)

    def dump(self, index: int) -> Int8Array:
        """Run up to op `index` on the loaded input; that op's output, flat: its bytes. A model with
        states tries the step that comes next, as of `layers`."""
        return self.ask(
            f"dump {index}", lambda lines, got: answers.parse_dump(str(index), lines, got)
        )

    # --- actions ----------------------------------------------------------------------------------

    def encode(self, x: Inputs) -> bytes:
        """What the board's `db` must hold so that `x` is the input, or all inputs: see
        `tensors.db_bytes`."""
        if isinstance(x, (bytes, bytearray)):
            return bytes(x)
        info = self._info or self.info()
        pairs = zip(_in_order(x, info.inputs), info.inputs, strict=True)
        return b"".join(self._encode(one, tensor) for one, tensor in pairs)

    def _encode(self, x: NDArray[Any], tensor: TensorInfo) -> bytes:
        assert self._info is not None
        check_finite(x[None])
        beyond = clipped(tensor.dtype, tensor.scale, tensor.zero_point, x[None])
        if beyond is not None:
            warnings.warn(str(beyond), NanoWarning, stacklevel=4)
        return db_bytes(x, tensor, self._info.db)

    def load(self, data: Inputs, *, frame_bytes: int = frames.MAX_DATA) -> None:
        """Make `data` the input: an array of the model's or of the `db`'s type, or the bytes that
        `db` shall hold. Several inputs: arrays in the model's order, or by name."""
        raw = self.encode(data)
        if not raw:
            raise DeviceError("There is no input to load.", "Give an array or bytes.")
        info = self._info or self.info()
        if len(info.inputs) == 1:
            self._load(raw, 0, frame_bytes)
            return
        if len(raw) != info.db.nbytes:
            raise DeviceError(
                f"The inputs have {len(raw)} bytes, the model takes {info.db.nbytes}.",
                "Compare with `info`.",
            )
        begin = 0
        for tensor in info.inputs:
            self._load(raw[begin : begin + tensor.nbytes], begin, frame_bytes)
            begin += tensor.nbytes

    def load_input(self, which: int | str, x: NDArray[Any]) -> None:
        """Load one of the model's inputs, by its number or name; the others stay."""
        info = self._info or self.info()
        names = [tensor.name for tensor in info.inputs]
        if which in names:
            index = names.index(str(which))
        elif isinstance(which, int) and 0 <= which < len(names):
            index = which
        else:
            raise DeviceError(
                f"The model has no input {which!r}.",
                f"Inputs: {', '.join(f'{i} {name}'.strip() for i, name in enumerate(names))}.",
            )
        tensor = info.inputs[index]
        begin = sum(before.nbytes for before in info.inputs[:index])
        self._load(self._encode(x, tensor), begin, frames.MAX_DATA)

    def _load(self, raw: bytes, begin: int, frame_bytes: int) -> None:
        if not answers.is_loaded(self.send_all(frames.INPUT, raw, frame_bytes, begin)):
            raise DeviceError(
                f"The board did not take {len(raw)} bytes for a whole input: no `m-load-done`.",
                "Compare with `info`: is this the model's input size?",
            )

    def send_all(
        self, kind: int, data: bytes, frame_bytes: int = frames.MAX_DATA, begin: int = 0
    ) -> list[str]:
        """Send `data` in pieces of this type, the first one for the offset `begin`; the answer to
        the last one."""
        step = max(1, min(frame_bytes, frames.MAX_DATA))
        lines: list[str] = []
        for start in range(0, len(data), step):
            offset, chunk = begin + start, data[start : start + step]
            lines = self.send(Frame(kind, offset, chunk))
            answers.check_piece(lines, offset, len(chunk))
        return lines

    def infer(self, n: int = 1, warmup: int = 0, *, timeout: float | None = None) -> int:
        """Run `warmup` inferences, then `n` timed ones; microseconds that the `n` took. A model
        with states goes `n` steps on; the warm-ups leave its states as they were."""
        lap = self.ask(f"time {n} {warmup}", lambda lines, _: answers.parse_lap(lines), timeout)
        return lap.micros

    def run(self, data: Inputs, *, timeout: float | None = None) -> Int8Array:
        """Load `data`, infer once, and fetch the output: see `load` and `output`. One step of a
        model with states."""
        self.load(data)
        self.infer(1, 0, timeout=timeout)
        return self.output()

    def step(self, *inputs: NDArray[Any], timeout: float | None = None) -> tuple[NDArray[Any], ...]:
        """The outputs [*shape], each of its type, for the inputs [*shape] in the model's order."""
        self.load(inputs)
        self.infer(1, 0, timeout=timeout)
        info = self._info or self.info()
        found = self.outputs()
        return tuple(_typed(one, told) for one, told in zip(found, info.outputs, strict=True))

    # --- states -----------------------------------------------------------------------------------

    def reset_states(self) -> None:
        """Give every state its initial value: the next step is the first one of a sequence."""
        self.ask("state reset", lambda lines, _: answers.parse_state(lines, "reset"))

    def saved(self) -> Saved:
        """Size and CRC of the states as `save_states` would give them."""
        return self.ask("state", lambda lines, _: answers.parse_state(lines))

    def save_states(self) -> bytes:
        """All states, as nano_save_state() writes them."""
        return self.ask("state fetch", answers.parse_states)

    def load_states(self, saved: bytes) -> None:
        """Put back what `save_states` gave: the next step is the one that would have followed then.
        `DeviceRefused`, and no change, for bytes of another model, or damaged ones."""
        command = f"state put {len(saved)}"
        self.ask(command, lambda lines, _: answers.check_state_put(lines))
        answers.check_loaded(self.send_all(frames.STATES, saved))

    def states(self) -> dict[str, NDArray[Any]]:
        """What the next step reads, by the states' names, or by number where names were left out:
        [*shape] each, of its type."""
        info = self._info or self.info()
        content = np.frombuffer(self.save_states(), np.int8)[_STATE_HEADER:]
        if content.size != info.state_bytes:
            raise DeviceGarbled(f"The states have {content.size} bytes, not {info.state_bytes}.")
        found: dict[str, NDArray[Any]] = {}
        for index, told in enumerate(info.states):
            own, content = content[: told.nbytes], content[told.nbytes :]
            found[told.name or str(index)] = _typed(own, told)
        return found

    # --- a stream ---------------------------------------------------------------------------------

    def stream_begin(self) -> None:
        """Begin a stream of samples: everything before is forgotten. Whatever else runs the model
        ends it."""
        self.ask("stream begin", lambda lines, _: answers.parse_stream_counts(lines, "begin"))

    def stream_feed(self, samples: NDArray[np.int16], at: int) -> StreamCounts:
        """Send int16 samples, as many as a frame takes at most: number ``at`` of the stream and
        those behind it. `DeviceRefused` if others are due, or there is no stream."""
        data = np.ascontiguousarray(samples, "<i2").tobytes()
        offset = 2 * at % _OFFSETS
        lines = self.send(Frame(frames.SAMPLES, offset, data))
        answers.check_piece(lines, offset, len(data))
        return answers.parse_stream_counts(lines)

    def stream_step(self) -> StreamStep:
        """The newest step's output and decisions. `DeviceRefused` before the first one."""
        return self.ask("stream step", lambda lines, _: answers.parse_stream_step(lines))

    def stream_status(self) -> StreamStatus:
        """Rate, counts, and the ticks that they took."""
        return self.ask("stream status", lambda lines, _: answers.parse_stream_status(lines))

    # --- the board's own sensor -------------------------------------------------------------------

    def sensor_begin(self) -> tuple[int, int]:
        """Have the sensor begin anew; its samples a second and channels. `DeviceRefused` where the
        board has none for the model."""
        return self.ask("sensor begin", lambda lines, _: answers.parse_sensor_begin(lines))

    def sensor_read(self, at: int) -> SensorValues:
        """Values from number ``at`` on, as many as an answer has room for and as have come, up to a
        gap; those before are the board's no longer. Asking again gives the same ones."""
        found = self.ask(f"sensor read {at % 2**32}", answers.parse_sensor)
        if found.first != at % 2**32:
            raise DeviceGarbled(f"The board sent values from {found.first}, not {at}.")
        return found

    def sensor_end(self) -> None:
        """Switch it off."""
        self.ask("sensor end", lambda lines, _: None)


def _typed(content: Int8Array, told: TensorInfo) -> NDArray[Any]:
    values: NDArray[Any] = content.view(DTYPES[told.dtype]).reshape(told.shape)
    return values


def _in_order(x: Any, tensors: Sequence[TensorInfo]) -> list[NDArray[Any]]:
    """One array an input, in the model's order."""
    given: list[Any]
    if isinstance(x, Mapping):
        names = [tensor.name for tensor in tensors]
        if set(x) != set(names):
            raise DeviceError(
                f"The inputs given are {', '.join(map(str, x))}.",
                f"The model's are {', '.join(names)}.",
            )
        given = [x[name] for name in names]
    else:
        given = [x] if isinstance(x, np.ndarray) else list(x)
    if len(given) != len(tensors):
        raise DeviceError(
            f"The model has {len(tensors)} inputs, {len(given)} were given.",
            "Give one array for each, in the model's order.",
        )
    return [np.asarray(one) for one in given]
