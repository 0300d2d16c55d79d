"""The notebooks of examples/: both files of each pair say the same; what is kept is light."""

from __future__ import annotations

import re
from pathlib import Path

import jupytext
import nbformat
import pytest

from examples.notebooks import FOLDER, cells, lighten, sources

NUMBERS = ["01", "02", "03", "04", "05"]
MOST_BYTES = 200_000
# A path that somebody else does not have, in a printed text.
ABSOLUTE = re.compile(r"""(?:^|[\s"'(=])/(?:\w[\w.-]*/)+\w""", re.M)


def test_the_pairs_are_complete() -> None:
    assert [path.name[:2] for path in sources()] == NUMBERS
    assert sorted(FOLDER.glob("*.ipynb")) == [path.with_suffix(".ipynb") for path in sources()]


@pytest.mark.parametrize("source", sources(), ids=lambda path: path.stem)
def test_the_pair_is_in_step(source: Path) -> None:
    """Otherwise: python -m examples.notebooks."""
    notebook = jupytext.read(source.with_suffix(".ipynb"))
    nbformat.validate(notebook)
    assert cells(jupytext.read(source)) == cells(notebook)


@pytest.mark.parametrize("source", sources(), ids=lambda path: path.stem)
def test_what_is_kept_of_a_run(source: Path) -> None:
    """It ran in order, without a warning; it is light and names no path of one computer."""
    path = source.with_suffix(".ipynb")
    assert path.stat().st_size < MOST_BYTES
    notebook = jupytext.read(path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert {output.get("name", "stdout") for output in outputs} == {"stdout"}
    for output in outputs:
        text = output.get("text") or output["data"].get("text/plain", "")
        assert not ABSOLUTE.search(text), text


def test_a_cell_that_warns_is_refused() -> None:
    warning = nbformat.v4.new_output("stream", name="stderr", text="UserWarning")
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    notebook.cells = [nbformat.v4.new_code_cell("warn()", outputs=[warning])]
    with pytest.raises(RuntimeError, match="Cell 0 warns"):
        lighten(notebook)
