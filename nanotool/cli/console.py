"""`nanotool console`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from nanotool.cli.common import (
    Baud,
    Dtr,
    OptionalBoard,
    Port,
    Rts,
    examples,
    find_board,
    firmware_for,
    load,
    out,
    serial_port,
)

EPILOG = examples(
    "nanotool console digits.nano --board stm32",
    "nanotool console --port /dev/ttyUSB0",
    "nanotool console digits.nano --board native -c 'infer 1 0' -c layers",
    "echo info | nanotool console digits.nano --board native",
)


def command(
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="[MODEL]",
            help="A model: what to emulate, and the names of its classes.",
            show_default=False,
        ),
    ] = None,
    board: OptionalBoard = None,
    port: Port = None,
    baud: Baud = None,
    dtr: Dtr = None,
    rts: Rts = None,
    lines: Annotated[
        list[str] | None,
        typer.Option(
            "--command", "-c", metavar="LINE", help="Do this and leave; may be given several times."
        ),
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Answers as they come over the line.", show_default=False)
    ] = False,
) -> None:
    """Talk to a board: its console with history, completion and readable answers.

    Without a terminal, lines come from stdin; the exit code is 1 if any of them was refused.
    """
    from nanotool.bench import connect
    from nanotool.terminal import Session, clock_of, interact, prepare_from_model, replay

    if (board is None or model is None) and port is None:
        raise typer.BadParameter("Give --port PORT, or MODEL and --board BOARD to emulate one.")
    found = find_board(board or "stm32")
    at = serial_port(port, found, baud, dtr, rts)
    graph = None if model is None else load(model)
    firmware = Path() if model is None else firmware_for(model, found.name, at)
    with connect(found, firmware, at) as device:
        info = device.info()  # and in step: the first answer is that to the first question
        session = Session(
            device,
            out(),
            labels=() if graph is None else graph.labels,
            prepare=None if graph is None else prepare_from_model(graph),
            raw=raw,
            clock=clock_of(found, info.tick_source, emulated=at is None),
        )
        if lines or not sys.stdin.isatty():
            if replay(session, lines or sys.stdin):
                raise typer.Exit(1)
            return
        where = f"{info.board}{', emulated,' if at is None else ''}"
        interact(session, f"{where} runs {info.model}")
