"""The compiled extension: found, checked against the sources, compiled when that can be done."""

from __future__ import annotations

import functools
import importlib
import sys
from types import ModuleType

from nanotool.errors import MissingTool
from nanotool.sources import in_checkout


@functools.cache
def load() -> ModuleType:
    """The module nanotool.runtime._nano, with `ffi` and `lib`.

    In a checkout a missing or stale extension is compiled first, with a line on stderr. Raises
    `MissingTool` with the command to run where that fails, or where nanotool is installed.
    """
    # Not above: `python -m nanotool.runtime.build` imports this package before it runs.
    from nanotool.runtime import build  # noqa: PLC0415

    if not build.is_current():
        _refresh()
    try:
        module = importlib.import_module(build.MODULE)
    except ImportError as error:
        raise MissingTool(
            f"The compiled C library cannot be loaded: {error}.", f"Run: {build.COMMAND}"
        ) from error
    loaded = bytes(module.ffi.string(module.lib.nanotool_fingerprint()))
    if loaded != build.MARKER + build.fingerprint().encode():
        raise MissingTool(
            "The C sources have changed since this program loaded the compiled library.",
            "Start it again.",
        )
    return module


def _refresh() -> None:
    """Compile the extension, or say how."""
    from nanotool.runtime import build  # noqa: PLC0415

    state = "is missing" if build.extension_path() is None else "is older than its sources"
    if not in_checkout():
        raise MissingTool(f"The compiled C library {state}.", f"Run: {build.COMMAND}")
    print(f"nanotool: the compiled C library {state}; compiling it", file=sys.stderr)
    try:
        build.build()
    except OSError as error:
        raise MissingTool(
            f"The compiled C library {state}, and cannot be written: {error}.",
            f"Run: {build.COMMAND}",
        ) from error
