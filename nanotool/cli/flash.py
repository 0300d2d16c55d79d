"""`nanotool flash`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nanotool.cli.common import (
    BoardName,
    ConsoleMode,
    Goal,
    HeadText,
    Models,
    Ram,
    TaskName,
    TrainableLayers,
    Weights,
    WithSensor,
    build_firmware,
    cut_model,
    examples,
    find_board,
    goal_of,
    load,
    note,
    only_one,
    status,
)

EPILOG = examples(
    "nanotool flash digits.nano --board stm32",
    "nanotool flash digits.nano --board esp32 --port /dev/ttyUSB0",
    "nanotool flash digits.nano --board esp32 --web -o flash.html",
)


def command(
    models: Models,
    board: BoardName,
    port: Annotated[
        str | None,
        typer.Option(
            "--port", "-p", metavar="PORT", show_default=False,
            help="Serial port that the board is flashed through, as an ESP32 is. Without it: the "
            "programmer's own way, or the port that it finds.",
        ),
    ] = None,
    optimize: Goal = "balanced",
    ram: Ram = None,
    task: TaskName = None,
    weights: Weights = "",
    sensor: WithSensor = False,
    console: ConsoleMode = "full",
    layers: TrainableLayers = "",
    head: HeadText = "",
    web: Annotated[
        bool,
        typer.Option(
            "--web", show_default=False,
            help="Write a page instead, from which a browser flashes an ESP32 (Web Serial).",
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="PAGE.html", help="Where that page goes.", show_default=False
        ),
    ] = None,
) -> None:  # fmt: skip
    """Write the firmware of a model, or of several, to the real board that is attached, or to a
    page that anybody can flash an ESP32 from."""
    from nanotool.boards import check_flashable
    from nanotool.build import flash
    from nanotool.files import check_writable, write_atomic
    from nanotool.page.flasher import check_web_flashable, render_flasher

    if web != (output is not None):
        raise typer.BadParameter("--web and --output PAGE.html go together.")
    if web and port:
        raise typer.BadParameter("With --web, the browser asks for the port.")
    if output is not None:
        check_writable(output)
    if web:
        check_web_flashable(find_board(board))
    else:
        check_flashable(find_board(board), port or "")
    learns = layers or head
    trainable = cut_model(load(only_one(models, "--trainable")), layers, head) if learns else None
    goal = goal_of(optimize, ram)
    built = build_firmware(models, board, goal, task, weights, trainable, sensor, console)
    if output is not None:
        text = render_flasher(built)
        write_atomic(output, text)
        note(f"Wrote {output} ({len(text.encode()):,} B).")
        return
    with status(f"Flashing {built.board.title} …") as show:
        flash(built, port or "", show)
    names = " or ".join(model.graph.name for model in built.models)
    note(f"{built.board.title} now runs {names}.")
