"""Weights as a file that is brought at run time: its bytes, and the C that binds a model to them.

lib/nano/include/nano/weights.h has the format.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping

from nanotool.backends.c import text
from nanotool.ir import Array, Lowered, Struct, Value
from nanotool.lower import ABI

SUFFIX = ".weights"
MAGIC = b"nanoW\1\r\n"
HEADER, ALIGN = 64, 16  # bytes


def image(lowered: Lowered, digest: str) -> bytes:
    """The file of ``lowered``, whose graph has the hash ``digest``."""
    weights = packed(lowered, ALIGN)[1].ljust(_size(lowered), b"\0")
    facts = struct.pack("<4I", ABI, len(weights), zlib.crc32(weights), _layout(lowered))
    return (MAGIC + facts + digest.encode("ascii")).ljust(HEADER, b"\0") + weights


def packed(lowered: Lowered, align: int) -> tuple[dict[str, int], bytes]:
    """(where each array begins, by its name; the bytes of all, little-endian, each at a multiple of
    ``align`` and of its elements' size)."""
    places: dict[str, int] = {}
    content = bytearray()
    for array in lowered.arrays():
        content += bytes(-len(content) % max(align, array.data.itemsize))
        places[array.name] = len(content)
        content += array.data.astype(array.data.dtype.newbyteorder("<")).tobytes()
    return places, bytes(content)


def declaration(name: str) -> list[str]:
    """Of NAME_load()."""
    return [
        "#if NANO_LOADED_WEIGHTS",
        "/* Take the weights from the file `image`, `size` bytes aligned to NANO_ALIGN: what the",
        " * kernels are compiled for says which, NAME.TARGET.weights. They must outlive the model;",
        " * before that, nano_init() answers NANO_ERR_ABI. Statuses of nano_weights_check(); then",
        " * the model is as it was. */",
        f"nano_status {name}_load(const void *image, size_t size);",
        "",
        "#endif",
    ]


def definition(name: str, digest: str, lowered: Lowered, params: Mapping[str, Struct]) -> list[str]:
    """NAME_load(), for the structs ``params``, by their symbols."""
    places, size = packed(lowered, ALIGN)[0], _size(lowered)
    bound = [
        f"    {path} = (const {text.ctype(array)} *)(const void *)(weights + {places[array.name]});"
        for symbol, value in params.items()
        for path, array in _pointers(symbol, value)
    ]
    return [
        "",
        "#if NANO_LOADED_WEIGHTS",
        "",
        f"nano_status {name}_load(const void *image, size_t size) {{",
        "    static const nano_weights_id id = {",
        f'        .hash = "{digest}", .layout = 0x{_layout(lowered):08X}u, .size = {size}u,',
        "    };",
        "    const uint8_t *weights;",
        "    const nano_status status = nano_weights_check(&id, image, size, &weights);",
        "    if (status != NANO_OK)",
        "        return status;",
        *(bound or ["    (void)weights;"]),
        f"    {name}_model.abi = NANO_ABI;",
        "    return NANO_OK;",
        "}",
        "",
        "#endif",
    ]


def _size(lowered: Lowered) -> int:
    """Bytes of all arrays, the last one's end rounded up, too."""
    return sum(-(-array.nbytes // ALIGN) * ALIGN for array in lowered.arrays())


def _layout(lowered: Lowered) -> int:
    """A number that tells packings apart."""
    parts = [lowered.target, lowered.optimize]
    parts += [f"{a.name} {a.data.dtype.name} {a.data.size}" for a in lowered.arrays()]
    return zlib.crc32("\n".join(parts).encode("ascii"))


def _pointers(path: str, value: Value) -> Iterator[tuple[str, Array]]:
    """Every array in ``value``, with the C expression of the field that points to it."""
    if isinstance(value, Array):
        yield path, value
    elif isinstance(value, Struct):
        for name, inner in value.fields:
            yield from _pointers(f"{path}.{name}", inner)
