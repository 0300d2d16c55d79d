"""The picture of a model's layers: boxes in rows by depth, joined by curves."""

from __future__ import annotations

from dataclasses import dataclass
from xml.sax.saxutils import escape  # nosec B406 # writes XML, reads none

from nanotool.report.data import LayerRow, ReportData

BOX_W, BOX_H, GAP_X, GAP_Y, MARGIN = 300, 50, 24, 26, 16
NAME_CHARS, KIND_CHARS = 24, 40
MAX_ROWS, MAX_WIDTH = 14, 3  # boxes one below the other and side by side, as far as that can be


@dataclass(frozen=True, slots=True)
class _Box:
    """One box: its texts, its place and the share (0..1) of the bar along its foot."""

    name: str
    left: str
    right: str
    share: float
    x: int
    y: int


def depths(data: ReportData) -> dict[str, int]:
    """Row of each tensor: the longest way to it from the input, which has row 0."""
    rows = {name: 0 for name, _, _ in data.ends}
    for layer in data.layers:
        rows[layer.name] = 1 + max((rows.get(name, 0) for name in layer.inputs), default=0)
    return rows


def draw(data: ReportData) -> str:
    """The graph of layers as an <svg> element; colours come from the page's style sheet."""
    boxes = _place(data)
    width = max(box.x for box in boxes.values()) + BOX_W + MARGIN
    height = max(box.y for box in boxes.values()) + BOX_H + MARGIN
    parts = [
        f'<svg class="graph" viewBox="0 0 {width} {height}" style="max-width:{width}px" '
        f'role="img" aria-label="Layers of {escape(data.title, {chr(34): "&quot;"})}">'
    ]
    for layer in data.layers:
        parts += [_edge(boxes[name], boxes[layer.name]) for name in layer.inputs if name in boxes]
    parts += [_box(box) for box in boxes.values()]
    return "".join([*parts, "</svg>"])


def _members(data: ReportData) -> dict[int, list[str]]:
    """The tensors of each row."""
    members: dict[int, list[str]] = {}
    for name, row in depths(data).items():
        members.setdefault(row, []).append(name)
    return members


def columns(data: ReportData) -> int:
    """Into how many columns a graph goes that would be too high in one."""
    members = _members(data)
    widest = max(len(names) for names in members.values())
    return max(1, min(-(-len(members) // MAX_ROWS), MAX_WIDTH // widest))


def _place(data: ReportData) -> dict[str, _Box]:
    """A box per tensor: rows by depth, the boxes of a row side by side and centred."""
    members = _members(data)
    widest = max(len(names) for names in members.values())
    height = -(-len(members) // columns(data))  # rows of a column
    layers = {layer.name: layer for layer in data.layers}
    ends = {name: (kind, shape_text(shape)) for name, kind, shape in data.ends}
    boxes = {}
    for row, names in members.items():
        start = MARGIN + (widest - len(names)) * (BOX_W + GAP_X) // 2
        start += row // height * widest * (BOX_W + GAP_X)
        for position, name in enumerate(names):
            x, y = start + position * (BOX_W + GAP_X), MARGIN + row % height * (BOX_H + GAP_Y)
            boxes[name] = (
                _layer_box(data, layers[name], x, y)
                if name in layers
                else _Box(name, *ends[name], 0.0, x, y)
            )
    return boxes


def _layer_box(data: ReportData, layer: LayerRow, x: int, y: int) -> _Box:
    return _Box(layer.name, layer.kind, shape_text(layer.shape), share(data, layer), x, y)


def share(data: ReportData, layer: LayerRow) -> float:
    """The layer's part of the work: of the measured ticks, or of the MACs where none were."""
    if data.ticks and layer.ticks is not None:
        total = sum(row.ticks or 0 for row in data.layers)
        return layer.ticks / total if total else 0.0
    return layer.macs / data.macs if data.macs else 0.0


def shape_text(shape: tuple[int, ...]) -> str:
    """28x28x1, with real multiplication signs; a scalar is 1."""
    return "×".join(str(size) for size in shape) or "1"


def _short(name: str, limit: int) -> str:
    """``name`` in at most ``limit`` characters: the end of a long name tells most."""
    return escape(name if len(name) <= limit else "…" + name[-(limit - 1) :])


def _begin(text: str, limit: int) -> str:
    """The first ``limit`` characters of ``text``."""
    return escape(text if len(text) <= limit else text[: limit - 1] + "…")


def _edge(start: _Box, end: _Box) -> str:
    x1, y1 = start.x + BOX_W // 2, start.y + BOX_H
    x2, y2 = end.x + BOX_W // 2, end.y
    if y2 < y1:  # from the foot of a column to the next one's head, between the two
        gap = end.x - GAP_X // 2
        way = f"M{x1} {y1}v8H{gap}V{y2 - 8}H{x2}v8"
        return f'<path class="edge" d="{way}"/>'
    bend = (y2 - y1) // 2
    return f'<path class="edge" d="M{x1} {y1}C{x1} {y1 + bend} {x2} {y2 - bend} {x2} {y2}"/>'


def _box(box: _Box) -> str:
    bar = round((BOX_W - 2) * box.share)
    left, top, right = box.x + 12, box.y + 20, box.x + BOX_W - 12
    foot = (
        f'<rect class="work" x="{box.x + 1}" y="{box.y + BOX_H - 5}" width="{bar}" height="4" '
        f'rx="2"/>'
        if bar
        else ""
    )
    return (
        f'<g><rect class="box" x="{box.x}" y="{box.y}" width="{BOX_W}" height="{BOX_H}" rx="8"/>'
        f"{foot}"
        f'<text class="name" x="{left}" y="{top}">{_short(box.name, NAME_CHARS)}</text>'
        f'<text class="dim" x="{left}" y="{top + 17}">{_begin(box.left, KIND_CHARS)}</text>'
        f'<text class="dim" x="{right}" y="{top}" text-anchor="end">{escape(box.right)}</text></g>'
    )
