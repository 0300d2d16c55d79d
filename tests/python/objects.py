"""Object files: those of lib/nano, compiled once for all tests that want them alike, and those of
a program, one by one, so that a compiler's cache knows them again; and what those of lib/nano may
hold, whoever compiled them."""

from __future__ import annotations

import fcntl
import hashlib
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from nanotool.runtime.build import fingerprint, library_sources


def library_objects(command: Sequence[str], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """What ``command``, a compiler with its options, makes of the sources; other files and other
    workers of pytest-xdist find it made. Fails with the compiler's words."""
    sources = library_sources()
    key = hashlib.sha256(f"{fingerprint()} {' '.join(command)}".encode()).hexdigest()[:16]
    folder = tmp_path_factory.getbasetemp().parent / f"libnano-{key}"
    folder.mkdir(exist_ok=True)
    objects = [folder / f"{number}.o" for number in range(len(sources))]
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            for source, product in zip(sources, objects, strict=True):
                call = [*command, "-c", str(source), "-o", str(product)]
                done = subprocess.run(call, capture_output=True, text=True, check=False)
                assert done.returncode == 0, done.stderr[:4000]
            (folder / "done").touch()
    return objects


def build_program(command: Sequence[str], target: Path, library: Sequence[Path] = ()) -> None:
    """What ``command``, a compiler with its options and sources, makes of them, linked with the
    objects ``library``: ``target``."""
    sources = [word for word in command if word.endswith(".c")]
    options = [word for word in command if word not in sources]
    # The linker alone is told of a shared library: a program of the same sources has its objects.
    compiling = [word for word in options if word != "-shared"]
    folder = target.with_name(f"{target.name}-objects")
    folder.mkdir()
    objects = [folder / f"{number}-{Path(name).stem}.o" for number, name in enumerate(sources)]
    for source, product in zip(sources, objects, strict=True):
        subprocess.run([*compiling, "-c", source, "-o", str(product)], check=True)
    subprocess.run([*options, *map(str, [*objects, *library]), "-o", str(target)], check=True)


# --- What lib/nano's objects may hold -------------------------------------------------------------

STACK_LIMIT = 512  # bytes a function may take; clang inlines all of conv2d_max_pool into one of 480

# The compiler's own helpers that may be called: no float, nothing of 64 bits. A PC's programs may
# lie anywhere: they find constants by a table, and their loader fills in the addresses among them.
HELPERS = re.compile(
    r"_GLOBAL_OFFSET_TABLE_|"
    r"mem(cpy|set|move|cmp)|__aeabi_mem(cpy|set|move|clr)[48]?"
    r"|__aeabi_u?idiv(mod)?|__u?(div|mod)si3|__gnu_thumb1_case_\w+"
)
LOADERS = ".data.rel.ro"
# At a model's border, and in training with float32, floats are wanted: single precision, in these
# objects only. The integer trainer is in other ones.
BORDER = {
    *("quantize.o", "dequantize.o", "quantize_int16.o"),
    *("float32.o", "real.o", "values.o"),
}
SOFT_FLOAT = re.compile(
    r"__aeabi_(f(div|mul|sub|rsub|add|cmp\w+)|f2iz|u?i2f)"
    r"|__(div|mul|sub|add)sf3|__(eq|ne|ge|gt|le|lt|unord)sf2|__fixsfsi|__float(un)?sisf"
)


def symbols(path: Path) -> Iterator[tuple[str, str, str | int]]:
    """(name, binding, section index) of every symbol of an object that has a name."""
    with path.open("rb") as file:
        for section in ELFFile(file).iter_sections():
            if isinstance(section, SymbolTableSection):
                for symbol in section.iter_symbols():
                    if symbol.name:
                        yield symbol.name, symbol["st_info"]["bind"], symbol["st_shndx"]


def sections(path: Path) -> list[tuple[str, int, int]]:
    """(name, flags, size) of every section of an object."""
    with path.open("rb") as file:
        found = ELFFile(file).iter_sections()
        return [(section.name, section["sh_flags"], section["sh_size"]) for section in found]


def global_names(paths: Iterable[Path]) -> list[str]:
    """What the objects define for others."""
    return [
        name
        for path in paths
        for name, bind, index in symbols(path)
        if bind != "STB_LOCAL" and index != "SHN_UNDEF"
    ]


def foreign_calls(paths: Iterable[Path]) -> set[tuple[str, str]]:
    """(object, name) of what they call of others that they may not: a heap, stdio, soft-float
    outside of BORDER, a 64-bit helper that LX106's libgcc lacks."""
    called = {
        (path.name, name)
        for path in paths
        for name, _, index in symbols(path)
        if index == "SHN_UNDEF" and not name.startswith("nano_") and not HELPERS.fullmatch(name)
    }
    return {(o, name) for o, name in called if o not in BORDER or not SOFT_FLOAT.fullmatch(name)}


def writable(paths: Iterable[Path]) -> list[tuple[str, str]]:
    """(object, section or symbol) of data that a run could change."""
    found = []
    for path in paths:
        for name, flags, size in sections(path):
            if flags & SH_FLAGS.SHF_WRITE and size and not name.startswith(LOADERS):
                found.append((path.name, name))
        found += [(path.name, name) for name, _, index in symbols(path) if index == "SHN_COMMON"]
    return found


def stack_uses(reports: Iterable[Path]) -> list[tuple[str, int, str]]:
    """(function's place, bytes, kind) of what -fstack-usage wrote."""
    text = "".join(path.read_text() for path in reports)
    entries = re.findall(r"^(.+)\t(\d+)\t(\S+)$", text, re.MULTILINE)
    return [(place, int(size), kind) for place, size, kind in entries]


def unbounded(uses: Iterable[tuple[str, int, str]]) -> list[tuple[str, int, str]]:
    """Of the functions those with more stack than STACK_LIMIT, or with one that nobody knows."""
    return [use for use in uses if use[1] > STACK_LIMIT or use[2] != "static"]
