"""A model folder is replaced as a whole, or not at all, and never anything else with it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from nanotool.errors import NanoError

MARK = "Made by nanotool"  # in the first line of every generated source
GRAPH_FILE = "model.nano"
_FIRST_LINE = 200  # bytes that are looked at


def is_model_folder(folder: Path) -> bool:
    """Whether ``folder`` was written by `nanotool.backends.c.export`."""
    return (folder / "app_model.h").is_file() and _is_generated(folder / "app_model.h")


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
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        check_replaceable(folder)
        fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.new-", dir=folder.parent))
    except OSError as error:
        raise _cannot_write(folder, error) from error
    try:
        for name, content in files.items():
            (fresh / name).write_bytes(content)
        fresh.chmod(0o755)
        _swap(fresh, folder)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _swap(fresh: Path, folder: Path) -> None:
    """Rename ``fresh`` to ``folder``, whose old content goes only after that."""
    if not folder.exists():
        fresh.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old-", dir=folder.parent))
    try:
        folder.replace(old)  # an empty folder may be replaced by another one
        try:
            fresh.rename(folder)
        except BaseException:
            old.rename(folder)
            raise
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(old)


def _cannot_write(folder: Path, error: OSError) -> NanoError:
    return NanoError(
        f"Cannot write {folder}: {error.strerror or error}.",
        "The old content, if any, is untouched. Choose a folder that you may write to.",
    )
