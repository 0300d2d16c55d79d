"""`nanotool train`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nanotool.cli.common import (
    AsJson,
    BoardName,
    Goal,
    HeadText,
    Model,
    Port,
    build_firmware,
    cut_model,
    err,
    examples,
    find_board,
    load,
    note,
    out,
    print_json,
    progress,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nanotool.learning import Moment
    from nanotool.training import Trainable

EPILOG = examples(
    "nanotool train digits.nano --board native --trainable fc2 --data x.npy y.npy",
    "nanotool train digits.nano --board stm32 --trainable fc2 --head classes=12,slots=500 "
    "--remember old_x.npy old_y.npy --data x.npy y.npy --rehearse 4000 --checkpoint fc2.pt",
    "nanotool train digits.nano --board stm32 --port /dev/ttyUSB0 --trainable fc2 --data x.npy "
    "y.npy --test tx.npy ty.npy --save",
)

Pair = tuple[Path, Path]
_RECENT = 50  # samples that the accuracy while learning is of


def command(
    model: Model,
    board: BoardName,
    trainable: Annotated[
        str, typer.Option("--trainable", metavar="LAYERS", help="Last dense layers that learn.")
    ],
    data: Annotated[
        Pair,
        typer.Option("--data", metavar="X.npy Y.npy", help="Samples, and their classes from 0 on."),
    ],
    remember: Annotated[
        Pair | None,
        typer.Option(
            "--remember",
            metavar="X.npy Y.npy",
            help="First into the replay buffer, without learning.",
            show_default=False,
        ),
    ] = None,
    test: Annotated[
        Pair | None,
        typer.Option(
            "--test",
            metavar="X.npy Y.npy",
            help="Judged on the board before and after.",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Times that each sample is sent.")] = 1,
    rehearse: Annotated[
        int, typer.Option(min=0, help="Samples from the replay buffer, after each epoch.")
    ] = 0,
    rate: Annotated[
        float | None, typer.Option(help="Learning rate; default: the head's.", show_default=False)
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Samples of a mini-batch.", show_default=False)
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint",
            metavar="OUT.pt",
            help="The new weights, for load_state_dict; or .npz.",
            show_default=False,
        ),
    ] = None,
    save: Annotated[
        bool, typer.Option("--save", help="Keep the head in the board's flash.", show_default=False)
    ] = False,
    reset: Annotated[
        bool, typer.Option("--reset", help="Begin with the model's weights.", show_default=False)
    ] = False,
    port: Port = None,
    head: HeadText = "",
    optimize: Goal = "balanced",
    as_json: AsJson = False,
) -> None:
    """Have a board learn from samples: its head learns, step by step, while you watch."""
    from nanotool import learning
    from nanotool.bench import connect
    from nanotool.device import Trainer
    from nanotool.report.tables import facts_table

    if checkpoint is not None:
        learning.check_checkpoint(checkpoint)
    learns = cut_model(load(model), trainable, head)
    assert learns is not None  # typer asks for the layers
    x, y = _read(learns, data)
    old = None if remember is None else _read(learns, remember)
    judge = None if test is None else _read(learns, test)
    found = find_board(board)
    firmware = Path() if port else build_firmware(model, board, optimize, head=learns).elf
    accuracies: dict[str, float] = {}
    with connect(found, firmware, port) as device:
        trainer = Trainer(device)
        learning.check_head(trainer.status(), learns)
        if reset:
            trainer.reset()
        if old is not None:
            with progress("Remembering") as show:
                learning.remember(trainer, learns, *old, show)
        for labels in [y] if judge is None else [y, judge[1]]:
            learning.add_classes(trainer, labels)

        def examine(when: str) -> None:
            if judge is not None:
                with progress(f"Judging {when}") as show:
                    accuracies[when], _ = learning.accuracy(trainer, learns, *judge, show)

        examine("before")
        lesson = learning.Lesson(epochs, rehearse, rate, batch)
        with _watching(f"Learning on {found.name}") as watch:
            taught = learning.teach(trainer, learns, x, y, lesson, watch=watch)
        examine("after")
        kept = trainer.save("head") if save else None
        status = trainer.status()
    if kept is not None:
        note(f"Saved on the board: {kept.size:,} B.")
    if checkpoint is not None:
        learning.save_checkpoint(learning.checkpoint(learns, taught.state), checkpoint)
        note(f"Wrote {checkpoint}: {', '.join(learns.layers)}.")
    losses = taught.losses()
    right = [moment.right for moment in taught.moments if moment.right is not None]
    if as_json:
        print_json(
            {
                "board": found.name,
                "layers": list(learns.layers),
                "classes": status.classes,
                "steps": status.steps,
                "samples": status.samples,
                "losses": losses,
                "accuracy_while_learning": sum(right) / max(1, len(right)),
                "accuracy": accuracies,
                "saved": kept is not None,
                "checkpoint": None if checkpoint is None else str(checkpoint),
            }
        )
        return
    ends = min(_RECENT, max(1, len(losses) // 4))  # samples at either end
    facts = [
        ("learned", f"{status.samples:,} samples in {status.steps:,} steps"),
        ("classes", f"{status.classes} of at most {status.most_classes}"),
        ("replay buffer", f"{status.replay_used:,} of {status.replay_slots:,} slots"),
        ("loss", f"{learning.sparkline(losses)}  {_mean(losses[:ends]):.3f} to "
                 f"{_mean(losses[-ends:]):.3f}"),
        ("right before learned", f"{_mean(right):.1%}"),
        *((f"test, {when}", f"{share:.2%}") for when, share in accuracies.items()),
    ]  # fmt: skip
    out().print(facts_table(facts))


def _read(learns: Trainable, pair: Pair) -> tuple[NDArray[Any], NDArray[Any]]:
    """Samples as the device wants them, and their labels, from two .npy files."""
    from nanotool.files import read_array
    from nanotool.learning import check_samples

    x, y = (read_array(path) for path in pair)
    return check_samples(learns, x, y), y


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(1, len(values))


@contextmanager
def _watching(title: str) -> Iterator[Callable[[Moment], None]]:
    """Progress, loss and accuracy on stderr while the block runs, if it is a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from nanotool.learning import sparkline

    console = err()
    columns = (
        *(TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn()),
        TextColumn("{task.fields[told]}"),
    )
    losses: list[float] = []
    right: list[bool] = []
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(title, total=None, told="")

        def watch(moment: Moment) -> None:
            if moment.loss is not None:
                losses.append(moment.loss)
            if moment.right is not None:
                right.append(moment.right)
            told = f"loss {sparkline(losses, 24)} {_mean(losses[-_RECENT:]):.3f}"
            told += f"  right {_mean(right[-_RECENT:]):.0%}"
            if moment.rehearsed:
                told += f"  rehearsed {moment.rehearsed:,}"
            bar.update(task, completed=moment.done, total=moment.total, told=told)

        yield watch
