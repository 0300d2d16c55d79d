"""A bisection as a table for the terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from nanotool.bisect import Bisection
from nanotool.report.graph_svg import shape_text
from nanotool.report.text import number, table


def bisection_table(result: Bisection) -> Table:
    """Every layer that was compared; the first one that differs is marked."""
    rows = table(
        "Layers against TensorFlow Lite Micro",
        *(("#", "right"), ("layer", "left"), ("what", "left"), ("output", "right")),
        *(("bytes", "right"), ("differ", "right"), ("worst", "right")),
    )
    for index, layer in enumerate(result.layers):
        style = "bold red" if layer is result.first or layer.problem else ""
        cells = [number(layer.size or None), number(layer.differing), number(layer.worst)]
        if layer.problem:
            cells = ["–", "–", "–"]
        output = shape_text(layer.shape)
        rows.add_row(str(index), Text(layer.name), layer.what, output, *cells, style=style)
    return rows
