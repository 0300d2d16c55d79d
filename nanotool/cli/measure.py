"""`nanotool measure`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nanotool.cli.common import (
    Baud,
    BoardName,
    Dtr,
    Goal,
    Port,
    Ram,
    Rts,
    examples,
    find_board,
    goal_of,
    note,
    out,
    serial_port,
)

EPILOG = examples(
    "nanotool measure --board stm32 --port /dev/ttyUSB0",
    "nanotool measure kws.tflite digits.nano --board esp32 --port /dev/ttyUSB0 -o esp32.json",
    "nanotool measure --board stm32 --markdown stm32.md",
    "nanotool measure kws.tflite --board stm32 --port /dev/ttyUSB0 --marker",
    "nanotool measure kws.tflite --board stm32 --port /dev/ttyUSB0 --power trace.csv --volts 3.3",
)


def command(
    board: BoardName,
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="MODEL...", show_default=False,
            help="What is measured; by default the benchmark's models.",
        ),
    ] = None,
    port: Port = None,
    baud: Baud = None,
    dtr: Dtr = None,
    rts: Rts = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="RESULTS.json", show_default=False,
            help="Where results are kept; what is in it is not measured again. "
            "[default: BOARD.json]",
        ),
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option(
            "--markdown", metavar="TABLES.md", show_default=False,
            help="Where the tables go besides, each layer's among them.",
        ),
    ] = None,
    flash: Annotated[
        bool,
        typer.Option(
            "--flash/--no-flash", show_default=False,
            help="Flash each model's firmware to the board on --port first, or not: it has it.",
        ),
    ] = True,
    marker: Annotated[
        bool,
        typer.Option(
            "--marker", show_default=False,
            help="Hold a pin of the board high during every timed inference, for a power meter.",
        ),
    ] = False,
    power: Annotated[
        Path | None,
        typer.Option(
            "--power", metavar="TRACE.csv", show_default=False,
            help="What the meter recorded of the only model, the marker beside the current: its "
            "energy is kept with what was measured.",
        ),
    ] = None,
    volts: Annotated[
        float | None,
        typer.Option(
            "--volts", metavar="V", show_default=False, help="Of the supply, if --power has none."
        ),
    ] = None,
    marker_column: Annotated[
        str,
        typer.Option(
            "--marker-column", metavar="NAME", show_default=False,
            help="Of --power. [default: marker, D0, GPI0 or IN0]",
        ),
    ] = "",
    optimize: Goal = "balanced",
    ram: Ram = None,
) -> None:  # fmt: skip
    """Measure the benchmark's models, or yours, on a board, and keep all of it in a file.

    Cycles and microseconds of a real board, instructions of an emulated one; of a Cortex-M4 beside
    them what a model of its cycles says, by emulation. An interrupted run goes on where it was.

    Exit code 1 if any output byte differs from the simulator's.
    """
    from rich.table import Table

    from nanotool.files import check_writable, write_atomic
    from nanotool.measure import benchmark_models, measure, models_table
    from nanotool.measure import markdown as tables
    from nanotool.power import energy, read_trace

    found = find_board(board)
    at = serial_port(port, found, baud, dtr, rts)
    if power is None and (volts is not None or marker_column):
        raise typer.BadParameter("--volts and --marker-column go with --power.")
    used = None if power is None else energy(read_trace(power, volts, marker_column))
    if marker and found.marker:
        note(f"The marker is at {found.marker}.")
    record = output or Path(f"{found.name}.json")
    for path in (record, *([markdown] if markdown else [])):
        check_writable(path)
    results = measure(
        models or benchmark_models(),
        found,
        record,
        at,
        optimize=goal_of(optimize, ram),
        flashed=not flash,
        marker=marker,
        power=used,
        tell=note,
    )
    heads, rows = models_table(results)
    table = Table(*heads)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*row)
    out().print(table)
    note(f"Each layer is in {record}.")
    if markdown is not None:
        write_atomic(markdown, tables(results))
    if any(result["mismatches"] for result in results):
        raise typer.Exit(1)
