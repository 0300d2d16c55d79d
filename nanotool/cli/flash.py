"""`nanotool flash`."""

from __future__ import annotations

from nanotool.cli.common import (
    BoardName,
    Goal,
    Model,
    Port,
    TaskName,
    Weights,
    build_firmware,
    examples,
    note,
    status,
)

EPILOG = examples(
    "nanotool flash digits.nano --board stm32",
    "nanotool flash digits.nano --board esp32 --port /dev/ttyUSB0",
)


def command(
    model: Model,
    board: BoardName,
    port: Port = None,
    optimize: Goal = "balanced",
    task: TaskName = None,
    weights: Weights = "",
) -> None:
    """Write the firmware of a model to the real board that is attached."""
    from nanotool.build import flash

    built = build_firmware(model, board, optimize, task, weights)
    with status(f"Flashing {built.board.title} …") as show:
        flash(built, port or "", show)
    note(f"{built.board.title} now runs {built.graph.name}.")
