"""The notebooks 01 to 05, each a pair: a .py file, which is edited, and an .ipynb with outputs.

    python -m examples.notebooks            run every .py and write its .ipynb anew
    python -m examples.notebooks 03 04      only these

`nox -s notebooks` runs every .ipynb from first cell to last, as CI does; with `-- --record 03`
it does the above.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).resolve().parent
SECONDS = 300  # that one cell may take
TEXT = ("text/plain", "image/png")  # what is kept of an output, the rest would be repetition


def sources(numbers: list[str] | None = None) -> list[Path]:
    """The .py files of the notebooks, of all or of those with these numbers."""
    found = sorted(FOLDER.glob("[0-9][0-9]_*.py"))
    return [path for path in found if not numbers or path.name[:2] in numbers]


def cells(notebook: NotebookNode) -> list[tuple[str, str]]:
    """The kind and text of each cell: what both files of a pair must have in common."""
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def execute(source: Path) -> NotebookNode:
    """The notebook of ``source``, run, with light outputs. Raises nbclient's CellExecutionError
    where a cell fails and RuntimeError where one warns."""
    notebook: NotebookNode = jupytext.read(source)
    resources = {"metadata": {"path": str(FOLDER)}}
    NotebookClient(notebook, timeout=SECONDS, resources=resources, record_timing=False).execute()
    lighten(notebook)
    return notebook


def lighten(notebook: NotebookNode) -> None:
    """Leave what a reader sees, and the same bytes for the same outputs."""
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
    for index, cell in enumerate(notebook.cells):
        cell.id = f"cell-{index}"
        cell.metadata = {}
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                raise RuntimeError(f"Cell {index} warns: {output.text}")
            output.pop("metadata", None)
            if "data" in output:
                output.metadata = {}
                output.data = {kind: output.data[kind] for kind in TEXT if kind in output.data}


def main(arguments: list[str] | None = None) -> int:
    """Write the .ipynb of each notebook that is asked for; 1 if there is none."""
    parser = argparse.ArgumentParser("notebooks", description="Run the notebooks, keep outputs.")
    parser.add_argument("numbers", nargs="*", metavar="NUMBER", help="01 to 05; default: all")
    chosen = sources(parser.parse_args(arguments).numbers)
    for source in chosen:
        target = source.with_suffix(".ipynb")
        nbformat.write(execute(source), target)
        print(f"{target.name}: {target.stat().st_size:,} bytes")
    return 0 if chosen else 1


if __name__ == "__main__":
    sys.exit(main())
