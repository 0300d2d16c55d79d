"""`nanotool build`."""

from __future__ import annotations

from nanotool.cli.common import (
    AsJson,
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
    goal_of,
    load,
    note,
    only_one,
    out,
    print_json,
)

EPILOG = examples(
    "nanotool build digits.nano --board stm32",
    "nanotool build digits.nano --board native --json",
    "nanotool build kws.tflite --board stm32 --optimize size --task kws",
    "nanotool build digits.nano --board esp32 --weights flash",
    "nanotool build okay_nabu.tflite commands.nano --board stm32",
    "nanotool build digits.nano --board stm32 --trainable fc2 --head slots=500,classes=12",
)


def command(
    models: Models,
    board: BoardName,
    optimize: Goal = "balanced",
    ram: Ram = None,
    task: TaskName = None,
    weights: Weights = "",
    sensor: WithSensor = False,
    console: ConsoleMode = "full",
    layers: TrainableLayers = "",
    head: HeadText = "",
    as_json: AsJson = False,
) -> None:
    """Build the firmware of a model for a board; or of several, of which it runs one at a time.

    They share one arena, and `model` on the console chooses.
    """
    learns = layers or head
    trainable = cut_model(load(only_one(models, "--trainable")), layers, head) if learns else None
    goal = goal_of(optimize, ram)
    built = build_firmware(models, board, goal, task, weights, trainable, sensor, console)
    if as_json:
        print_json(
            {
                "board": built.board.name,
                "model": built.graph.name,
                "models": [model.graph.name for model in built.models],
                "task": None if built.task is None else built.task.name,
                "elf": str(built.elf),
                "image": None if built.image is None else str(built.image),
                "compiler": built.compiler,
                "rebuilt": built.rebuilt,
                "code_bytes": built.sizes.code_bytes,
                "weight_bytes": built.sizes.weight_bytes,
                "ram_bytes": built.sizes.ram_bytes,
                "arena_bytes": built.arena_bytes,
            }
        )
        return
    out().print(str(built.elf), soft_wrap=True)
    note(
        f"{'Built' if built.rebuilt else 'Unchanged'}: code {built.sizes.code_bytes:,} B, "
        f"weights {built.sizes.weight_bytes:,} B, RAM {built.sizes.ram_bytes:,} B, of which arena "
        f"{built.arena_bytes:,} B."
    )
