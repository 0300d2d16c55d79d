"""What an ELF file holds: its bytes by kind, its symbols, its compiler.

weight_bytes  every per-model numeric array in flash: weights, biases, multipliers, shifts, tables
code_bytes    every other byte that is stored in flash: code, constants, the op table and its
              params, the initial values of .data
ram           .data and .bss
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.common.exceptions import DWARFError, ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from nanotool.errors import NanoError
from nanotool.ir import Lowered

SHF_WRITE, SHF_ALLOC = 0x1, 0x2

# What only an allocator brings. `free` alone may be some other function's name in an app.
HEAP_SYMBOLS = frozenset(
    {
        *("malloc", "calloc", "realloc", "free", "memalign", "aligned_alloc", "posix_memalign"),
        *("_malloc_r", "_calloc_r", "_realloc_r", "_free_r", "_memalign_r"),
        *("_sbrk", "_sbrk_r", "sbrk", "__malloc_lock", "__malloc_av_", "__malloc_free_list"),
    }
)


@dataclass(frozen=True, slots=True)
class Symbol:
    """A function or an object."""

    name: str
    address: int
    size: int  # bytes
    kind: str  # "function", "object" or ""
    section: str  # its section's name; "" if it is undefined
    writable: bool
    offset: int | None  # of its first byte in the file; None if no bytes are stored there


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of an image, by kind."""

    code_bytes: int
    weight_bytes: int
    data_bytes: int  # initialized RAM; its initial values count in code_bytes, too
    bss_bytes: int  # zeroed RAM; without what a linker script reserves for the stack

    @property
    def flash_bytes(self) -> int:
        """Everything stored in flash."""
        return self.code_bytes + self.weight_bytes

    @property
    def ram_bytes(self) -> int:
        """Static RAM: with the arena and the input buffer, without the stack."""
        return self.data_bytes + self.bss_bytes


@dataclass(frozen=True, slots=True)
class StackFrame:
    """One function's stack frame, as gcc's -fstack-usage reports it."""

    function: str
    source: str  # "conv2d.c:42"
    bytes: int
    bounded: bool  # False for alloca() and variable-length arrays


@contextmanager
def _open(path: Path) -> Iterator[ELFFile]:
    try:
        with path.open("rb") as file:
            yield ELFFile(file)
    except OSError as error:
        raise NanoError(
            f"Cannot read {path}: {error.strerror or error}.", "Build the firmware first."
        ) from error
    except (ELFError, DWARFError, UnicodeDecodeError) as error:
        raise NanoError(
            f"{path} is no ELF file that can be read: {error or type(error).__name__}.",
            "Build the firmware again.",
        ) from error


def symbols(path: Path) -> tuple[Symbol, ...]:
    """Every named function, object and undefined name in `path`, local ones included."""
    kinds = {"STT_FUNC": "function", "STT_OBJECT": "object", "STT_NOTYPE": ""}
    found = []
    with _open(path) as elf:
        sections = list(elf.iter_sections())
        for table in sections:
            if not isinstance(table, SymbolTableSection):
                continue
            for symbol in table.iter_symbols():
                if not symbol.name or symbol["st_info"]["type"] not in kinds:
                    continue
                index = symbol["st_shndx"]
                section = sections[index] if isinstance(index, int) else None
                address = int(symbol["st_value"])
                if elf["e_machine"] == "EM_ARM" and symbol["st_info"]["type"] == "STT_FUNC":
                    address &= ~1  # the Thumb bit
                found.append(
                    Symbol(
                        name=symbol.name,
                        address=address,
                        size=int(symbol["st_size"]),
                        kind=kinds[symbol["st_info"]["type"]],
                        section=section.name if section is not None else "",
                        writable=section is not None and _is_writable(section),
                        offset=None
                        if section is None or section["sh_type"] == "SHT_NOBITS"
                        else address - section["sh_addr"] + section["sh_offset"],
                    )
                )
    return tuple(found)


def _is_writable(section: Any) -> bool:
    """Whether a program can write to the section. Constants that hold addresses are in
    .data.rel.ro on a computer: the loader writes them, and locks them before the program begins."""
    return bool(section["sh_flags"] & SHF_WRITE) and not section.name.startswith(".data.rel.ro")


def weight_symbols(path: Path, lowered: Lowered) -> dict[str, Symbol]:
    """The symbols of `lowered`'s numeric arrays by array name. `NanoError` if one is not in the
    file, or has another size: then the file was built from another model."""
    by_name = {symbol.name: symbol for symbol in symbols(path) if symbol.kind == "object"}
    found = {}
    for array in lowered.arrays():
        name = f"{lowered.graph.name}_{array.name}"
        symbol = by_name.get(name)
        if symbol is None or symbol.size != array.nbytes:
            size = "no such symbol" if symbol is None else f"{symbol.size} bytes"
            raise NanoError(
                f"{path} was not built from this model: {name} should have {array.nbytes} bytes, "
                f"there is {size}.",
                "Build the firmware again.",
            )
        found[array.name] = symbol
    return found


def sizes(path: Path, *models: Lowered) -> Sizes:
    """The bytes of `path`, an image that runs `models`, by kind."""
    found = (symbol for lowered in models for symbol in weight_symbols(path, lowered).values())
    weight_bytes = sum({symbol.address: symbol.size for symbol in found}.values())
    flash = data = bss = 0
    with _open(path) as elf:
        for section in elf.iter_sections():
            if not section["sh_flags"] & SHF_ALLOC:
                continue
            size = int(section["sh_size"])
            if section["sh_type"] != "SHT_NOBITS":
                flash += size
                data += size if section["sh_flags"] & SHF_WRITE else 0
            elif "stack" not in section.name:
                bss += size
    return Sizes(flash - weight_bytes, weight_bytes, data, bss)


def section_bytes(path: Path, name: str) -> int:
    """The size of section `name`, 0 if there is none."""
    with _open(path) as elf:
        section = elf.get_section_by_name(name)
        return 0 if section is None else int(section["sh_size"])


def heap_symbols(path: Path) -> tuple[str, ...]:
    """Names in `path` that belong to a heap, sorted."""
    return tuple(sorted({s.name for s in symbols(path)} & HEAP_SYMBOLS))


def writable_objects(path: Path) -> tuple[Symbol, ...]:
    """Objects in `path` that can be written at run time: .data, .bss and common."""
    return tuple(
        symbol
        for symbol in symbols(path)
        if symbol.kind == "object" and symbol.writable and symbol.size > 0
    )


def compiler(path: Path) -> str:
    """The compiler that made `path`, as its .comment section says; "" if it does not."""
    with _open(path) as elf:
        section = elf.get_section_by_name(".comment")
        raw = b"" if section is None else bytes(section.data())
    names = {name.decode(errors="replace") for name in raw.split(b"\0") if name}
    return "; ".join(sorted(names))


def producers(path: Path) -> str:
    """The compiler and its code-generating flags, as the debug information has them, one line
    for each distinct set; "" without debug information. Paths are not part of it."""
    with _open(path) as elf:
        if not elf.has_dwarf_info():
            return ""
        dwarf = elf.get_dwarf_info()
        found = set()
        for unit in dwarf.iter_CUs():
            attribute = unit.get_top_DIE().attributes.get("DW_AT_producer")
            if attribute is not None:
                found.add(bytes(attribute.value).decode(errors="replace"))
    return "\n".join(sorted(found))


def flip(path: Path, copy: Path, symbol: str, offset: int = 0, mask: int = 0x80) -> None:
    """Write `copy`: `path` with the bits of `mask` flipped in byte `offset` of `symbol`."""
    found = [s for s in symbols(path) if s.name == symbol and s.offset is not None]
    if len(found) != 1 or not 0 <= offset < found[0].size:
        raise NanoError(f"{path} stores no byte {offset} of {symbol}.", "Check the symbol's name.")
    where = found[0].offset
    assert where is not None
    image = bytearray(path.read_bytes())
    image[where + offset] ^= mask
    copy.write_bytes(image)
    copy.chmod(path.stat().st_mode)


def stack_frames(files: Iterable[Path]) -> tuple[StackFrame, ...]:
    """The frames in gcc's .su files, largest first."""
    pattern = re.compile(r"(.*?):(\d+):(\d+):(.+)\t(\d+)\t([\w,]+)")
    frames = []
    for path in files:
        for line in path.read_text(errors="replace").splitlines():
            if match := pattern.fullmatch(line):
                source, row, _, function, size, kind = match.groups()
                bounded = kind in ("static", "dynamic,bounded")
                where = f"{Path(source).name}:{row}"
                frames.append(StackFrame(function, where, int(size), bounded))
    return tuple(sorted(frames, key=lambda frame: (-frame.bytes, frame.function)))
