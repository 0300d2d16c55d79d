"""New digits on the device: a backbone that has only ever seen 0 to 7 stays frozen, and the board
learns 8 and 9 from a handful of samples.

    python -m examples.transfer            5 draws of 20 and of 50 samples a class; native and stm32
    python -m examples.transfer --short    the same path with little training, one draw, native only
    python -m examples.transfer --fresh    train the backbone again
    python -m examples.transfer --record   and keep the figures in bench/transfer.json

How it is judged, on MNIST's 10,000 test images, by the int8 head that the board infers with:

    new    share of the 8s and 9s that are right, among ten classes
    old    share of 0 to 7 that are right, among ten classes
    lost   what the same int8 network had right of 0 to 7 before, among eight classes, minus old

So an old digit that is taken for an 8 or 9 counts as lost. The board gets, of the training part, a
few old samples of each class for its replay buffer, then the new ones, and rehearses. Rate,
rehearsal and the number of old samples were chosen on 10,000 training images that no draw takes
from.

Ends with ``TRANSFER OK ...`` or ``TRANSFER FAILED: why``. The report stays in build/transfer.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import nanotool
from examples import flow, transfer_backbone, transfer_page
from examples.flow import Steps
from nanotool.bench import connect
from nanotool.boards import Board, TickUnit, find_board
from nanotool.build import BuildResult, build
from nanotool.datasets import Dataset, load_mnist
from nanotool.device import Trainer
from nanotool.errors import NanoError
from nanotool.files import write_atomic
from nanotool.inputs import to_device
from nanotool.ir import Int8Array
from nanotool.pipeline import prepare
from nanotool.runtime import Runtime
from nanotool.training import Head, HeadOptions, Recipe, Trainable, arena_size, cut, session
from nanotool.training.session import AnyTrainer, LocalTrainer

OLD, CLASSES = 8, 10
REHEARSED, PORTION = 24000, 800  # samples from the replay buffer; between two points of the curve
SENT = 50  # test images whose int8 answers the boards must give, too
LIMIT = 96 * 1024  # bytes of head, optimizer and replay buffer together
HEAD = HeadOptions(classes=CLASSES, slots=500, recipe=Recipe(rate=0.005, momentum=0.9, batch=8))


@dataclass(frozen=True, slots=True)
class Trial:
    """How many samples of a class, and what has to be reached (shares, 0..1)."""

    samples: int  # of each new class
    replay: int  # of each old class
    new: float
    lost: float


TRIALS = (Trial(20, 40, 0.85, 0.025), Trial(50, 50, 0.90, 0.02))
SHORT = (Trial(20, 40, 0.5, 0.3),)  # only a broken path may fail it


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the curve."""

    rehearsed: int
    old: float
    new: float


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """One choice of samples, and what was learned from it in this process."""

    trial: Trial
    seed: int
    curve: tuple[Point, ...]
    state: bytes  # all of the head at the end
    answers: NDArray[np.int64]  # of the int8 head, a class for each test image


@dataclass(frozen=True, slots=True)
class OnBoard:
    """A board that learned the same draws."""

    board: Board
    firmware: BuildResult
    draws: int
    same_states: int  # whose head has the same bytes as this process's
    differing: int  # int8 answers, of `SENT` a draw, that differ from this process's
    unit: TickUnit
    ticks: tuple[int, int]  # of a sample's gradient; of one with the weights' update


@dataclass(frozen=True, slots=True)
class Lab:
    """What all draws share."""

    data: Dataset
    trainable: Trainable
    train_x: Int8Array  # as the device has them
    test_x: Int8Array
    features: Int8Array  # of the test part
    before: float  # accuracy on 0 to 7, among eight classes, before anything was learned

    @property
    def is_old(self) -> NDArray[np.bool_]:
        """Which test images are 0 to 7."""
        return self.data.test_y < OLD


# --- The backbone ---------------------------------------------------------------------------------


def backbone(data: Dataset, short: bool, fresh: bool, show: flow.Show) -> torch.nn.Module:
    """The network for 0 to 7: the last run's weights, if nothing that made them has changed."""
    old = data.train_y < OLD
    x, y = data.train_x[old], data.train_y[old]
    epochs = 2 if short else transfer_backbone.EPOCHS
    source = inspect.getsource(transfer_backbone)
    digest = hashlib.sha256(repr((epochs, len(x), torch.__version__, source)).encode())
    weights = folder() / f"backbone-{digest.hexdigest()[:16]}.pt"
    model = transfer_backbone.network()
    if weights.is_file() and not fresh:
        model.load_state_dict(torch.load(weights, weights_only=True))
        return model.eval()
    model = transfer_backbone.fit(x, y, epochs, show)
    part = weights.with_suffix(".part")
    torch.save(model.state_dict(), part)
    part.replace(weights)
    return model


def prepared(data: Dataset, model: torch.nn.Module) -> Lab:
    """Quantized on old digits, cut, and all test images' features."""
    old = data.train_x[data.train_y < OLD]
    calibration = old[:: max(1, len(old) // flow.CALIBRATION)][: flow.CALIBRATION]
    quantized = nanotool.quantize(model, calibration, name="digits8", observer="minmax")
    trainable = cut(quantized.graph, ["head"], HEAD)
    test_x = to_device(trainable.backbone, data.test_x)
    features = np.asarray(Runtime(*prepare(trainable.backbone), fast=True).run(test_x), np.int8)
    head = Head(trainable.config)
    is_old = data.test_y < OLD
    right = classes(head, features[is_old]) == data.test_y[is_old]
    train_x = to_device(trainable.backbone, data.train_x[:20000])
    return Lab(data, trainable, train_x, test_x, features, float(right.mean()))


def classes(head: Head, features: Int8Array) -> NDArray[np.int64]:
    """The class that the int8 head gives each sample."""
    head.quantize()
    return np.asarray(head.infer(features).argmax(axis=1), np.int64)


# --- Learning -------------------------------------------------------------------------------------


def run_session(trainer: AnyTrainer, lab: Lab, trial: Trial, seed: int) -> Iterator[int]:
    """Old samples to the replay buffer, two classes more, the new samples, then rehearsal; the
    samples rehearsed so far, after each portion."""
    chance = np.random.default_rng(seed)
    labels = lab.data.train_y[: len(lab.train_x)]

    def some(wanted: range, count: int) -> NDArray[np.intp]:
        chosen = [chance.choice(np.flatnonzero(labels == c), count, False) for c in wanted]
        return chance.permutation(np.concatenate(chosen))

    for index in some(range(OLD), trial.replay):
        trainer.remember(lab.train_x[index], int(labels[index]))
    for _ in range(OLD, CLASSES):
        trainer.add_class()
    for index in some(range(OLD, CLASSES), trial.samples):
        trainer.sample(lab.train_x[index], int(labels[index]))
    trainer.step()
    for rehearsed in range(PORTION, REHEARSED + 1, PORTION):
        trainer.step(PORTION)
        yield rehearsed


def learned(lab: Lab, trial: Trial, seed: int) -> Draw:
    """In this process, judged along the way on all test images."""
    trainer = LocalTrainer(lab.trainable)
    curve = []
    for rehearsed in run_session(trainer, lab, trial, seed):
        # A copy is judged: making an int8 head notes its outputs' ranges.
        answers = classes(session.restored(lab.trainable, trainer.fetch("all")), lab.features)
        right = answers == lab.data.test_y
        old, new = right[lab.is_old].mean(), right[~lab.is_old].mean()
        curve.append(Point(rehearsed, float(old), float(new)))
    return Draw(trial, seed, tuple(curve), trainer.fetch("all"), answers)


def on_board(
    lab: Lab, board: Board, firmware: BuildResult, draws: list[Draw], show: flow.Show
) -> OnBoard:
    """The same sessions over the line: does the board end with the same bytes?"""
    same = differing = 0
    sent = np.linspace(0, len(lab.test_x) - 1, SENT).astype(int)
    with connect(board, firmware.elf) as device:
        trainer = Trainer(device)
        session.check_head(trainer.status(), lab.trainable)
        for number, draw in enumerate(draws):
            trainer.reset()
            for rehearsed in run_session(trainer, lab, draw.trial, draw.seed):
                show(number * REHEARSED + rehearsed, len(draws) * REHEARSED)
            same += trainer.fetch("all") == draw.state
            mine = session.restored(lab.trainable, draw.state)
            mine.quantize()
            for x, wanted in zip(lab.test_x[sent], mine.infer(lab.features[sent]), strict=True):
                differing += int(np.count_nonzero(device.run(x).reshape(-1) != wanted))
        unit = board.tick_unit(device.info().tick_source, emulated=True)
        return OnBoard(board, firmware, len(draws), same, differing, unit, trainer.ticks())


# --- The outcome ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything."""

    lab: Lab
    draws: tuple[Draw, ...]
    boards: tuple[OnBoard, ...]

    def of(self, trial: Trial) -> list[Draw]:
        """The trial's draws."""
        return [draw for draw in self.draws if draw.trial == trial]

    def new(self, trial: Trial) -> float:
        """Mean over the draws."""
        return float(np.mean([draw.curve[-1].new for draw in self.of(trial)]))

    def lost(self, trial: Trial) -> float:
        """Mean over the draws."""
        return self.lab.before - float(np.mean([draw.curve[-1].old for draw in self.of(trial)]))

    @property
    def arena(self) -> int:
        """Bytes of head, optimizer, replay buffer and their working memory."""
        return arena_size(self.lab.trainable.config)

    def trials(self) -> list[Trial]:
        """In order."""
        return list(dict.fromkeys(draw.trial for draw in self.draws))


def verdict(outcome: Outcome) -> str:
    """Why it failed; empty if it did not."""
    for trial in outcome.trials():
        if outcome.new(trial) < trial.new:
            return f"{trial.samples} samples: {outcome.new(trial):.2%} of the new ones are right"
        if outcome.lost(trial) > trial.lost:
            return f"{trial.samples} samples: {100 * outcome.lost(trial):.2f} points lost"
    for told in outcome.boards:
        if told.same_states < told.draws or told.differing:
            return f"{told.board.title}: other bytes than this process's"
    return "" if outcome.arena <= LIMIT else f"the head takes {outcome.arena:,} bytes"


def print_outcome(console: Console, outcome: Outcome) -> None:
    """Tables."""
    table = Table(title="8 and 9 learned behind a backbone of 0 to 7", title_justify="left")
    for name in ("samples a class", "draws", "new right", "old right", "lost", "lowest new"):
        table.add_column(name, justify="right")
    for trial in outcome.trials():
        draws = outcome.of(trial)
        new, lost = outcome.new(trial), outcome.lost(trial)
        cells = [str(trial.samples), str(len(draws)), f"{new:.2%}"]
        cells += [f"{outcome.lab.before - lost:.2%}", f"{100 * lost:.2f} points"]
        table.add_row(*cells, f"{min(draw.curve[-1].new for draw in draws):.2%}")
    console.print(table)
    console.print(f"Before: {outcome.lab.before:.2%} of 0 to 7, among eight classes (int8).")
    console.print(f"Head, optimizer, replay buffer: {outcome.arena:,} of at most {LIMIT:,} bytes.")
    for told in outcome.boards:
        console.print(
            f"{told.board.title}: {told.same_states} of {told.draws} heads with the same bytes, "
            f"{told.differing} int8 answers differ; {told.ticks[0]:,} {told.unit} a sample, "
            f"{step_ticks(outcome, told):,} a step of {HEAD.recipe.batch}.",
            highlight=False,
        )


def step_ticks(outcome: Outcome, told: OnBoard) -> int:
    """Of a mini-batch."""
    return (outcome.lab.trainable.config.recipe.batch - 1) * told.ticks[0] + told.ticks[1]


def record(outcome: Outcome) -> Path:
    """Keep the figures."""
    figures = {
        "nanotool": nanotool.__version__,
        "torch": torch.__version__,
        "before": outcome.lab.before,
        "arena_bytes": outcome.arena,
        "trials": [
            {
                "samples": trial.samples,
                "replay_of_each_old_class": trial.replay,
                "draws": len(outcome.of(trial)),
                "new": outcome.new(trial),
                "lost": outcome.lost(trial),
                "new_by_draw": [draw.curve[-1].new for draw in outcome.of(trial)],
                "old_by_draw": [draw.curve[-1].old for draw in outcome.of(trial)],
            }
            for trial in outcome.trials()
        ],
        "boards": {
            told.board.name: {
                "draws": told.draws,
                "same_states": told.same_states,
                "differing_answers": told.differing,
                "ram_bytes": told.firmware.sizes.ram_bytes,
                "code_bytes": told.firmware.sizes.code_bytes,
                "weight_bytes": told.firmware.sizes.weight_bytes,
                **_counted(outcome, told),
            }
            for told in outcome.boards
        },
    }
    path = flow.ROOT / "bench" / "transfer.json"
    write_atomic(path, json.dumps(figures, indent=2) + "\n")
    return path


def _counted(outcome: Outcome, told: OnBoard) -> dict[str, int]:
    """Ticks that are the same every time, which time is not."""
    if told.unit != "instructions":
        return {}
    gradient, update = told.ticks
    return {
        "sample_instructions": gradient,
        "update_instructions": update,
        "step_instructions": step_ticks(outcome, told),
    }


# --- The command ----------------------------------------------------------------------------------


def folder() -> Path:
    """Where it keeps what it makes."""
    return flow.ROOT / "build" / "transfer"


def perform(short: bool, fresh: bool, steps: Steps) -> Outcome:
    """Everything, in order."""
    folder().mkdir(parents=True, exist_ok=True)
    with steps.step("Data") as show:
        data = load_mnist(show)
    if short:
        data = replace(data, test_x=data.test_x[:2000], test_y=data.test_y[:2000])
        data = replace(data, train_x=data.train_x[:16000], train_y=data.train_y[:16000])
    with steps.step("Train the backbone on 0 to 7") as show:
        model = backbone(data, short, fresh, show)
    with steps.step("Quantize, cut, features of all test images"):
        lab = prepared(data, model)
    draws = []
    for trial in SHORT if short else TRIALS:
        seeds = range(1 if short else 5)
        with steps.step(f"Learn 8 and 9 from {trial.samples} samples each, on this PC") as show:
            for seed in seeds:
                draws.append(learned(lab, trial, seed))
                show(seed + 1, len(seeds))
    boards = []
    for name in ("native",) if short else ("native", "stm32"):
        board = find_board(name)
        # An emulated line takes a fifth of a second an image: one draw of each trial there.
        chosen = draws if name == "native" else [draw for draw in draws if draw.seed == 0]
        with steps.step(f"Build the firmware: {board.title}"):
            firmware = build(lab.trainable, board)
        with steps.step(f"The same {len(chosen)} sessions on {board.title}") as show:
            boards.append(on_board(lab, board, firmware, chosen, show))
    return Outcome(lab, tuple(draws), tuple(boards))


def main(arguments: list[str] | None = None) -> int:
    """0 if the goals were reached and every byte was the same."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("transfer", description=__doc__, formatter_class=plain)
    parser.add_argument("--short", action="store_true", help="little training, one draw")
    parser.add_argument("--fresh", action="store_true", help="train the backbone again")
    parser.add_argument("--record", action="store_true", help="keep the figures in bench/")
    chosen = parser.parse_args(arguments)
    if chosen.record and chosen.short:
        parser.error("--record keeps full figures only: leave out --short")
    console = Console(emoji=False)
    try:
        outcome = perform(chosen.short, chosen.fresh, Steps(console))
    except NanoError as error:
        console.print(f"TRANSFER FAILED: {error}", markup=False, highlight=False)
        return 1
    page = folder() / "report.html"
    write_atomic(page, transfer_page.render(outcome))
    print_outcome(console, outcome)
    console.print(f"Report: {page}", markup=False, highlight=False, soft_wrap=True)
    if chosen.record:
        console.print(f"Recorded: {record(outcome)}", markup=False, highlight=False)
    if reason := verdict(outcome):
        console.print(f"TRANSFER FAILED: {reason}", markup=False, highlight=False)
        return 1
    told = ", ".join(
        f"{t.samples} samples {outcome.new(t):.1%} new, {100 * outcome.lost(t):.1f} points lost"
        for t in outcome.trials()
    )
    console.print(f"TRANSFER OK: {told}", markup=False, highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
