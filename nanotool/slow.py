"""Layers that run on a portable kernel though the target has a faster one: which, why, how dear.

The reason is the one for which the lowering chose so (`TargetLayer.declines`); the cost is its
estimate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nanotool.describe import label
from nanotool.ir import Lowered


@dataclass(frozen=True, slots=True)
class SlowLayer:
    """One of them."""

    label: str  # its name for people
    kernel: str  # C symbol of the portable kernel
    reason: str  # "sums reach 2^30.2"
    cost: int  # instructions, about
    saved: int  # of those, about, would a faster kernel save; 0: that is not known

    @property
    def price(self) -> str:
        """What it costs, for people."""
        if not self.saved:
            return f"about {self.cost:,} instructions"
        return f"about {self.cost:,} instructions, {self.saved:,} more than a faster one"


def slow_layers(lowered: Lowered) -> tuple[SlowLayer, ...]:
    """Of ``lowered``, in order."""
    return tuple(
        SlowLayer(label(lowered.graph, op.name), op.kernel, op.declined, op.cost, op.saved)
        for op in lowered.ops
        if op.declined
    )


def sentences(lowered: Lowered) -> Iterator[str]:
    """A sentence a reason, which names its layers."""
    rows = slow_layers(lowered)
    for reason in dict.fromkeys(row.reason for row in rows):
        same = [row for row in rows if row.reason == reason]
        names = ", ".join(row.label for row in same)
        saved = sum(row.saved for row in same)
        verb = "runs on a portable kernel" if len(same) == 1 else "run on portable kernels"
        cost = f", which costs about {saved:,} instructions" if saved else ""
        yield f"{names} {verb}: {reason}{cost}."
