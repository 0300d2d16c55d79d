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
    load_several,
    out,
    serial_port,
)

EPILOG = examples(
    "nanotool console digits.nano --board stm32",
    "nanotool console --port /dev/ttyUSB0",
    "nanotool console digits.nano --board native -c 'infer 1 0' -c layers",
    "nanotool console okay_nabu.tflite commands.nano --board stm32",
    "echo info | nanotool console digits.nano --board native",
)


def command(
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[MODEL...]",
            help="A model, or several: what to emulate, and the names of its classes.",
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
    from nanotool.identifiers import model_identifier
    from nanotool.terminal import Session, clock_of, interact, replay

    if (board is None or not models) and port is None:
        raise typer.BadParameter("Give --port PORT, or MODEL and --board BOARD to emulate one.")
    found = find_board(board or "stm32")
    at = serial_port(port, found, baud, dtr, rts)
    graphs = load_several(models or ())
    firmware = firmware_for(models, found.name, at) if models else Path()
    with connect(found, firmware, at) as device:
        info = device.info()  # and in step: the first answer is that to the first question
        session = Session(
            device,
            out(),
            graphs={model_identifier(graph.name): graph for graph in graphs},
            model=info.model,
            raw=raw,
            clock=clock_of(found, info.tick_source, emulated=at is None),
        )
        if lines or not sys.stdin.isatty():
            if replay(session, lines or sys.stdin):
                raise typer.Exit(1)
            return
        where = f"{info.board}{', emulated,' if at is None else ''}"
        others = [model.name for model in info.models if model.name != info.model]
        also = f", and has {', '.join(others)}" if others else ""
        interact(session, f"{where} runs {info.model}{also}")
