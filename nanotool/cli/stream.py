"""`nanotool stream`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nanotool.cli.common import (
    AsJson,
    Model,
    examples,
    load,
    note,
    out,
    plan_model,
    print_json,
    warn,
)

EPILOG = examples(
    "nanotool stream kws.nano --axis 0 -o kws_stream.nano",
    "nanotool stream kws.nano --axis 0 --step 4 --delay 6 -o kws_stream.nano",
)


def command(
    model: Model,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="PATH", help="The .nano file of the steps.")
    ],
    axis: Annotated[
        str,
        typer.Option(
            metavar="AXIS",
            help="The input's axis of time, as your inputs have it, without the batch; of several "
            "inputs NAME=AXIS,NAME=AXIS.",
        ),
    ],
    step: Annotated[
        int | None,
        typer.Option(
            min=1, show_default=False,
            help="New frames in a step. [default: those by which the model listens, or as few as "
            "can be]",
        ),
    ] = None,
    delay: Annotated[int, typer.Option(min=0, help="Frames that an answer may be late.")] = 0,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Turn a model of windows into one of steps, which computes only what is new.

    A step takes the new frames. Once as many were taken as the window has, its bytes are those of
    the window model on the last ones.
    """
    from nanotool import qfile
    from nanotool.errors import NanoError
    from nanotool.models import output_kind
    from nanotool.report.tables import facts_table
    from nanotool.streaming import stream_graph

    if output_kind(output, "") != "nano":
        raise NanoError(f"{output} is no .nano file.", "`nanotool export` makes C of one.")
    graph = load(model)
    made = stream_graph(graph, _axes(axis), step, delay=delay)
    (before, old), (after, new) = (plan_model(one, "portable") for one in (graph, made.graph))
    qfile.save(made.graph, output)
    if made.dropped:
        warn(made.dropped)
    if as_json:
        print_json(
            {
                "step": made.step,
                "steps_until_filled": made.filled,
                "outputs": [None if end is None else asdict(end) for end in made.ends],
                "macs": {"window": before.macs, "step": after.macs},
                "arena_bytes": {"window": old.arena_size, "step": new.arena_size},
                "state_bytes": new.state_size,
                "over_the_window": made.whole,
                "listens": made.graph.stream is not None,
            }
        )
        return
    facts = [
        ("step", f"{made.step} new frame{'s' * (made.step > 1)}"),
        ("as the window's", f"from step {made.filled} on"),
        ("MACs", f"{after.macs:,} a step, {before.macs:,} a window"),
        (
            "arena",
            f"{new.arena_size:,} B, {new.state_size:,} B of them states; {old.arena_size:,} B",
        ),
    ]
    for tensor, end in zip(made.graph.outputs, made.ends, strict=True):
        if end is not None:
            late = f", {end.delay} frame{'s' * (end.delay > 1)} late" if end.delay else ""
            facts.append((tensor, f"{end.frames} frame{'s' * (end.frames > 1)} a step{late}"))
    if made.whole:
        facts.append(("over the whole window", ", ".join(made.whole)))
    out().print(facts_table(facts))
    note(f"Wrote {output}.")


def _axes(text: str) -> int | dict[str, int]:
    """``AXIS``, or NAME=AXIS,…."""
    try:
        if "=" not in text:
            return int(text)
        pairs = (part.rpartition("=") for part in text.split(","))
        return {name.strip(): int(place) for name, _, place in pairs}
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no axis: a number, or NAME=NUMBER.") from None
