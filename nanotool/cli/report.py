"""`nanotool report`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nanotool.cli.common import (
    Baud,
    Dtr,
    Goal,
    Model,
    OptionalBoard,
    Port,
    Ram,
    Rts,
    Weights,
    build_firmware,
    examples,
    find_board,
    goal_of,
    load,
    note,
    out,
    progress,
    serial_port,
    status,
)

if TYPE_CHECKING:
    from nanotool.ir import QGraph
    from nanotool.report import ReportData

EPILOG = examples(
    "nanotool report digits.nano -o report.html",
    "nanotool report digits.nano --board stm32 -o report.html --page page.html",
    "nanotool report digits.nano --board esp32 --weights flash -o report.html",
)


def command(
    model: Model,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="REPORT.html", help="Where the page goes.")
    ],
    board: OptionalBoard = None,
    port: Port = None,
    baud: Baud = None,
    dtr: Dtr = None,
    rts: Rts = None,
    optimize: Goal = "balanced",
    ram: Ram = None,
    weights: Weights = "",
    page: Annotated[
        Path | None,
        typer.Option(
            "--page", metavar="PAGE.html", show_default=False,
            help="Write the page in which the model runs, too (`nanotool page`), and link to it.",
        ),
    ] = None,
) -> None:  # fmt: skip
    """Write one HTML page about a model; with a board, measured on it.

    A board that is neither attached nor emulated here is not measured; its memory is told. So is
    that of a board that the model does not fit, and why.
    """
    from nanotool.files import check_writable, write_atomic
    from nanotool.fit import DoesNotFit
    from nanotool.report import render
    from nanotool.report.about import about_firmware, about_misfit, about_model
    from nanotool.report.tables import budget_table, room_table

    if board is None and (port or weights):
        raise typer.BadParameter("--port and --weights go with --board BOARD.")
    if page is not None and page.resolve() == output.resolve():
        raise typer.BadParameter("--page and --output are one file.")
    for path in (output, page):
        if path is not None:
            check_writable(path)
    graph = load(model)
    if board is None:
        data = about_model(graph, goal_of(optimize, ram))
    else:
        try:
            built = build_firmware(model, board, goal_of(optimize, ram), weights=weights)
        except DoesNotFit as error:
            data = about_misfit(graph, find_board(board), error, goal_of(optimize, ram))
            note(data.trouble)
            out().print(room_table(error.needs))
        else:
            at = serial_port(port, built.board, baud, dtr, rts)
            with progress(f"Measuring on {built.board.name}") as show:
                data = about_firmware(graph, built, at, progress=show)
            if data.ticks is None:
                note(f"No emulator for {built.board.name} and no --port: nothing is measured.")
            if data.budgets:
                out().print(budget_table(data.budgets))
    if page is not None:
        data = _with_page(data, graph, output, page)
    write_atomic(output, render(data))
    note(f"Wrote {output}.")


def _with_page(data: ReportData, graph: QGraph, report: Path, page: Path) -> ReportData:
    from nanotool.files import write_atomic
    from nanotool.page import render
    from nanotool.report import link_to

    with status("Compiling the model for browsers …"):
        write_atomic(page, render(graph))
    note(f"Wrote {page}.")
    return replace(data, page=link_to(page, report))
