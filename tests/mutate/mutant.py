"""What a mutant is: one small change of one file, or the changes of a patch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Mutant:
    """A file in whose text something else stands in the place of a span, or a patch."""

    path: str  # in the repository; of a patch the first file
    text: str  # what the file holds
    span: tuple[int, int]
    new: str
    operator: str  # what was done
    patch: Mapping[str, str] = field(default_factory=dict)  # path -> content, of all its files
    before: int = 0  # mutants of the file that change another, equal line in the same way

    @property
    def files(self) -> Mapping[str, str]:
        """The changed files: path -> content."""
        start, end = self.span
        return self.patch or {self.path: self.text[:start] + self.new + self.text[end:]}

    @property
    def place(self) -> str:
        """path:line of the change."""
        return f"{self.path}:{self.text.count(chr(10), 0, self.span[0]) + 1}"

    @property
    def lines(self) -> tuple[str, str]:
        """The line of the change, before and after it, without the blanks at both ends."""
        if self.patch:
            return "", self.new
        begin = self.text.rfind("\n", 0, self.span[0]) + 1
        before = self.text[begin:].split("\n", 1)[0].strip()
        after = self.files[self.path][begin:].split("\n", 1)[0].strip()
        return before, after if after != before else f"{before} … {self.new}"

    @property
    def key(self) -> str:
        """12 hex digits from file and change, whatever line it is on: of 8, two of 30,000 mutants
        are alike in one commit of ten."""
        words = (self.path, *self.lines, *([str(self.before)] if self.before else []))
        return hashlib.sha256("\0".join(words).encode()).hexdigest()[:12]


def edited(path: str, text: str, span: tuple[int, int], new: str, operator: str) -> Mutant:
    """The mutant of ``text`` in which ``new`` stands in the place of ``span``."""
    return Mutant(path, text, span, new, operator)


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant."""

    kind: str  # killed, survived; equivalent (the same machine code), invalid (does not compile)
    by: str  # the test that killed it, or "" (timeouts count as kills: "timeout in ...")
    seconds: float
