"""`nanotool train`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
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
    from nanotool.training.watching import Recording, Watched

    Samples = tuple[NDArray[Any], NDArray[Any]]  # as the device wants them, and their labels


EPILOG = examples(
    "nanotool train digits.nano --board native --trainable fc2 --data x.npy y.npy",
    "nanotool train digits.nano --board stm32 --trainable fc2 --head classes=12,slots=500 "
    "--remember old_x.npy old_y.npy --data x.npy y.npy --rehearse 4000 --checkpoint fc2.pt",
    "nanotool train digits.nano --board stm32 --port /dev/ttyUSB0 --trainable fc2 --data x.npy "
    "y.npy --test tx.npy ty.npy --save",
    "nanotool train motion.nano --board stm32 --trainable fc --head anomaly=nearest --normal "
    "normal/ --score today/",
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
        Pair | None,
        typer.Option(
            "--data",
            metavar="X.npy Y.npy",
            help="Samples, and their classes from 0 on.",
            show_default=False,
        ),
    ] = None,
    normal: Annotated[
        Path | None,
        typer.Option(
            "--normal",
            metavar="FOLDER",
            help="Recordings, a file each, of what is normal.",
            show_default=False,
        ),
    ] = None,
    score: Annotated[
        Path | None,
        typer.Option(
            "--score",
            metavar="FOLDER",
            help="Recordings to score by what is normal, in the end.",
            show_default=False,
        ),
    ] = None,
    targets: Annotated[
        bool,
        typer.Option(
            "--targets",
            help="Y.npy holds real values [samples, outputs], not classes; with loss=mse.",
            show_default=False,
        ),
    ] = False,
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
    from nanotool.training import session, watching

    if checkpoint is not None:
        session.check_checkpoint(checkpoint)
    if data is None and normal is None and score is None:
        raise typer.BadParameter("Give --data, --normal or --score: samples of one kind.")
    if targets and remember is not None:
        raise typer.BadParameter("--remember takes classes: it does not go with --targets.")
    graph = load(model)
    trainable = cut_model(graph, layers, head)
    assert trainable is not None  # typer asks for the layers
    if normal is not None or score is not None:
        watching.check_scores(trainable)
    known, unknown = (
        [] if place is None else watching.read_inputs(graph, place) for place in (normal, score)
    )
    samples = Sets(
        train=None if data is None else _read(trainable, data, targets),
        remember=None if remember is None else _read(trainable, remember),
        test=None if test is None else _read(trainable, test, targets),
        targets=targets,
    )
    options = session.TrainOptions(epochs, rehearse, rate, batch)
    found = find_board(board)
    at = serial_port(port, found, baud, dtr, rts)
    firmware = Path() if at else build_firmware(model, board, optimize, head=trainable).elf
    with connect(found, firmware, at) as device:
        trainer = Trainer(device)
        outcome = _train(trainer, trainable, samples, options, found.name, reset)
        if checkpoint is not None:  # first of all: what comes behind it may fail
            tensors = session.checkpoint(trainable, outcome.trained.state)
            session.save_checkpoint(tensors, checkpoint)
            note(f"Wrote {checkpoint}: {', '.join(trainable.layers)}.")
        scored = _watch(trainer, trainable, known, unknown)
        whole = trainable.config.anomaly == "nearest"  # it scores by the replay buffer
        kept = trainer.save("all" if whole else "head") if save else None
    advice = None if targets else session.advise(outcome.trained, trainable, options)
    if advice is not None:
        note(f"It stopped short: {advice}.")
    if kept is not None:
        note(f"Saved on the board: {kept.size:,} B.")
    if as_json:
        told = {"board": found.name, "emulated": at is None, "layers": list(trainable.layers)}
        told |= _json(outcome)
        told["saved"] = kept is not None
        told["stopped_short"] = None if advice is None else asdict(advice)
        told["checkpoint"] = None if checkpoint is None else str(checkpoint)
        if scored is not None:
            told |= scored.to_json()
        print_json(told)
    else:
        where = found.name + (", emulated" if at is None else "")
        facts = [*_facts(outcome), *([] if scored is None else scored.facts())]
        out().print(facts_table([("board", where), *facts]))


@dataclass(frozen=True, slots=True)
class Sets:
    """What the command was given: to learn, to remember first, to judge by."""

    train: Samples | None
    remember: Samples | None
    test: Samples | None
    targets: bool  # real values, not classes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    trained: Trained
    status: Status  # the head's, at the end
    # "before", "after": of the test set, if there is one; of targets mean squares
    accuracies: dict[str, float]
    targets: bool


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
    for known in () if samples.targets else (samples.train, samples.test):
        if known is not None:
            session.add_classes(trainer, known[1])
    accuracies = _judge(trainer, trainable, samples, "before")
    if samples.train is None:
        nothing = session.Trained((), trainer.fetch("all"))
        return Outcome(nothing, trainer.status(), accuracies, samples.targets)
    with _watching(f"Learning on {board}") as watch:
        learn = session.fit if samples.targets else session.train
        trained = learn(trainer, trainable, *samples.train, options, watch=watch)
    accuracies |= _judge(trainer, trainable, samples, "after")
    return Outcome(trained, trainer.status(), accuracies, samples.targets)


def _watch(
    trainer: Trainer, trainable: Trainable, normal: list[Recording], unknown: list[Recording]
) -> Watched | None:
    """Learn what is normal, score what is not known; None if nothing of it was asked."""
    from nanotool.training import watching

    if not normal and not unknown:
        return None
    with progress("Learning what is normal") as show:
        watching.learn(trainer, trainable, normal, show)
    with progress("Scoring") as show:
        return watching.score(trainer, unknown, show)


def _judge(trainer: Trainer, trainable: Trainable, samples: Sets, when: str) -> dict[str, float]:
    """The share of right answers on the test set, or of targets the mean square of what is missed,
    by ``when``; nothing without a test set."""
    from nanotool.training import session

    if samples.test is None:
        return {}
    with progress(f"Judging {when}") as show:
        if samples.targets:
            return {when: session.mean_square(trainer, trainable, *samples.test, show)}
        share, _ = session.accuracy(trainer, trainable, *samples.test, show)
    return {when: share}


def _json(outcome: Outcome) -> dict[str, Any]:
    status = outcome.status
    return {
        "classes": status.classes,
        "steps": status.steps,
        "samples": status.samples,
        "losses": outcome.trained.losses(),
        "accuracy_while_learning": _mean(outcome.trained.rights()),
        "mean_square" if outcome.targets else "accuracy": outcome.accuracies,
    }


def _facts(outcome: Outcome) -> list[tuple[str, str]]:
    from nanotool.training.session import sparkline

    status, losses, rights = outcome.status, outcome.trained.losses(), outcome.trained.rights()
    ends = min(_RECENT, max(1, len(losses) // 4))  # samples at either end
    first, last = _mean(losses[:ends]), _mean(losses[-ends:])
    return [
        ("learned", f"{status.samples:,} samples in {status.steps:,} steps"),
        ("classes", f"{status.classes} of at most {status.most_classes}"),
        ("replay buffer", f"{status.replay_used:,} of {status.replay_slots:,} slots"),
        *([("loss", f"{sparkline(losses)}  {first:.3f} to {last:.3f}")] if losses else []),
        *([("right before learned", f"{_mean(rights):.1%}")] if rights else []),
        *(
            (f"test, {when}", f"mean square {value:.4g}" if outcome.targets else f"{value:.2%}")
            for when, value in outcome.accuracies.items()
        ),
    ]


def _read(trainable: Trainable, pair: Pair, targets: bool = False) -> Samples:
    """Samples as the device wants them, and their labels or targets, from two .npy files."""
    from nanotool.files import read_array
    from nanotool.training.session import check_samples, check_targets

    x, y = (read_array(path) for path in pair)
    return (check_targets if targets else check_samples)(trainable, x, y), y


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
            if moment.rehearsal is not None:
                losses.append(moment.rehearsal)
            if moment.rehearsed:
                told += f"  rehearsed {moment.rehearsed:,}"
            bar.update(task, completed=moment.done, total=moment.total, told=told)

        yield watch
