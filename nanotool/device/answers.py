"""What a board's answers say (docs/console.md): lines and frames in, dataclasses out.

Everything is checked before it is believed: numbers fit 32 bits, tensors are possible, sizes and
CRCs agree. What does not raises `DeviceGarbled`.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nanotool.device import frames
from nanotool.device.frames import Frame, Text
from nanotool.device.protocol import DeviceGarbled, quote
from nanotool.device.tensors import DbInfo, TensorInfo
from nanotool.ir import DTYPES, ZERO_POINTS, Int8Array
from nanotool.sensing.rule import Decision

Part = Literal["head", "optimizer", "all"]

PARTS: tuple[Part, ...] = ("head", "optimizer", "all")
LOSS = 1 << 20  # a loss of 1 on the line
MAX_TENSOR = 1 << 24  # bytes of a tensor that `dump` may send


@dataclass(frozen=True, slots=True)
class OneModel:
    """One of a firmware's models."""

    number: int  # by which, or by its name, `model` chooses it
    name: str
    hash: str  # 16 hex digits


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
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    states: tuple[TensorInfo, ...]
    db: DbInfo
    frame_bytes: int  # most data bytes in a frame
    models: tuple[OneModel, ...] = ()  # of a firmware with several; `model` is the chosen one

    @property
    def input(self) -> TensorInfo:
        """The first input: the one that most models have."""
        return self.inputs[0]

    @property
    def output(self) -> TensorInfo:
        """The first output."""
        return self.outputs[0]

    @property
    def state_bytes(self) -> int:
        """Of all states together."""
        return sum(state.nbytes for state in self.states)


@dataclass(frozen=True, slots=True)
class Models:
    """The answer to `model`."""

    number: int  # of the chosen one
    name: str
    listed: tuple[OneModel, ...]  # all of them; () of an answer to a choice


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
    states: int = 0  # of the arena: what keeps its values from step to step
    saved_states: int = 0  # their copy, for steps that are only tried


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
    input: int | None  # all of `db`
    outputs: tuple[int | None, ...]

    @property
    def output(self) -> int | None:
        """The first one."""
        return self.outputs[0]


@dataclass(frozen=True, slots=True)
class Lap:
    """The time that `infer` or `time` took."""

    micros: int  # of the board's clock
    inferences: int


@dataclass(frozen=True, slots=True)
class Saved:
    """One part of the head, or the states, as the board holds it."""

    size: int  # bytes
    crc: int  # CRC-32


@dataclass(frozen=True, slots=True)
class StreamCounts:
    """Since `stream begin`, modulo 2^32."""

    samples: int
    steps: int
    decisions: int


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """The answer to `stream`."""

    rate: int  # samples a second
    open: bool  # nothing but the stream has run since `stream begin`
    ticks: int  # that the samples took since then, modulo 2^32
    counts: StreamCounts


@dataclass(frozen=True, slots=True)
class StreamStep:
    """The answer to `stream step`: the newest one."""

    step: int
    output: bytes  # the first output's
    decisions: tuple[Decision, ...]


@dataclass(frozen=True, slots=True)
class SensorValues:
    """The answer to `sensor read`."""

    first: int  # the first value's number since `sensor begin`, without those that were lost
    values: NDArray[np.int16]  # the channels of a sample in turn; no gap between them
    lost: int  # about so many were lost in front of them since `sensor begin`
    ended: bool  # nothing comes behind them


@dataclass(frozen=True, slots=True)
class AlarmState:
    """When a score of the head is an alarm: docs/training.md, "Anomalies"."""

    threshold: int  # scores above it are anomalous; 4294967295: none is
    quantile: int  # per mille, of the distances between recordings
    margin: int  # per mille
    needed: int  # of the last `window` scores
    window: int


@dataclass(frozen=True, slots=True)
class Score:
    """How far a sample is from what was learned as normal."""

    score: int
    anomalous: bool  # above the threshold
    alarm: bool  # so were enough of the last ones
    ticks: int  # that scoring took, without the model's inference


@dataclass(frozen=True, slots=True)
class Status:
    """The answer to `train status`."""

    config: int  # nano_train_hash() of the head's configuration
    origin: str  # "initial", "stored", "trained"; "void": a put is not finished
    parts: dict[str, Saved]  # "head", "optimizer", "all"; empty if the head is void
    classes: int  # active
    most_classes: int
    steps: int  # updates of the weights
    samples: int  # that were trained on
    pending: int  # of them since the last update
    batch: int  # samples of a mini-batch
    replay_used: int
    replay_slots: int
    replay_seen: int  # samples ever offered to the replay buffer
    correct: int  # of the evaluations since `begin`
    evaluated: int
    anomaly: str = "none"  # "nearest", "gaussian": what scores are of
    learned: int = 0  # samples, as normal
    alarm: AlarmState | None = None  # None: the head has no scores


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one sample."""

    label: int
    predicted: int  # before the update
    loss: float  # before the update
    stepped: bool  # the mini-batch was full, the weights were updated


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The head's opinion of one sample."""

    label: int
    predicted: int
    nearest: int | None  # the class whose mean is nearest; None: no means are kept
    loss: float


# --- The model --------------------------------------------------------------------------------


def one_line(lines: Sequence[str], pattern: str) -> tuple[str, ...]:
    """The groups of the one line that matches `pattern` whole."""
    found = [match for line in lines if (match := re.fullmatch(pattern, line))]
    if len(found) != 1:
        raise DeviceGarbled(
            f"Expected one line like `{pattern}`, heard {quote([Text(line) for line in lines])}."
        )
    return found[0].groups()


def integer(text: str, base: int = 10) -> int:
    """The number that `text` says; it must fit 32 bits, signed or unsigned."""
    value = int(text, base)
    if not -(1 << 31) <= value < (1 << 32):
        raise DeviceGarbled(f"The number {text} does not fit 32 bits.")
    return value


def every_line(lines: Sequence[str], pattern: str) -> list[tuple[str, ...]]:
    """The groups of each line that matches `pattern` whole; there must be one."""
    found = [match.groups() for line in lines if (match := re.fullmatch(pattern, line))]
    return found or [one_line(lines, pattern)]  # which says what is missing


def _tensor_info(text: tuple[str, ...]) -> TensorInfo:
    shape = tuple(integer(extent) for extent in text[0].split("x"))
    (scale,) = struct.unpack(">f", bytes.fromhex(text[1]))
    info = TensorInfo(shape, float(scale), integer(text[2]), text[3], text[4] or "")
    low, high = ZERO_POINTS.get(info.dtype, (0, 0))
    if not (np.isfinite(scale) and scale > 0 and low <= info.zero_point <= high):
        raise DeviceGarbled(f"The board reports an impossible tensor: {info}.")
    if not 0 < info.nbytes <= MAX_TENSOR:
        raise DeviceGarbled(f"The board reports an impossible shape: {text[0]}.")
    return info


def _db_info(text: tuple[str, ...], tensors: Sequence[TensorInfo]) -> DbInfo:
    info = DbInfo(text[0], integer(text[1]))
    wanted = sum(tensor.nbytes for tensor in tensors)
    if info.dtype != "bytes":
        wanted = tensors[0].size * DTYPES[info.dtype].itemsize
    if info.nbytes != wanted or (info.dtype == "bytes") != (len(tensors) > 1):
        raise DeviceGarbled(f"The board reports an impossible buffer for {tensors[0]}: {info}.")
    return info


def parse_info(lines: Sequence[str]) -> Info:
    """The answer to `info`."""

    def field(name: str, pattern: str) -> tuple[str, ...]:
        return one_line(lines, rf"m-info-{name}-\[{pattern}\]")

    dtype = f"({'|'.join(DTYPES)})"
    tensor = rf"(\d{{1,9}}(?:x\d{{1,9}}){{0,3}}) ([0-9a-f]{{8}}) (-?\d{{1,3}}) {dtype}(?: (.*))?"

    def tensors(name: str) -> tuple[TensorInfo, ...]:
        return tuple(map(_tensor_info, every_line(lines, rf"m-info-{name}-\[{tensor}\]")))

    source, tick_hz = field("ticks", r"(\w+) (\d{1,10})")
    taken = tensors("input")
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
        inputs=taken,
        outputs=tensors("output"),
        states=tensors("state") if any("m-info-state-" in line for line in lines) else (),
        db=_db_info(field("db", r"(\w{1,10}) (\d{1,10})"), taken),
        frame_bytes=integer(field("frame", r"(\d{1,10})")[0]),
        models=_models(lines, "info-models") if any("m-info-models-" in x for x in lines) else (),
    )


def _models(lines: Sequence[str], tag: str) -> tuple[OneModel, ...]:
    found = every_line(lines, rf"m-{tag}-\[(\d{{1,5}}) (\w{{1,200}}) ([0-9a-f]{{16}})\]")
    models = tuple(OneModel(integer(number), name, digest) for number, name, digest in found)
    if [model.number for model in models] != list(range(len(models))):
        raise DeviceGarbled(f"The board numbers its models {[m.number for m in models]}.")
    return models


def parse_models(lines: Sequence[str]) -> Models:
    """The answer to `model`, with or without a model to choose."""
    number, name = one_line(lines, r"m-model-chosen-\[(\d{1,5}) (\w{1,200})\]")
    listed = any("m-models-" in line for line in lines)
    return Models(integer(number), name, _models(lines, "models") if listed else ())


def parse_memory(lines: Sequence[str]) -> Memory:
    """The answer to `mem`."""

    def numbers(name: str, count: int) -> list[int]:
        pattern = " ".join([r"(\d{1,10})"] * count)
        return [integer(text) for text in one_line(lines, rf"m-mem-{name}-\[{pattern}\]")]

    (arena,), (db,) = numbers("arena", 1), numbers("db", 1)
    static, ram = numbers("static", 2)
    stack_peak, stack = numbers("stack", 2)
    flash_used, flash = numbers("flash", 2)
    heap_peak, heap = numbers("heap", 2) if any("m-mem-heap" in line for line in lines) else (0, 0)
    memory = Memory(arena, db, static, ram, stack_peak, stack, flash_used, flash, heap_peak, heap)
    if any("m-mem-state-" in line for line in lines):
        kept, saved = numbers("state", 2)
        memory = replace(memory, states=kept, saved_states=saved)
    if not any("m-mem-train" in line for line in lines):
        return memory
    medium, store = one_line(lines, r"m-mem-store-\[(\w{1,20}) (\d{1,10})\]")
    return replace(memory, train=numbers("train", 1)[0], store=integer(store), store_medium=medium)


def parse_layers(lines: Sequence[str]) -> Layers:
    """The answer to `layers`."""
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


def parse_crcs(lines: Sequence[str]) -> Crcs:
    """The answer to `crc`."""

    def crcs(name: str) -> tuple[int | None, ...]:
        found = every_line(lines, rf"m-crc-{name}-\[([0-9a-f]{{8}}|-)\]")
        return tuple(None if text == "-" else integer(text, 16) for (text,) in found)

    (image,), (given,), outputs = crcs("image"), crcs("input"), crcs("output")
    return Crcs(image, given, outputs)


def parse_uptime(lines: Sequence[str]) -> int:
    """Microseconds since start-up, of `timestamp`."""
    return integer(one_line(lines, r"m-lap-us-(\d{1,10})")[0])


def parse_lap(lines: Sequence[str]) -> Lap:
    """The answer to `infer` or `time`."""
    laps = [line for line in lines if line.startswith("m-lap-us-")]
    if len(laps) != 2 or "m-infer-done" not in lines:
        raise DeviceGarbled(
            "Expected two `m-lap-us-T` and `m-infer-done`, heard "
            f"{quote([Text(line) for line in lines])}."
        )
    count = integer(one_line(lines, r"m-infer-start-(\d{1,10})")[0])
    begin, end = (integer(one_line([lap], r"m-lap-us-(\d{1,10})")[0]) for lap in laps)
    return Lap((end - begin) % (1 << 32), max(1, count))


def parse_results(lines: Sequence[str]) -> tuple[float, ...]:
    """The answer to `results`."""
    number = r"-?\d{1,40}\.\d{3}"
    found = every_line(lines, rf"m-results-\[({number}(?:,{number})*)\]")
    return tuple(float(value) for (text,) in found for value in text.split(","))


def parse_dump(index: str, lines: Sequence[str], got: Sequence[Frame]) -> Int8Array:
    """The bytes of a `dump`; ``index`` is "-" for the output."""
    announced = one_line(lines, rf"m-dump-\[{index} (\d{{1,10}}) ([0-9a-f]{{8}})\]")
    return np.frombuffer(join_frames("dump", announced, got), np.int8)


def parse_outputs(lines: Sequence[str], got: Sequence[Frame]) -> tuple[Int8Array, ...]:
    """The bytes of every output, of a `dump` without a number."""
    announced = every_line(lines, r"m-dump-\[- (\d{1,10}) ([0-9a-f]{8})\]")
    begins = [index for index, frame in enumerate(got) if frame.offset == 0]
    if len(begins) != len(announced):
        raise DeviceGarbled(f"`dump` sent {len(begins)} outputs, announced {len(announced)}.")
    ends = [*begins[1:], len(got)]
    return tuple(
        np.frombuffer(join_frames("dump", told, got[begin:end]), np.int8)
        for told, begin, end in zip(announced, begins, ends, strict=True)
    )


def parse_states(lines: Sequence[str], got: Sequence[Frame]) -> bytes:
    """The answer to `state fetch`: saved states."""
    announced = one_line(lines, r"m-state-fetch-\[(\d{1,10}) ([0-9a-f]{8})\]")
    return join_frames("state fetch", announced, got)


def parse_state(lines: Sequence[str], word: str = "") -> Saved:
    """`m-state-[SIZE CRC]`, or with a word behind `state`."""
    size, crc = one_line(lines, rf"m-state{word and '-' + word}-\[(\d{{1,10}}) ([0-9a-f]{{8}})\]")
    return Saved(integer(size), integer(crc, 16))


def check_state_put(lines: Sequence[str]) -> None:
    """DeviceGarbled if that is not the answer to `state put`."""
    one_line(lines, r"m-state-put-\[\d+\]")


def check_piece(lines: Sequence[str], offset: int, size: int) -> None:
    """DeviceGarbled if the board did not take a frame's ``size`` bytes for that offset."""
    if f"m-frame-[{offset} {size}]" not in lines:
        raise DeviceGarbled(f"The board took another piece than that at {offset}: {list(lines)}.")


def is_loaded(lines: Sequence[str]) -> bool:
    """Whether the last piece made a whole."""
    return "m-load-done" in lines


def check_loaded(lines: Sequence[str]) -> None:
    """DeviceGarbled if it did not."""
    one_line(lines, "m-load-done")


def parse_stream_counts(lines: Sequence[str], word: str = "") -> StreamCounts:
    """`m-stream-[SAMPLES STEPS DECISIONS]`, or with a word behind `stream`."""
    numbers = " ".join([r"(\d{1,10})"] * 3)
    found = one_line(lines, rf"m-stream{word and '-' + word}-\[{numbers}\]")
    return StreamCounts(*(integer(text) for text in found))


def parse_stream_status(lines: Sequence[str]) -> StreamStatus:
    """The answer to `stream`."""

    def number(name: str) -> int:
        return integer(one_line(lines, rf"m-stream-{name}-\[(\d{{1,10}})\]")[0])

    counts = parse_stream_counts(lines)
    return StreamStatus(number("rate"), number("open") == 1, number("ticks"), counts)


def parse_stream_step(lines: Sequence[str]) -> StreamStep:
    """The answer to `stream step`."""
    step, content = one_line(lines, r"m-stream-step-\[(\d{1,10}) ((?:[0-9a-f]{2})+)\]")
    decision = re.compile(r"m-stream-decision-\[(\d{1,10}) (\d{1,5}) (-?\d{1,10})\]")
    made = [
        Decision(*(integer(text) for text in match.groups()))
        for line in lines
        if (match := decision.fullmatch(line))
    ]
    return StreamStep(integer(step), bytes.fromhex(content), tuple(made))


def parse_sensor_begin(lines: Sequence[str]) -> tuple[int, int]:
    """(samples a second, channels) that the sensor gives."""
    rate, channels = one_line(lines, r"m-sensor-begin-\[(\d{1,10}) (\d{1,5})\]")
    return integer(rate), integer(channels)


def parse_sensor(lines: Sequence[str], got: Sequence[Frame]) -> SensorValues:
    """The answer to `sensor read`: `m-sensor-[FIRST COUNT LOST ENDED]`, and the values."""
    numbers = " ".join([r"(\d{1,10})"] * 4)
    found = one_line(lines, rf"m-sensor-\[{numbers}\]")
    first, count, lost, ended = (integer(text) for text in found)
    data, offset = bytearray(), 2 * first
    for frame in got:
        if frame.type != frames.TENSOR or frame.offset != (offset + len(data)) % (1 << 24):
            raise DeviceGarbled(f"`sensor read` sent a frame for offset {frame.offset}.")
        data += frame.data
    if len(data) != 2 * count:
        raise DeviceGarbled(f"`sensor read` sent {len(data)} bytes of {count} values.")
    values = np.frombuffer(bytes(data), "<i2").astype(np.int16)
    return SensorValues(first, values, lost, ended == 1)


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


# --- Its trainable head -----------------------------------------------------------------------


def train_numbers(lines: Sequence[str], word: str, count: int) -> tuple[int, ...]:
    """The numbers of the line `m-train-WORD-[…]`."""
    pattern = " ".join([r"(\d{1,10})"] * count)
    return tuple(integer(text) for text in one_line(lines, rf"m-train-{word}-\[{pattern}\]"))


def parse_part(part: Part, lines: Sequence[str], got: Sequence[Frame]) -> bytes:
    """The bytes that `train fetch` announced, and sent."""
    announced = one_line(lines, rf"m-train-fetch-\[{part} (\d{{1,10}}) ([0-9a-f]{{8}})\]")
    return join_frames(f"train fetch {part}", announced, got)


def check_set(lines: Sequence[str], name: str) -> None:
    """DeviceGarbled if `train set` did not set this number."""
    one_line(lines, rf"m-train-set-\[{name} ([0-9a-f]{{8}})\]")


def parse_eval(lines: Sequence[str]) -> Evaluation:
    """The answer to `train eval LABEL`."""
    pattern = r"m-train-eval-\[(\d{1,5}) (\d{1,5}) (\d{1,5}|-) (\d{1,10})\]"
    label, predicted, nearest, loss = one_line(lines, pattern)
    mean = None if nearest == "-" else integer(nearest)
    return Evaluation(integer(label), integer(predicted), mean, integer(loss) / LOSS)


def parse_saved(lines: Sequence[str], word: str) -> dict[str, Saved]:
    """Lines `m-train-WORD-[PART SIZE CRC]` by their part."""
    pattern = re.compile(rf"m-train-{word}-\[({'|'.join(PARTS)}) (\d{{1,10}}) ([0-9a-f]{{8}})\]")
    found = {}
    for line in lines:
        if match := pattern.fullmatch(line):
            found[match[1]] = Saved(integer(match[2]), integer(match[3], 16))
    if not found and word != "part":
        raise DeviceGarbled(f"Expected `m-train-{word}-[…]`, heard {len(lines)} other lines.")
    return found


def parse_status(lines: Sequence[str]) -> Status:
    """The answer to `train status`."""
    config = one_line(lines, r"m-train-config-\[([0-9a-f]{8})\]")[0]
    origin = one_line(lines, r"m-train-origin-\[(initial|stored|trained|void)\]")[0]
    classes, most = train_numbers(lines, "classes", 2)
    steps, samples = train_numbers(lines, "steps", 2)
    pending, batch = train_numbers(lines, "batch", 2)
    used, slots, seen = train_numbers(lines, "replay", 3)
    correct, evaluated = train_numbers(lines, "eval", 2)
    told = Status(
        integer(config, 16),
        origin,
        parse_saved(lines, "part"),
        classes=classes,
        most_classes=most,
        steps=steps,
        samples=samples,
        pending=pending,
        batch=batch,
        replay_used=used,
        replay_slots=slots,
        replay_seen=seen,
        correct=correct,
        evaluated=evaluated,
    )
    if not any(line.startswith("m-train-anomaly-") for line in lines):
        return told
    kind, learned = one_line(lines, r"m-train-anomaly-\[(nearest|gaussian) (\d{1,10})\]")
    return replace(told, anomaly=kind, learned=integer(learned), alarm=parse_alarm(lines))


def parse_alarm(lines: Sequence[str]) -> AlarmState:
    """The line `m-train-threshold-[…]`."""
    return AlarmState(*train_numbers(lines, "threshold", 5))


def parse_score(lines: Sequence[str]) -> Score:
    """The answer to `train score`."""
    score, anomalous, alarm, ticks = train_numbers(lines, "score", 4)
    return Score(score, bool(anomalous), bool(alarm), ticks)


# --- Any answer -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines that have no better form."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Results:
    """`m-results`: the de-quantized output."""

    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Uptime:
    """The answer to `timestamp`."""

    micros: int  # of the board's clock, modulo 2^32


@dataclass(frozen=True, slots=True)
class TrainTicks:
    """The answer to `train ticks`: a sample that adds its gradient, and one that updates, too."""

    gradient: int
    update: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """`e-[…]`: the board will not."""

    reason: str


Block: TypeAlias = (
    Lines
    | Results
    | Layers
    | Memory
    | Info
    | Models
    | Crcs
    | Lap
    | Uptime
    | Status
    | TrainTicks
    | Refusal
)


def _read_laps(lines: Sequence[str]) -> Block:
    if len(lines) == 1:
        return Uptime(parse_uptime(lines))
    return parse_lap(lines)


# What the lines of an answer begin with, and what reads them.
_READERS: tuple[tuple[re.Pattern[str], Callable[[Sequence[str]], Block]], ...] = (
    (re.compile(r"e-\["), lambda lines: Refusal(one_line(lines, r"e-\[(.*)\]")[0])),
    (re.compile(r"m-info-"), parse_info),
    (re.compile(r"m-models-|m-model-chosen-"), parse_models),
    (re.compile(r"m-mem-"), parse_memory),
    (re.compile(r"m-crc-"), parse_crcs),
    (re.compile(r"m-layers?-\["), parse_layers),
    (re.compile(r"m-(?:warmup|infer|lap-us)-"), _read_laps),
    (re.compile(r"m-results-"), lambda lines: Results(parse_results(lines))),
    (
        re.compile(r"m-train-ticks-"),
        lambda lines: TrainTicks(*train_numbers(lines, "ticks", 2)),
    ),
    (
        re.compile(
            r"m-train-(?:config|origin|classes|steps|batch|replay|part|anomaly|threshold)-|"
            r"m-train-(?:eval|put)-\["
            r"\d+ \d+\]$"
        ),
        parse_status,
    ),
)


def read(lines: Sequence[str]) -> tuple[Block, ...]:
    """What an answer's lines say, whatever was asked; those that fit nothing are kept as they
    are."""
    found: dict[tuple[int, int], list[str]] = {}
    for number, line in enumerate(lines):
        kinds = (index for index, (begin, _) in enumerate(_READERS) if begin.match(line))
        own = number if line.startswith("m-results-") else 0  # a line an output
        found.setdefault((next(kinds, len(_READERS)), own), []).append(line)
    return tuple(_read_kind(index, told) for (index, _), told in found.items())


def _read_kind(index: int, lines: Sequence[str]) -> Block:
    if index == len(_READERS):
        return Lines(tuple(lines))
    try:
        return _READERS[index][1](lines)
    except DeviceGarbled:
        return Lines(tuple(lines))
