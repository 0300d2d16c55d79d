"""Names from the user's world made safe for C: identifiers, string literals, comments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

# C99, C11 and C23, C++ (which may include a generated header), and what common headers define.
_KEYWORDS = """
auto break case char const continue default do double else enum extern float for goto if inline int
long register restrict return short signed sizeof static struct switch typedef union unsigned void
volatile while alignas alignof bool constexpr false nullptr static_assert thread_local true typeof
typeof_unqual and and_eq asm bitand bitor catch char8_t char16_t char32_t class co_await co_return
co_yield compl concept const_cast consteval constinit decltype delete dynamic_cast explicit export
friend mutable namespace new noexcept not not_eq operator or or_eq private protected public
reinterpret_cast requires static_cast template this throw try typeid typename using virtual wchar_t
xor xor_eq linux unix main errno assert
"""

# A model's files are NAME.h and NAME.c, found before the C library's headers of the same name.
_HEADERS = """
assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign
stdarg stdatomic stdbit stdbool stddef stdint stdio stdlib stdnoreturn string strings tgmath threads
time uchar wchar wctype malloc alloca unistd fcntl termios poll pty sched pthread app_model board
console frame nano
"""

_RESERVED = frozenset((_KEYWORDS + _HEADERS).split())


def c_identifier(text: str, *, prefix: str = "x") -> str:
    """``text`` as a C identifier: ASCII letters, digits and single underscores.

    What cannot stand in one becomes an underscore. ``prefix`` goes before a leading digit and
    stands for a text of which nothing is left.
    """
    name = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")
    if not name:
        return prefix
    return f"{prefix}_{name}" if name[0].isdigit() else name


def model_identifier(text: str) -> str:
    """``text`` as a name for a model: it begins the names of C files and of all their symbols.

    Reserved words, headers' names and the library's own prefix get out of the way.
    """
    name = c_identifier(text, prefix="model")
    if name.lower() in _RESERVED or re.match(r"(?i)nano(_|$)", name):
        return f"model_{name}"
    return name


def layer_symbols(names: Sequence[str], endings: Iterable[str], taken: Iterable[str]) -> list[str]:
    """One C suffix for each of ``names``, in order: ``features.4`` becomes ``features_4``.

    No two of the symbols ``suffix`` and ``suffix_ending`` (for every ending) are the same, nor is
    any in ``taken``, in whatever case; a name that would clash gets a number behind it.
    """
    tails = ("", *(f"_{ending}" for ending in endings))
    used = {name.lower() for name in taken}
    result = []
    for name in names:
        base = suffix = c_identifier(name, prefix="layer")
        number = 1
        while used & (family := {(suffix + tail).lower() for tail in tails}):
            number += 1
            suffix = f"{base}_{number}"
        used |= family
        result.append(suffix)
    return result


def c_string(text: str) -> str:
    """``text`` as a C string literal, in UTF-8; safe against trigraphs and line splices."""
    parts = []
    for byte in text.encode("utf-8", "surrogateescape"):
        character = chr(byte)
        if character in '"\\?':
            parts.append("\\" + character)
        elif 0x20 <= byte < 0x7F:
            parts.append(character)
        else:
            parts.append(f"\\{byte:03o}")  # three octal digits end by themselves
    return '"' + "".join(parts) + '"'


def c_comment(text: str) -> str:
    """``text`` for the inside of a block comment: printable ASCII that cannot end or open one."""
    plain = text.encode("ascii", "backslashreplace").decode("ascii")
    plain = "".join(c if c.isprintable() else repr(c)[1:-1] for c in plain)
    plain = plain.replace("*/", "* /").replace("/*", "/ *")
    return re.sub(r"\?(?=\?)", "? ", plain)  # no trigraphs
