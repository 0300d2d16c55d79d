"""Tables in pages of docs/ that a program makes, between two marks that say which."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from nanotool.files import write_atomic

DOCS = Path(__file__).resolve().parents[1] / "docs"
END = "<!-- end -->"


def markdown(
    headings: tuple[str, ...], rows: Sequence[tuple[str, ...]], right: bool = False
) -> str:
    """A table; ``right``: all columns but the first stand to the right, as numbers do."""
    rule = "|---" + ("|---:" if right else "|---") * (len(headings) - 1) + "|"
    return "\n".join([f"| {' | '.join(headings)} |", rule, *(f"| {' | '.join(r)} |" for r in rows)])


def page_with(page: str, maker: str, text: str) -> str:
    """The text of ``page``, of docs/, with ``text`` between the marks of ``python -m maker``."""
    begin = f"<!-- made by python -m {maker} -->"
    between = re.compile(f"{re.escape(begin)}.*?{re.escape(END)}", re.DOTALL)
    return between.sub(lambda _: f"{begin}\n{text}\n{END}", read(page))


def read(page: str) -> str:
    """The page as it is."""
    return (DOCS / page).read_text("utf-8")


def update(page: str, maker: str, text: str) -> None:
    """Put ``text`` into the page."""
    write_atomic(DOCS / page, page_with(page, maker, text))
