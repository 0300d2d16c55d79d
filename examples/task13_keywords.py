"""Keywords: a network for words of your own, from spoken words to the decision on the board.

    python -m examples.task13_keywords            all voices, native and emulated stm32
    python -m examples.task13_keywords --short    few voices, little training, one recording
    python -m examples.task13_keywords --record   and keep the figures in bench/keywords.json

espeak-ng says ten commands and other words in 30 voices, fast and slow, loud and soft, in noise.
The network is trained on the device's integers, log-mel of a second of sound, and quantized;
`nanotool.stream` makes it a model of steps, which hears 40 ms and computes what is new. Six voices
that it has never heard then speak, commands and words that nobody has taught it. For each recording

    outputs     are those of the window model, on PyTorch's features of the recording, each window
                cut and computed by itself on this computer
    decisions   are those of the rule, in floats and by hand, on these

on both boards, step for step; the emulated one hears three of the voices. How many commands are
heard is compared with what was said.

Ends with ``KEYWORDS OK ...`` or ``KEYWORDS FAILED: why``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import nn

import nanotool
from examples.fit import fit
from examples.flow import Show, Steps
from examples.layers import conv1d_stage
from examples.speech import RATE, Int16Array, spoken
from examples.streaming import Cost, Failed, Streamed, cost_cells
from examples.task import Recipe
from nanotool.api import QuantizedModel
from nanotool.bench import connect
from nanotool.boards import BOARDS, Board
from nanotool.build import build
from nanotool.datasets import Dataset
from nanotool.inputs import to_device
from nanotool.ir import Int8Array, QGraph
from nanotool.listen import listen
from nanotool.pipeline import prepare
from nanotool.sensing.description import ClassRule, MelSettings, Rule, Scaling, StreamRule
from nanotool.signal.frontend import unit_of
from nanotool.signal.transform import FrontEndTransform

WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
OTHER = len(WORDS)  # the class of everything else
LABELS = (*WORDS, "other")
TAUGHT = (
    *("water", "table", "seven", "monday", "window", "paper", "music", "garden", "purple", "hello"),
    *("one", "two", "four", "cat", "house", "tree", "now", "gone", "let", "step", "sun", "not"),
)
UNTAUGHT = ("bread", "river", "eleven", "morning", "light", "button", "fish", "orange")
# A voice is an accent of English and a way to speak.
ACCENTS = ("en-gb", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbcwmd")
WAYS = ("m1", "m3", "m5", "f1", "f3", "f5")
STRANGERS = (
    *("en-us+m2", "en-gb+f2", "en-gb-x-rp+m4"),
    *("en-us+f4", "en-gb+m7", "en-gb-scotland+f2"),
)
PACES, NOISES, GAINS = (110, 130, 150, 170), (0.0, 30.0, 100.0, 250.0), (0.4, 0.7, 1.0)
# 20 ms a frame, a second a window, 40 ms a step.
EARS = MelSettings(window=512, step=320, fft_size=512, bands=32, lower_hz=80.0, floor=1e-6)
FRAMES, HOP = 50, 2
SURE, MEAN, QUIET = 0.7, 6, 1.0  # the mean of 6 steps exceeds 0.7, then a second of nothing
LATE = 0.8  # seconds behind a word in which it may be decided for
GOAL, MOST_FALSE = 0.85, 0.1  # of the commands heard; false decisions, of all words
HEARD = {"native": 6, "stm32": 3}  # recordings a board; an emulator takes its time
RECORD = Path(__file__).resolve().parents[1] / "bench" / "keywords.json"


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is spoken, learned and streamed."""

    voices: int
    words: int  # of WORDS, and of TAUGHT
    strangers: int
    recipe: Recipe


WHOLE = Amount(30, 22, 6, Recipe(8, 4e-3, weight_decay=0.02, label_smoothing=0.05))
SHORT = Amount(2, 1, 1, Recipe(2, 4e-3))


@dataclass(frozen=True, slots=True)
class Said:
    """A word of a recording."""

    label: int
    begin: int  # samples
    end: int


@dataclass(frozen=True, slots=True)
class Expected:
    """What is right of a recording."""

    sound: Int16Array
    said: list[Said]
    outputs: Int8Array  # [windows, 11], by the offline way
    decisions: list[tuple[int, int]]  # (step, word)


@dataclass(frozen=True, slots=True)
class Told:
    """What one board made of all recordings."""

    board: str
    recordings: int
    seconds: float  # of sound
    commands: int  # that were said
    heard: int  # of them
    others: int  # words that are no commands
    false: int  # decisions for what was not said
    steps: int
    instructions: int | None  # of a second of sound, where they are counted
    ram: int  # static and the most of the stack, where the board knows


# --- Words ----------------------------------------------------------------------------------------


def recording(
    words: Sequence[tuple[str, int]], voice: str, seed: int
) -> tuple[Int16Array, list[Said]]:
    """``words`` (text, class), one behind the other, a second of silence around each."""
    rng = np.random.default_rng(seed)
    pace, noise, gain = (rng.choice(choice) for choice in (PACES, NOISES, GAINS))
    pieces, said, at = [], [], 0
    for text, label in words:
        word = spoken(text, voice, int(pace))
        (loud,) = np.nonzero(np.abs(word) > 0.02 * np.abs(word).max())
        word = word[loud[0] : loud[-1] + 1]
        silence = np.zeros(round(RATE * rng.uniform(0.9, 1.3)))
        begin = at + len(silence)
        at = begin + len(word)
        said.append(Said(label, begin, at))
        pieces += [silence, gain * word]
    pieces.append(np.zeros(RATE))
    sound = np.concatenate(pieces)
    sound += rng.normal(0, 1, len(sound)) * noise
    return np.clip(np.round(sound), -32768, 32767).astype(np.int16), said


def features(sound: Int16Array) -> NDArray[np.float32]:
    """[bands, frames], as PyTorch trains on them: the device's numbers."""
    frames = FrontEndTransform(EARS)(torch.from_numpy(sound))
    return np.ascontiguousarray(frames.numpy().T)


def windows(of: NDArray[np.float32]) -> NDArray[np.float32]:
    """[windows, bands, FRAMES], each `HOP` frames behind the one before."""
    views = np.lib.stride_tricks.sliding_window_view(of, FRAMES, axis=1)[:, ::HOP]
    return np.ascontiguousarray(views.transpose(1, 0, 2))


def labels(count: int, one: Said) -> NDArray[np.int64]:
    """Of each of ``count`` windows: the class; -1 where most of the word is heard, not all."""
    begin = np.arange(count) * HOP * EARS.step
    end = begin + (FRAMES - 1) * EARS.step + EARS.window
    heard = np.minimum(end, one.end) - np.maximum(begin, one.begin)
    share = heard / (one.end - one.begin)
    return np.where(share > 0.95, one.label, np.where(share < 0.6, OTHER, -1))


def dataset(amount: Amount, show: Show) -> Dataset:
    """Every window that holds a command, in all voices, and each eighth of the others."""
    voices = [f"{accent}+{way}" for way in WAYS for accent in ACCENTS][: amount.voices]
    words = [(word, number) for number, word in enumerate(WORDS[: amount.words])]
    words += [(word, OTHER) for word in TAUGHT[: amount.words]]
    xs, ys = [], []
    for number, voice in enumerate(voices):
        for place, word in enumerate(words):
            sound, (said,) = recording([word], voice, 1000 * number + place)
            cut = windows(features(sound))
            y = labels(len(cut), said)
            some = np.arange(len(y)) % 8 == place % 8
            chosen = (y >= 0) & ((y != OTHER) | some)
            xs.append(cut[chosen])
            ys.append(y[chosen])
        show(number + 1, len(voices))
    x, y = np.concatenate(xs), np.concatenate(ys)
    return Dataset("keywords", x, y, x[:0], y[:0], LABELS, "espeak-ng's voices", "GPL-3.0-or-later")


def strangers(amount: Amount) -> Iterator[tuple[Int16Array, list[Said]]]:
    """The voices that are held out, each all commands and all words that were not taught."""
    for number, voice in enumerate(STRANGERS[: amount.strangers]):
        words = [(word, place) for place, word in enumerate(WORDS[: amount.words])]
        words += [(word, OTHER) for word in UNTAUGHT[: amount.words]]
        mixed = np.random.default_rng(number).permutation(len(words))
        yield recording([words[i] for i in mixed], voice, 9000 + number)


# --- The model, and the offline way ---------------------------------------------------------------


def network() -> nn.Module:
    """N x 32 x 50 (bands, frames) to N x 11 logits. No padding along time: it can be streamed."""
    return nn.Sequential(
        *conv1d_stage(EARS.bands, 48, 5, 2, padding=0),
        *conv1d_stage(48, 48, 3, 1, padding=0),
        *conv1d_stage(48, 64, 3, 1, padding=0),
        nn.AdaptiveMaxPool1d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(64, len(LABELS)),
    )


def listening(model: QuantizedModel) -> QGraph:
    """The window model with what is around it."""
    graph = model.graph
    commands = tuple(ClassRule(i, SURE, refractory=QUIET) for i in range(len(WORDS)))
    scaling = Scaling.of(unit_of(EARS), graph.input_tensor.scale)
    return replace(graph, stream=StreamRule(EARS, scaling, Rule(commands, window=MEAN), HOP))


def decided(outputs: Int8Array) -> Iterator[tuple[int, int]]:
    """(window, word) where the mean probability of the last `MEAN` windows exceeds `SURE`, of
    several words the likeliest, unless decided for in the last `QUIET` seconds."""
    quiet, free = round(QUIET * RATE / (HOP * EARS.step)), np.zeros(len(WORDS), int)
    probabilities = (outputs.astype(np.float64)[:, : len(WORDS)] + 128) / 256
    for step in range(MEAN - 1, len(outputs)):
        mean = probabilities[step - MEAN + 1 : step + 1].mean(axis=0)
        mean[(mean <= SURE) | (free > step)] = 0
        if mean.any():
            best = int(mean.argmax())
            free[best] = step + quiet
            yield step, best


def expected(model: QuantizedModel, sound: Int16Array, said: list[Said]) -> Expected:
    """The offline way."""
    outputs = model.run(to_device(model.graph, windows(features(sound))))
    rows = outputs.reshape(len(outputs), -1)
    return Expected(sound, said, rows, list(decided(rows)))


def judged(one: Expected) -> tuple[int, int]:
    """Of the commands said, how many are decided for; and decisions for what was not said."""
    found: set[Said] = set()
    false = 0
    for window, word in one.decisions:
        now = (window * HOP + FRAMES - 1) * EARS.step + EARS.window
        fits = [
            said
            for said in one.said
            if said.label == word and said.begin < now < said.end + LATE * RATE
        ]
        false += not fits
        found.update(fits)
    return len(found), false


# --- What the board says --------------------------------------------------------------------------


def on_board(board: Board, steps_graph: QGraph, asked: list[Expected], steps: Steps) -> Told:
    """Every recording over the line. The model of steps has an answer from the first frames on; the
    window model's first one is when a window is full."""
    with steps.step(f"Build the firmware: {board.title}"):
        firmware = build(steps_graph, board)
    lowered, _ = prepare(steps_graph, board.target)
    first = FRAMES // HOP - 1
    taken = ticks = samples = 0
    title = f"{len(asked)} recordings over the line: {board.title}"
    with steps.step(title) as show, connect(board, firmware.elf, None) as device:
        for number, wanted in enumerate(asked):
            told = listen(device, steps_graph, lowered, [wanted.sound])
            outputs = told.outputs.reshape(len(told.outputs), -1)[first:]
            if told.differing or not np.array_equal(outputs, wanted.outputs):
                raise Failed(f"{board.title}, recording {number}: outputs are not the offline ones")
            decisions = [(made.step - first, made.index) for made in told.decisions]
            if decisions != wanted.decisions:
                raise Failed(f"{board.title}, recording {number}: {decisions}, by hand others")
            taken, ticks = taken + len(told.outputs), ticks + told.ticks
            samples += told.samples
            show(number + 1, len(asked))
        cost = Cost.of(board, device, ticks, samples / RATE)
    judgements = [judged(one) for one in asked]
    all_said = [said.label for one in asked for said in one.said]
    return Told(
        board=board.name,
        recordings=len(asked),
        seconds=samples / RATE,
        commands=sum(label != OTHER for label in all_said),
        heard=sum(heard for heard, _ in judgements),
        others=all_said.count(OTHER),
        false=sum(false for _, false in judgements),
        steps=taken,
        instructions=cost.instructions,
        ram=cost.ram,
    )


def perform(short: bool, steps: Steps) -> list[Told]:
    """Everything, in order."""
    amount = SHORT if short else WHOLE
    with steps.step("Words of espeak-ng, and the front end's numbers of them") as show:
        data = dataset(amount, show)
    with steps.step(f"Train the float network on {len(data.train_x):,} windows") as show:
        trained = fit(network, data, amount.recipe, show, threads=1)
    with steps.step("Quantize, make it a model of steps, and the offline way"):
        sample = data.train_x[:: max(1, len(data.train_x) // 1000)]
        whole = nn.Sequential(trained, nn.Softmax(1)).eval()
        model = nanotool.quantize(whole, sample, name="keywords", labels=LABELS)
        graph = nanotool.stream(listening(model), axis=-1).graph
        asked = [expected(model, sound, said) for sound, said in strangers(amount)]
    results = [on_board(BOARDS[name], graph, asked[:most], steps) for name, most in HEARD.items()]
    told = results[0]
    if not short and told.heard < GOAL * told.commands:
        raise Failed(f"{told.heard} of {told.commands} commands are heard, not {GOAL:.0%}")
    if not short and told.false > MOST_FALSE * (told.commands + told.others):
        raise Failed(f"{told.false} decisions are for what was not said")
    return results


# --- The command ----------------------------------------------------------------------------------


def show_results(console: Console, results: list[Told]) -> None:
    """A table."""
    table = Table("board", "recordings", "heard", "false", "steps", "instructions a second", "RAM")
    for told in results:
        heard = f"{told.heard} of {told.commands}"
        table.add_row(
            told.board,
            str(told.recordings),
            heard,
            str(told.false),
            f"{told.steps:,}",
            *cost_cells(told),
        )
    console.print(table)


COMMAND = Streamed(
    module="task13_keywords",
    title="KEYWORDS",
    description=__doc__,
    short="little training, one recording",
    fresh="it trains",
    record=RECORD,
    perform=perform,
    show=show_results,
)


if __name__ == "__main__":
    sys.exit(COMMAND.main())
