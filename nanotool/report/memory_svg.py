"""The picture of the arena over time: addresses to the right, ops downwards, a block per buffer."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from nanotool.ir import Lowered, Placement, Plan

WIDTH, LABEL_W, ROW_H, TOP, MARGIN = 960, 170, 30, 34, 8
CHAR_W = 7.0  # of a label, about
LABEL_CHARS = 20
COLOURS = 5  # classes part-0 … part-4 of the page
TICKS = 4  # addresses on the axis


def draw(lowered: Lowered, plan: Plan) -> str:
    """The arena as an <svg> element; colours come from the page's style sheet.

    Row 0 is the moment when the caller has filled the input, row i + 1 is op i, the last one
    is when the caller reads the output. Blocks that overlap in a row share bytes: the op
    writes over what it reads.
    """
    rows = ["input", *(op.name for op in lowered.ops), "output"]
    height = TOP + len(rows) * ROW_H + MARGIN
    parts = [
        f'<svg class="memory" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="Arena of {plan.arena_size} bytes over time">'
    ]
    parts += _axis(plan.arena_size, height)
    parts += [_row(index, name) for index, name in enumerate(rows)]
    blocks = sorted(
        [*plan.buffers.values(), *plan.scratch.values()], key=lambda b: (b.first, b.offset)
    )
    parts += [_block(index, block, plan.arena_size, blocks) for index, block in enumerate(blocks)]
    return "".join([*parts, "</svg>"])


def _x(offset: int, arena: int) -> float:
    """Where an address lies."""
    return LABEL_W + (WIDTH - LABEL_W - MARGIN) * offset / max(1, arena)


def _axis(arena: int, height: int) -> list[str]:
    """Addresses along the top, with lines down."""
    parts = []
    for tick in range(TICKS + 1):
        offset = arena * tick // TICKS
        x = _x(offset, arena)
        anchor = "end" if tick == TICKS else "start" if tick == 0 else "middle"
        parts.append(
            f'<line class="grid" x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{height - MARGIN}"/>'
            f'<text class="dim" x="{x:.1f}" y="{TOP - 14}" text-anchor="{anchor}">{offset:,}</text>'
        )
    return parts


def _row(index: int, name: str) -> str:
    y = TOP + index * ROW_H + ROW_H / 2 + 4
    short = name if len(name) <= LABEL_CHARS else "…" + name[-(LABEL_CHARS - 1) :]
    return f'<text class="dim" x="4" y="{y:.0f}">{escape(short)}</text>'


def _block(index: int, block: Placement, arena: int, others: Sequence[Placement]) -> str:
    """A buffer or scratch: its rectangle, all about it as a tool tip, and its name."""
    x, end = _x(block.offset, arena), _x(block.offset + block.size, arena)
    y, height = TOP + (block.first + 1) * ROW_H + 2, (block.last - block.first + 1) * ROW_H - 4
    return (
        f"<g><title>{escape(block.name)}: {block.size:,} bytes at {block.offset:,}</title>"
        f'<rect class="block c{index % COLOURS}" x="{x:.1f}" y="{y}" '
        f'width="{max(1.0, end - x):.1f}" height="{height}" rx="4"/>'
        f"{_label(block, arena, others)}</g>"
    )


def _label(block: Placement, arena: int, others: Sequence[Placement]) -> str:
    """Name and size, or the name alone, in the block's first row, where no other block has its
    own: inside if they fit, else behind it if nothing lies there, else nowhere."""
    x, end = _x(block.offset, arena), _x(block.offset + block.size, arena)
    y = TOP + (block.first + 1.5) * ROW_H + 4
    for text in (f"{block.name}  {block.size:,} B", block.name):
        need = len(text) * CHAR_W
        if end - x >= need + 12:
            return f'<text x="{x + 8:.1f}" y="{y:.1f}">{escape(text)}</text>'
        right = end + need + 8
        if right <= WIDTH and not _taken(block.first, end, right, arena, others):
            return f'<text x="{end + 6:.1f}" y="{y:.1f}">{escape(text)}</text>'
    return ""


def _taken(row: int, left: float, right: float, arena: int, blocks: Sequence[Placement]) -> bool:
    """Whether a block lies between two places in a row."""
    return any(
        block.first <= row <= block.last
        and _x(block.offset, arena) < right
        and _x(block.offset + block.size, arena) > left + 1
        for block in blocks
    )
