"""What all commands share: their arguments, where text goes, how long work is shown.

Results go to stdout, everything else (progress, notes, errors) to stderr. Colours and bars appear
only on a terminal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from nanotool.boards import Board
    from nanotool.build import BuildResult
    from nanotool.device.line import SerialPort
    from nanotool.inputs import Clipping
    from nanotool.ir import Lowered, Plan, QGraph
    from nanotool.passes.record import PassRecord
    from nanotool.progress import Progress
    from nanotool.training import Trainable


FIRST_PANEL = "What one needs first"
MODEL_PANEL, RUN_PANEL, LOOK_PANEL = "Make a model", "Run a model", "Look around"


def _board_names() -> list[str]:
    """For TAB."""
    from nanotool.boards import BOARDS

    return sorted(BOARDS)


Model = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL", help="A .nano or .tflite file, or a model folder.", show_default=False
    ),
]
Models = Annotated[
    list[Path],
    typer.Argument(
        metavar="MODEL...",
        help="A .nano or .tflite file, or a model folder; of several the board runs one at a time.",
        show_default=False,
    ),
]
BoardName = Annotated[
    str,
    typer.Option(
        "--board", "-b", metavar="BOARD", help="One that `nanotool boards` lists.",
        show_default=False, autocompletion=_board_names,
    ),
]  # fmt: skip
OptionalBoard = Annotated[
    str | None,
    typer.Option(
        "--board", "-b", metavar="BOARD", help="One that `nanotool boards` lists.",
        show_default=False, autocompletion=_board_names,
    ),
]  # fmt: skip
MaybeBoard = Annotated[
    str | None,
    typer.Option(
        "--board", "-b", metavar="BOARD", show_default=False,
        help="One that `nanotool boards` lists. [this computer]",
    ),
]  # fmt: skip
Port = Annotated[
    str | None,
    typer.Option(
        "--port", "-p", metavar="PORT", show_default=False,
        help="Serial port of a real board, or auto: the one with a board's USB id. Without it the "
        "board is emulated.",
    ),
]  # fmt: skip
Baud = Annotated[
    int | None,
    typer.Option("--baud", metavar="RATE", show_default=False, help="Of --port. [board's: 115200]"),
]
Dtr = Annotated[
    bool | None,
    typer.Option(
        "--dtr/--no-dtr", show_default=False,
        help="Set DTR of --port. By default it is left alone: it resets many boards.",
    ),
]  # fmt: skip
Rts = Annotated[
    bool | None,
    typer.Option(
        "--rts/--no-rts", show_default=False, help="Set RTS of --port; likewise left alone."
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON and nothing else on stdout.", show_default=False)
]
TaskName = Annotated[
    str | None,
    typer.Option(
        "--task", metavar="TASK", show_default=False,
        help="Serve MLPerf Tiny's runner: kws, ic, vww, ad or sww.",
    ),
]  # fmt: skip
WithSensor = Annotated[
    bool,
    typer.Option(
        "--sensor", show_default=False,
        help="With the board's own sensor, for `nanotool capture`; a model that listens.",
    ),
]  # fmt: skip
ConsoleMode = Annotated[
    str,
    typer.Option(
        "--console", metavar="CONSOLE",
        help="Of a device in the field: read-only answers, and refuses what would change anything; "
        "none, with --sensor, listens and has no line. Else full.",
    ),
]  # fmt: skip
Goal = Annotated[
    str, typer.Option("--optimize", metavar="GOAL", help="What to prefer: balanced, speed or size.")
]
Ram = Annotated[
    int | None,
    typer.Option(
        "--ram", metavar="BYTES", min=0, show_default=False,
        help="Take the fastest plan whose arena has so many bytes at most, instead of a goal.",
    ),
]  # fmt: skip
Weights = Annotated[
    str,
    typer.Option(
        "--weights", metavar="PLACE", show_default=False,
        help="Where an ESP32 has them: dram (fast) or flash (large).",
    ),
]  # fmt: skip
InputFile = Annotated[
    Path,
    typer.Option(
        "--input", "-i", metavar="X.npy", show_default=False,
        help="N × input shape, real numbers, or the model's own type (raw). Several inputs: a .npz "
        "with each by its name, or 0, 1, …. Of a model with a camera also frames, uint8 N × lines "
        "× bytes, or a .raw file of them.",
    ),
]  # fmt: skip
ResetEvery = Annotated[
    int,
    typer.Option(
        "--reset-every", metavar="N", min=0, show_default=False,
        help="Begin anew after N steps, with a model that has states.",
    ),
]  # fmt: skip
LabelFile = Annotated[
    Path | None,
    typer.Option(
        "--labels", metavar="Y.npy", show_default=False,
        help="The true class of each input, whole numbers from 0: accuracy is told.",
    ),
]  # fmt: skip
OutputFile = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="Y.npy",
        help="Where the outputs go; several: .npz.",
        show_default=False,
    ),
]
AsFloat = Annotated[
    bool,
    typer.Option("--float", help="Outputs as real values, not raw int8.", show_default=False),
]
TrainableLayers = Annotated[
    str,
    typer.Option(
        "--trainable", metavar="LAYERS", show_default=False,
        help="Last dense layers that learn on the board: fc2, or fc1,fc2.",
    ),
]  # fmt: skip
HeadText = Annotated[
    str,
    typer.Option(
        "--head", metavar="KEY=VALUE,…", show_default=False,
        help="How they learn: arithmetic, optimizer, loss, slots (of the replay buffer), classes "
        "(at most), means, anomaly, batch, rate …",
    ),
]  # fmt: skip
OptionalTarget = Annotated[
    str | None,
    typer.Option(
        "--target", metavar="TARGET", help="Kernels to use. [default: portable]", show_default=False
    ),
]


def examples(*lines: str) -> str:
    """An epilog of commands, one a line."""
    return "\n".join(["[bold]Examples[/bold]", *(f"  [cyan]{line}[/cyan]" for line in lines)])


# --- Where text goes ------------------------------------------------------------------------------


def out() -> Console:
    """Results."""
    return _console(stderr=False)


def err() -> Console:
    """Everything else."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    """No markup and no highlighting: names that a user chose are printed as they are. A pipe
    gets wide lines, which grep and cut like better than wrapped ones."""
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=160)
    return console


def print_json(value: Any) -> None:
    """``value`` as JSON on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def note(text: str) -> None:
    """A line about what was done, for people."""
    err().print(text, soft_wrap=True)


def warn(text: str) -> None:
    """What went through, and is hardly meant."""
    from rich.text import Text

    err().print(Text.assemble(("warning:", "yellow"), " ", text), soft_wrap=True)


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """A progress bar on stderr while the block runs; nothing where stderr is no terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = err()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(title, total=None)

        def show(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total)

        yield show


@contextmanager
def status(title: str) -> Iterator[Callable[[str], None]]:
    """A line on stderr that says what is going on; nothing where stderr is no terminal."""
    console = err()
    if not console.is_terminal:
        yield lambda text: None
        return
    with console.status(title) as spinner:
        yield spinner.update


# --- What commands begin with ---------------------------------------------------------------------


def load(path: Path) -> QGraph:
    """The model at ``path``."""
    from nanotool.models import load_model

    return load_model(path)


def load_several(paths: Sequence[Path]) -> tuple[QGraph, ...]:
    """The models at ``paths``, those of a folder that holds several among them."""
    from nanotool.models import load_models

    return tuple(graph for path in paths for graph in load_models(path))


def cut_model(graph: QGraph, layers: str, head: str) -> Trainable | None:
    """``graph`` with the layers of ``--trainable`` as a head; None if none are named."""
    if not layers:
        if head:
            raise typer.BadParameter("--head goes with --trainable LAYERS.")
        return None
    from nanotool.training import cut, parse_options

    return cut(graph, [name.strip() for name in layers.split(",")], parse_options(head))


def goal_of(optimize: str, ram: int | None) -> str:
    """What --optimize and --ram ask for, as a goal."""
    from nanotool.targets import ram_goal

    if ram is None:
        return optimize
    if optimize != "balanced":
        raise typer.BadParameter("Give --optimize or --ram: one says what the other would choose.")
    return ram_goal(ram)


def plan_model(
    graph: QGraph, target: str, optimize: str = "balanced", log: list[PassRecord] | None = None
) -> tuple[Lowered, Plan]:
    """``graph`` simplified, lowered for ``target`` and placed in its arena."""
    from nanotool.pipeline import prepare

    return prepare(graph, target, optimize, log)


def find_board(name: str) -> Board:
    """The board called ``name``."""
    from nanotool.boards import find_board as find

    return find(name)


def load_inputs(graph: QGraph, path: Path) -> tuple[tuple[Any, ...], tuple[Clipping | None, ...]]:
    """The inputs in ``path``, as the device wants them: one array an input, [n, *input shape]; and
    what of each saturates, which people are told. Several inputs are a .npz file; a camera's frames
    may be a .raw file of their bytes."""
    from nanotool.errors import NanoError
    from nanotool.files import read_arrays
    from nanotool.inputs import clipping, in_order, to_device
    from nanotool.recordings import read_frames

    if graph.camera is not None and path.suffix == ".raw":
        arrays: tuple[Any, ...] = (read_frames(path, graph.camera),)
    else:
        arrays = in_order(graph, read_arrays(path), path.name)
    x = tuple(to_device(graph, array, number) for number, array in enumerate(arrays))
    if not len(x[0]):
        raise NanoError(f"{path} holds no inputs.", "Give at least one.")
    beyond = tuple(clipping(graph, array, number) for number, array in enumerate(arrays))
    for name, saturating in zip(graph.inputs, beyond, strict=True):
        if saturating is not None:
            which = f"{name}: " if len(arrays) > 1 else ""
            warn(f"{which}{saturating}")
    return x, beyond


def saturation(graph: QGraph, beyond: Sequence[Clipping | None]) -> dict[str, Any]:
    """`load_inputs`' second result for `--json`: by the inputs' names where there are several."""
    told = [None if one is None else one.to_json() for one in beyond]
    single = len(graph.inputs) == 1
    return {"input_saturation": told[0] if single else dict(zip(graph.inputs, told, strict=True))}


def as_asked(graph: QGraph, ends: Sequence[Any], as_float: bool) -> dict[str, Any]:
    """Outputs by name, raw, or de-quantized if the user wants real values."""
    tensors = graph.output_tensors
    return {
        tensor.name: tensor.dequantize(y) if as_float else y
        for tensor, y in zip(tensors, ends, strict=True)
    }


def check_output_file(graph: QGraph, path: Path | None) -> None:
    """`NanoError` if ``path`` cannot be written, or holds one output where there are several."""
    from nanotool.errors import NanoError
    from nanotool.files import check_writable

    if path is not None:
        check_writable(path)
    if path is not None and len(graph.outputs) > 1 and path.suffix != ".npz":
        raise NanoError(
            f"{graph.name} has {len(graph.outputs)} outputs, {path.name} would hold one.",
            "Name a .npz file.",
        )


def write_outputs(path: Path, outputs: Mapping[str, Any]) -> None:
    """To a .npz file by name; the one output to a file of another name as .npy."""
    from nanotool.files import write_array, write_arrays

    if path.suffix == ".npz":
        write_arrays(path, outputs)
    else:
        (one,) = outputs.values()
        write_array(path, one)
    count = len(next(iter(outputs.values())))
    note(f"Wrote {path}: {count:,} outputs.")


def outputs_json(outputs: Mapping[str, Any]) -> Any:
    """The one output as a list; several by name."""
    lists = {name: y.tolist() for name, y in outputs.items()}
    return lists if len(lists) > 1 else next(iter(lists.values()))


def show_answers(graph: QGraph, ends: Sequence[Any]) -> None:
    """A table of each output's first answers."""
    from nanotool.report.tables import answers_table

    for tensor, y in zip(graph.output_tensors, ends, strict=True):
        if len(ends) > 1:
            out().print(tensor.name)
        values = tensor.dequantize(y).reshape(len(y), -1).tolist()
        out().print(answers_table(values, graph.labels if len(ends) == 1 else ()))


def only_one(models: Sequence[Path], option: str) -> Path:
    """The one model that ``option`` goes with."""
    if len(models) > 1:
        raise typer.BadParameter(f"{option} goes with one model.")
    return models[0]


def build_firmware(
    model: Path | Sequence[Path],
    board: str,
    optimize: str = "balanced",
    task: str | None = None,
    weights: str = "",
    head: Trainable | None = None,
    sensor: bool = False,
    console: str = "full",
) -> BuildResult:
    """The firmware of ``model``, of several, or of what was cut from it, for ``board``; what the
    build does is shown while it runs."""
    from nanotool.build import build
    from nanotool.mlperf import find_task
    from nanotool.models import model_file, model_files

    found = find_board(board)
    chosen = None if task is None else find_task(task)
    given = [model] if isinstance(model, Path) else list(model)
    for path in (file for one in given for file in model_files(one)):
        model_file(path)  # a wrong one is told before anything is started
    with status(f"Building for {found.title} …") as show:
        return build(
            head or given,
            found,
            optimize=optimize,
            task=chosen,
            weights=weights,
            sensor=sensor,
            console=console,
            echo=lambda line: show(line[:100] or "…"),
        )


def serial_port(
    port: str | None,
    board: Board,
    baud: int | None = None,
    dtr: bool | None = None,
    rts: bool | None = None,
) -> SerialPort | None:
    """The port that the options name; None: the board is emulated."""
    from nanotool.device.line import SerialPort

    if port is None:
        if (baud, dtr, rts) != (None, None, None):
            raise typer.BadParameter("--baud, --dtr and --rts go with --port.")
        return None
    if port == "auto":
        from nanotool.boards import attached_ports
        from nanotool.device.usb import board_port

        port = board_port(board, attached_ports())
        note(f"{board.name} is at {port}.")
    return SerialPort(port, baud, dtr, rts)


def firmware_for(
    model: Path | Sequence[Path],
    board: str,
    port: str | SerialPort | None,
    optimize: str = "balanced",
    task: str | None = None,
    sensor: bool = False,
) -> Path:
    """The ELF to emulate; a real board on ``port`` runs what it was flashed with, so none."""
    if port:
        return Path()
    return build_firmware(model, board, optimize, task, sensor=sensor).elf
