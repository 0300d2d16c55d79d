"""This computer's kernels: the bytes of the portable ones, on every convolution and dense layer."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_graphs import examples, graphs, random_inputs

from nanotool.ir import Array, LoweredOp, QGraph, Struct
from nanotool.models import load_model
from nanotool.pipeline import prepare
from nanotool.runtime import Runtime, model
from nanotool.runtime.extension import load
from nanotool.runtime.host import LANES, on_host, pack

MODELS = Path(__file__).parent.parent / "models"
KINDS = ("conv2d", "dense", "max_pool", "unary", "reshape", "pad", "add")


@contextlib.contextmanager
def widest(on: bool) -> Iterator[None]:
    """Take the widest vectors of this computer, or those that every one of its kind has."""
    lib = load().lib
    lib.nanotool_host_widest(on)
    try:
        yield
    finally:
        lib.nanotool_host_widest(True)


@pytest.mark.parametrize("on", [True, False], ids=["widest", "any"])
@examples(60)
@given(graphs(KINDS, 8), st.integers(0, 2**16))
def test_random_graphs(on: bool, graph: QGraph, seed: int) -> None:
    """Kernels, groups, strides, dilations, paddings, pools and additions behind, outputs that are
    no multiple of 8."""
    x = random_inputs(graph, 4, seed)
    lowered, plan = prepare(graph)
    slow, fast = Runtime(lowered, plan), Runtime(lowered, plan, fast=True)
    with widest(on):
        answers = fast.run_all(x)
    for one, other in zip(slow.run_all(x), answers, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("name", ["ad", "kws", "ic", "vww", "person_detect"])
def test_the_benchmark_models(name: str) -> None:
    graph = load_model(MODELS / f"{name}.tflite")
    x = random_inputs(graph, 2, 0)
    lowered, plan = prepare(graph)
    linear = [op for op in lowered.ops if "conv2d" in op.kernel or op.kernel == "nano_dense"]
    assert all(on_host(op) for op in linear if "transpose" not in op.kernel)
    wanted = Runtime(lowered, plan).run(x)
    for on in (True, False):
        with widest(on):
            assert np.array_equal(Runtime(lowered, plan, fast=True).run(x), wanted)


def test_many_inputs_on_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same answers in the same places, every one told; what goes wrong in a thread is seen."""
    monkeypatch.setattr(model, "_THREAD_MACS", 1000)
    monkeypatch.setattr(model, "cores", lambda: 4)
    graph = load_model(MODELS / "ad.tflite")
    x = random_inputs(graph, 300, 0)
    runtime, threads, told = Runtime(*prepare(graph), fast=True), set(), []

    def progress(done: int, total: int) -> None:
        threads.add(threading.get_ident())
        told.append(done)
        assert total == len(x)

    got = runtime.run(x, progress=progress)
    assert threads and threading.get_ident() not in threads
    assert told == sorted(told) and told[-1] == len(x)
    one_by_one = np.concatenate([runtime.run(x[i : i + 1]) for i in range(0, len(x), 37)])
    assert np.array_equal(got[::37], one_by_one)

    def fail(done: int, total: int) -> None:
        raise RuntimeError(f"{done} of {total}")

    with pytest.raises(RuntimeError, match="of 300"):
        runtime.run(x, progress=fail)


def test_sequences_on_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of one sequence follow each other, in one thread; sequences are shared out."""
    monkeypatch.setattr(model, "_THREAD_MACS", 1)
    monkeypatch.setattr(model, "cores", lambda: 3)
    monkeypatch.setattr(model, "_BATCH_BYTES", 1)
    graph = load_model(MODELS / "keyword_svdf_int8.tflite")
    x = random_inputs(graph, 22, 0)
    runtime = Runtime(*prepare(graph), fast=True)
    parts = [runtime.run(x[i : i + 5]) for i in range(0, len(x), 5)]
    assert np.array_equal(runtime.run(x, reset_every=5), np.concatenate(parts))
    assert np.array_equal(runtime.run(x)[:5], parts[0])


def test_packing() -> None:
    """[out / 8][pairs][8][2], zeros at both ends."""
    weights = np.arange(1, 10 * 3 + 1, dtype=np.int8).reshape(10, 3)
    packed = pack(weights).reshape(2, 2, LANES, 2)
    for o, k in np.ndindex(10, 3):
        assert packed[o // LANES, k // 2, o % LANES, k % 2] == weights[o, k]
    assert np.count_nonzero(packed) == weights.size


def dense_op(terms: int) -> LoweredOp:
    scale = (("multiplier", np.full(1, 1 << 30, np.int32)), ("shift", np.zeros(1, np.int8)))
    requant = Struct("nano_requant", tuple((name, Array(name, data)) for name, data in scale))
    fields = (
        ("weights", Array("w", np.zeros(2 * terms, np.int8))),
        ("bias", Array("b", np.zeros(2, np.int32))),
        ("requant", requant),
    )
    return LoweredOp(
        "fc", ("fc",), "nano_dense", Struct("nano_dense_params", fields), ("x",), "fc", (None,)
    )


def test_what_the_stack_cannot_hold_stays_portable() -> None:
    assert on_host(dense_op(16384)) is not None
    assert on_host(dense_op(16385)) is None
