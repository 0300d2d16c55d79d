"""What all tasks share: from real data to the same bytes on the boards.

    python -m examples.task07_fashion            fetch, train, quantize, export, prove, show
    python -m examples.task07_fashion --short    the same path with little training, few samples
    python -m examples.task07_fashion --fresh    train again, even if the last weights are at hand
    python -m examples.task07_fashion --record   and keep the figures in bench/tasks

Ends with tables and the line ``FASHION OK ...`` or ``FASHION FAILED: why``. What it makes stays in
build/NAME: the weights, NAME.nano, the generated C, the confusion matrix, the report.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import json
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

import nanotool
from bench import task_table
from examples import fit, layers, show
from examples.outcome import BoardOutcome, FoldOutcome, Outcome
from examples.task import Task
from nanotool.api import QuantizedModel
from nanotool.bench import bench, connect
from nanotool.boards import BOARDS, Board
from nanotool.build import BuildResult, build
from nanotool.datasets import Dataset
from nanotool.errors import MissingTool, NanoError
from nanotool.files import write_atomic
from nanotool.inputs import to_device
from nanotool.ir import Int8Array
from nanotool.plan import svg
from nanotool.report import collect, link_to, render, sample_rows, with_bench
from nanotool.run import run

ROOT = Path(__file__).resolve().parents[1]
RECORDS = ROOT / "bench" / "tasks"
CALIBRATION = 1000
SIMULATED = 200  # samples on which the NumPy simulator checks the C library in this process
SHORT_SAMPLES, SHORT_TRAIN, SHORT_TEST = 20, 4000, 1000

Show = Callable[[int, int], None]  # (done, total)


@dataclass(frozen=True, slots=True)
class Settings:
    """How the task is run."""

    short: bool = False
    fresh: bool = False
    record: bool = False
    samples: int = 200  # sent to each board
    banner: str = ""  # what the last line begins with


class Steps:
    """The numbered steps, each with a bar on a terminal and a line elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.count = 0

    @contextmanager
    def step(self, title: str) -> Iterator[Show]:
        """Show that ``title`` goes on until the block ends, and how long it took."""
        self.count += 1
        label = f"{self.count:2d}  {title}"
        began = time.monotonic()
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        hidden = not self.console.is_terminal
        with Progress(*columns, console=self.console, transient=True, disable=hidden) as bars:
            task = bars.add_task(label, total=None)
            yield lambda done, total: bars.update(task, completed=done, total=total)
        self.console.print(f"{label:<64}{time.monotonic() - began:7.1f} s", highlight=False)


# --- The steps ------------------------------------------------------------------------------------


def trained(task: Task, data: Dataset, number: int, fresh: bool, show: Show) -> torch.nn.Module:
    """The network with its weights: the last run's, if nothing that made them has changed."""
    sources = inspect.getsource(fit) + inspect.getsource(layers)
    made_by = (task.recipe.epochs, number, torch.__version__, sources)
    digest = hashlib.sha256(repr(made_by).encode())
    digest.update(Path(inspect.getfile(task.network)).read_bytes())
    digest.update(data.train_x[:: max(1, len(data.train_x) // 100)].tobytes())
    weights = folder(task) / f"weights-{number}-{digest.hexdigest()[:16]}.pt"
    if weights.is_file() and not fresh:
        model = task.network().eval()
        model.load_state_dict(torch.load(weights, weights_only=True))
        return model
    model = fit.fit(task.network, data, task.recipe, show)
    part = weights.with_suffix(".part")
    torch.save(model.state_dict(), part)
    part.replace(weights)
    return model


def quantized(task: Task, model: torch.nn.Module, data: Dataset) -> QuantizedModel:
    """The int8 model, calibrated on training samples taken evenly."""
    x = data.train_x[:: max(1, len(data.train_x) // CALIBRATION)][:CALIBRATION]
    return nanotool.quantize(model, x, name=task.name, labels=data.labels)


def on_pc(model: QuantizedModel, x: Int8Array) -> NDArray[np.int64]:
    """The class of each sample by the C library in this process, checked against the simulator."""
    outputs = model.run(x)
    if not np.array_equal(outputs[:SIMULATED], model.simulate(x[:SIMULATED])):
        raise NanoError("The C library and the simulator disagree on this PC.")
    return classes(outputs)


def classes(outputs: Int8Array) -> NDArray[np.int64]:
    """The class of each output: where its largest value stands."""
    return np.asarray(outputs.reshape(len(outputs), -1).argmax(axis=1), np.int64)


def one_fold(task: Task, data: Dataset, number: int, fresh: bool, steps: Steps) -> FoldOutcome:
    """Train, quantize, and judge both networks on the whole test part."""
    where = f" ({data.name})" if number else ""
    with steps.step(f"Train the float network{where}") as show:
        model = trained(task, data, number, fresh, show)
    with steps.step(f"Quantize, all {len(data.test_x):,} test samples through the C library"):
        int8_model = quantized(task, model, data)
        answers = on_pc(int8_model, to_device(int8_model.graph, data.test_x))
    return FoldOutcome(data, int8_model, fit.predict(model, data.test_x), answers)


def on_board(
    board: Board, firmware: BuildResult, x: Int8Array, truth: NDArray[np.int64], show: Show
) -> BoardOutcome:
    """Send the samples over the serial line, then measure one inference."""
    with connect(board, firmware.elf) as device:
        answers = run(device, firmware.graph, firmware.lowered, x, show)
    measured = bench(firmware, x[:1])
    right = float((classes(answers.outputs) == truth).mean())
    return BoardOutcome(board, firmware, answers, right, measured)


def proven(task: Task, fold: FoldOutcome, samples: int, steps: Steps) -> list[BoardOutcome]:
    """Firmware for each board, and what it answered."""
    chosen = np.linspace(0, len(fold.data.test_x) - 1, samples).astype(int)
    x, truth = to_device(fold.model.graph, fold.data.test_x[chosen]), fold.data.test_y[chosen]
    outcomes = []
    for board in (BOARDS[name] for name in task.boards):
        with steps.step(f"Build the firmware: {board.title}"):
            firmware = build(fold.model.graph, board)
        with steps.step(f"{samples} test samples over the line: {board.title}") as progress:
            outcomes.append(on_board(board, firmware, x, truth, progress))
    return outcomes


def write_report(outcome: Outcome) -> None:
    """The confusion matrix, and one HTML page measured on the last board, with a link to the one in
    which the model runs."""
    last, fold = outcome.boards[-1], outcome.folds[0]
    firmware = last.firmware
    picture = show.confusion_svg(outcome.confusion(), fold.data.labels)
    write_atomic(folder(outcome.task) / "confusion.svg", picture)
    page = collect(firmware.lowered, firmware.plan, memory_svg=svg(firmware.lowered, firmware.plan))
    page = with_bench(page, last.bench, firmware)
    rows = [("float32, PyTorch", outcome.float_accuracy), ("int8, PC", outcome.int8_accuracy)]
    rows += [(f"int8, {b.board.title}", b.accuracy) for b in outcome.boards]
    data = fold.data
    page = replace(
        page,
        accuracy=tuple(rows),
        compared=len(last.answers.outputs),
        mismatches=last.answers.mismatches,
        samples=sample_rows(
            firmware.graph,
            to_device(fold.model.graph, data.test_x[:12]),
            [data.labels[int(y)] for y in data.test_y],
        ),
        pictures=(("Confusion matrix, test part, int8", picture),),
        page=link_to(outcome.page, outcome.report) if isinstance(outcome.page, Path) else "",
    )
    write_atomic(outcome.report, render(page))


def perform(task: Task, settings: Settings, steps: Steps) -> Outcome:
    """Everything, in order."""
    folder(task).mkdir(parents=True, exist_ok=True)
    with steps.step("Data") as progress:
        loaded = task.load(progress)
    data = loaded if isinstance(loaded, tuple) else (loaded,)
    data = (_part(data[0]),) if settings.short else data
    folds = [one_fold(task, d, n, settings.fresh, steps) for n, d in enumerate(data)]
    with steps.step("Export C"):
        folds[0].model.save(folder(task) / f"{task.name}.nano")
        folds[0].model.export(folder(task) / task.name)
    boards = proven(task, folds[0], settings.samples, steps)
    outcome = Outcome(task, tuple(folds), tuple(boards), folder(task) / "report.html")
    with steps.step("Page"):
        outcome = replace(outcome, page=write_page(outcome))
    with steps.step("Confusion matrix, report"):
        write_report(outcome)
    return outcome


def write_page(outcome: Outcome) -> Path | str:
    """The model at work in one HTML file; the way to have it where no compiler is there for it."""
    path = folder(outcome.task) / "page.html"
    try:
        outcome.folds[0].model.page(path)
    except MissingTool as error:
        return str(error)
    return path


def _part(data: Dataset) -> Dataset:
    """What `--short` takes of the data."""
    recordings = data.test_recordings
    return replace(
        data,
        train_x=data.train_x[-SHORT_TRAIN:],
        train_y=data.train_y[-SHORT_TRAIN:],
        test_x=data.test_x[:SHORT_TEST],
        test_y=data.test_y[:SHORT_TEST],
        test_recordings=None if recordings is None else recordings[:SHORT_TEST],
    )


def folder(task: Task) -> Path:
    """Where a task keeps what it makes."""
    return ROOT / "build" / task.name


# --- The command ----------------------------------------------------------------------------------


def verdict(outcome: Outcome) -> str:
    """Why the task failed; empty if it did not."""
    task = outcome.task
    for board in outcome.boards:
        if board.answers.mismatches:
            return f"{board.board.title}: {board.answers.first or 'outputs differ'}"
    if outcome.int8_accuracy < task.goal:
        return f"int8 accuracy is {outcome.int8_accuracy:.2%}, below {task.goal:.1%}"
    if outcome.lost > task.most_lost:
        return f"int8 loses {100 * outcome.lost:.2f} points of accuracy"
    return ""


def record(outcome: Outcome) -> Path:
    """Keep the figures in bench/tasks, and show them in docs/tasks.md."""
    path = RECORDS / f"{outcome.task.name}.json"
    RECORDS.mkdir(parents=True, exist_ok=True)
    figures = {"nanotool": nanotool.__version__, "torch": torch.__version__, **outcome.to_json()}
    write_atomic(path, json.dumps(figures, indent=2) + "\n")
    task_table.update()
    return path


def shortened(task: Task) -> Task:
    """``task`` with little training: only a broken path may fail it."""
    recipe = replace(task.recipe, epochs=task.short_epochs)
    return replace(task, recipe=recipe, goal=task.short_goal, most_lost=0.05)


def settings_from(task: Task, arguments: list[str] | None) -> Settings:
    """Parse the command line."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(task.name, description=__doc__, formatter_class=plain)
    parser.add_argument("--short", action="store_true", help="little training, few samples")
    parser.add_argument("--fresh", action="store_true", help="train again")
    parser.add_argument("--record", action="store_true", help="keep the figures in bench/tasks")
    parser.add_argument("--banner", default=task.name, help="what its last line begins with")
    parser.add_argument("--samples", type=int, default=None, help="samples for each board")
    chosen = parser.parse_args(arguments)
    samples = chosen.samples or (SHORT_SAMPLES if chosen.short else task.samples)
    if samples < 1:
        parser.error("--samples must be 1 or more")
    if chosen.record and chosen.short:
        parser.error("--record keeps full figures only: leave out --short")
    banner = chosen.banner.replace("_", " ").upper()
    return Settings(chosen.short, chosen.fresh, chosen.record, samples, banner)


def main(task: Task, arguments: list[str] | None = None) -> int:
    """Run a task; 0 if every byte was right and the goal was reached."""
    settings = settings_from(task, arguments)
    console = Console(emoji=False)
    banner = settings.banner
    if settings.short:
        task = shortened(task)
    try:
        outcome = perform(task, settings, Steps(console))
    except NanoError as error:
        console.print(f"{banner} FAILED: {error}", markup=False, highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print(f"{banner} FAILED: stopped by the user", markup=False)
        return 130
    except Exception as error:  # a bug: all of it, then the line that scripts look for
        traceback.print_exc()
        told = f"{type(error).__name__}: {error}"
        console.print(f"{banner} FAILED: {told}", markup=False, highlight=False, soft_wrap=True)
        return 1
    show.print_outcome(console, outcome)
    if settings.record:
        console.print(f"Recorded: {record(outcome)}", markup=False, highlight=False)
    reason = verdict(outcome)
    if reason:
        console.print(f"{banner} FAILED: {reason}", markup=False, highlight=False, soft_wrap=True)
        return 1
    console.print(
        f"{banner} OK: {show.summary(outcome)}", markup=False, highlight=False, soft_wrap=True
    )
    return 0
