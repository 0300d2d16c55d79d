"""`nanotool plan`."""

from __future__ import annotations

from nanotool.cli.common import (
    AsJson,
    Goal,
    Model,
    Target,
    examples,
    load,
    out,
    plan_model,
    print_json,
)

EPILOG = examples(
    "nanotool plan digits.nano",
    "nanotool plan kws.tflite --target armv7em --optimize size",
    "nanotool plan digits.nano --json",
)


def command(
    model: Model,
    target: Target = "portable",
    optimize: Goal = "balanced",
    as_json: AsJson = False,
) -> None:
    """Show what lies where in the arena, and when."""
    from nanotool.plan import draw

    lowered, plan = plan_model(load(model), target, optimize)
    if as_json:
        blocks = [*plan.buffers.values(), *plan.scratch.values()]
        print_json(
            {
                "arena_bytes": plan.arena_size,
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
        return
    console = out()
    picture = draw(lowered, plan, ascii_only=not console.encoding.startswith("utf"))
    console.print(picture, soft_wrap=True)
