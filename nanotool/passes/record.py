"""What a pass did, for people: the report shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Change:
    """One operation before and after a pass, in words; "" where it is not there."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class PassRecord:
    """What one pass did. The names are those of nodes of a Graph or of ops of a QGraph."""

    name: str
    before: int  # nodes
    after: int
    removed: tuple[str, ...]
    added: tuple[str, ...]
    # Of the lossless passes only:
    changes: tuple[Change, ...] = ()  # every op that went, came or changed
    macs: tuple[int, int] = (0, 0)  # before, after
    weight_bytes: tuple[int, int] = (0, 0)  # before, after; weights, biases, constants
    # The channels (positions along the last axis) that tensors kept, where they lost some.
    kept: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def listing(self) -> str:
        """Before and after as text, a line each; first what was saved."""
        lines = [
            f"{self.name}: {_step('operations', self.before, self.after)}, "
            f"{_step('MACs', *self.macs)}, {_step('weight bytes', *self.weight_bytes)}"
        ]
        for change in self.changes:
            lines.append(f"  {change.name}")
            lines += [f"    - {change.before}"] if change.before else []
            lines += [f"    + {change.after}"] if change.after else []
        return "\n".join(lines)


def _step(what: str, before: int, after: int) -> str:
    return f"{before:,} {what}" if before == after else f"{before:,} -> {after:,} {what}"
