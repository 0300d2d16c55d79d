"""A board's trainable head, as Python calls (docs/console.md, "Learning").

What a lost or garbled answer leaves open, whether the board has learned from a sample or not, its
counters tell: nothing is learned twice, and nothing is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from numpy.typing import NDArray

from nanotool.device import frames
from nanotool.device.client import (
    RETRIES,
    Device,
    DeviceGarbled,
    DeviceRefused,
    integer,
    join_frames,
    one_line,
)
from nanotool.device.frames import Frame
from nanotool.errors import DeviceError

Part = Literal["head", "optimizer", "all"]
Setting = Literal["rate", "momentum", "decay", "clip"]

PARTS: tuple[Part, ...] = ("head", "optimizer", "all")
LOSS = 1 << 20  # a loss of 1 on the line
_STEP_TIMEOUT = 600.0  # s that `train step N` may take: a slow core, many samples
_SAVE_TIMEOUT = 30.0  # s; flash of 128 KB is erased in two


@dataclass(frozen=True, slots=True)
class Saved:
    """One part of the head as the board holds it."""

    size: int  # bytes
    crc: int  # CRC-32


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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one sample. None: the answer was lost, though the sample was learned."""

    label: int
    predicted: int | None  # before the update
    loss: float | None  # before the update
    stepped: bool | None  # the mini-batch was full, the weights were updated


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The head's opinion of one sample."""

    label: int
    predicted: int
    nearest: int | None  # the class whose mean is nearest; None: no means are kept
    loss: float


class Trainer:
    """The trainable head of the board behind `device`.

    `DeviceRefused` if the firmware has none, or for the board's own reasons."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._known = self.status()  # what an answer that got lost is found out by

    # --- questions --------------------------------------------------------------------------------

    def status(self) -> Status:
        """Counters, sizes and CRCs."""
        return self.device.ask("train status", lambda lines, _: _parse_status(lines))

    def totals(self) -> tuple[int, int]:
        """(right ones, all) of the evaluations since `begin`."""
        right, asked = self.device.ask("train eval", lambda lines, _: _numbers(lines, "evals", 2))
        return right, asked

    def ticks(self) -> tuple[int, int]:
        """What the newest `sample` took to learn: one that only added its gradient, and one that
        updated the weights, too. Without the model's inference."""
        gradient, update = self.device.ask(
            "train ticks", lambda lines, _: _numbers(lines, "ticks", 2)
        )
        return gradient, update

    def fetch(self, part: Part = "head") -> bytes:
        """The bytes of that part, as `put` takes them: a nano_train_record and what follows."""
        pattern = rf"m-train-fetch-\[{part} (\d{{1,10}}) ([0-9a-f]{{8}})\]"
        command = f"train fetch {part}"
        return self.device.ask(
            command, lambda lines, got: join_frames(command, one_line(lines, pattern), got)
        )

    def evaluate(self, x: bytes | NDArray[Any], label: int) -> Evaluation:
        """Load `x` and evaluate the head on it. Asked again after a garbled answer, it may be
        counted twice in `totals`."""
        self.device.load(x)
        return self.device.ask(f"train eval {label}", lambda lines, _: _parse_eval(lines))

    # --- actions ----------------------------------------------------------------------------------

    def begin(self, rate: float | None = None, batch: int | None = None) -> None:
        """Set the learning rate and the size of mini-batches; count evaluations from 0.

        Refused in the middle of a mini-batch: see `step`."""
        if rate is None and batch is not None:
            raise DeviceError("A batch goes with a rate.", "Give begin() both.")
        words = [] if rate is None else [_decimal(rate)]
        words += [] if batch is None else [str(batch)]
        command = " ".join(["train begin", *words])
        self.device.ask(command, lambda lines, _: _numbers(lines, "begin", 1))

    def set(self, name: Setting, value: float) -> None:
        """Set one number of the recipe."""
        pattern = rf"m-train-set-\[{name} ([0-9a-f]{{8}})\]"
        command = f"train set {name} {_decimal(value)}"
        self.device.ask(command, lambda lines, _: one_line(lines, pattern))

    def sample(self, x: bytes | NDArray[Any], label: int) -> Outcome:
        """Load `x` and learn that it is `label`; it also goes to the replay buffer and the class
        means, if there are any."""
        self.device.load(x)
        lines = self._act(f"train sample {label}", "sample", lambda s: s.samples, 1)
        if lines is None:
            return Outcome(label, None, None, None)
        echo, predicted, loss, stepped, _ = _numbers(lines, "sample", 5)
        if echo != label:
            raise DeviceGarbled(
                f"The board learned label {echo} instead of {label}: the line garbled it.",
                "Reset or load the head, and check the cable.",
            )
        return Outcome(label, predicted, loss / LOSS, bool(stepped))

    def remember(self, x: bytes | NDArray[Any], label: int) -> None:
        """Load `x` and offer it to the replay buffer and the class means, without learning."""
        self.device.load(x)
        self._act(f"train remember {label}", "remember", lambda s: s.replay_seen, 1)

    def step(self, recalled: int = 0) -> None:
        """Learn from `recalled` samples of the replay buffer; then update the weights, if a
        mini-batch is under way."""
        command = f"train step {recalled}" if recalled else "train step"
        self._act(command, "step", lambda s: s.samples, recalled, _STEP_TIMEOUT)

    def add_class(self) -> int:
        """Activate one class more; its label."""
        self._act("train class", "class", lambda s: s.classes, 1)
        return self._known.classes - 1

    def save(self, part: Part = "head") -> Saved:
        """Keep that part in the board's store."""
        return self._stored(f"train save {part}", "save", part)

    def load(self) -> Saved:
        """Take the stored head; what it is now."""
        return self._stored("train load", "load", "head")

    def reset(self) -> Saved:
        """Back to the initial weights; what the head is now."""
        return self._stored("train reset", "reset", "head")

    def put(self, data: bytes) -> None:
        """Make `data`, which `fetch` gave, the head. While it is on its way there is none."""
        for attempt in range(RETRIES):
            try:
                self._put_once(data)
                break
            except DeviceRefused as refused:
                if not refused.reason.startswith("Frame") or attempt == RETRIES - 1:
                    raise
            except DeviceGarbled as garbled:
                if attempt == RETRIES - 1:
                    raise
                self.device.resync(garbled)
        self._known = self.status()

    def _put_once(self, data: bytes) -> None:
        self.device.ask(f"train put {len(data)}", lambda lines, _: _numbers(lines, "put", 1))
        lines: list[str] = []
        for offset in range(0, len(data), frames.MAX_DATA):
            chunk = data[offset : offset + frames.MAX_DATA]
            lines = self.device.send(Frame(frames.HEAD, offset, chunk))
            one_line(lines, re.escape(f"m-frame-[{offset} {len(chunk)}]"))
        one_line(lines, "m-load-done")

    def _stored(self, command: str, word: str, part: Part) -> Saved:
        """An action that may be done twice; its answer is `m-train-WORD-[PART SIZE CRC]`."""
        saved = self.device.ask(
            command, lambda lines, _: _parse_saved(lines, word)[part], _SAVE_TIMEOUT
        )
        self._known = self.status()
        return saved

    def _act(
        self,
        command: str,
        word: str,
        counter: Callable[[Status], int],
        rise: int,
        timeout: float | None = None,
    ) -> list[str] | None:
        """Do what must be done once. `counter` rises by `rise` then, or may stay if that is 0.

        The answer's lines; None if it got lost, but the counter tells that it was done."""
        for attempt in range(RETRIES):
            try:
                lines = self.device.command(command, timeout)
                one_line(lines, rf"m-train-{word}-\[[\d ]+\]")
            except DeviceRefused:
                if attempt == RETRIES - 1:
                    raise
                continue
            except DeviceGarbled as garbled:
                self.device.resync(garbled)
                now = self.status()
                moved = counter(now) - counter(self._known)
                if moved not in (0, rise) or (moved == 0 and attempt == RETRIES - 1):
                    raise
                if moved == rise and rise:
                    self._known = now
                    return None
                continue
            self._note(lines, word)
            return lines
        raise AssertionError("unreachable")

    def _note(self, lines: Sequence[str], word: str) -> None:
        """Take the new counters from an answer; where it does not tell all, ask."""
        if word != "sample":
            self._known = self.status()
            return
        kept = self._known.replay_slots > 0
        self._known = replace(
            self._known,
            samples=_numbers(lines, "sample", 5)[-1],
            replay_seen=self._known.replay_seen + kept,
        )


def _decimal(value: float) -> str:
    """`value` as the board reads it: at most seven digits, no exponent."""
    text = f"{value:.7g}" if value >= 1 else f"{value:.6f}"
    if not re.fullmatch(r"\d{1,7}(\.\d+)?", text) or abs(float(text) - value) > 1e-3 * abs(value):
        raise DeviceError(f"The board does not take {value:g}.", "Give 0.000001 to 9999999.")
    return text


def _numbers(lines: Sequence[str], word: str, count: int) -> tuple[int, ...]:
    pattern = " ".join([r"(\d{1,10})"] * count)
    return tuple(integer(text) for text in one_line(lines, rf"m-train-{word}-\[{pattern}\]"))


def _parse_eval(lines: Sequence[str]) -> Evaluation:
    pattern = r"m-train-eval-\[(\d{1,5}) (\d{1,5}) (\d{1,5}|-) (\d{1,10})\]"
    label, predicted, nearest, loss = one_line(lines, pattern)
    mean = None if nearest == "-" else integer(nearest)
    return Evaluation(integer(label), integer(predicted), mean, integer(loss) / LOSS)


def _parse_saved(lines: Sequence[str], word: str) -> dict[str, Saved]:
    """Lines `m-train-WORD-[PART SIZE CRC]` by their part."""
    pattern = re.compile(rf"m-train-{word}-\[({'|'.join(PARTS)}) (\d{{1,10}}) ([0-9a-f]{{8}})\]")
    found = {}
    for line in lines:
        if match := pattern.fullmatch(line):
            found[match[1]] = Saved(integer(match[2]), integer(match[3], 16))
    if not found and word != "part":
        raise DeviceGarbled(f"Expected `m-train-{word}-[…]`, heard {len(lines)} other lines.")
    return found


def _parse_status(lines: Sequence[str]) -> Status:
    config = one_line(lines, r"m-train-config-\[([0-9a-f]{8})\]")[0]
    origin = one_line(lines, r"m-train-origin-\[(initial|stored|trained|void)\]")[0]
    counters = [
        *_numbers(lines, "classes", 2),
        *_numbers(lines, "steps", 2),
        *_numbers(lines, "batch", 2),
        *_numbers(lines, "replay", 3),
        *_numbers(lines, "eval", 2),
    ]
    return Status(integer(config, 16), origin, _parse_saved(lines, "part"), *counters)
