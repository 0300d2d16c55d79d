"""Reports: rich tables for the terminal, one self-contained HTML page for the browser.

render(ReportData(...)) -> str        the page
collect(lowered, plan) -> ReportData  from a model; with_bench() adds what was measured
"""

from nanotool.report.collect import (
    budgets,
    collect,
    layer_rows,
    sample_rows,
    with_bench,
    with_memory,
    with_ticks,
)
from nanotool.report.data import Budget, GoalRow, LayerRow, ReportData, Sample
from nanotool.report.html import link_to, render

__all__ = [
    "Budget",
    "GoalRow",
    "LayerRow",
    "ReportData",
    "Sample",
    "budgets",
    "collect",
    "layer_rows",
    "link_to",
    "render",
    "sample_rows",
    "with_bench",
    "with_memory",
    "with_ticks",
]
