"""How a task's outcome is shown: tables, the confusion matrix, one line."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from examples.outcome import BoardOutcome, Outcome


def print_outcome(console: Console, outcome: Outcome) -> None:
    """The tables, and where the pictures are."""
    console.print()
    console.print(table(outcome))
    console.print(confusion_table(outcome))
    if outcome.task.remark:
        console.print(outcome.task.remark, markup=False, highlight=False)
    for line in (f"Report: {outcome.report}", f"Page: {outcome.page}"):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def summary(outcome: Outcome) -> str:
    """One line."""
    last = outcome.boards[-1]
    samples = sum(len(board.answers.outputs) for board in outcome.boards)
    return (
        f"{samples} samples on {len(outcome.boards)} boards, 0 bytes differ; "
        f"{outcome.int8_accuracy:.2%} int8 ({outcome.float_accuracy:.2%} float); "
        f"{last.bench.ticks:,} {last.bench.tick_unit} an inference on {last.board.title}"
    )


def table(outcome: Outcome) -> Table:
    """The figures: a row each, a column a board."""
    macs = outcome.boards[0].bench.macs
    title = f"{outcome.task.title}: {macs:,} MACs"
    result = Table(title=title, title_justify="left", highlight=False)
    result.add_column("", no_wrap=True)
    for column in outcome.boards:
        emulated = " (emulated)" if column.bench.emulated and column.board.real else ""
        result.add_column(column.board.name + emulated, justify="right", no_wrap=True)
    for name, value in accuracy_rows(outcome):
        result.add_row(name, *[value] * len(outcome.boards))
    count = len(outcome.boards[0].answers.outputs)
    right = (f"{board.accuracy:.2%}" for board in outcome.boards)
    result.add_row(f"int8 accuracy, board, {count} samples", *right)
    different = (str(board.answers.mismatches) for board in outcome.boards)
    result.add_row("output bytes unlike the PC's", *different)
    result.add_section()
    counts = [board.bench.instructions for board in outcome.boards]
    result.add_row("instructions an inference", *("-" if n is None else f"{n:,}" for n in counts))
    for cells in zip(*(memory_rows(board) for board in outcome.boards), strict=True):
        result.add_row(cells[0][0], *(value for _, value in cells))
    return result


def accuracy_rows(outcome: Outcome) -> list[tuple[str, str]]:
    """What was judged on the whole test part."""
    tested = sum(len(fold.data.test_x) for fold in outcome.folds)
    rows = [
        (f"float32 accuracy, PyTorch, {tested:,} samples", f"{outcome.float_accuracy:.2%}"),
        (f"int8 accuracy, PC, {tested:,} samples", f"{outcome.int8_accuracy:.2%}"),
    ]
    if len(outcome.folds) > 1:
        each = [fold.int8_accuracy for fold in outcome.folds]
        rows.append(
            (f"    {len(each)} folds, lowest to highest", f"{min(each):.1%}-{max(each):.1%}")
        )
    if outcome.votes:
        rows.append(("    vote of a recording's windows", f"{np.mean(outcome.votes):.2%}"))
    return rows


def memory_rows(outcome: BoardOutcome) -> list[tuple[str, str]]:
    """Flash and RAM of one board, part by part."""
    board, figures = outcome.board, outcome.bench
    db = outcome.firmware.graph.input_tensor.nbytes
    rest = figures.ram_bytes - figures.arena_bytes - db
    stack = figures.stack_bytes
    return [
        ("flash: code", _of(figures.code_bytes, board.flash_size)),
        ("flash: weights", _of(figures.weight_bytes, board.flash_size)),
        ("RAM: arena", _of(figures.arena_bytes, board.ram_size)),
        ("RAM: input buffer", _of(db, board.ram_size)),
        ("RAM: stack, peak", "-" if stack is None else _of(stack, board.ram_size)),
        ("RAM: rest", _of(rest, board.ram_size)),
    ]


def _of(used: int, available: int) -> str:
    """Bytes, and the share of what the board has, where that is known."""
    return f"{used:,} B" + (f"  ({used / available:.1%})" if available else "")


def confusion_table(outcome: Outcome) -> Table:
    """The classes that are most often taken for another one."""
    matrix, labels = outcome.confusion(), outcome.folds[0].data.labels
    result = Table(title="Taken for another", title_justify="left", highlight=False)
    for name in ("class", "right", "most often taken for"):
        result.add_column(name, justify="right" if name == "right" else "left", no_wrap=True)
    for index, label in enumerate(labels):
        row = matrix[index].copy()
        share = row[index] / max(1, row.sum())
        row[index] = 0
        worst = int(row.argmax())
        other = f"{labels[worst]} ({row[worst]})" if row[worst] else "-"
        result.add_row(label, f"{share:.1%}", other)
    return result


def confusion_svg(matrix: NDArray[np.int64], labels: tuple[str, ...]) -> str:
    """The confusion matrix as an <svg> element: rows are the truth, columns the int8 answers."""
    size = 2.4 + 0.52 * len(labels)
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.subplots()
    shares = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("int8 answer")
    axes.set_ylabel("truth")
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            shade = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=shade, fontsize=8)
    with io.StringIO() as file:
        # No date: the same figures give the same bytes.
        figure.savefig(file, format="svg", metadata={"Date": None})
        text = file.getvalue()
    return text[text.index("<svg") :]
