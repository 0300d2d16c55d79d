"""A model folder is replaced as a whole, or not at all, and never anything else with it."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from nanotool.backends.c import binary, loadable
from nanotool.errors import NanoError
from nanotool.files import cannot_write, exchange, locked, orphans, scratch, sync, write_synced

MARK = "Made by nanotool"  # in the first line of every generated source
_GRAPH_FILE = re.compile(r"model(_[1-9]\d{0,2})?\.nano")
_FIRST_LINE = 200  # bytes that are looked at


def graph_file(number: int) -> str:
    """The name of the graph of model ``number`` in a model folder, of which most have one, 0."""
    return f"model_{number}.nano" if number else "model.nano"


def is_model_folder(folder: Path) -> bool:
    """Whether ``folder`` was written by `nanotool.backends.c.export`."""
    return (folder / "app_model.h").is_file() and _is_generated(folder / "app_model.h")


def exported_for(folder: Path) -> dict[str, str]:
    """What ``folder``, a model folder, was exported for: the goal by target."""
    head = (folder / "app_model.h").read_text(errors="replace").split("*/")[0]
    return dict(re.findall(r"options  target (\w+), optimize ([\w=]+)", head))


def check_replaceable(folder: Path) -> None:
    """Raise `NanoError` unless ``folder`` is absent, empty, or a model folder and nothing else."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise NanoError(f"{folder} is a file.", "Name a folder for the model.")
    _refuse(folder, _others(folder))


def _others(folder: Path) -> list[str]:
    """What no export wrote in ``folder``, which another one may replace at the same time."""
    try:
        paths = list(folder.iterdir())
    except FileNotFoundError:
        return []
    return sorted(path.name for path in paths if _is_foreign(path))


def _is_foreign(path: Path) -> bool:
    try:
        return not _is_generated(path) and bool(path.lstat())
    except FileNotFoundError:
        return False


def _refuse(folder: Path, others: Sequence[str]) -> None:
    if others:
        named = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
        raise NanoError(
            f"{folder} holds other files than an exported model's: {named}.",
            "Name an empty or a new folder; an export replaces all that is in it.",
        )


def _is_generated(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    if _GRAPH_FILE.fullmatch(path.name):
        return True
    if model := binary.model_of(path.name):
        return _is_generated(path.with_name(f"{model}_weights.c"))
    if path.suffix not in {".c", ".h", loadable.SUFFIX}:
        return False
    with path.open("rb") as file:
        if path.suffix == loadable.SUFFIX:
            return file.read(len(loadable.MAGIC)) == loadable.MAGIC
        return MARK.encode() in file.read(_FIRST_LINE).split(b"\n", 1)[0]


def replace_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make ``folder`` hold exactly ``files``.

    They are written to a sibling folder, which then changes places with it: whoever looks, or
    whenever this is killed, finds the old folder or the new one whole. Of several that write at
    once, the last one's stays. (Where the file system cannot exchange two folders there is a moment
    without any between two renames; if this is killed just there, the next call puts the old one
    back first.)
    """
    folder = Path(os.path.realpath(folder))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        check_replaceable(folder)
        _restore(folder)
        with scratch(folder.parent, f".{folder.name}.new-", _is_litter) as fresh:
            for name, content in files.items():
                write_synced(fresh / name, content)
            sync(fresh)
            _put(fresh, folder)
            sync(folder.parent)
    except OSError as error:
        raise cannot_write(folder, error) from error


def _is_litter(folder: Path) -> bool:
    """Whether a killed export left ``folder``: its files, the last one perhaps still empty. False,
    too, where another export clears it away meanwhile."""
    try:
        return folder.is_dir() and all(
            _is_generated(path) or (path.is_file() and path.stat().st_size == 0)
            for path in folder.iterdir()
        )
    except FileNotFoundError:
        return False


def _put(fresh: Path, folder: Path) -> None:
    """Rename ``fresh`` to ``folder``. What was there has ``fresh``'s name then, or is gone."""
    while True:
        try:
            fresh.rename(folder)  # over nothing, or an empty folder
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
        else:
            return
        with locked(folder) as same:
            if not same:
                continue  # another one has put its own there meanwhile
            check_replaceable(folder)
            if not exchange(fresh, folder):
                if _rename_twice(fresh, folder):
                    return
            elif others := _others(fresh):  # they came since the check
                exchange(fresh, folder)
                _refuse(folder, others)
            else:
                return


def _rename_twice(fresh: Path, folder: Path) -> bool:
    """`_put` where nothing can be exchanged. False: another one's came in between."""
    old = fresh.with_name(_old_prefix(folder) + fresh.name[-12:])
    folder.rename(old)
    try:
        fresh.rename(folder)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            old.rename(folder)
            raise
        return False
    finally:
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
    return True


def _old_prefix(folder: Path) -> str:
    return f".{folder.name}.old-"


def _restore(folder: Path) -> None:
    """Put back, or clear away, what was killed in `_rename_twice`."""
    for old in orphans(folder.parent, _old_prefix(folder)):
        if not folder.exists():
            old.rename(folder)
        elif _is_litter(old):
            shutil.rmtree(old, ignore_errors=True)
