"""`nanotool plan`."""

from __future__ import annotations

import typer

from nanotool.cli.common import (
    AsJson,
    Goal,
    Model,
    OptionalBoard,
    OptionalTarget,
    Ram,
    examples,
    find_board,
    goal_of,
    load,
    out,
    plan_model,
    print_json,
)

EPILOG = examples(
    "nanotool plan digits.nano --board stm32",
    "nanotool plan kws.tflite --target armv7em --optimize size",
    "nanotool plan digits.nano --json",
)


def command(
    model: Model,
    board: OptionalBoard = None,
    target: OptionalTarget = None,
    optimize: Goal = "balanced",
    ram: Ram = None,
    as_json: AsJson = False,
) -> None:
    """Show what lies where in the arena, and when; with a board, whether the model fits it.

    Exit code 1 if it surely does not.
    """
    from nanotool import fit
    from nanotool.plan import draw
    from nanotool.report.tables import room_table

    if board is not None and target is not None:
        raise typer.BadParameter("Give --board or --target: a board has its own kernels.")
    found = None if board is None else find_board(board)
    kernels = found.target if found is not None else target or "portable"
    lowered, plan = plan_model(load(model), kernels, goal_of(optimize, ram))
    room = fit.Model(lowered, plan, fit.input_buffer(lowered.graph))
    needs = () if found is None else fit.needs(room, found)
    trouble = None if found is None else fit.trouble(room, found)
    if as_json:
        blocks = [*plan.buffers.values(), *plan.scratch.values()]
        print_json(
            {
                "target": lowered.target,
                "board": board,
                "fits": None if found is None else trouble is None,
                "arena_bytes": plan.arena_size,
                "weight_bytes": lowered.weight_bytes,
                "macs": lowered.macs,
                "lower_bound": plan.lower_bound,
                "method": plan.method,
                "blocks": [
                    {
                        "name": block.name,
                        "offset": block.offset,
                        "bytes": block.size,
                        "first": block.first,
                        "last": block.last,
                    }
                    for block in blocks
                ],
            }
        )
    else:
        console = out()
        picture = draw(lowered, plan, ascii_only=not console.encoding.startswith("utf"))
        console.print(picture, soft_wrap=True)
        if needs:
            console.print()
            console.print(room_table(needs))
    if trouble is not None:
        raise trouble
