"""Benchmarks: the gate against the record, the layer worth changing, the tables and the picture."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from handmade import GraphBuilder

from bench import picture, record, suite
from nanotool.bench import BenchResult, LayerBench, advice
from nanotool.describe import label
from nanotool.lower import lower
from nanotool.report.peers import figures as peer_figures
from nanotool.report.tables import bench_advice, bench_layers, tensors_table


def result(*layers: LayerBench) -> BenchResult:
    ticks, macs = sum(row.ticks for row in layers), sum(row.macs for row in layers)
    return BenchResult(
        model="m",
        hash="0" * 16,
        board="stm32",
        emulated=True,
        tick_unit="instructions",
        ticks=ticks,
        microseconds=None,
        arena_bytes=1000,
        stack_bytes=200,
        code_bytes=9000,
        weight_bytes=500,
        ram_bytes=2000,
        macs=macs,
        inputs=1,
        mismatches=0,
        layers=layers,
        compiler="GCC",
    )


def test_the_layer_furthest_above_the_cheapest_is_worth_changing() -> None:
    found = advice(
        result(
            LayerBench("a", "nano_conv2d_dsp", 1000, 1000),
            LayerBench("b", "nano_depthwise_conv2d_dsp", 900, 300),
            LayerBench("c", "nano_softmax", 100, 0),
        )
    )
    assert found is not None
    assert (found.layer.name, found.best.name) == ("b", "a")
    assert found.share == pytest.approx(0.45)
    assert found.saved == pytest.approx(0.3)


def test_a_layer_without_macs_can_be_the_one() -> None:
    told = bench_advice(result(LayerBench("a", "k", 100, 100), LayerBench("pool", "p", 100, 0)))
    assert "pool (p) takes 50% of the instructions. At" in told


def test_a_layer_that_is_called_by_its_number_is_shown_with_its_kind() -> None:
    builder = GraphBuilder("numbers", (8, 8, 1))
    builder.conv2d("features.0", 2)
    builder.flatten("1")
    builder.dense("fc2", 3)
    graph = builder.graph()
    assert [label(graph, name) for name in ("features.0", "fc2", "input")] == [
        "features.0 Conv2D",
        "fc2",
        "input",
    ]
    shown = [str(cell) for cell in next(iter(tensors_table(graph).columns)).cells]
    assert "features.0 Conv2D" in shown and "fc2" in shown
    layer = LayerBench("features.0", "k", 900, 100, "features.0 Conv2D")
    table = bench_layers(result(layer, LayerBench("fc2", "k", 100, 100)))
    assert [str(cell) for cell in table.columns[1].cells] == ["features.0 Conv2D", "fc2"]


def test_no_advice_where_nothing_stands_out() -> None:
    assert advice(result(LayerBench("a", "k", 100, 100), LayerBench("b", "k", 101, 100))) is None
    assert advice(result(LayerBench("a", "k", 100, 0))) is None


def entry(**changes: Any) -> dict[str, Any]:
    row = {
        **{"hash": "1", "macs": 100, "instructions": 1000, "arena_bytes": 200, "code_bytes": 3000},
        **changes,
    }
    return {"compiler": "GCC 1", "flags": ["-O2"], "models": {"ad": row}}


@pytest.mark.parametrize("what", record.WATCHED)
def test_the_gate_closes_at_one_percent(what: str) -> None:
    before = entry()
    value = before["models"]["ad"][what]
    assert not record.compare("b", entry(**{what: int(value * 1.01)}), before).worse
    (line,) = record.compare("b", entry(**{what: int(value * 1.02)}), before).worse
    assert what in line
    assert "better" in record.compare("b", entry(**{what: value // 2}), before).notes[0]


def test_other_conditions_are_said_and_not_compared() -> None:
    for other in ({"compiler": "clang"}, {"flags": ["-O3"]}):
        verdict = record.compare("b", {**entry(instructions=9999), **other}, entry())
        assert not verdict.worse
        assert "not compared" in verdict.notes[0]
    assert "no record" in record.compare("b", entry(), None).notes[0]
    assert "another model" in record.compare("b", entry(hash="2"), entry()).notes[0]


def test_the_record_covers_every_board_and_model() -> None:
    known = json.loads(record.RESULTS.read_text())
    assert set(known) == set(suite.BOARDS)
    for board in known.values():
        assert set(board["models"]) == set(suite.MODELS)
    assert record.RESULTS.with_suffix(".md").read_text() == record.markdown(known)


@pytest.mark.parametrize("model", suite.MODELS)
def test_the_pages_tell_what_was_recorded(model: str) -> None:
    """The row of each model in README.md and docs/performance.md; other cores' in the latter."""
    known = json.loads(record.RESULTS.read_text())
    figures = {board: entry["models"][model] for board, entry in known.items()}
    readme = (suite.ROOT / "README.md").read_text().splitlines()
    page = (suite.ROOT / "docs" / "performance.md").read_text().splitlines()
    stm32 = figures.pop("stm32")
    ours, *modelled = (line for line in readme if line.startswith(f"| {suite.TITLES[model]} |"))
    (cores,) = (line for line in page if line.startswith(f"| {suite.TITLES[model]} |"))
    others = peer_figures()
    if model in others.published_cycles:  # a table of its own: another unit
        cycles = others.model_cycles[model], others.published_cycles[model]
        assert f"| {cycles[0]:,} | {cycles[1]:,} | {cycles[1] / cycles[0]:.1f} |" in modelled[0]
    assert f"**{stm32['instructions']:,}**" in ours
    assert f"| {stm32['arena_bytes']:,} |" in ours
    for row in figures.values():
        assert f"| {row['instructions']:,} ({row['instructions'] / row['macs']:.2f}) |" in cores
    name = "MLP" if model == "mlp" else model
    told = next(line for line in page if line.startswith(f"| {name} |"))  # the first table's
    for what in ("instructions", "arena_bytes", "code_bytes", "weight_bytes"):
        assert f"| {stm32[what]:,} |" in told


def test_tables_and_picture_repeat() -> None:
    known = json.loads(record.RESULTS.read_text())
    text = record.markdown(known)
    assert "| TFLM + CMSIS-NN |" in text
    assert "582,950" in text
    models = known["stm32"]["models"]
    assert picture.per_layer(models) == picture.per_layer(copy.deepcopy(models))


def test_the_mlp_is_what_peers_measured() -> None:
    assert lower(suite.mlp()).macs == 62_080


def test_the_page_of_signals_tells_what_front_ends_were_counted() -> None:
    page = (suite.ROOT / "docs" / "signal.md").read_text()
    counts = json.loads((suite.ROOT / "bench" / "front_ends.json").read_text())["counts"]
    counts |= json.loads((suite.ROOT / "bench" / "fft_peers.json").read_text())["counts"]
    sizes = (64, 128, 256, 512, 1024)
    ffts = {
        "FFT, 16 bits": "fft",
        "CMSIS-DSP, `arm_rfft_q15`": "cmsis_dsp_16",
        "kissfft, 16 bits": "kissfft_16",
        "FFT, 32 bits": "fft32",
        "CMSIS-DSP, `arm_rfft_q31`": "cmsis_dsp_32",
        "kissfft, 32 bits": "kissfft_32",
    }
    for title, name in ffts.items():
        row = " | ".join(f"{counts[f'{name}_{size}']:,}" for size in sizes)
        assert f"| {title} | {row} |" in page
    rows = {
        "micro frontend": "micro_frontend",
        "log-mel, 40 bands": "log_mel",
        "13 MFCC of them": "mfcc_13",
    }
    for title, name in rows.items():
        assert f"| {title} | {counts[name]:,} |" in page
