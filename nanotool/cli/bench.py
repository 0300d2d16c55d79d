"""`nanotool bench`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nanotool.cli.common import (
    AsJson,
    Baud,
    Dtr,
    Goal,
    HeadText,
    Models,
    OptionalBoard,
    Port,
    Ram,
    ResetEvery,
    Rts,
    TaskName,
    TrainableLayers,
    build_firmware,
    cut_model,
    examples,
    find_board,
    goal_of,
    load,
    load_inputs,
    note,
    only_one,
    out,
    print_json,
    progress,
    saturation,
    serial_port,
)

if TYPE_CHECKING:
    from nanotool.boards import Board
    from nanotool.build import BuildResult

EPILOG = examples(
    "nanotool bench digits.nano --board stm32",
    "nanotool bench digits.nano --board stm32 --per-layer",
    "nanotool bench digits.nano --board stm32 --cycles-model m4",
    "nanotool bench digits.nano --board stm32 --json",
    "nanotool bench digits.nano --board stm32 --trainable fc2",
    "nanotool bench digits.nano --farm env.yaml",
    "nanotool bench okay_nabu.tflite commands.nano --board stm32",
)


def command(
    models: Models,
    board: OptionalBoard = None,
    input: Annotated[
        Path | None,
        typer.Option(
            "--input",
            "-i",
            metavar="X.npy",
            help="Inputs to compare with (several: .npz); default: the model's own samples.",
            show_default=False,
        ),
    ] = None,
    port: Port = None,
    baud: Baud = None,
    dtr: Dtr = None,
    rts: Rts = None,
    farm: Annotated[
        Path | None,
        typer.Option(
            "--farm", metavar="ENV.yaml", show_default=False,
            help="Measure on all boards that labgrid's environment file names, at once, or on those"
            " of --board. They have the firmware already.",
        ),
    ] = None,
    farm_wait: Annotated[
        float,
        typer.Option(
            "--farm-wait", metavar="SECONDS", min=0, help="For a board that another has."
        ),
    ] = 60.0,
    per_layer: Annotated[
        bool, typer.Option("--per-layer", help="Show every layer.", show_default=False)
    ] = False,
    cycles_model: Annotated[
        str,
        typer.Option(
            "--cycles-model",
            metavar="MODEL",
            help="Beside instructions a model's cycles, of an emulated board: m4; default: with"
            " --json that of the board's core, if there is one.",
            show_default=False,
        ),
    ] = "",
    optimize: Goal = "balanced",
    ram: Ram = None,
    task: TaskName = None,
    layers: TrainableLayers = "",
    head: HeadText = "",
    as_json: AsJson = False,
    reset_every: ResetEvery = 0,
) -> None:  # fmt: skip
    """Measure a model on a board: instructions or cycles, flash, RAM, and differing bytes.

    Of several models one after the other, in one firmware; of a farm one line a board.

    Exit code 1 if any output byte differs from the simulator's, or a board of a farm has no answer.
    """
    from nanotool.bench import bench
    from nanotool.cycles import model_of
    from nanotool.report.tables import bench_advice, bench_facts, bench_layers, facts_table

    if farm is not None:
        alone = (input, port, baud, dtr, rts, task, layers, head, reset_every, cycles_model)
        if per_layer or any(option not in (None, "", 0) for option in alone):
            raise typer.BadParameter(
                "--farm goes with --board, --optimize, --ram and --json alone."
            )
        _farm(only_one(models, "--farm"), farm, board, farm_wait, goal_of(optimize, ram), as_json)
        return
    if board is None:
        raise typer.BadParameter("Which board? Give --board BOARD, or --farm ENV.yaml.")
    x = beyond = graph = trainable = None
    if input is not None:
        graph = load(only_one(models, "--input"))
        x, beyond = load_inputs(graph, input)
    at = serial_port(port, find_board(board), baud, dtr, rts)
    if layers or head:
        trainable = cut_model(load(only_one(models, "--trainable")), layers, head)
    if as_json and at is None and not cycles_model:
        cycles_model = model_of(find_board(board))
    built = build_firmware(models, board, goal_of(optimize, ram), task, head=trainable)
    with progress(f"Measuring on {built.board.name}") as show:
        results = [
            bench(one, x, at, progress=show, reset_every=reset_every, cycles_model=cycles_model)
            for one in built.each()
        ]
    if as_json:
        saturating = {"input_saturation": None}
        told = saturating if graph is None or beyond is None else saturation(graph, beyond)
        lines = [result.to_json() | told for result in results]
        print_json(lines[0] if len(lines) == 1 else lines)
    for result in () if as_json else results:
        out().print(facts_table(bench_facts(result)))
        if per_layer:
            out().print()
            out().print(bench_layers(result))
            for line in (*result.slow, bench_advice(result)):
                out().print(line, markup=False, highlight=False)
    if any(result.mismatches for result in results):
        raise typer.Exit(1)


def _farm(
    model: Path, file: Path, board: str | None, wait: float, optimize: str, as_json: bool
) -> None:
    """A model on the boards of a farm, as one table."""
    from nanotool.farm import bench_farm, read_farm
    from nanotool.report.tables import farm_table

    targets = read_farm(file)
    if board is not None:
        targets = tuple(one for one in targets if one.board is find_board(board))
        if not targets:
            raise typer.BadParameter(f"No target of {file} is a {board}.")

    def built(board: Board) -> BuildResult:
        return build_firmware(model, board.name, optimize)

    measured = bench_farm(targets, built, wait, note)
    if as_json:
        print_json([one.to_json() for one in measured])
    else:
        out().print(farm_table(measured))
    for one in measured:
        if one.error and not as_json:
            note(f"{one.target.name}: {one.error}")
    if any(one.result is None or one.result.mismatches for one in measured):
        raise typer.Exit(1)
