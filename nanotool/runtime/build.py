"""Compile lib/nano into a Python extension, nanotool.runtime._nano (cffi, API mode).

    python -m nanotool.runtime.build        compile it in place, for a checkout

setuptools takes `ffibuilder` (``cffi_modules``). What Python sees of the library is read from its
own headers, so a struct's layout stands in one place only. The extension carries a digest of its
sources, by which a stale one is told.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
if __name__ == "__cffi__":  # run by setuptools, where nothing is installed yet
    sys.path.insert(0, str(HERE.parent.parent))

from nanotool.errors import MissingTool  # noqa: E402
from nanotool.sources import lib_dir  # noqa: E402

MODULE = "nanotool.runtime._nano"
COMMAND = f"{shlex.quote(sys.executable)} -m nanotool.runtime.build"
MARKER = b"nanotool-sources:"  # before the digest, in the extension's bytes
HEADERS = (  # in order of inclusion
    *("status", "config", "arena", "model", "values", "ops/types", "ops/border", "ops/pool"),
    *("ops/depthwise_dsp", "ops/depthwise_mve", "ops/elementwise"),
    *("ops/linear", "ops/linear_dsp", "ops/linear_mve", "ops/move"),
    *(
        "ops/elementwise_mve",
        "ops/int16",
        "ops/int16_dsp",
        "ops/mac16",
        "ops/pie",
        "ops/recurrent",
        "ops/rows",
        "ops/scalar",
    ),
    "ops",
    *("sequential", "train", "signal/fft", "signal/micro_frontend"),
    *("signal/fft32", "signal/mel", "signal/sensor", "signal/camera", "stream"),
)
OWN_HEADERS = ("batch.h", "host.h", "sound.h")
INTERNAL_HEADERS = ("host_kernels.h", "host_kinds.h", "host_vectors.h")
OWN_SOURCES = ("batch.c", "host.c", "host_avx2.c", "sound.c")
WARNINGS = ("-Wall", "-Wextra", "-Wconversion")
VARIANTS = (("NANO_SIMD_FALLBACK", "1"),)  # macros that bring the kernels of other targets, in C
_QUOTED_LINES = 12  # of the compiler's output, when it fails


# --- What Python sees -----------------------------------------------------------------------------


def declarations(header: str) -> str:
    """A C header as cffi's parser takes it: without comments and preprocessor lines, but with the
    constants. Integers keep their value, for array sizes; others are left to the compiler. Objects
    (`extern`) are left out: cffi would have to know their whole type."""
    plain = re.sub(r"/\*.*?\*/", " ", header, flags=re.DOTALL).replace("\\\n", " ")
    plain = re.sub(r"#ifdef __cplusplus\n.*?\n#endif", "", plain, flags=re.DOTALL)
    lines = []
    for line in plain.splitlines():
        constant = re.fullmatch(r"#define (\w+) (\d+|[A-Z]\w*)\s*", line)
        if constant:
            name, value = constant.groups()
            lines.append(f"#define {name} {value if value.isdigit() else '...'}")
        elif not line.lstrip().startswith(("#", "extern ")):
            lines.append(line)
    return "\n".join(lines)


def _cdef() -> str:
    include = lib_dir() / "include" / "nano"
    paths = [*(include / f"{name}.h" for name in HEADERS), *(HERE / name for name in OWN_HEADERS)]
    return "\n".join(declarations(path.read_text("utf-8")) for path in paths)


# --- What is compiled -----------------------------------------------------------------------------


def library_sources() -> list[Path]:
    """The C files of lib/nano, sorted."""
    return sorted((lib_dir() / "src").rglob("*.c"))


def _sources() -> list[Path]:
    """All C files: the library's and our own."""
    return [*library_sources(), *(HERE / name for name in OWN_SOURCES)]


def _include_dirs() -> list[Path]:
    """For them: the library's headers, its internal ones for host.c, and our own."""
    return [lib_dir() / "include", lib_dir() / "src", HERE]


def fingerprint() -> str:
    """A digest of everything that the extension is made from: 16 hex digits."""
    lib = lib_dir()
    digest = hashlib.sha256()
    paths = [path for part in ("include", "src") for path in (lib / part).rglob("*.[ch]")]
    named = [(path.relative_to(lib).as_posix(), path) for path in paths]
    named += [
        (name, HERE / name) for name in (*OWN_SOURCES, *OWN_HEADERS, *INTERNAL_HEADERS, "build.py")
    ]
    for name, path in sorted(named):
        content = path.read_bytes()
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def _builder() -> FFI:
    """The cffi builder, with paths relative to the working directory as setuptools asks."""

    def relative(path: Path) -> str:
        return Path(os.path.relpath(path)).as_posix()

    headers = (*(f"nano/{name}.h" for name in HEADERS), *OWN_HEADERS)
    builder = FFI()
    builder.cdef(_cdef())
    builder.set_source(
        MODULE,
        "".join(f'#include "{name}"\n' for name in headers),
        sources=[relative(path) for path in _sources()],
        include_dirs=[relative(path) for path in _include_dirs()],
        define_macros=[("NANOTOOL_FINGERPRINT", f'"{fingerprint()}"'), *VARIANTS],
        extra_compile_args=[] if os.name == "nt" else ["-O3", *WARNINGS],
    )
    return builder


def __getattr__(name: str) -> FFI:
    """`ffibuilder`, made when it is asked for: importing this module reads no source."""
    if name == "ffibuilder":
        return _builder()
    raise AttributeError(name)


if __name__ == "__cffi__":
    ffibuilder = _builder()


# --- In place -------------------------------------------------------------------------------------


def extension_path() -> Path | None:
    """The compiled extension that an import would load; None if there is none."""
    for suffix in EXTENSION_SUFFIXES:
        path = HERE / f"_nano{suffix}"
        if path.is_file():
            return path
    return None


def is_current() -> bool:
    """Whether the extension exists and was compiled from the sources as they are now."""
    path = extension_path()
    return path is not None and MARKER + fingerprint().encode() in path.read_bytes()


def build(*, verbose: bool = False) -> Path:
    """Compile the extension beside this file, unless it is current. Returns its path.

    Several processes may call it at once. Raises `MissingTool` where there is no compiler, no
    Python header, or the compiler refuses.
    """
    with _locked():
        path = extension_path()
        if path is not None and is_current():
            return path
        with tempfile.TemporaryDirectory(prefix=".build-", dir=HERE) as folder:
            product = _compile(Path(folder), verbose)
            with product.open("rb") as file:
                os.fsync(file.fileno())  # before it takes the name: whole, or the old one
            built = product.replace(HERE / product.name)
        for suffix in EXTENSION_SUFFIXES:  # an import would prefer some of them
            other = HERE / f"_nano{suffix}"
            if other != built:
                other.unlink(missing_ok=True)
        return built


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """Hold this folder's lock, where the system has such locks."""
    try:
        import fcntl  # noqa: PLC0415
    except ImportError:
        yield
        return
    handle = os.open(HERE, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _compile(folder: Path, verbose: bool) -> Path:
    """The extension, compiled in ``folder`` by the compiler that compiled Python."""
    linker = shlex.split(str(sysconfig.get_config_var("LDSHARED") or "cc -shared"))
    if shutil.which(linker[0]) is None:
        linker[0] = "cc"
    if shutil.which(linker[0]) is None:
        raise MissingTool(
            "The runtime's C library has to be compiled, and there is no C compiler.",
            f"Install one (Debian: apt install gcc python3-dev), then run: {COMMAND}",
        )
    generated, product = folder / "_nano.c", folder / "_nano.abi3.so"
    with contextlib.redirect_stdout(io.StringIO()):  # it reports what it generates
        _builder().emit_c_code(str(generated))
    command = [
        *linker,
        *("-O3", "-fPIC", *WARNINGS, f'-DNANOTOOL_FINGERPRINT="{fingerprint()}"'),
        *(f"-D{name}={value}" for name, value in VARIANTS),
        *(f"-I{path}" for path in (sysconfig.get_paths()["include"], *_include_dirs())),
        *(str(path) for path in (generated, *_sources())),
        *("-o", str(product)),
    ]
    if verbose:
        print(shlex.join(command))
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if verbose and result.stderr:
        print(result.stderr, end="", file=sys.stderr)
    if result.returncode:
        quoted = "\n".join(result.stderr.strip().splitlines()[:_QUOTED_LINES])
        hint = "Debian: apt install python3-dev. " if "Python.h" in quoted else ""
        raise MissingTool(
            f"The runtime's C library does not compile:\n{quoted}\n", f"{hint}Run: {COMMAND}"
        )
    return product


def main() -> int:
    """Compile in place and say what happened."""
    try:
        path = build(verbose=True)
    except (MissingTool, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
