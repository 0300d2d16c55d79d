"""The scores of `nanotool tune --trainable`, as SVG: what is normal, what is not, the threshold."""

from __future__ import annotations

from html import escape

import numpy as np

from nanotool.training.anomaly import Scores
from nanotool.training.tuning import TunedAlarm

WIDTH, HEIGHT, LEFT, TOP, BINS = 480, 240, 60, 52, 48
_NORMAL, _FAULTS, _LINE = "#1f6feb", "#d1242f", "#24292f"


def scores_svg(tuned: TunedAlarm, title: str) -> str:
    """Shares of scores over their square roots, which are distances; the threshold as a line."""
    threshold = tuned.best.alarm.threshold
    kinds = [("normal, its recording left out", tuned.normal, _NORMAL)]
    if len(tuned.faults):
        kinds.append(("faults", tuned.faults, _FAULTS))
    largest = max(threshold, *(int(np.quantile(scores, 0.995)) for _, scores, _ in kinds), 1)
    edges = np.linspace(0, 1.05 * largest**0.5, BINS + 1)
    shares = [_shares(scores, edges) for _, scores, _ in kinds]
    top = max(float(share.max()) for share in shares)
    parts = []
    for number, ((name, _, colour), share) in enumerate(zip(kinds, shares, strict=True)):
        parts.append(_bars(share / top, colour))
        parts.append(_text(LEFT + WIDTH - 6, TOP + 16 + 16 * number, name, "end", colour))
    x = LEFT + WIDTH * threshold**0.5 / float(edges[-1])
    parts.append(
        f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{TOP + HEIGHT}" stroke="{_LINE}" '
        'stroke-dasharray="4 3"/>'
    )
    parts.append(_text(x, TOP - 6, f"threshold {threshold:,}", "middle"))
    for part in (0, 0.25, 0.5, 0.75, 1):
        tick = float(edges[-1]) * part
        parts.append(_text(LEFT + WIDTH * part, TOP + HEIGHT + 18, f"{tick**2:,.0f}", "middle"))
    for part in (0, 0.5, 1):
        parts.append(_text(LEFT - 8, TOP + HEIGHT * (1 - part) + 4, f"{top * part:.0%}", "end"))
    parts.append(_text(LEFT + WIDTH / 2, TOP + HEIGHT + 40, "score, on a root scale", "middle"))
    alarm, best = tuned.best.alarm, tuned.best
    told = f"{title}: {alarm.needed} of {alarm.window}, {best.false_alarms:.1%} false alarms"
    told += "" if best.detected is None else f", {best.detected:.1%} found, AUC {tuned.auc:.3f}"
    parts.append(_text(LEFT, TOP - 28, told, "start"))
    size = f'viewBox="0 0 {LEFT + WIDTH + 30} {TOP + HEIGHT + 56}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" '
            'font-size="12">',
            '<rect width="100%" height="100%" fill="white"/>',
            f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="none" '
            'stroke="#d0d7de"/>',
            *parts,
            "</svg>",
            "",
        ]
    )


def _shares(scores: Scores, edges: np.ndarray) -> np.ndarray:
    """Of each bin; what is beyond the last one is in it."""
    counts, _ = np.histogram(np.minimum(np.sqrt(scores), edges[-1]), edges)
    return counts / len(scores)


def _bars(heights: np.ndarray, colour: str) -> str:
    wide = WIDTH / BINS
    bars = (
        f'<rect x="{LEFT + number * wide:.1f}" y="{TOP + HEIGHT * (1 - height):.1f}" '
        f'width="{wide:.1f}" height="{HEIGHT * height:.1f}"/>'
        for number, height in enumerate(heights.tolist())
        if height > 0
    )
    return f'<g fill="{colour}" fill-opacity="0.55">{"".join(bars)}</g>'


def _text(x: float, y: float, text: str, anchor: str, colour: str = _LINE) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">'
        f"{escape(text)}</text>"
    )
