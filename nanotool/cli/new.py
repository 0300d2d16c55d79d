"""`nanotool new`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from nanotool.cli.common import Goal, Ram, examples, goal_of, load, note, out
from nanotool.kinds import PROJECTS, find_kind

EPILOG = examples(
    "nanotool new myproject",
    "nanotool new myproject --kind cmake --model digits.nano",
    "nanotool new myproject --kind esp-idf --model kws.tflite",
)


def command(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="The project: a new folder.", show_default=False),
    ],
    kind: Annotated[
        str,
        typer.Option(
            "--kind", "-k", metavar="KIND", help=f"Its build system: {', '.join(PROJECTS)}.",
            autocompletion=lambda: list(PROJECTS),
        ),
    ] = "platformio",
    model: Annotated[
        Path | None,
        typer.Option(
            "--model", "-m", metavar="MODEL", show_default=False,
            help="A .nano or .tflite file, or a model folder. [default: the digits model]",
        ),
    ] = None,
    optimize: Goal = "balanced",
    ram: Ram = None,
) -> None:  # fmt: skip
    """Start a project of your own that runs a model."""
    from nanotool.build import offer_stand_ins
    from nanotool.scaffold import new_project
    from nanotool.sources import default_model_dir

    chosen = find_kind(kind)
    graph = load(default_model_dir() if model is None else model)
    new_project(graph, folder, chosen, goal_of(optimize, ram))
    note(f"Wrote {folder}/: {graph.name} with {chosen.title}.")
    if chosen.platformio and offer_stand_ins(folder):
        note(
            "PlatformIO's registry is out of reach here: this project builds for this computer, "
            "by nanotool's stand-in (platformio_override.ini), and for boards where it is in reach."
        )
    note("Next:")
    out().print(f"cd {shlex.quote(str(folder))}", soft_wrap=True)
    for step in chosen.steps:
        out().print(step, soft_wrap=True)
