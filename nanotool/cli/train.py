"""`nanotool train`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nanotool.cli.common import (
    AsJson,
    Baud,
    BoardName,
    Dtr,
    Goal,
    HeadText,
    Model,
    Port,
    Rts,
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
    serial_port,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nanotool.device.training import Status, Trainer
    from nanotool.training import Trainable
    from nanotool.training.session import Moment, Trained, TrainOptions

    Samples = tuple[NDArray[Any], NDArray[Any]]  # as the device wants them, and their labels


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
    layers: Annotated[
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
        int | None, typer.Option(min=1, help="Samples of a mini-batch.", show_default=False)
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
    baud: Baud = None,
    dtr: Dtr = None,
    rts: Rts = None,
    head: HeadText = "",
    optimize: Goal = "balanced",
    as_json: AsJson = False,
) -> None:
    """Have a board learn from samples: its head learns, step by step, while you watch."""
    from nanotool.bench import connect
    from nanotool.device import Trainer
    from nanotool.report.tables import facts_table
    from nanotool.training import session

    if checkpoint is not None:
        session.check_checkpoint(checkpoint)
    trainable = cut_model(load(model), layers, head)
    assert trainable is not None  # typer asks for the layers
    samples = Sets(
        train=_read(trainable, data),
        remember=None if remember is None else _read(trainable, remember),
        test=None if test is None else _read(trainable, test),
    )
    options = session.TrainOptions(epochs, rehearse, rate, batch)
    found = find_board(board)
    at = serial_port(port, found, baud, dtr, rts)
    firmware = Path() if at else build_firmware(model, board, optimize, head=trainable).elf
    with connect(found, firmware, at) as device:
        trainer = Trainer(device)
        outcome = _train(trainer, trainable, samples, options, found.name, reset)
        kept = trainer.save("head") if save else None
    if kept is not None:
        note(f"Saved on the board: {kept.size:,} B.")
    if checkpoint is not None:
        tensors = session.checkpoint(trainable, outcome.trained.state)
        session.save_checkpoint(tensors, checkpoint)
        note(f"Wrote {checkpoint}: {', '.join(trainable.layers)}.")
    if as_json:
        told = {"board": found.name, "emulated": at is None, "layers": list(trainable.layers)}
        told |= _json(outcome)
        told["saved"] = kept is not None
        told["checkpoint"] = None if checkpoint is None else str(checkpoint)
        print_json(told)
    else:
        where = found.name + (", emulated" if at is None else "")
        out().print(facts_table([("board", where), *_facts(outcome)]))


@dataclass(frozen=True, slots=True)
class Sets:
    """What the command was given: to learn, to remember first, to judge by."""

    train: Samples
    remember: Samples | None
    test: Samples | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    trained: Trained
    status: Status  # the head's, at the end
    accuracies: dict[str, float]  # "before", "after": of the test set, if there is one


def _train(
    trainer: Trainer,
    trainable: Trainable,
    samples: Sets,
    options: TrainOptions,
    board: str,
    reset: bool,
) -> Outcome:
    """The whole session on the board, with a bar for each part of it."""
    from nanotool.training import session

    session.check_head(trainer.status(), trainable)
    if reset:
        trainer.reset()
    if samples.remember is not None:
        with progress("Remembering") as show:
            session.remember(trainer, trainable, *samples.remember, show)
    for known in (samples.train, samples.test):
        if known is not None:
            session.add_classes(trainer, known[1])
    accuracies = _judge(trainer, trainable, samples.test, "before")
    with _watching(f"Learning on {board}") as watch:
        trained = session.train(trainer, trainable, *samples.train, options, watch=watch)
    accuracies |= _judge(trainer, trainable, samples.test, "after")
    return Outcome(trained, trainer.status(), accuracies)


def _judge(
    trainer: Trainer, trainable: Trainable, test: Samples | None, when: str
) -> dict[str, float]:
    """The share of right answers on the test set, by ``when``; nothing without one."""
    from nanotool.training import session

    if test is None:
        return {}
    with progress(f"Judging {when}") as show:
        share, _ = session.accuracy(trainer, trainable, *test, show)
    return {when: share}


def _json(outcome: Outcome) -> dict[str, Any]:
    status = outcome.status
    return {
        "classes": status.classes,
        "steps": status.steps,
        "samples": status.samples,
        "losses": outcome.trained.losses(),
        "accuracy_while_learning": _mean(outcome.trained.rights()),
        "accuracy": outcome.accuracies,
    }


def _facts(outcome: Outcome) -> list[tuple[str, str]]:
    from nanotool.training.session import sparkline

    status, losses = outcome.status, outcome.trained.losses()
    ends = min(_RECENT, max(1, len(losses) // 4))  # samples at either end
    first, last = _mean(losses[:ends]), _mean(losses[-ends:])
    return [
        ("learned", f"{status.samples:,} samples in {status.steps:,} steps"),
        ("classes", f"{status.classes} of at most {status.most_classes}"),
        ("replay buffer", f"{status.replay_used:,} of {status.replay_slots:,} slots"),
        ("loss", f"{sparkline(losses)}  {first:.3f} to {last:.3f}"),
        ("right before learned", f"{_mean(outcome.trained.rights()):.1%}"),
        *((f"test, {when}", f"{share:.2%}") for when, share in outcome.accuracies.items()),
    ]


def _read(trainable: Trainable, pair: Pair) -> Samples:
    """Samples as the device wants them, and their labels, from two .npy files."""
    from nanotool.files import read_array
    from nanotool.training.session import check_samples

    x, y = (read_array(path) for path in pair)
    return check_samples(trainable, x, y), y


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(1, len(values))


@contextmanager
def _watching(title: str) -> Iterator[Callable[[Moment], None]]:
    """Progress, loss and accuracy on stderr while the block runs, if it is a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from nanotool.training.session import sparkline

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
