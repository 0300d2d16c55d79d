"""A board's trainable head, as Python calls (docs/console.md, "Learning").

A command whose answer got lost or damaged is sent again under its number, and the board, which
knows whether it was done, does it once.
"""

from __future__ import annotations

import re
import struct
from typing import Any, Literal

from numpy.typing import NDArray

from nanotool.device import answers, frames
from nanotool.device.answers import (
    LOSS,
    PARTS,
    AlarmState,
    Evaluation,
    Outcome,
    Part,
    Saved,
    Score,
    Status,
)
from nanotool.device.client import Device
from nanotool.errors import DeviceError

__all__ = [
    "PARTS",
    "AlarmState",
    "Evaluation",
    "Outcome",
    "Part",
    "Saved",
    "Score",
    "Setting",
    "Status",
    "Trainer",
]

Setting = Literal["rate", "momentum", "decay", "clip"]

_STEP_TIMEOUT = 600.0  # s that `train step N` may take: a slow core, many samples
_SAVE_TIMEOUT = 30.0  # s; flash of 128 KB is erased in two


class Trainer:
    """The trainable head of the board behind `device`.

    `DeviceRefused` if the firmware has none, or for the board's own reasons."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.status()  # refused without a head

    # --- questions --------------------------------------------------------------------------------

    def status(self) -> Status:
        """Counters, sizes and CRCs."""
        return self.device.ask("train status", lambda lines, _: answers.parse_status(lines))

    def totals(self) -> tuple[int, int]:
        """(right ones, all) of the evaluations since `begin`."""
        right, asked = self.device.ask(
            "train eval", lambda lines, _: answers.train_numbers(lines, "evals", 2)
        )
        return right, asked

    def ticks(self) -> tuple[int, int]:
        """What the newest `sample` took to learn: one that only added its gradient, and one that
        updated the weights, too. Without the model's inference."""
        gradient, update = self.device.ask(
            "train ticks", lambda lines, _: answers.train_numbers(lines, "ticks", 2)
        )
        return gradient, update

    def fetch(self, part: Part = "head") -> bytes:
        """The bytes of that part, as `put` takes them: a nano_train_record and what follows."""
        return self.device.ask(
            f"train fetch {part}", lambda lines, got: answers.parse_part(part, lines, got)
        )

    def evaluate(self, x: bytes | NDArray[Any], label: int) -> Evaluation:
        """Load `x` and evaluate the head on it. Asked again after a garbled answer, it may be
        counted twice in `totals`."""
        self.device.load(x)
        return self.device.ask(f"train eval {label}", lambda lines, _: answers.parse_eval(lines))

    # --- actions ----------------------------------------------------------------------------------

    def begin(self, rate: float | None = None, batch: int | None = None) -> None:
        """Set the learning rate and the size of mini-batches; count evaluations from 0.

        Refused in the middle of a mini-batch: see `step`."""
        if rate is None and batch is not None:
            raise DeviceError("A batch goes with a rate.", "Give begin() both.")
        words = [] if rate is None else [_decimal(rate)]
        words += [] if batch is None else [str(batch)]
        command = " ".join(["train begin", *words])
        self.device.ask(command, lambda lines, _: answers.train_numbers(lines, "begin", 1))

    def set(self, name: Setting, value: float) -> None:
        """Set one number of the recipe."""
        command = f"train set {name} {_decimal(value)}"
        self.device.ask(command, lambda lines, _: answers.check_set(lines, name))

    def sample(self, x: bytes | NDArray[Any], label: int) -> Outcome:
        """Load `x` and learn that it is `label`; it also goes to the replay buffer, the class
        means and what is normal (of recording 0), if there are any."""
        self.device.load(x)
        _, predicted, loss, stepped, _ = self._numbers(f"train sample {label}", "sample", 5)
        return Outcome(label, predicted, loss / LOSS, bool(stepped))

    def remember(self, x: bytes | NDArray[Any], label: int) -> None:
        """Load `x` and offer it to the replay buffer, the class means and what is normal,
        without learning."""
        self.device.load(x)
        self._numbers(f"train remember {label}", "remember", 3)

    def learn(self, x: bytes | NDArray[Any], recording: int, label: int = 0) -> None:
        """Load `x` and learn that it is normal, as part of that recording, 0 to 65535; `label` is
        for the head, if it rehearses."""
        self.device.load(x)
        self._numbers(f"train learn {recording} {label}", "learn", 3)

    def score(self, x: bytes | NDArray[Any]) -> Score:
        """Load `x`; how far it is from what was learned as normal. A vote of the last scores."""
        self.device.load(x)
        return self.device.ask("train score", lambda lines, _: answers.parse_score(lines))

    def threshold(self, score: int | Literal["auto", "none"] | None = None) -> AlarmState:
        """Set the threshold, "auto" by the recordings in the replay buffer; when a score is an
        alarm now. None: only that."""
        command = "train threshold" if score is None else f"train threshold {score}"
        return self._alarm(command, None if score is None else _STEP_TIMEOUT)

    def votes(self, needed: int, window: int) -> AlarmState:
        """Have `needed` of the last `window` scores be an alarm."""
        return self._alarm(f"train votes {needed} {window}")

    def quantile(self, quantile: int, margin: int) -> AlarmState:
        """By which `threshold("auto")` goes, both per mille."""
        return self._alarm(f"train quantile {quantile} {margin}")

    def _alarm(self, command: str, timeout: float | None = None) -> AlarmState:
        return self.device.ask(command, lambda lines, _: answers.parse_alarm(lines), timeout)

    def step(self, recalled: int = 0) -> float:
        """Learn from `recalled` samples of the replay buffer; then update the weights, if a
        mini-batch is under way. The mean of their losses, each before it was learned."""
        command = f"train step {recalled}" if recalled else "train step"
        return self._numbers(command, "step", 3, _STEP_TIMEOUT)[2] / LOSS

    def fit(self, x: bytes | NDArray[Any], target: NDArray[Any]) -> Outcome:
        """Load `x` and learn that the outputs shall be `target`, a real value for each; the head's
        loss must be mse. Neither replay buffer nor means hold it."""
        self._targets(x, target)
        loss, stepped, _ = self._numbers("train fit", "fit", 3)
        return Outcome(-1, -1, loss / LOSS, bool(stepped))

    def loss(self, x: bytes | NDArray[Any], target: NDArray[Any]) -> float:
        """Load `x`; the mean square of what the outputs are away from `target`."""
        self._targets(x, target)
        return self._numbers("train loss", "loss", 1)[0] / LOSS

    def _targets(self, x: bytes | NDArray[Any], target: NDArray[Any]) -> None:
        for output, value in enumerate(target):
            bits = struct.pack(">f", float(value)).hex()
            self._numbers(f"train target {output} {bits}", "target", 1)
        self.device.load(x)

    def add_class(self) -> int:
        """Activate one class more; its label."""
        return self._numbers("train class", "class", 2)[0]

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
        self._numbers(f"train put {len(data)}", "put", 1)
        answers.check_loaded(self.device.send_all(frames.HEAD, data))

    def _stored(self, command: str, word: str, part: Part) -> Saved:
        """The answer `m-train-WORD-[PART SIZE CRC]`."""
        return self.device.ask(
            command, lambda lines, _: answers.parse_saved(lines, word)[part], _SAVE_TIMEOUT
        )

    def _numbers(
        self, command: str, word: str, count: int, timeout: float | None = None
    ) -> tuple[int, ...]:
        """The answer `m-train-WORD-[…]` of so many numbers."""
        return self.device.ask(
            command, lambda lines, _: answers.train_numbers(lines, word, count), timeout
        )


def _decimal(value: float) -> str:
    """`value` as the board reads it: at most seven digits, no exponent."""
    text = f"{value:.7g}" if value >= 1 else f"{value:.6f}"
    if not re.fullmatch(r"\d{1,7}(\.\d+)?", text) or abs(float(text) - value) > 1e-3 * abs(value):
        raise DeviceError(f"The board does not take {value:g}.", "Give 0.000001 to 9999999.")
    return text
