"""A model folder is replaced as a whole, or not at all, and never anything else with it."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from nanotool.errors import NanoError

MARK = "Made by nanotool"  # in the first line of every generated source
GRAPH_FILE = "model.nano"
_FIRST_LINE = 200  # bytes that are looked at


def is_model_folder(folder: Path) -> bool:
    """Whether ``folder`` was written by `nanotool.backends.c.export`."""
    return (folder / "app_model.h").is_file() and _is_generated(folder / "app_model.h")


def exported_for(folder: Path) -> dict[str, str]:
    """What ``folder``, a model folder, was exported for: the goal by target."""
    head = (folder / "app_model.h").read_text(errors="replace").split("*/")[0]
    return dict(re.findall(r"options  target (\w+), optimize (\w+)", head))


def check_replaceable(folder: Path) -> None:
    """Raise `NanoError` unless ``folder`` is absent, empty, or a model folder and nothing else."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise NanoError(f"{folder} is a file.", "Name a folder for the model.")
    others = sorted(path.name for path in folder.iterdir() if not _is_generated(path))
    if others:
        named = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
        raise NanoError(
            f"{folder} holds other files than an exported model's: {named}.",
            "Name an empty or a new folder; an export replaces all that is in it.",
        )


def _is_generated(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    if path.name == GRAPH_FILE:
        return True
    if path.suffix not in {".c", ".h"}:
        return False
    with path.open("rb") as file:
        return MARK.encode() in file.read(_FIRST_LINE).split(b"\n", 1)[0]


def replace_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make ``folder`` hold exactly ``files``.

    They are written to a sibling folder, which then takes the other's place: whoever looks, or
    whenever this is interrupted, finds the old folder or the new one whole. (Between two renames
    there is a moment without any; if the second fails the first is undone.)
    """
    folder = folder.resolve()
    fresh = _sibling(folder, "new")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        check_replaceable(folder)
        fresh.mkdir()
        for name, content in files.items():
            (fresh / name).write_bytes(content)
        _swap(fresh, folder)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _sibling(folder: Path, kind: str) -> Path:
    """A hidden name beside ``folder`` that nobody else uses."""
    return folder.with_name(f".{folder.name}.{kind}-{secrets.token_hex(6)}")


def _swap(fresh: Path, folder: Path) -> None:
    """Rename ``fresh`` to ``folder``, whose old content goes only after that."""
    if not folder.exists():
        fresh.rename(folder)
        return
    old = _sibling(folder, "old")
    folder.rename(old)
    try:
        fresh.rename(folder)
    except BaseException:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _cannot_write(folder: Path, error: OSError) -> NanoError:
    return NanoError(
        f"Cannot write {folder}: {error.strerror or error}.",
        "The old content, if any, is untouched. Choose a folder that you may write to.",
    )
