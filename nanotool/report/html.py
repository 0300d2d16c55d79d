"""The report as one HTML page: style and pictures inside, nothing fetched, no script."""

from __future__ import annotations

import base64
import io
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from numpy.typing import NDArray
from PIL import Image

from nanotool.report import curve_svg, graph_svg
from nanotool.report.data import ReportData
from nanotool.report.text import decibel, number, percent, size, sqnr_share

# What is drawn as curves, not as a picture: few rows (sensors), and much longer than that.
_COLOURS = (
    *("#3b82f6", "#14b8a6", "#d97706", "#a855f7"),
    *("#ef4444", "#65a30d", "#64748b", "#ec4899"),
)
_MOST_CURVES, _WINDOW = len(_COLOURS), 4


def render(data: ReportData) -> str:
    """The page. Deterministic: the same data give the same text."""
    return _template().render(data=data, graph=graph_svg.draw(data))


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("nanotool.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(
        number=number,
        size=size,
        percent=percent,
        decibel=decibel,
        shape=graph_svg.shape_text,
        picture=picture,
    )
    environment.globals.update(
        curve=curve_svg.draw,
        share=graph_svg.share,
        columns=graph_svg.columns,
        sqnr_share=sqnr_share,
        worst=worst_layer,
    )
    return environment.get_template("page.html.j2")


def link_to(page: Path, report: Path) -> str:
    """Where ``page`` is for a browser that shows ``report``."""
    try:
        return Path(os.path.relpath(page.resolve(), report.resolve().parent)).as_posix()
    except ValueError:  # another drive
        return page.resolve().as_uri()


def worst_layer(data: ReportData) -> str:
    """The layer that quantization hurt most; "" where that was not measured."""
    measured = [(row.sqnr_db, row.name) for row in data.layers if row.sqnr_db is not None]
    return min(measured)[1] if measured else ""


def picture(pixels: NDArray[Any]) -> str:
    """A data: URI of ``pixels``: a grey or RGB picture, or curves. A window of a few sensors has
    one for each; what is neither, one of all values in order."""
    values = np.asarray(pixels, np.float64)
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    scaled = (values - low) / ((high - low) or 1.0)
    plane = scaled.reshape([size for size in scaled.shape if size != 1])
    if scaled.ndim == 3 and scaled.shape[2] == 3 and plane.ndim == 3:
        return _png((scaled * 255).round().astype(np.uint8))
    if plane.ndim != 2:
        return _curves(scaled.reshape(1, -1))
    few, many = sorted(plane.shape)
    if few <= _MOST_CURVES and many >= _WINDOW * few:
        return _curves(plane if len(plane) == few else plane.T)
    return _png((plane * 255).round().astype(np.uint8))


def _png(grey_or_rgb: NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(grey_or_rgb).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _curves(rows: NDArray[np.float64]) -> str:
    """One curve for each of ``rows``, values from 0 to 1."""
    step = 100 / max(1, rows.shape[1] - 1)
    lines = []
    for row, colour in zip(rows, _COLOURS, strict=False):
        points = " ".join(f"{i * step:.1f},{95 - 90 * v:.1f}" for i, v in enumerate(row))
        line = f'fill="none" stroke="{colour}" stroke-width="1.5" points="{points}"'
        lines.append(f"<polyline {line}/>")
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100" width="200" height="200">'
        f"{''.join(lines)}</svg>"
    )
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode("ascii")).decode("ascii")
