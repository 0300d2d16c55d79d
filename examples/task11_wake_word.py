"""Wake words: raw samples go to the board, and it says when it was called.

    python -m examples.task11_wake_word            all recordings, native and emulated stm32
    python -m examples.task11_wake_word --short    one word, two recordings
    python -m examples.task11_wake_word --record   and keep the figures in bench/wake_word.json

espeak-ng says "alexa", "okay nabu" and "hey mycroft" in several voices and rates, with and without
noise. Each recording goes over the line to the model of pymicro-wakeword; front end, model and
rule run on the board. For every one of them

    features        are those of pymicro-features, value for value
    probabilities   are TensorFlow Lite Micro's, on both boards, step for step
    decisions       are those of pymicro-wakeword's rule on these, step for step; and
                    pymicro-wakeword itself, whose runtime is another one, has heard it, or has not

Ends with ``WAKE_WORD OK ...`` or ``WAKE_WORD FAILED: why``.
"""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from examples.flow import Steps
from examples.speech import RATE, Int16Array, micro_wake_word_rule, package_model, say
from examples.streaming import BOARD_NAMES, Cost, Failed, Streamed, cost_cells
from nanotool.bench import connect
from nanotool.boards import BOARDS, Board
from nanotool.build import build
from nanotool.ir import QGraph
from nanotool.listen import listen
from nanotool.models import load_model
from nanotool.pipeline import prepare
from nanotool.sensing.rule import class_integers, stream_of
from nanotool.sensing.stream import quantize
from nanotool.signal.frontend import front_end
from nanotool.tflm import Interpreter

WORDS = {"alexa": "alexa", "okay_nabu": "okay nabu", "hey_mycroft": "hey mycroft"}
VOICES = ("en-gb", "en-us", "en-us+f3", "en-gb-scotland")
RATES, NOISES = (120, 140, 170), (0, 60)
SHORT = (("alexa", "en-us", 140, 0), ("okay nabu", "en-gb", 140, 60))
COUNTED_ONLY = (
    "xtensa_lx6"  # one recording, in whole runs: QEMU takes it instruction by instruction
)
MOST_RAM = 24 * 1024  # bytes on stm32: all there is, stack included
MOST_INSTRUCTIONS = 10_000_000  # on stm32, of a second of sound
CORES = {"stm32": ("Cortex-M4 at 64 MHz", 64e6), "xtensa_lx6": ("ESP32 at 240 MHz", 240e6)}
RECORD = Path(__file__).resolve().parents[1] / "bench" / "wake_word.json"
UNIT = 0.0390625  # of pymicro-features' floats
FRAME = 160  # samples that pymicro-features takes at a time


@dataclass(frozen=True, slots=True)
class Recording:
    """A word, and how it is said."""

    text: str
    voice: str
    rate: int
    noise: int

    def __str__(self) -> str:
        noise = f", noise {self.noise}" if self.noise else ""
        return f"{self.text} ({self.voice}, {self.rate} a minute{noise})"

    def sound(self) -> Int16Array:
        """Its samples."""
        return say(self.text, self.voice, rate=self.rate, noise=self.noise, seed=self.rate)


@dataclass(frozen=True, slots=True)
class Expected:
    """What others say of a recording."""

    sound: Int16Array
    outputs: NDArray[np.uint8]  # TensorFlow Lite Micro's
    decisions: list[int]  # of pymicro-wakeword's rule on them
    heard: bool  # by pymicro-wakeword itself


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one model on one board."""

    model: str
    board: str
    recordings: int
    heard: int
    steps: int
    seconds: float  # of sound
    instructions: int | None  # of a second of sound, where they are counted
    ram: int  # static and the most of the stack, where the board knows


def recordings(name: str, short: bool) -> list[Recording]:
    """The model's own word in every way, and the others' in two."""
    if short:
        return [Recording(*one) for one in SHORT]
    own = [Recording(WORDS[name], *way) for way in itertools.product(VOICES, RATES, NOISES)]
    others = [text for other, text in WORDS.items() if other != name]
    return own + [Recording(text, voice, 140, 60) for text in others for voice in VOICES[:2]]


# --- What others say ------------------------------------------------------------------------------


def features_of(sound: Int16Array) -> NDArray[np.uint16]:
    """pymicro-features', as raw numbers."""
    from pymicro_features import MicroFrontend as Reference  # noqa: PLC0415

    reference, frames = Reference(), []
    for begin in range(0, len(sound) - FRAME + 1, FRAME):
        found = reference.process_samples(sound[begin : begin + FRAME].tobytes()).features
        if found:
            frames.append(np.array(found) / UNIT)
    return np.array(frames).astype(np.uint16)


def heard_by_package(path: Path, sound: Int16Array) -> bool:
    """What pymicro-wakeword itself says."""
    from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures  # noqa: PLC0415

    model, features = MicroWakeWord.from_config(path.with_suffix(".json")), MicroWakeWordFeatures()
    frames = list(features.process_streaming(sound.tobytes()))
    return sum(bool(model.process_streaming(frame)) for frame in frames) > 0


def expected(graph: QGraph, path: Path, one: Recording, tflm: Interpreter) -> Expected:
    """What others say, and the check of our features."""
    sound, stream = one.sound(), stream_of(graph)
    features = front_end(stream.front_end).process(sound)
    if not np.array_equal(features, features_of(sound)):
        raise Failed(f"{one}: features differ from pymicro-features'")
    steps = len(features) // stream.hop
    windows = features[: steps * stream.hop].reshape(steps, *graph.input_tensor.shape)
    x = quantize(graph, stream.scaling, windows)
    (outputs,) = tflm.run_ends(path.read_bytes(), (x,), 1)
    (rule,) = stream.rule.classes
    (integers,) = class_integers(graph)
    decisions = micro_wake_word_rule(
        outputs, rule.threshold, stream.rule.window, integers.refractory
    )
    return Expected(sound, outputs.reshape(-1), decisions, heard_by_package(path, sound))


# --- What the board says --------------------------------------------------------------------------


def on_board(
    board: Board, name: str, graph: QGraph, asked: list[tuple[Recording, Expected]], steps: Steps
) -> Told:
    """Every recording over the line."""
    with steps.step(f"{name}: build the firmware for {board.title}"):
        firmware = build(graph, board)
    lowered, _ = prepare(graph, board.target)
    taken = ticks = samples = heard = 0
    title = f"{name}: {len(asked)} recordings over the line, {board.title}"
    with steps.step(title) as show, connect(board, firmware.elf, None) as device:
        for number, (one, wanted) in enumerate(asked):
            told = listen(device, graph, lowered, [wanted.sound])
            if told.outputs.reshape(-1).tolist() != wanted.outputs.tolist():
                raise Failed(f"{board.title}, {one}: probabilities are not TFLM's")
            made = [decision.step for decision in told.decisions]
            if made != wanted.decisions:
                raise Failed(f"{board.title}, {one}: {made}, the rule says {wanted.decisions}")
            if bool(made) is not wanted.heard:
                raise Failed(f"{board.title}, {one}: pymicro-wakeword says {wanted.heard}")
            taken, heard = taken + len(told.outputs), heard + bool(made)
            ticks, samples = ticks + told.ticks, samples + told.samples
            show(number + 1, len(asked))
        seconds = samples / RATE
        cost = Cost.of(board, device, ticks, seconds)
    known = (name, board.name, len(asked), heard, taken, seconds)
    return Told(*known, cost.instructions, cost.ram)


def perform(short: bool, steps: Steps) -> list[Told]:
    """Everything, in order."""
    results = []
    with Interpreter() as tflm:
        for name in list(WORDS)[: 1 if short else None]:
            path = package_model(name)
            graph = load_model(path)
            with steps.step(f"{name}: recordings, and what others say of them"):
                asked = [(one, expected(graph, path, one, tflm)) for one in recordings(name, short)]
            for board in (BOARDS[one] for one in BOARD_NAMES):
                results.append(on_board(board, name, graph, asked, steps))
            if not short:
                results.append(on_board(BOARDS[COUNTED_ONLY], name, graph, asked[:1], steps))
    for told in results:
        if told.board == "stm32" and (told.instructions or 0) > MOST_INSTRUCTIONS:
            raise Failed(f"{told.model}: {told.instructions:,} instructions a second of sound")
        if told.board == "stm32" and told.ram > MOST_RAM:
            raise Failed(f"{told.model}: {told.ram:,} bytes of RAM")
    return results


# --- The command ----------------------------------------------------------------------------------


def show(console: Console, results: list[Told]) -> None:
    """A table, and what the instructions are of a core's."""
    table = Table(
        *("model", "board", "recordings", "heard", "steps", "instructions a second", "RAM")
    )
    for told in results:
        cells = (told.recordings, told.heard, f"{told.steps:,}")
        table.add_row(told.model, told.board, *map(str, cells), *cost_cells(told))
    console.print(table)
    for board, (core, hertz) in CORES.items():
        counts = [told.instructions or 0 for told in results if told.board == board]
        if most := max(counts, default=0):
            console.print(
                f"{board}: {most:,} instructions are {most / hertz:.1%} of a {core}, at one a "
                "cycle.",
                highlight=False,
            )


COMMAND = Streamed(
    module="task11_wake_word",
    title="WAKE_WORD",
    description=__doc__,
    short="one word, two recordings",
    fresh="nothing is trained",
    record=RECORD,
    perform=perform,
    show=show,
)


if __name__ == "__main__":
    sys.exit(COMMAND.main())
