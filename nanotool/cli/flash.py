"""`nanotool flash`."""

from __future__ import annotations

from nanotool.cli.common import (
    BoardName,
    Goal,
    HeadText,
    Model,
    Port,
    TaskName,
    TrainableLayers,
    Weights,
    build_firmware,
    cut_model,
    examples,
    load,
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
    trainable: TrainableLayers = "",
    head: HeadText = "",
) -> None:
    """Write the firmware of a model to the real board that is attached."""
    from nanotool.build import flash

    learns = cut_model(load(model), trainable, head) if trainable or head else None
    built = build_firmware(model, board, optimize, task, weights, learns)
    with status(f"Flashing {built.board.title} …") as show:
        flash(built, port or "", show)
    note(f"{built.board.title} now runs {built.graph.name}.")
