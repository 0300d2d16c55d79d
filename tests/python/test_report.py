"""The HTML report: everything that was given is on the page, which needs nothing but itself."""

from __future__ import annotations

import base64
import itertools
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from handmade import GraphBuilder, digits_cnn

from bench.suite import MODELS
from nanotool.boards import Board, find_board
from nanotool.build import BuildError, BuildResult, build
from nanotool.describe import describe
from nanotool.ir import (
    Binary,
    Concat,
    Conv2D,
    Mean,
    QGraph,
    QOp,
    QTensor,
    Resize,
    Softmax,
    Unary,
    Window,
)
from nanotool.lower import lower
from nanotool.plan import plan, svg
from nanotool.report import (
    Budget,
    LayerRow,
    ReportData,
    Sample,
    collect,
    graph_svg,
    link_to,
    render,
)
from nanotool.report.about import about_firmware, about_model
from nanotool.report.collect import sample_rows, with_ticks
from nanotool.report.html import picture, worst_layer
from nanotool.report.peers import figures, peers_of
from nanotool.report.tables import answers_table, tensors_table
from nanotool.report.text import bar, decibel, number, percent, size
from nanotool.targets import GOALS, TARGETS

VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """Tags that open and close as they should, the visible text, and every reference."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.references: list[str] = []
        self.tags: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.references += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def full() -> ReportData:
    graph = digits_cnn()
    lowered = lower(graph)
    planned = plan(lowered)
    data = collect(lowered, planned, memory_svg=svg(lowered, planned))
    data = with_ticks(data, [10 * (i + 1) for i in range(len(data.layers))], 12345, "instructions")
    return replace(
        data,
        board="STM32F405",
        accuracy=(("int8 on the PC", 0.9838),),
        mismatches=0,
        compared=200,
        budgets=(Budget("Flash", (("code", 17_800), ("weights", 9_400)), 1 << 20),),
        passes=(("fold", "2 batch norms"),),
        samples=(Sample(np.eye(28, dtype=np.int8), "7", 0.9, "7"),),
    )


def test_the_way_to_the_models_page(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    where = link_to(tmp_path / "a b" / "page.html", tmp_path / "report.html")
    assert where == "a b/page.html"
    text = render(ReportData("m", "1", (), page=where))
    assert '<a href="a%20b/page.html">' in text
    assert "<a " not in render(ReportData("m", "1", ()))


def test_everything_given_is_on_the_page() -> None:
    data = full()
    text = Page(render(data)).text
    for row in data.layers:
        assert row.name in text and row.kind in text
    for part in ("98.38 %", "12,345", "STM32F405", "26.6 KiB", "2.6 %", "2 batch norms"):
        assert part in text
    assert f"{data.macs:,}" in text and data.hash in text and "arena" in text


def test_the_page_needs_nothing_else() -> None:
    html = render(full())
    page = Page(html)
    assert all(reference.startswith("data:") for reference in page.references)
    assert page.references and not {"script", "link", "iframe"} & set(page.tags)
    assert "@import" not in html and not re.search(r"url\((?!#)", html)
    # The namespace of SVG is a name, nothing is fetched from it.
    assert not re.search(r"https?://", html.replace('xmlns="http://www.w3.org/2000/svg"', ""))


def test_the_page_is_deterministic() -> None:
    assert render(full()) == render(full())


def test_names_are_no_markup() -> None:
    evil = '<img src=x onerror="alert(1)">'
    row = LayerRow(evil, evil, (evil,), (1,), ticks=1, sqnr_db=3.0, saturation=0.1)
    data = ReportData(
        title=evil,
        hash=evil,
        ends=((evil, evil, (1,)),),
        layers=(row,),
        source=evil,
        board=evil,
        accuracy=((evil, 0.5),),
        budgets=(Budget(evil, ((evil, 1),), 2),),
        passes=((evil, evil),),
        samples=(Sample(np.zeros((2, 2)), evil, None, evil),),
    )
    assert "img" not in Page(render(replace(data, samples=()))).tags
    assert Page(render(data)).tags.count("img") == 1


def test_the_least_there_can_be() -> None:
    page = Page(render(ReportData("empty", "0" * 16, ())))
    assert "empty" in page.text and "Samples" not in page.text and "Memory budget" not in page.text


def test_measurements_that_are_missing_leave_no_column() -> None:
    data = replace(full(), ticks=None, layers=(LayerRow("a", "Dense", ("input",), (10,)),))
    text = Page(render(data)).text
    assert "signal / noise" not in text and "arena offset" not in text


def test_the_worst_layer_is_marked() -> None:
    rows = tuple(
        LayerRow(n, "Dense", (), (1,), sqnr_db=q) for n, q in (("a", 9.0), ("b", math.inf))
    )
    data = replace(full(), layers=rows)
    assert worst_layer(data) == "a"
    assert "a most noise" in Page(render(data)).text


def test_a_wrong_and_a_right_answer() -> None:
    samples = (
        Sample(np.zeros((2, 2)), "3", 0.5, "8"),
        Sample(np.zeros((2, 2)), "4", None, "4"),
        Sample(np.zeros((2, 2)), "5"),
    )
    assert [sample.right for sample in samples] == [False, True, None]
    text = Page(render(replace(full(), samples=samples))).text
    assert "is 8" in text and "is 4" not in text


def test_mismatches_are_not_hidden() -> None:
    html = render(replace(full(), mismatches=3))
    assert re.search(r'<b class="bad">3</b>', html)


# --- figures --------------------------------------------------------------------------------------


def test_rows_of_a_model() -> None:
    graph = digits_cnn()
    lowered = lower(graph)
    planned = plan(lowered)
    data = collect(lowered, planned)
    assert [row.name for row in data.layers] == [op.name for op in lowered.ops]
    assert data.weight_bytes == lowered.weight_bytes and data.macs == lowered.macs == 290_080
    assert data.layers[0].inputs == (graph.input,)
    for previous, row in zip(data.layers, data.layers[1:], strict=False):
        assert row.inputs == (previous.name,)  # reshapes are gone, the chain is whole
    assert all(row.offset is not None for row in data.layers)


def test_ticks_must_fit_the_layers() -> None:
    with pytest.raises(ValueError, match="1 ticks"):
        with_ticks(full(), [1], 1, "instructions")


def test_samples_are_answered_by_the_simulator() -> None:
    graph = replace(digits_cnn(), labels=tuple("abcdefghij"))
    rows = sample_rows(graph, expected=["a"])
    assert len(rows) == len(graph.samples[0])
    assert all(row.answer in graph.labels for row in rows)
    assert rows[0].expected == "a" and rows[1].expected == ""
    assert sample_rows(replace(graph, samples=())) == ()


def test_a_branching_graph_has_an_edge_for_each_input() -> None:
    rows = (
        LayerRow("left", "Conv2D", ("input",), (4, 4, 2)),
        LayerRow("right", "Conv2D", ("input",), (4, 4, 2)),
        LayerRow("sum", "Add", ("left", "right"), (4, 4, 2)),
    )
    data = ReportData("branch", "0" * 16, rows)
    assert graph_svg.depths(data) == {"input": 0, "left": 1, "right": 1, "sum": 2}
    svg = graph_svg.draw(data)
    assert svg.count('class="edge"') == 4 and svg.count('class="box"') == 4


def test_a_long_graph_goes_into_columns() -> None:
    names = ["input", *(f"layer.{i}" for i in range(30))]
    pairs = itertools.pairwise(names)
    chain = tuple(LayerRow(name, "Dense", (before,), (4,)) for before, name in pairs)
    data = replace(full(), layers=chain)
    assert graph_svg.columns(data) == 3 and graph_svg.columns(full()) == 1
    picture = graph_svg.draw(data)
    places = re.findall(r'class="box" x="(\d+)" y="(\d+)"', picture)
    assert len(places) == len(set(places)) == 31
    assert len({x for x, _ in places}) == 3 and len({y for _, y in places}) == 11
    assert picture.count('class="edge"') == 30
    wide = (*chain, *(LayerRow(f"b{i}", "Dense", (f"layer.{i}",), (4,)) for i in range(20)))
    assert graph_svg.columns(replace(data, layers=wide)) == 1  # rows of two: no room for more


def test_ops_in_words() -> None:
    window = Window((3, 3), (2, 2), (0, 0, 1, 1))
    weight = np.zeros((8, 3, 3, 1), np.int8)
    conv = "conv2d 3x3 stride 2 pad 0,0,1,1"
    said = {
        f"depthwise {conv} times 2": QOp("a", Conv2D(window, 4), ("x",), weight),
        conv: QOp("a", Conv2D(window), ("x",), weight),
        "add": QOp("a", Binary("add"), ("x", "y")),
        "relu, clamp": QOp("a", Unary("relu"), ("x",), clamp=(0, 127)),
        "mean over axes 0,1": QOp("a", Mean((0, 1)), ("x",)),
        "concat along axis 2": QOp("a", Concat(2), ("x", "y")),
        "resize nearest": QOp("a", Resize("nearest"), ("x",)),
        "softmax": QOp("a", Softmax(), ("x",)),
    }
    assert [describe(op) for op in said.values()] == list(said)


def test_tensors_of_other_types_and_long_answers() -> None:
    tensors = {
        "x": QTensor("x", (4,), 1.0, 0, "float32"),
        "u": QTensor("u", (4,), 0.5, 128, "uint8"),
    }
    graph = QGraph("m", tensors, (), ("x",), ("u",))
    rows = [list(column.cells) for column in tensors_table(graph).columns]
    assert rows[2] == ["16", "4"] and rows[3] == ["–", "0.5"]
    assert rows[5] == ["float32", "-64 … 63.5, uint8"]
    table = answers_table([[0.25] * 640] * 12, ())
    assert next(iter(table.columns[1].cells)) == "0.25 0.25 0.25 0.25 0.25 0.25 …"
    assert next(iter(table.columns[2].cells)) == "640"
    assert list(table.columns[1].cells)[-1] == "and 2 more"
    named = answers_table([[0.25] * 639 + [1.0]], [str(i) for i in range(640)])
    assert str(next(iter(named.columns[1].cells))) == "639"


@pytest.mark.parametrize("shape", [(28, 28, 1), (8, 8, 3), (4, 4)])
def test_pictures(shape: tuple[int, ...]) -> None:
    assert picture(np.arange(math.prod(shape)).reshape(shape)).startswith("data:image/png;base64,")


@pytest.mark.parametrize("shape", [(50, 3), (1, 50, 3), (50, 3, 1), (3, 50, 1), (100, 1, 6)])
def test_a_window_of_sensors_is_a_curve_for_each(shape: tuple[int, ...]) -> None:
    uri = picture(np.arange(math.prod(shape), dtype=np.int16).reshape(shape))
    kind, _, data = uri.partition(";base64,")
    assert kind == "data:image/svg+xml"
    sensors = min(size for size in shape if size > 1)
    assert base64.b64decode(data).decode().count("<polyline") == sensors


@pytest.mark.parametrize("shape", [(490,), (49, 10, 2), (1, 30, 1), (1,), (0,)])
def test_curves(shape: tuple[int, ...]) -> None:
    uri = picture(np.arange(math.prod(shape), dtype=np.int8).reshape(shape))
    assert uri.startswith("data:image/svg+xml;base64,")


def test_numbers_as_text() -> None:
    assert number(None) == "–" and number(1234567) == "1,234,567"
    assert size(None) == "–" and size(1023) == "1,023 B" and size(131072) == "128.0 KiB"
    assert (
        percent(0.97251, 2) == "97.25 %" and percent(1e-9) == "<0.1 %" and percent(0.0) == "0.0 %"
    )
    assert decibel(math.inf) == "exact" and decibel(12.345) == "12.3 dB" and decibel(None) == "–"


@pytest.mark.parametrize(("share", "blocks"), [(0, ""), (1, "████"), (2, "████"), (0.125, "▌")])
def test_bars(share: float, blocks: str) -> None:
    assert bar(share, 4) == blocks


# --- what others need, what goals cost ------------------------------------------------------------


def test_the_networks_of_the_suite_are_known() -> None:
    known = {model: peers_of(load()) for model, load in MODELS.items()}
    assert all(known.values())
    assert {peer.engine for peer in known["mlp"]} == {*figures().instructions}
    assert [peer.cycles for peer in known["ic"]] == [None, 19_800_000]
    assert known["vww"][1].arena_bytes == 60_728
    trained_anew = replace(digits_cnn(), name="mine")
    assert [peer.instructions for peer in peers_of(trained_anew)] == [1_570_300, 5_936_840]
    assert peers_of(GraphBuilder("other", (4,)).graph()) == ()


def test_a_report_tells_what_goals_cost() -> None:
    data = about_model(MODELS["ad"]())
    rows = {(row.target, row.goal): row for row in data.goals}
    assert {row.target for row in data.goals} == set(TARGETS)
    assert {goal for target, goal in rows if target == "armv7em"} == set(GOALS)
    assert rows["portable", "all goals"].arena_bytes == data.arena_bytes
    assert rows["armv7em", "size"].arena_bytes < rows["armv7em", "speed"].arena_bytes
    text = Page(render(data)).text
    assert "What --optimize costs" in text and "770,353" in text and "486,000 cycles" in text
    measured = with_ticks(data, [1] * len(data.layers), 264_192, "instructions")
    assert "2.2 ×" in Page(render(measured)).text


def test_goals_on_a_board(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other goals are built as this one was; one that does not build has no code, and none
    of them is measured where nothing can be."""
    small = GraphBuilder("small", (8, 8, 1))
    small.conv2d("conv", 4)
    built = build(small.graph(), find_board("stm32"), optimize="size")

    def refuse_speed(graph: QGraph, board: Board, *, optimize: str, weights: str) -> BuildResult:
        if optimize == "speed":
            raise BuildError("The firmware for stm32 does not build.")
        return build(graph, board, optimize=optimize, weights=weights)

    monkeypatch.setattr("nanotool.report.about.build", refuse_speed)
    monkeypatch.setattr("nanotool.report.about.can_emulate", lambda board: False)
    data = about_firmware(small.graph(), built)
    rows = {row.goal: row for row in data.goals}
    assert [goal for goal, row in rows.items() if row.chosen] == ["size"]
    assert rows["speed"].code_bytes is None and rows["speed"].arena_bytes > 0
    assert rows["speed"].arena_bytes > rows["size"].arena_bytes
    assert rows["balanced"].code_bytes and rows["size"].code_bytes
    assert {row.ticks for row in rows.values()} == {None} == {data.ticks}
