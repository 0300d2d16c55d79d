"""Numbers, bars and tables as text: shared by the page, the tables and the console."""

from __future__ import annotations

import math

from rich import box
from rich.table import Table

KIB = 1024
BEST_SQNR_DB = 50.0  # a full bar: beyond it nobody can tell int8 from float
BAR_WIDTH = 28  # columns


def number(value: int | None) -> str:
    """12,345, or a dash where there is none."""
    return "–" if value is None else f"{value:,}"


def size(value: int | None) -> str:
    """Bytes, exactly; large ones in KiB as well."""
    if value is None:
        return "–"
    return f"{value:,} B" if value < 10 * KIB else f"{value / KIB:,.1f} KiB"


def percent(value: float | None, digits: int = 1) -> str:
    """0.973 as 97.3 %; what is there but rounds to nothing says so."""
    if value is None:
        return "–"
    least = 10.0**-digits
    if 0 < value * 100 < least / 2:
        return f"<{least:.{digits}f} %"
    return f"{value * 100:.{digits}f} %"


def decibel(value: float | None) -> str:
    """A ratio in dB; infinite means that nothing was lost."""
    if value is None:
        return "–"
    return "exact" if math.isinf(value) else f"{value:.1f} dB"


def sqnr_share(value: float | None) -> float:
    """How full the noise bar is, 0..1."""
    return 0.0 if value is None else min(1.0, max(0.0, value / BEST_SQNR_DB))


def bar(share: float, width: int = BAR_WIDTH) -> str:
    """A bar of block characters, ``share`` (0..1) of ``width`` columns, to an eighth."""
    eighths = round(min(1.0, max(0.0, share)) * width * 8)
    return "█" * (eighths // 8) + ("▏▎▍▌▋▊▉"[eighths % 8 - 1] if eighths % 8 else "")


def table(title: str, *columns: tuple[str, str]) -> Table:
    """A light table; columns are (heading, "left" or "right")."""
    result = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        header_style="dim",
    )
    for heading, justify in columns:
        result.add_column(heading, justify="right" if justify == "right" else "left")
    return result
