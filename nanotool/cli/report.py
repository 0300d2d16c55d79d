"""`nanotool report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nanotool.cli.common import (
    Model,
    OptionalBoard,
    Port,
    Weights,
    build_firmware,
    examples,
    load,
    note,
    out,
    plan_model,
    progress,
)

EPILOG = examples(
    "nanotool report digits.nano -o report.html",
    "nanotool report digits.nano --board stm32 -o report.html",
    "nanotool report digits.nano --board esp32 --weights flash -o report.html",
)


def command(
    model: Model,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="REPORT.html", help="Where the page goes.")
    ],
    board: OptionalBoard = None,
    port: Port = None,
    weights: Weights = "",
) -> None:
    """Write one HTML page about a model; with a board, measured on it.

    A board that is neither attached nor emulated here is not measured; its memory is told.
    """
    from nanotool.bench import bench
    from nanotool.doctor import can_emulate
    from nanotool.files import write_atomic
    from nanotool.passes.record import PassRecord
    from nanotool.plan import svg
    from nanotool.report import collect, render, with_bench, with_memory
    from nanotool.report.tables import budget_table

    if board is None:
        log: list[PassRecord] = []
        lowered, plan = plan_model(load(model), "portable", log=log)
        data = collect(lowered, plan, memory_svg=svg(lowered, plan), passes=log)
    else:
        built = build_firmware(model, board, weights=weights)
        picture = svg(built.lowered, built.plan)
        data = collect(built.lowered, built.plan, memory_svg=picture, passes=built.passes)
        if port or can_emulate(built.board):
            with progress(f"Measuring on {built.board.name}") as show:
                result = bench(built.graph, built.board, None, port, firmware=built, progress=show)
            data = with_bench(data, result, built)
        else:
            data = with_memory(data, built)
            note(f"No emulator for {built.board.name} and no --port: nothing is measured.")
        if data.budgets:
            out().print(budget_table(data.budgets))
    write_atomic(output, render(data))
    note(f"Wrote {output}.")
