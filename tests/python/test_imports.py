"""How nanotool's modules import each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import nanotool

ROOT = Path(nanotool.__file__).parent
MODULES = {
    ".".join((ROOT.name, *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): path
    for path in ROOT.rglob("*.py")
}


def imports(path: Path) -> Iterator[str]:
    """Every module of nanotool that the file names: lazily and for type checkers, too."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in MODULES else str(node.module)


def test_no_imports_run_in_a_circle() -> None:
    graph = {name: MODULES.keys() & set(imports(path)) for name, path in MODULES.items()}
    assert "nanotool.api" in graph["nanotool"]  # for type checkers
    assert "nanotool.project" in graph["nanotool.cli.quantize"]  # lazily
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(" imports ".join(reversed(error.args[1]))) from None
