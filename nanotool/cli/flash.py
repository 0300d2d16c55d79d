"""`nanotool flash`."""

from __future__ import annotations

from typing import Annotated

import typer

from nanotool.cli.common import (
    BoardName,
    Goal,
    HeadText,
    Models,
    TaskName,
    TrainableLayers,
    Weights,
    build_firmware,
    cut_model,
    examples,
    find_board,
    load,
    note,
    only_one,
    status,
)

EPILOG = examples(
    "nanotool flash digits.nano --board stm32",
    "nanotool flash digits.nano --board esp32 --port /dev/ttyUSB0",
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
    task: TaskName = None,
    weights: Weights = "",
    layers: TrainableLayers = "",
    head: HeadText = "",
) -> None:  # fmt: skip
    """Write the firmware of a model, or of several, to the real board that is attached."""
    from nanotool.boards import check_flashable
    from nanotool.build import flash

    check_flashable(find_board(board), port or "")
    learns = layers or head
    trainable = cut_model(load(only_one(models, "--trainable")), layers, head) if learns else None
    built = build_firmware(models, board, optimize, task, weights, trainable)
    with status(f"Flashing {built.board.title} …") as show:
        flash(built, port or "", show)
    names = " or ".join(model.graph.name for model in built.models)
    note(f"{built.board.title} now runs {names}.")
