"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

# Called with (steps done, steps in all): samples, batches, layers, whatever the work is made of.
Progress: TypeAlias = Callable[[int, int], None]


def ignore_progress(done: int, total: int) -> None:
    """For a caller who does not want to know."""
