"""The portable C library and one model as a WebAssembly module, which any browser runs.

Compiled with clang and lld alone: the library needs no libc. The module's only imports are
``script.op_end(op, address)`` and ``script.step_end(decisions)``; what it exports is in page.c.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from nanotool.backends.c import sources
from nanotool.cache import is_sealed, locked, room, seal, unfailing
from nanotool.errors import MissingTool, NanoError
from nanotool.identifiers import model_identifier
from nanotool.ir import Lowered, Plan
from nanotool.sources import lib_dir

GLUE = Path(__file__).with_name("page.c")
STACK = 32 * 1024  # bytes; the deepest kernel takes some hundred
_FLAGS = (
    *("--target=wasm32", "-std=gnu99", "-O2", "-flto", "-ffreestanding", "-nostdlib"),
    *("-mbulk-memory", "-ffp-contract=off"),
)
_LINK = ("-Wl,--no-entry", "-Wl,--strip-all", f"-Wl,-z,stack-size={STACK}")
_ERROR_LINES = 12  # of the compiler's output, quoted when it fails


def compile_model(lowered: Lowered, plan: Plan) -> bytes:
    """The module. `MissingTool` without clang or lld; `NanoError` with clang's words if it
    refuses."""
    clang = _tool("clang")
    _tool("wasm-ld", package="lld")
    graph = lowered.graph
    name = model_identifier(graph.name)
    header, arena = f"{name}.h", f"{name.upper()}_ARENA_SIZE"
    definitions = [f"-DMODEL={name}_model"]
    if graph.stream is not None:
        header, arena = f"{name}_stream.h", f"{name.upper()}_STREAM_ARENA_SIZE"
        definitions.append(f"-DSTREAM={name}_stream")
    library = _library(clang)
    with tempfile.TemporaryDirectory(prefix="nanotool-page-") as folder:
        for file, content in sources([(lowered, plan)], golden=0).items():
            Path(folder, file).write_bytes(content)
        result = Path(folder, "model.wasm")
        _run(
            [
                *(clang, *_FLAGS, *_LINK, f"-I{folder}", f"-I{lib_dir() / 'include'}"),
                *(*definitions, f'-DMODEL_H="{header}"', f"-DARENA_SIZE={arena}", str(GLUE)),
                *map(str, sorted(Path(folder).glob("*.c"))),
                *map(str, sorted(library.glob("*.o"))),
                *("-o", str(result)),
            ]
        )
        return result.read_bytes()


def _library(clang: str) -> Path:
    """The folder of the cache with the library's objects (LLVM bitcode), compiled if need be."""
    files = sorted(lib_dir().glob("src/**/*.c"))
    made = room("page") / _digest(clang)
    with unfailing(), locked(made.with_suffix(".lock")):
        if not is_sealed(made):
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir()
            include = [f"-I{lib_dir() / part}" for part in ("include", "src")]
            _run([clang, *_FLAGS, *include, "-c", *map(str, files)], made)
            seal(made)
    return made


def _digest(clang: str) -> str:
    """What the objects are of: the compiler, its flags, the sources."""
    version = subprocess.run([clang, "--version"], capture_output=True, check=False).stdout
    digest = hashlib.sha256(version + " ".join(_FLAGS).encode())
    for file in sorted(lib_dir().rglob("*.[ch]")):
        digest.update(str(file.relative_to(lib_dir())).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def _tool(name: str, package: str = "") -> str:
    found = shutil.which(name)
    if found is None:
        raise MissingTool(
            f"A page's model is compiled with clang and lld; {name} is not on PATH.",
            f"Install it: apt install {package or name} (Debian, Ubuntu), or your system's LLVM.",
        )
    return found


def _run(command: list[str], folder: Path | None = None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        said = "\n".join(done.stderr.strip().splitlines()[:_ERROR_LINES])
        raise NanoError(
            f"clang could not compile the model for the page:\n{said}",
            "clang 14 or newer with the wasm32 target, and an lld of the same version, are needed.",
        )
