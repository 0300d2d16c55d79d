"""Mutants of C: comparisons, arithmetic, constants, conditions, statements, arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .mutant import Mutant, edited

# Comments, text, preprocessor lines and what the compiler proves (typedef char x[…]) stay.
_BLANKED = re.compile(
    r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'"
    r"|^[ \t]*#(?:\\\n|[^\n])*|^typedef char \w+\[[^;]*;",
    re.DOTALL | re.MULTILINE,
)
# Binary operators stand between blanks: the formatter sees to it.
_SWAPS = {
    **{" < ": " <= ", " <= ": " < ", " > ": " >= ", " >= ": " > "},
    **{" == ": " != ", " != ": " == ", " && ": " || ", " || ": " && "},
    **{" + ": " - ", " - ": " + ", " * ": " + ", " / ": " * ", " % ": " / "},
    **{" << ": " >> ", " >> ": " << ", " & ": " | ", " | ": " & ", " ^ ": " & "},
    **{" += ": " -= ", " -= ": " += ", " |= ": " &= ", " &= ": " |= "},
    **{" <<= ": " >>= ", " >>= ": " <<= ", " *= ": " += "},
}
_BINARY = re.compile(r"(?<=[\w)\]])( (?:[<>=!+\-|&]=|<<=?|>>=?|&&|\|\||[*]=|[<>+\-*/%&|^]) )(?=\S)")
_NUMBER = re.compile(r"(?<![\w.])(0[xX][0-9A-Fa-f]+|\d+)([uU]?[lL]{0,2})(?![\w.])")
_CONDITION = re.compile(r"\b(if|while) \(")
_STATEMENT = re.compile(
    r"^[ \t]+(?!return\b|const\b|static\b|typedef\b|goto\b|else\b|case\b|default\b|do\b)"
    r"((?:\(void\))?[A-Za-z_*(][\w\[\].>*() +\-/%&]*?(?:\([^;{}\n]*\)| [-+*/|&^<>]{0,2}= [^;{}\n]+|"
    r"\+\+|--));[ \t]*$",
    re.MULTILINE,
)
_DECLARATION = re.compile(r"(?:const |u?int\d*_t |size_t |float |int |char |bool |nano_\w+ )")
_CALL = re.compile(
    r"\b(?!if|while|for|switch|sizeof|return|\w*(?:max|min)\b)"
    r"([a-z_]\w*)\(([^(),;{}]+), ([^(),;{}]+)(?=[,)])"
)


def blank(text: str) -> str:
    """``text`` with comments, text and preprocessor lines made blanks: the same offsets."""
    return _BLANKED.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def _closing(code: str, opening: int) -> int:
    depth = 0
    for at in range(opening, len(code)):
        depth += {"(": 1, ")": -1}.get(code[at], 0)
        if depth == 0:
            return at
    return -1


def _numbers(path: str, text: str, code: str) -> Iterator[Mutant]:
    for match in _NUMBER.finditer(code):
        value = int(match[1], 0) if match[1].lower().startswith("0x") else int(match[1])
        new = f"{value + 1}{match[2]}"
        yield edited(path, text, match.span(), new, "constant")
        if value == 1:
            yield edited(path, text, match.span(), f"0{match[2]}", "constant")


def mutants(path: str, text: str) -> Iterator[Mutant]:
    """All of one file."""
    code = blank(text)
    for match in _BINARY.finditer(code):
        if match[1] == " * " and code[match.end()] in "),":
            continue
        new = _SWAPS.get(match[1])
        if new:
            yield edited(path, text, match.span(1), new, "operator")
    yield from _numbers(path, text, code)
    for match in _CONDITION.finditer(code):
        end = _closing(code, match.end() - 1)
        if end > 0:
            inside = text[match.end() : end]
            yield edited(path, text, (match.end(), end), f"!({inside})", "negated condition")
    for match in _STATEMENT.finditer(code):
        if not _DECLARATION.match(match[1]):
            yield edited(path, text, match.span(1), "", "dropped statement")
    for match in _CALL.finditer(code):
        # A parameter list is declared, not called.
        if match[2] != match[3] and not re.search(r"\w [*\w]", match[2] + "," + match[3]):
            new = f"{match[3]}, {match[2]}"
            yield edited(path, text, (match.start(2), match.end(3)), new, "swapped arguments")
