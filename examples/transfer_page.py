"""The report of examples.transfer: one HTML page with the curve and the confusion matrix."""

from __future__ import annotations

import html
import io
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from examples.show import confusion_svg
from nanotool.scores import confusion

if TYPE_CHECKING:
    from examples.transfer import Outcome

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{padding:.2rem .8rem;text-align:right;border-bottom:"
    "1px solid #ccc}svg{max-width:100%;height:auto}"
)


def render(outcome: Outcome) -> str:
    """The page."""
    rows = "".join(
        f"<tr><td>{t.samples}</td><td>{t.replay}</td><td>{len(outcome.of(t))}</td>"
        f"<td>{outcome.new(t):.2%}</td><td>{100 * outcome.lost(t):.2f}</td></tr>"
        for t in outcome.trials()
    )
    boards = "".join(
        f"<li>{html.escape(b.board.title)}: {b.same_states} of {b.draws} heads with the same bytes "
        f"as this computer's; {b.differing} int8 answers differ.</li>"
        for b in outcome.boards
    )
    last = outcome.of(outcome.trials()[-1])[0]
    matrix = confusion(outcome.lab.data.test_y, last.answers, 10)
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>8 and 9 on the board</title>"
        f"<style>{STYLE}</style><h1>8 and 9, learned on the board</h1>"
        f"<p>The frozen backbone has only seen 0 to 7: {outcome.lab.before:.2%} of them are right "
        "before, among eight classes. Head, optimizer and replay buffer take "
        f"{outcome.arena:,} bytes.</p><table><tr><th>new samples a class<th>old in the replay "
        f"buffer, a class<th>draws<th>new right<th>points lost on the old</tr>{rows}</table>"
        f"<ul>{boards}</ul><h2>While it rehearses</h2>{curve_svg(outcome)}"
        f"<h2>Confusion matrix: {last.trial.samples} samples a class, one draw</h2>"
        f"{confusion_svg(matrix, tuple(map(str, range(10))))}</html>\n"
    )


def curve_svg(outcome: Outcome) -> str:
    """Accuracy on new and old digits against rehearsed samples: mean, and the draws' reach."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    for trial, colours in zip(
        outcome.trials(), (("#c44e00", "#0057c4"), ("#f29a55", "#69a5f0")), strict=False
    ):
        draws = outcome.of(trial)
        x = [point.rehearsed for point in draws[0].curve]
        for name, colour in zip(("new", "old"), colours, strict=True):
            y = np.array([[getattr(p, name) for p in draw.curve] for draw in draws]) * 100
            label = f"{name}, {trial.samples} samples a class"
            axes.plot(x, y.mean(0), color=colour, label=label)
            axes.fill_between(x, y.min(0), y.max(0), color=colour, alpha=0.15)
    axes.axhline(outcome.lab.before * 100, color="grey", linewidth=1, linestyle=":")
    axes.set_xlabel("samples rehearsed")
    axes.set_ylabel("right, %")
    axes.legend(loc="lower right")
    with io.StringIO() as file:
        figure.savefig(file, format="svg", metadata={"Date": None})
        text = file.getvalue()
    return text[text.index("<svg") :]
