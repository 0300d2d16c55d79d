"""What the pages in docs/ state is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nanotool import unary
from nanotool.backends.tflite import EMITTERS
from nanotool.backends.tflite.file import VERSIONS
from nanotool.frontends.tflite.operators import RULES
from nanotool.frontends.tflite.schema import OPERATORS
from nanotool.models import load_model
from nanotool.pipeline import prepare

ROOT = Path(__file__).parents[2]
DOCS = sorted((ROOT / "docs").glob("*.md"))
READMES = [ROOT / "README.md", ROOT / "examples" / "README.md"]


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the table whose first heading is ``heading``."""
    text = (ROOT / "docs" / page).read_text()
    table = text[text.index(f"| {heading} |") :].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()][
        2:
    ]


def names(cells: list[str]) -> set[str]:
    return set(re.findall(r"\b[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)*\b", " ".join(cells)))


def test_the_operators_are_those_of_the_code() -> None:
    table = rows("tflite.md", "read")
    assert names([row[0] for row in table]) - {"INT32"} == set(RULES)
    assert {row[1].split()[0] for row in table} == {operator.__name__ for operator in EMITTERS}
    written = {OPERATORS[code] for code in VERSIONS}
    assert names([row[2] for row in table]) == written


def test_functions_without_a_kernel_in_tflite_micro_are_marked() -> None:
    (cell,) = [row[0] for row in rows("tflite.md", "read") if "†" in row[0]]
    marked = {name.lower() for name in names([cell])}
    assert marked <= set(unary.FUNCTIONS)
    assert not any(unary.definition(name).in_tflm for name in marked)


def test_the_arenas_are_those_of_the_planner() -> None:
    for name, *_, ours in rows("memory.md", "model"):
        _, plan = prepare(load_model(ROOT / "tests" / "models" / f"{name}.tflite"))
        assert f"{plan.arena_size:,}" == ours, name


@pytest.mark.parametrize("page", [*READMES, *DOCS], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.M)
            slugs = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in slugs, target
