"""Weights as one binary file a target, which the assembler (.incbin) or #embed brings in.

lib/nano/include/nano/incbin.h says for which compilers. All arrays stand in NAME.TARGET.bin, each
at the alignment that it has in flash.
"""

from __future__ import annotations

from nanotool.backends.c import loadable, text
from nanotool.errors import NanoError, did_you_mean
from nanotool.ir import Array, Lowered
from nanotool.targets import TARGETS, find_target

SUFFIX = ".bin"
FORMS = ("c", "bin")  # of an export's weights


def is_binary(form: str) -> bool:
    """Whether ``form`` is the binary one; `NanoError`, which names those there are, for no form."""
    if form not in FORMS:
        raise NanoError(
            f"There is no form of weights {form!r}.{did_you_mean(form, FORMS)}",
            f"Forms: {', '.join(FORMS)}.",
        )
    return form == "bin"


def file_name(name: str, target: str) -> str:
    """The file of the model ``name``'s weights for ``target``."""
    return f"{name}.{target}{SUFFIX}"


def model_of(file: str) -> str:
    """The model whose weights ``file``, a name, is of; "" if it is no such name."""
    name, _, target = file.removesuffix(SUFFIX).partition(".")
    return name if file.endswith(SUFFIX) and target in TARGETS else ""


def image(lowered: Lowered) -> bytes:
    """The file's content; nothing where there are no arrays."""
    return loadable.packed(lowered, _align(lowered))[1]


def declarations(lowered: Lowered, name: str) -> list[str]:
    """Of NAME_weights.h: the arrays, or where in the file's bytes they are."""
    places, content = loadable.packed(lowered, _align(lowered))
    arrays = lowered.arrays()
    if not arrays:
        return []
    lines = ["#if NANO_HAS_INCBIN", ""]
    lines += [
        f"extern const {text.ctype(array)} {name}_{array.name}[{array.data.size}];"
        for array in arrays
    ]
    lines += ["", "#else", "", f"extern const uint8_t {name}_weights_bin[{len(content)}];", ""]
    for array in arrays:
        lines += [
            f"#define {name}_{array.name} \\",
            f"    ((const {text.ctype(array)} *)(const void *)"
            f"({name}_weights_bin + {places[array.name]}))",
        ]
    return [*lines, "", "#endif"]


def definitions(lowered: Lowered, name: str, folder: str, comments: dict[str, str]) -> list[str]:
    """Of NAME_weights.c, in a model folder that stands at ``folder`` ("" or "some/place/") of the
    include path. ``comments``: what each array is, by its name."""
    align = _align(lowered)
    places, _ = loadable.packed(lowered, align)
    arrays = lowered.arrays()
    if not arrays:
        return []
    file = file_name(name, lowered.target)
    path = folder + file
    lines = [
        "#if NANO_HAS_INCBIN",
        "",
        "#ifdef __has_include",
        f"#if !__has_include(<{path}>)",
        f'#error "{path} is not on the include path, where the assembler looks: compile with -I"',
        "#endif",
        "#endif",
        "",
    ]
    for array in arrays:
        lines += [
            *text.comment([comments[array.name]]),
            f"NANO_INCBIN({name}_{array.name}, {_align_of(array, align)},",
            f'            "{path}", {places[array.name]}, {array.nbytes});',
            "",
        ]
    return [
        *lines,
        "#elif defined(__has_embed)",
        "",
        f"NANO_ALIGNED const uint8_t {name}_weights_bin[] = {{",
        f'#embed "{file}"',
        "};",
        "",
        "#else",
        '#error "this compiler takes no binary file (.incbin, #embed): export with --weights c"',
        "#endif",
    ]


def _align(lowered: Lowered) -> int:
    return find_target(lowered.target).align


def _align_of(array: Array, align: int) -> int:
    return max(align, array.data.itemsize)
