"""Which model folder the firmware is built with.

NANO_MODEL_DIR in the environment (relative to the current folder) wins over `custom_model` of
platformio.ini (relative to it). Every build system asks here: SCons imports this file, others run

    python firmware/model_dir.py [PROJECT]

which prints the folder's absolute path. PROJECT is the folder of platformio.ini, by default the one
above this file. Exit status 1, and one line on stderr, if there is no such model folder.
"""

from __future__ import annotations

import configparser
import os
import sys
from pathlib import Path

VARIABLE = "NANO_MODEL_DIR"
HEADER = "app_model.h"  # what makes a folder a model folder


class NoModelError(Exception):
    """There is no model to build with; the message says what to do."""


def resolve(project: Path, configured: str) -> Path:
    """The absolute path of the model folder; `configured` is the value of `custom_model`."""
    chosen = os.environ.get(VARIABLE)
    folder = Path(chosen).resolve() if chosen else (project / configured).resolve()
    if (folder / HEADER).is_file():
        return folder
    source = f"{VARIABLE} names" if chosen else "custom_model in platformio.ini names"
    raise NoModelError(
        f"{source} {folder}, which is no model folder: it has no {HEADER}. "
        f"`nanotool export MODEL --output FOLDER` makes one."
    )


def configured_model(project: Path) -> str:
    """`custom_model` of the project's platformio.ini."""
    parser = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=(";",))
    parser.read(project / "platformio.ini", encoding="utf-8")
    return parser.get("env", "custom_model", fallback="firmware/models/default")


def main(arguments: list[str]) -> int:
    """Print the model folder; the exit status."""
    project = Path(arguments[0]) if arguments else Path(__file__).resolve().parents[1]
    try:
        print(resolve(project, configured_model(project)))
    except NoModelError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
