"""Kernels of operators that packages bring, compiled for this process from their C files."""

from __future__ import annotations

import functools
import hashlib
import shlex
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cffi import FFI

from nanotool.cache import is_sealed, locked, room, seal, unfailing
from nanotool.errors import InvalidModel, MissingTool, NanoError
from nanotool.ir import Struct
from nanotool.ops import custom
from nanotool.runtime.structs import Structs
from nanotool.sources import lib_dir

_HEADERS = ("status", "config", "arena", "model", "ops/types")  # what a kernel's header may name
_QUOTED_LINES = 12  # of the compiler's output, when it fails
_MAKERS = "Tell those who made its package."


class CustomKernels:
    """The kernels of some operators, with the structs of their parameters."""

    def __init__(self, operators: Iterable[custom.CustomOperator]) -> None:
        """Compile them, if the cache has them not. `MissingTool` without a C compiler, `NanoError`
        with its words if it refuses."""
        several = tuple(operators)
        self._names = ", ".join(operator.name for operator in several)
        files = custom.c_files(several)
        self._ffi, self._lib = _loaded(tuple(sorted(files.items())), self._names)
        self._structs = Structs(self._ffi)

    def kernel(self, name: str) -> int | None:
        """The address of a kernel; None if none of them has that name."""
        try:
            return int(self._ffi.cast("uintptr_t", self._ffi.addressof(self._lib, name)))
        except AttributeError:
            return None

    def params(self, struct: Struct) -> int:
        """The address of ``struct`` in C, which lives as long as this does."""
        try:
            return int(self._ffi.cast("uintptr_t", self._structs.of(struct)))
        except (self._ffi.error, TypeError, OverflowError) as error:
            raise InvalidModel(f"{self._names}: {struct.ctype}: {error}", _MAKERS) from error


@functools.cache
def _loaded(files: tuple[tuple[str, str], ...], names: str) -> tuple[FFI, Any]:
    """The library of ``files`` in this process, and what its headers declare."""
    # Not above: `python -m nanotool.runtime.build` imports this package before it runs.
    from nanotool.runtime import build  # noqa: PLC0415

    ffi = FFI()
    library = _compiled(dict(files), names)
    try:
        for name in _HEADERS:
            path = lib_dir() / "include" / "nano" / f"{name}.h"
            ffi.cdef(build.declarations(path.read_text("utf-8")))
        for name, text in files:
            if name.endswith(".h"):
                ffi.cdef(build.declarations(text))
        return ffi, ffi.dlopen(str(library))
    except Exception as error:  # of cffi's own types, and those of its parser
        raise InvalidModel(f"{names}: its C files: {error}", _MAKERS) from error


def _compiled(files: dict[str, str], names: str) -> Path:
    """The shared library of ``files``, from the cache if it is there."""
    from nanotool.runtime import build  # noqa: PLC0415

    include = lib_dir() / "include"
    command = [
        *shlex.split(str(sysconfig.get_config_var("LDSHARED") or "cc -shared")),
        *("-std=c99", "-O2", "-fPIC", *build.WARNINGS, f"-I{include}"),
    ]
    if shutil.which(command[0]) is None:
        command[0] = "cc"
    digest = hashlib.sha256(shlex.join(command).encode())
    for path in sorted(include.rglob("*.h")):
        digest.update(path.read_bytes())
    for name, text in sorted(files.items()):
        digest.update(f"{name} {len(text)}\n{text}".encode())
    kept = room("operators") / digest.hexdigest()[:16]
    with unfailing(), locked(kept.with_suffix(".lock")):
        if not is_sealed(kept):
            shutil.rmtree(kept, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix="nanotool-operators-") as folder:
                for name, text in files.items():
                    Path(folder, name).write_text(text)
                product = Path(folder, "kernels.so")
                sources = sorted(name for name in files if name.endswith(".c"))
                _run([*command, *sources, "-o", product.name], folder, names)
                kept.mkdir()
                shutil.copyfile(product, kept / product.name)
            seal(kept)
    return kept / "kernels.so"


def _run(command: list[str], folder: str, names: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    except FileNotFoundError as error:
        raise MissingTool(
            f"The kernels of {names} have to be compiled, and there is no C compiler.",
            "Install one: apt install gcc (Debian, Ubuntu).",
        ) from error
    if done.returncode:
        said = "\n".join(done.stderr.strip().splitlines()[:_QUOTED_LINES])
        raise NanoError(f"The C files of {names} do not compile:\n{said}\n", _MAKERS)
