"""The report as one HTML page: style and pictures inside, nothing fetched, no script."""

from __future__ import annotations

import base64
import io
from functools import cache
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from numpy.typing import NDArray
from PIL import Image

from nanotool.report import graph_svg
from nanotool.report.data import ReportData
from nanotool.report.text import decibel, number, percent, size, sqnr_share


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
        share=graph_svg.share,
        columns=graph_svg.columns,
        sqnr_share=sqnr_share,
        worst=worst_layer,
    )
    return environment.get_template("page.html.j2")


def worst_layer(data: ReportData) -> str:
    """The layer that quantization hurt most; "" where that was not measured."""
    measured = [(row.sqnr_db, row.name) for row in data.layers if row.sqnr_db is not None]
    return min(measured)[1] if measured else ""


def picture(pixels: NDArray[Any]) -> str:
    """A data: URI of ``pixels``: a grey or RGB picture, or a curve of the values in order."""
    values = np.asarray(pixels, np.float64)
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    scaled = (values - low) / ((high - low) or 1.0)
    if scaled.ndim == 3 and scaled.shape[2] == 1:
        scaled = scaled[:, :, 0]
    is_picture = scaled.ndim == 2 or (scaled.ndim == 3 and scaled.shape[2] == 3)
    if is_picture and min(scaled.shape[:2]) > 1:
        return _png((scaled * 255).round().astype(np.uint8))
    return _curve(scaled.reshape(-1))


def _png(grey_or_rgb: NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(grey_or_rgb).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _curve(values: NDArray[np.float64]) -> str:
    step = 100 / max(1, len(values) - 1)
    points = " ".join(f"{i * step:.1f},{95 - 90 * v:.1f}" for i, v in enumerate(values))
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">'
        f'<polyline fill="none" stroke="#3b82f6" stroke-width="1.5" points="{points}"/></svg>'
    )
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode("ascii")).decode("ascii")
