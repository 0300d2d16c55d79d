"""Instructions a MAC, layer by layer, against the floor."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from bench import suite

FLOOR = 0.5  # instructions a MAC: SMLAD does two
KINDS = (
    ("depthwise", "tab:orange", "depthwise convolution"),
    ("conv2d", "tab:blue", "convolution"),
    ("dense", "tab:green", "dense"),
)
OTHER = "tab:gray"


def per_layer(models: Mapping[str, Any]) -> str:
    """One row of bars a model, each bar a layer with MACs, its width its share of the model's
    instructions; an SVG file's text, the same for the same figures."""
    with rc_context({"svg.hashsalt": "nano"}):
        figure = Figure(figsize=(9, 1.6 * len(models) + 0.6), layout="constrained")
        for axes, (name, entry) in zip(
            figure.subplots(len(models), 1, squeeze=False)[:, 0], models.items(), strict=True
        ):
            _row(axes, entry)
            axes.set_title(f"{suite.TITLES[name]}: {entry['instructions']:,}", loc="left", size=9)
        axes.set_xlabel("share of the model's instructions; height: instructions a MAC")
        marks = [(color, title) for _, color, title in KINDS]
        handles = [figure.axes[0].bar(0, 0, color=color, label=title) for color, title in marks]
        figure.legend(handles=handles, loc="outside upper right", ncols=len(marks), fontsize=8)
        with io.StringIO() as file:
            figure.savefig(file, format="svg", metadata={"Date": None})
            return file.getvalue()


def _row(axes: Any, entry: Mapping[str, Any]) -> None:
    at = 0.0
    for layer in entry["layers"]:
        width = layer["instructions"] / entry["instructions"]
        color = next((c for part, c, _ in KINDS if part in layer["kernel"]), OTHER)
        height = layer["instructions"] / layer["macs"] if layer["macs"] else 0
        axes.bar(at, height, width, align="edge", color=color, edgecolor="white", linewidth=0.5)
        at += width
    axes.axhline(FLOOR, color="black", linewidth=0.8, linestyle="--")
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.tick_params(labelsize=8)
