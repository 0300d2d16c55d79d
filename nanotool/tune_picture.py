"""The curve of `nanotool tune`, as SVG."""

from __future__ import annotations

from html import escape

from nanotool.tune import Tuned

WIDTH, HEIGHT, LEFT, TOP = 480, 320, 60, 36
_COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#57606a")


def curve_svg(tuned: Tuned, title: str) -> str:
    """False rejects over false accepts an hour, a line a window; the best rule as a ring."""
    top = max(1.0, *(point.false_accepts_an_hour for point in tuned.points))

    def at(accepts: float, share: float) -> tuple[float, float]:
        """Accepts on a root scale: few of them are what one looks at."""
        return LEFT + WIDTH * (accepts / top) ** 0.5, TOP + HEIGHT * (1 - share)

    lines = []
    for number, window in enumerate(sorted({point.window for point in tuned.points})):
        colour = _COLOURS[number % len(_COLOURS)]
        own = [point for point in tuned.points if point.window == window]
        places = [at(point.false_accepts_an_hour, point.false_reject_share) for point in own]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        lines.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        down = TOP + 16 + 16 * number
        lines.append(_text(LEFT + WIDTH - 8, down, f"mean of {window}", "end", colour))
    x, y = at(tuned.best.false_accepts_an_hour, tuned.best.false_reject_share)
    lines.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="none" stroke="#24292f"/>')
    for share in (0, 0.25, 0.5, 0.75, 1):
        lines.append(_text(LEFT - 8, at(0, share)[1] + 4, f"{share:.0%}", "end"))
    for part in (0, 0.25, 0.5, 0.75, 1):
        tick = top * part * part
        lines.append(_text(at(tick, 0)[0], TOP + HEIGHT + 18, f"{tick:.3g}", "middle"))
    middle = LEFT + WIDTH / 2
    lines.append(_text(middle, TOP + HEIGHT + 40, "false accepts an hour", "middle"))
    lines.append(_text(LEFT, TOP - 14, f"{title}: recordings that were missed", "start"))
    frame = (
        f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="none" '
        'stroke="#d0d7de"/>'
    )
    size = f'viewBox="0 0 {LEFT + WIDTH + 30} {TOP + HEIGHT + 56}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" '
            'font-size="12">',
            '<rect width="100%" height="100%" fill="white"/>',
            frame,
            *lines,
            "</svg>",
            "",
        ]
    )


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#24292f") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">'
        f"{escape(text)}</text>"
    )
