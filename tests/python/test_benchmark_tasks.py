"""MLPerf Tiny's tasks: what app_model.h says of them, their numbers, what `db` must hold."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import random_graphs
from hypothesis import given
from hypothesis import strategies as st

from nanotool import mlperf
from nanotool.backends import c
from nanotool.boards import NATIVE
from nanotool.build import build
from nanotool.device import DbInfo, Device, TensorInfo, open_board
from nanotool.device.tensors import db_bytes
from nanotool.errors import DeviceError, NanoError
from nanotool.frontends import tflite
from nanotool.ir import QGraph, QTensor
from nanotool.lower import lower
from nanotool.mlperf import TASKS
from nanotool.plan import plan
from nanotool.sensing.description import MelSettings
from nanotool.sensing.stream import quantize
from nanotool.signal.mel import MelTwin, mel_reference

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
SCALES = st.floats(2.0**-20, 2.0**10, width=32)


def model(dtype: str = "int8", output: str = "int8") -> QGraph:
    """A small model with these types at its borders."""
    for seed in range(1000):
        graph = random_graphs.random_graph(seed, 3, random_graphs.ALL, borders=True)
        if (graph.input_tensor.dtype, graph.output_tensor.dtype) == (dtype, output):
            return graph
    raise AssertionError("no such model")


def folder(tmp_path: Path, graph: QGraph) -> Path:
    lowered = lower(graph)
    c.export([(lowered, plan(lowered))], tmp_path / "model")
    return tmp_path / "model"


# --- tasks ----------------------------------------------------------------------------------------


def test_a_task_is_found_by_name() -> None:
    versions = ["kws01", "ic01", "vww01", "ad01", "sww01"]
    assert [mlperf.find_task(name).version for name in TASKS] == versions
    with pytest.raises(NanoError, match=r"no task 'asr'.*kws, ic, vww, ad"):
        mlperf.find_task("asr")


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_task_refuses_an_input_of_another_type(dtype: str) -> None:
    graph = model(dtype)
    for task in TASKS.values():
        if task.db == dtype and task.result == "scores":
            mlperf.check(task, graph)
            continue
        with pytest.raises(NanoError, match=r"takes|makes"):
            mlperf.check(task, graph)


def test_an_error_needs_an_output_like_the_input() -> None:
    with pytest.raises(NanoError, match="compares the input with the output"):
        mlperf.check(TASKS["ad"], random_graphs.random_graph(7, 3, ("conv2d", "dense")))
    with pytest.raises(NanoError, match="compares the input with the output"):
        mlperf.check(TASKS["ad"], model("int8", "float32"))


def test_the_header_says_which_task_is_served(tmp_path: Path) -> None:
    made = folder(tmp_path, model())
    header = made / mlperf.HEADER
    plain = header.read_text()
    assert mlperf.configured(made) is None
    for task in TASKS.values():
        mlperf.configure(made, task)
        text = header.read_text()
        assert mlperf.configured(made) is task
        assert text.count("APP_PROFILE") == 1  # what it served before is gone
        assert ("APP_DB_" in text) == (task.db != "int8")
        assert text.startswith(plain[: plain.rindex("#endif")])
        assert text.endswith("#endif\n")
        mlperf.configure(made, task)
        assert header.read_text() == text


# --- numbers --------------------------------------------------------------------------------------


@given(FLOATS, SCALES, st.integers(-128, 127))
def test_quantized_is_the_nearest(real: float, scale: float, zero_point: int) -> None:
    """Of the quotient that float32 holds."""
    tensor = QTensor("x", (1,), scale, zero_point)
    with np.errstate(over="ignore"):
        quotient = np.float32(real) / np.float32(scale)
    (q,) = mlperf.quantize(tensor, np.array([real], np.float32))
    if not np.isfinite(quotient):
        assert q == (127 if quotient > 0 else -128)
        return
    exact = Fraction(float(quotient))
    nearest = int(abs(exact) + Fraction(1, 2)) * (-1 if exact < 0 else 1)
    assert q == min(max(nearest + zero_point, -128), 127)


def test_what_is_no_number_becomes_the_zero_point() -> None:
    tensor = QTensor("x", (3,), 0.5, -7)
    strange = np.array([np.nan, np.inf, -np.inf], np.float32)
    assert mlperf.quantize(tensor, strange).tolist() == [-7, 127, -128]


def test_error_in_exact_numbers() -> None:
    tensor = QTensor("y", (2, 2), 0.5, 1)
    real = np.array([0.0, 1.0, -1.0, 4.0], np.float32)
    output = np.array([[1, 3], [3, 1]], np.int8)  # 0, 1, 1, 0
    assert mlperf.mean_squared_error(tensor, real, output) == np.float32((0 + 0 + 4 + 16) / 4)


def test_error_is_summed_in_order() -> None:
    """2^24 swallows a 1 that is added to it, and not the sum of many that came before."""
    tensor = QTensor("y", (17,), 1.0, 0)
    ones = np.ones(16, np.float32)
    large = np.array([4096.0], np.float32)
    zeros = np.zeros(17, np.int8)
    first = mlperf.mean_squared_error(tensor, np.concatenate([large, ones]), zeros)
    last = mlperf.mean_squared_error(tensor, np.concatenate([ones, large]), zeros)
    assert first == np.float32(2.0**24 / 17)
    assert last == np.float32((2.0**24 + 16) / 17)


# --- what db holds --------------------------------------------------------------------------------


@given(SCALES, st.integers(-128, 127))
def test_every_int8_survives_the_way_through_db(scale: float, zero_point: int) -> None:
    x = np.arange(-128, 128).astype(np.int8)
    tensor = TensorInfo((256,), float(np.float32(scale)), zero_point)
    assert db_bytes(x, tensor, DbInfo("int8", 256)) == x.tobytes()
    unsigned = db_bytes(x, tensor, DbInfo("uint8", 256))
    assert [byte - 128 for byte in unsigned] == x.tolist()
    real = np.frombuffer(db_bytes(x, tensor, DbInfo("float32", 1024)), "<f4")
    q = mlperf.quantize(QTensor("x", (256,), tensor.scale, zero_point), real)
    assert q.tolist() == x.tolist()


def test_an_array_of_the_buffers_type_is_taken_as_it_is() -> None:
    tensor = TensorInfo((2,), 1.0, 0, "int8")
    assert db_bytes(np.array([1, 255], np.uint8), tensor, DbInfo("uint8", 2)) == b"\1\xff"
    real = np.array([1.5, -2], np.float32)
    assert db_bytes(real, tensor, DbInfo("float32", 8)) == real.astype("<f4").tobytes()


@pytest.mark.parametrize("dtype", [np.float64, np.int16, np.uint8])
def test_an_array_of_another_type_is_refused(dtype: type) -> None:
    with pytest.raises(DeviceError, match="the board takes int8"):
        db_bytes(np.zeros(2, dtype), TensorInfo((2,), 1.0, 0), DbInfo("int8", 2))


def test_int8_is_no_input_of_a_model_that_takes_floats() -> None:
    tensor = TensorInfo((2,), 1.0, 0, "float32")
    with pytest.raises(DeviceError, match="the board takes float32"):
        db_bytes(np.zeros(2, np.int8), tensor, DbInfo("float32", 8))


# --- firmware -------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOTOOL_CACHE", str(tmp_path_factory.getbasetemp() / "mlperf-cache"))


@pytest.mark.slow
def test_the_task_is_part_of_the_firmware(tmp_path: Path) -> None:
    """Another task is another firmware; a folder keeps the one it was made for."""
    graph = model()
    plain, kws = build(graph, NATIVE), build(graph, NATIVE, task=TASKS["kws"])
    made = folder(tmp_path, graph)
    mlperf.configure(made, TASKS["ic"])
    ic = build(made, NATIVE)
    assert len({plain.elf, kws.elf, ic.elf}) == 3
    assert (plain.task, kws.task, ic.task) == (None, TASKS["kws"], TASKS["ic"])
    assert build(made, NATIVE, task=TASKS["kws"]).task == TASKS["kws"]
    with pytest.raises(NanoError, match="compares"):
        build(model("int8", "int32"), NATIVE, task=TASKS["ad"])


TYPES = [
    (one, other) for one in ("int8", "uint8", "float32") for other in ("int8", "int32", "float32")
]
# Each type at each end: nothing in the app depends on both.
APART = {("int8", "float32"), ("uint8", "int8"), ("float32", "int32")}


@pytest.mark.parametrize(
    ("dtype", "output"),
    [pytest.param(*both, marks=() if both in APART else pytest.mark.slow) for both in TYPES],
)
def test_a_board_tells_its_types(dtype: str, output: str) -> None:
    graph = model(dtype, output)
    with open_board(NATIVE, build(graph, NATIVE).elf) as port, Device(port) as device:
        info = device.info()
    for told, tensor in ((info.input, graph.input_tensor), (info.output, graph.output_tensor)):
        shape = tensor.shape or (1,)  # a single number has no axes; the board gives it one
        assert (told.dtype, told.shape, told.scale) == (tensor.dtype, shape, tensor.scale)
        assert (told.zero_point, told.nbytes) == (tensor.zero_point, tensor.nbytes)
    assert info.db == DbInfo(dtype, graph.input_tensor.nbytes)
    assert info.model == graph.name


def test_the_wake_words_features_are_the_references() -> None:
    """Its formula in float64: (10 log10(P / 1024) + 52) / 64 of 40 bands, cut towards zero."""
    model = Path(__file__).parents[1] / "models" / "sww.tflite"
    graph = mlperf.as_served(TASKS["sww"], tflite.load(model))
    assert graph.stream is not None
    ears, scale = graph.stream.front_end, graph.input_tensor.scale
    assert isinstance(ears, MelSettings)
    rng = np.random.default_rng(3)
    level = np.repeat(10 ** rng.uniform(1.5, 3.5, 40), 800)
    sound = np.clip(rng.normal(0, 1, 32000) * level, -32768, 32767).astype(np.int16)
    logs = mel_reference(ears, sound)
    real = ((10 / np.log(10) * logs - 10 * np.log10(1024) + 52) / 64).clip(0, 1)
    wanted = np.trunc(real / scale - 128)
    found = quantize(graph, graph.stream.scaling, MelTwin(ears).process(sound))
    off = found - wanted
    assert np.abs(off).max() <= 2 and (off[wanted < 0] == 0).mean() > 0.97
