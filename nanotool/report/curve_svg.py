"""The picture of memory against time: a plan a dot, both axes from nothing."""

from __future__ import annotations

from collections.abc import Sequence

from nanotool.pipeline import CurvePoint

WIDTH, HEIGHT, LEFT, BELOW, ABOVE, RIGHT = 520, 240, 70, 44, 26, 110
_APART = 14  # between two texts


def draw(points: Sequence[CurvePoint]) -> str:
    """``points``, the fastest first, as an <svg> element."""
    most_bytes = max(point.arena_bytes for point in points)
    most_time = max(point.instructions for point in points)

    def place(point: CurvePoint) -> tuple[float, float]:
        x = LEFT + (WIDTH - LEFT - RIGHT) * point.arena_bytes / most_bytes
        y = HEIGHT - BELOW - (HEIGHT - BELOW - ABOVE) * point.instructions / most_time
        return round(x, 1), round(y, 1)

    at = [place(point) for point in points]
    line = " ".join(f"{x},{y}" for x, y in at)
    base = HEIGHT - BELOW
    parts = [
        f'<svg class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-label="Instructions against bytes of arena">',
        f'<path class="edge" d="M{LEFT},{ABOVE}V{base}H{WIDTH - RIGHT}"/>',
        f'<polyline class="line" points="{line}"/>',
        f'<text class="dim" x="{LEFT}" y="{ABOVE - 12}">instructions, about</text>',
        f'<text class="dim" x="{WIDTH - RIGHT}" y="{base + 34}" text-anchor="end">'
        "bytes of arena</text>",
    ]
    last = HEIGHT * 2.0
    for point, (x, y) in zip(points, at, strict=True):
        kind = "dot chosen" if point.chosen else "dot"
        parts.append(
            f'<circle class="{kind}" cx="{x}" cy="{y}" r="{6 if point.chosen else 4}"><title>'
            f"{point.arena_bytes:,} B, about {point.instructions:,} instructions</title></circle>"
        )
        if point.chosen or abs(y - last) >= _APART:
            name = " balanced" if point.chosen else ""
            text = f"{point.arena_bytes:,} B{name}"
            parts.append(f'<text class="dim" x="{x + 9}" y="{y - 6}">{text}</text>')
            last = y
    return "".join([*parts, "</svg>"])
