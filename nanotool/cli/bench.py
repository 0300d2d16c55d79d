"""`nanotool bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
    ResetEvery,
    Rts,
    TaskName,
    TrainableLayers,
    build_firmware,
    cut_model,
    examples,
    find_board,
    load,
    load_inputs,
    out,
    print_json,
    progress,
    saturation,
    serial_port,
)

EPILOG = examples(
    "nanotool bench digits.nano --board stm32",
    "nanotool bench digits.nano --board stm32 --per-layer",
    "nanotool bench digits.nano --board stm32 --json",
    "nanotool bench digits.nano --board stm32 --trainable fc2",
)


def command(
    model: Model,
    board: BoardName,
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
    per_layer: Annotated[
        bool, typer.Option("--per-layer", help="Show every layer.", show_default=False)
    ] = False,
    optimize: Goal = "balanced",
    task: TaskName = None,
    layers: TrainableLayers = "",
    head: HeadText = "",
    as_json: AsJson = False,
    reset_every: ResetEvery = 0,
) -> None:
    """Measure a model on a board: instructions or cycles, flash, RAM, and differing bytes.

    Exit code 1 if any output byte differs from the simulator's.
    """
    from nanotool.bench import bench
    from nanotool.report.tables import bench_advice, bench_facts, bench_layers, facts_table

    graph = load(model)
    x, beyond = (None, None) if input is None else load_inputs(graph, input)
    at = serial_port(port, find_board(board), baud, dtr, rts)
    trainable = cut_model(graph, layers, head) if layers or head else None
    built = build_firmware(model, board, optimize, task, head=trainable)
    with progress(f"Measuring on {built.board.name}") as show:
        result = bench(built, x, at, progress=show, reset_every=reset_every)
    if as_json:
        told = {"input_saturation": None} if beyond is None else saturation(graph, beyond)
        print_json(result.to_json() | told)
    else:
        out().print(facts_table(bench_facts(result)))
        if per_layer:
            out().print()
            out().print(bench_layers(result))
            out().print(bench_advice(result), markup=False, highlight=False)
    if result.mismatches:
        raise typer.Exit(1)
