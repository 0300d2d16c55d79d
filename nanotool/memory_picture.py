"""Pictures of a plan: what lies where in the arena while the ops run.

Time goes down, a line an op; the arena's bytes go from left to right. `draw` is text, for the
terminal and for the comments of generated sources; `svg` is for the report.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from nanotool.ir import Lowered, LoweredOp, Placement, Plan

_CELLS = 48  # columns of the text picture that stand for the arena
_NAME = 28  # columns for a layer's name
_LEGEND = ("free", "kept", "scratch", "read", "written", "written over what is read")
_UNICODE = dict(zip(_LEGEND, "·░×▒█▓", strict=True))
_ASCII = dict(zip(_LEGEND, ".-x=#%", strict=True))


def draw(lowered: Lowered, plan: Plan, *, ascii_only: bool = False) -> str:
    """A picture of the arena over time: a line for each op, the arena's bytes from left to right.

    At most 100 columns wide; lines are not padded. ``ascii_only`` draws without block characters.
    """
    marks = _ASCII if ascii_only else _UNICODE
    size = f"{plan.arena_size:,}"
    lines = [summary(lowered, plan), "", f"{'':{_NAME + 5}}0{size:>{_CELLS - 1}}"]
    for moment in range(-1, len(lowered.ops) + 1):
        bar = "".join(marks[state] for state in _states(lowered, plan, moment))
        live = _occupied(_alive(plan, moment))
        lines.append(f"{_moment_name(lowered, moment):{_NAME + 5}}{bar} {live:>9,} B")
    used = [name for name in _LEGEND if any(marks[name] in line for line in lines[3:])]
    lines += ["", "   ".join(f"{marks[name]} {name}" for name in used)]
    return "\n".join(line.rstrip() for line in lines)


def summary(lowered: Lowered, plan: Plan) -> str:
    """One line: the arena's size, what it holds and how good that is."""
    rooms = [place for name, place in plan.buffers.items() if name not in lowered.views]
    buffers = sum(place.size for place in rooms)
    if plan.method == "exact":
        how = "no smaller arena is possible"
    else:
        how = f"no arena below {plan.lower_bound:,} is possible"
    states = f", {plan.state_size:,} of them for states" if plan.state_size else ""
    return (
        f"{plan.arena_size:,} bytes of arena for {len(rooms)} tensors of "
        f"{buffers:,} bytes{states}; {how}"
    )


def widest(lowered: Lowered, plan: Plan) -> tuple[int, int]:
    """(index of the op, bytes) where the arena holds most; the first of equal ones."""
    live = [_occupied(_alive(plan, moment)) for moment in range(len(lowered.ops))]
    index = max(range(len(live)), key=live.__getitem__)
    return index, live[index]


def _moment_name(lowered: Lowered, moment: int) -> str:
    if moment < 0:
        return "    input"
    if moment == len(lowered.ops):
        return "    output"
    return f"{moment:3} {_shortened(lowered.ops[moment].name)}"


def _shortened(name: str) -> str:
    """``name`` in at most `_NAME` columns: its end, which tells most, from a whole part of the path
    on if one fits ("functional_1/activation_1/Relu" as ".../activation_1/Relu")."""
    if len(name) <= _NAME:
        return name
    end = name[3 - _NAME :]
    cut = end.find("/", 0, _NAME // 2)
    return "..." + end[max(cut, 0) :]


def _alive(plan: Plan, moment: int) -> list[Placement]:
    places = (*plan.buffers.values(), *plan.scratch.values())
    return [place for place in places if place.first <= moment <= place.last]


def _occupied(places: list[Placement]) -> int:
    """Bytes that ``places`` cover; where two overlap the bytes count once."""
    total = covered = 0
    for place in sorted(places, key=lambda place: place.offset):
        end = place.offset + place.size
        total += max(end - max(place.offset, covered), 0)
        covered = max(covered, end)
    return total


def _states(lowered: Lowered, plan: Plan, moment: int) -> list[str]:
    """What the bytes of each cell are at ``moment``: a name of `_LEGEND`, the most telling one."""
    op = lowered.ops[moment] if 0 <= moment < len(lowered.ops) else None
    cells: list[set[str]] = [set() for _ in range(_CELLS)]
    for place in _alive(plan, moment):
        state = _role(lowered, op, place)
        for cell in _cells_of(place.offset, place.offset + place.size, plan.arena_size):
            cells[cell].add(state)
    for begin, end in _shared(plan, op) if op is not None else ():
        for cell in _cells_of(begin, end, plan.arena_size):
            cells[cell].add("written over what is read")
    return [max(states, key=_LEGEND.index, default="free") for states in cells]


def _shared(plan: Plan, op: LoweredOp) -> list[tuple[int, int]]:
    """The stretches of bytes, (begin, end), that ``op`` reads and then writes over."""
    target = plan.buffers[op.output]
    stretches = []
    for source in {name: plan.buffers[name] for name in op.inputs}.values():
        begin = max(source.offset, target.offset)
        end = min(source.offset + source.size, target.offset + target.size)
        if begin < end:
            stretches.append((begin, end))
    return stretches


def _role(lowered: Lowered, op: LoweredOp | None, place: Placement) -> str:
    """What ``place`` is to ``op``; None stands for the moments before and after all ops."""
    if op is None:
        return "written" if place.name in {*lowered.inputs, *lowered.outputs} else "kept"
    if place.name == op.output:
        return "written"
    if place.name in op.inputs:
        return "read"
    return "kept" if place.name in lowered.buffers else "scratch"


def _cells_of(begin: int, end: int, arena_size: int) -> range:
    """The cells that the bytes from ``begin`` to before ``end`` touch."""
    return range(begin * _CELLS // arena_size, -(-end * _CELLS // arena_size))


# --- SVG ------------------------------------------------------------------------------------------

_LABELS, _PLOT, _LIVE = 210, 640, 84  # widths of the columns
_ROW, _TOP, _FOOT = 30, 46, 34  # heights
_CHARACTER = 6.6  # width of one, about, at 12 px
_HUES = (217, 160, 32, 280, 340, 190, 95)  # one a buffer, in turn


@dataclass(frozen=True, slots=True)
class _Scale:
    """Bytes to pixels, moments to rows."""

    arena_size: int

    def x(self, offset: int) -> float:
        return _LABELS + _PLOT * offset / max(self.arena_size, 1)

    def y(self, moment: int) -> float:
        return _TOP + _ROW * (moment + 1)


def svg(lowered: Lowered, plan: Plan) -> str:
    """The plan as an <svg> element: a box a buffer, over the ops during which it is alive.

    Hatched is what an op writes over its own input. Colours follow the page's variables --ink,
    --dim and --line where it has them.
    """
    moments = len(lowered.ops) + 2
    width, height = _LABELS + _PLOT + _LIVE, _TOP + _ROW * moments + _FOOT
    scale = _Scale(plan.arena_size)
    parts = [
        f'<svg class="memory" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'style="max-width:{width}px" role="img" aria-label="{escape(summary(lowered, plan))}" '
        'font-family="system-ui, sans-serif" font-size="12">',
        _PATTERN,
        *_axis(plan, scale, moments),
        *(_row(lowered, plan, scale, moment) for moment in range(-1, len(lowered.ops) + 1)),
        *_boxes(lowered, plan, scale),
        *(_hatch(plan, scale, op, moment) for moment, op in enumerate(lowered.ops)),
        _text(_LABELS, height - 10, summary(lowered, plan), "dim"),
        "</svg>",
    ]
    return "\n".join(part for part in parts if part)


_PATTERN = (
    '<defs><pattern id="memory-overlap" width="6" height="6" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><path d="M0 0V6" stroke="var(--ink, #16202c)" '
    'stroke-width="1.5" stroke-opacity="0.55"/></pattern></defs>'
)
_INK = {"ink": "var(--ink, #16202c)", "dim": "var(--dim, #5c6878)"}


def _text(x: float, y: float, text: str, ink: str = "ink", anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{_INK[ink]}" text-anchor="{anchor}">'
        f"{escape(text)}</text>"
    )


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return (
        f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="var(--line, #dfe3e9)" '
        'fill="none"/>'
    )


def _axis(plan: Plan, scale: _Scale, moments: int) -> list[str]:
    """Byte numbers and lines at round offsets, and at the arena's end."""
    step = _round_step(plan.arena_size)
    ends = [n for n in range(0, plan.arena_size, step) if plan.arena_size - n > step * 0.6]
    parts = [_text(_LABELS - 12, _TOP - 12, "bytes", "dim", "end")]
    for offset in (*ends, plan.arena_size):
        x = scale.x(offset)
        parts.append(_line(x, _TOP - 6, x, _TOP + _ROW * moments))
        parts.append(_text(x, _TOP - 12, f"{offset:,}", "dim", "middle"))
    return parts


def _round_step(size: int) -> int:
    """1, 2 or 5 times a power of ten: about six steps in ``size``."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if size <= factor * power * 7:
                return factor * power
        power *= 10


def _row(lowered: Lowered, plan: Plan, scale: _Scale, moment: int) -> str:
    """The op's name on the left, the bytes in use on the right, a line beneath."""
    y = scale.y(moment)
    live = _occupied(_alive(plan, moment))
    name = _moment_name(lowered, moment).strip()
    return "".join(
        (
            _line(8, y + _ROW, _LABELS + _PLOT + _LIVE - 8, y + _ROW),
            _text(14, y + _ROW * 0.65, name),
            _text(_LABELS + _PLOT + _LIVE - 8, y + _ROW * 0.65, f"{live:,} B", "dim", "end"),
        )
    )


def _boxes(lowered: Lowered, plan: Plan, scale: _Scale) -> list[str]:
    """Every buffer and scratch; the large ones first, so that small ones stay visible."""
    places = [*plan.buffers.values(), *plan.scratch.values()]
    hues = {id(place): _HUES[i % len(_HUES)] for i, place in enumerate(places)}
    places.sort(key=lambda place: -place.size)
    return [_box(scale, place, hues[id(place)], place.name in lowered.buffers) for place in places]


def _box(scale: _Scale, place: Placement, hue: int, tensor: bool) -> str:
    x, y = scale.x(place.offset), scale.y(place.first)
    width = max(scale.x(place.offset + place.size) - x, 2.0)
    height = scale.y(place.last + 1) - y
    tip = f"{place.name}: {place.size:,} bytes, {place.offset:,}..{place.offset + place.size:,}"
    dash = "" if tensor else ' stroke-dasharray="4 3"'
    box = (
        f'<rect x="{x:.1f}" y="{y + 2:.1f}" width="{width:.1f}" height="{height - 4:.1f}" rx="4" '
        f'fill="hsl({hue} 70% 50%)" fill-opacity="0.22" stroke="hsl({hue} 60% 48%)"{dash}/>'
    )
    return f"<g><title>{escape(tip)}</title>{box}{_box_label(place, x, y, width)}</g>"


def _box_label(place: Placement, x: float, y: float, width: float) -> str:
    """Name and size in the row where the buffer is written, as far as they fit."""
    baseline = y + _ROW * 0.65
    for label in (f"{place.name}  {place.size:,} B", place.name, f"{place.size:,}"):
        if len(label) * _CHARACTER + 12 <= width:
            return _text(x + 8, baseline, label)
    return ""


def _hatch(plan: Plan, scale: _Scale, op: LoweredOp, moment: int) -> str:
    """What ``op`` writes over its own inputs."""
    y = scale.y(moment)
    return "".join(
        f'<rect x="{scale.x(begin):.1f}" y="{y + 3:.1f}" '
        f'width="{scale.x(end) - scale.x(begin):.1f}" height="{_ROW - 6}" '
        'fill="url(#memory-overlap)" pointer-events="none"/>'
        for begin, end in _shared(plan, op)
    )
