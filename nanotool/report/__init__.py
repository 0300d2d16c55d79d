"""Reports: rich tables for the terminal, one self-contained HTML page for the browser.

render(ReportData(...)) -> str        the page
collect(lowered, plan) -> ReportData  from a model; with_ticks() adds what was measured
"""

from nanotool.report.collect import collect, layer_rows, sample_rows, with_ticks
from nanotool.report.data import Budget, LayerRow, ReportData, Sample
from nanotool.report.html import render

__all__ = [
    "Budget",
    "LayerRow",
    "ReportData",
    "Sample",
    "collect",
    "layer_rows",
    "render",
    "sample_rows",
    "with_ticks",
]
