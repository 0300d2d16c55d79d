"""The C library in this process: right, careful with its inputs, rebuilt when it has to be."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from handmade import GraphBuilder, digits_cnn
from operators import OPERATORS, inputs_of, operator_graph
from random_graphs import random_graph, random_inputs

from nanotool import simulate, sources
from nanotool.errors import InvalidModel, MissingTool, NanoError
from nanotool.frontends.tflite.convert import load as load_tflite
from nanotool.ir import Lowered, LoweredOp, QOp, Reshape, Struct
from nanotool.lower import lower
from nanotool.plan import plan
from nanotool.runtime import Runtime, build, load

MODELS = Path(__file__).parent.parent / "models"


def runtime(lowered: Lowered) -> Runtime:
    return Runtime(lowered, plan(lowered))


# --- Right ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", range(10))
def test_every_tensor_of_random_models_equals_the_simulator(block: int) -> None:
    for seed in range(30 * block, 30 * block + 30):
        graph = random_graph(seed)
        lowered = lower(graph)
        x = random_inputs(graph, 6, seed)
        expected = simulate.simulate_all(graph, x)
        model = runtime(lowered)
        for op, values in zip(lowered.ops, model.run_all(x), strict=True):
            assert same(values, expected[op.output], op), (seed, op.name, op.kernel)
        assert np.array_equal(model.run(x), expected[graph.output]), seed


@pytest.mark.parametrize("kind", OPERATORS)
def test_every_operator_equals_the_simulator(kind: str) -> None:
    for seed in range(40):
        graph = operator_graph(kind, seed)
        lowered = lower(graph)
        x = inputs_of(graph, 5, seed)
        expected = simulate.simulate_all(graph, x)
        model = runtime(lowered)
        for op, values in zip(lowered.ops, model.run_all(x), strict=True):
            assert same(values, expected[op.output], op), (seed, op.name, op.kernel)
        y = model.run(x)
        assert y.dtype == graph.output_tensor.dtype
        assert np.array_equal(y, expected[graph.output]), seed


def same(values: np.ndarray, expected: np.ndarray, op: LoweredOp) -> bool:
    """Whether ``op`` wrote what it should; the first parts of an op have no output of their own."""
    if not op.source:
        return values.shape == (len(expected), 0)
    return values.dtype == expected.dtype and np.array_equal(values, expected)


@pytest.mark.parametrize("name", ["ad", "kws", "ic", "vww"])
def test_the_reference_models(name: str) -> None:
    """TFLite Micro's answers, and every tensor as the simulator has it."""
    graph = load_tflite(MODELS / f"{name}.tflite")
    golden = np.load(MODELS / f"{name}_golden.npz")
    lowered = lower(graph)
    model = runtime(lowered)
    x = golden["x"].reshape(-1, *graph.input_tensor.shape)
    assert np.array_equal(model.run(x).reshape(golden["y"].shape), golden["y"])
    expected = simulate.simulate_all(graph, x[:3])
    for op, values in zip(lowered.ops, model.run_all(x[:3]), strict=True):
        assert np.array_equal(values, expected[op.output]), op.name


def test_a_result_that_nobody_reads() -> None:
    """It has its room and is computed, and it disturbs nothing."""
    b = GraphBuilder("unused", (6, 6, 2))
    b.conv2d("used", 4)
    aside = replace(b.ops[0], name="aside")
    b.max_pool("pool")
    graph = b.graph()
    tensors = {**graph.tensors, "aside": replace(graph.tensors["used"], name="aside")}
    ops = (graph.ops[0], aside, *graph.ops[1:])
    graph = replace(graph, tensors=tensors, ops=ops)
    x = random_inputs(graph, 5)
    expected = simulate.simulate_all(graph, x)
    model = runtime(lower(graph))
    for op, values in zip(graph.ops, model.run_all(x), strict=True):
        assert np.array_equal(values, expected[op.name])
    assert np.array_equal(model.run(x), expected[graph.output])


@pytest.mark.parametrize("output", ["input", "flat", "used"])
def test_any_tensor_can_be_the_output(output: str) -> None:
    """The input itself, an alias of it, one that later ops read: it stays whole to the end."""
    b = GraphBuilder("any", (6, 6, 2))
    b.conv2d("used", 2)
    b.max_pool("pool")
    graph = b.graph()
    tensors = {**graph.tensors, "flat": replace(graph.input_tensor, name="flat", shape=(72,))}
    ops = (QOp("flat", Reshape((72,)), ("input",)), *graph.ops)
    graph = replace(graph, tensors=tensors, ops=ops, outputs=(output,))
    x = random_inputs(graph, 5)
    assert np.array_equal(runtime(lower(graph)).run(x), simulate.simulate(graph, x))


def test_digits() -> None:
    graph = digits_cnn()
    x = random_inputs(graph, 300)
    model = runtime(lower(graph))
    assert model.arena_size == 1660
    assert np.array_equal(model.run(x), simulate.simulate(graph, x))


def test_a_model_of_reshapes_only() -> None:
    b = GraphBuilder("still", (3, 4, 2))
    b.flatten("flat")
    x = random_inputs(b.graph(), 7)
    model = runtime(lower(b.graph()))
    assert np.array_equal(model.run(x), x.reshape(7, 24))
    assert model.run_all(x) == []


# --- Inputs ---------------------------------------------------------------------------------------


def test_no_samples_give_no_results() -> None:
    model = runtime(lower(digits_cnn()))
    none = np.zeros((0, 28, 28, 1), np.int8)
    assert model.run(none).shape == (0, 10)
    assert [values.shape[0] for values in model.run_all(none)] == [0] * 3


def test_inputs_of_any_memory_layout() -> None:
    graph = digits_cnn()
    x = random_inputs(graph, 6)
    model = runtime(lower(graph))
    expected = model.run(x)
    assert np.array_equal(model.run(np.asfortranarray(x)), expected)
    assert np.array_equal(model.run(np.repeat(x, 2, axis=0)[::2]), expected)
    read_only = x.copy()
    read_only.setflags(write=False)
    assert np.array_equal(model.run(read_only), expected)
    assert np.array_equal(read_only, x)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((2, 28, 28, 1), np.float32), "float32"),
        (np.zeros((2, 28, 28, 1), np.uint8), "uint8"),
        (np.zeros((2, 1, 28, 28), np.int8), "2 x 1 x 28 x 28, not N x 28 x 28 x 1"),
        (np.zeros((28, 28, 1), np.int8), "28 x 28 x 1, not N x 28 x 28 x 1"),
        (np.zeros((2, 784), np.int8), "2 x 784"),
        (np.int8(3), "int8"),
        (np.array(3, np.int8), "not N x"),
        ([[1]], "list"),
    ],
)
def test_wrong_inputs_are_refused(x: np.ndarray, words: str) -> None:
    model = runtime(lower(digits_cnn()))
    for run in (model.run, model.run_all):
        with pytest.raises(NanoError) as error:
            run(x)
        assert words in str(error.value)
        assert error.value.hint


# --- Memory and threads ---------------------------------------------------------------------------


def test_threads_share_a_model() -> None:
    graph = digits_cnn()
    model = runtime(lower(graph))
    inputs = [random_inputs(graph, 40, seed) for seed in range(4)]
    expected = [simulate.simulate(graph, x) for x in inputs]
    wrong: list[int] = []

    def work(i: int) -> None:
        for _ in range(5):
            if not np.array_equal(model.run(inputs[i]), expected[i]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_other_threads_run_meanwhile() -> None:
    """C runs without Python's lock: this thread counts on while a long batch is computed."""
    graph = digits_cnn()
    model = runtime(lower(graph))
    x = random_inputs(graph, 2000)
    done = threading.Event()

    def work() -> None:
        model.run(x)
        done.set()

    thread = threading.Thread(target=work)
    counted = 0
    thread.start()
    while not done.is_set():
        counted += 1
    thread.join()
    assert counted > 1000


def test_nothing_leaks() -> None:
    """Models come and go, and the process does not grow: each holds 4 MB of weights."""
    b = GraphBuilder("large", (2048,))
    b.dense("fc", 2048)
    lowered = lower(b.graph(samples=1))
    planned = plan(lowered)
    x = np.zeros((1, 2048), np.int8)

    def peak_kb() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    for _ in range(3):
        Runtime(lowered, planned).run(x)
    before = peak_kb()
    for _ in range(16):
        model = Runtime(lower(lowered.graph), planned)
        model.run(x)
        model.run_all(np.repeat(x, 50, axis=0))
    assert peak_kb() - before < 16_000


def test_a_model_outlives_the_lowered_that_it_came_from() -> None:
    """C's pointers stay good when nothing else refers to the arrays."""
    graph = random_graph(5)
    x = random_inputs(graph, 4)
    expected = simulate.simulate(graph, x)
    models = [runtime(lower(random_graph(5))) for _ in range(20)]
    junk = [np.full(100_000, i, np.int8) for i in range(50)]
    assert all(np.array_equal(model.run(x), expected) for model in models)
    assert len(junk) == 50


# --- One description, two readers -----------------------------------------------------------------


def test_struct_fields_are_those_of_the_headers() -> None:
    lowered = lower(digits_cnn())
    op = lowered.ops[-1]
    swapped = Struct(op.params.ctype, op.params.fields[::-1])
    ops = (*lowered.ops[:-1], replace(op, params=swapped))
    with pytest.raises(InvalidModel, match="in_features"):
        runtime(replace(lowered, ops=ops))


def test_arrays_have_the_types_of_the_headers() -> None:
    lowered = lower(digits_cnn())
    op = lowered.ops[-1]
    fields = dict(op.params.fields)
    fields["weights"] = fields["bias"]
    ops = (*lowered.ops[:-1], replace(op, params=Struct(op.params.ctype, tuple(fields.items()))))
    with pytest.raises(InvalidModel, match="int32, not int8"):
        runtime(replace(lowered, ops=ops))


def test_an_unknown_kernel_is_named() -> None:
    lowered = lower(digits_cnn())
    ops = (replace(lowered.ops[0], kernel="nano_conv9d"), *lowered.ops[1:])
    with pytest.raises(MissingTool, match="nano_conv9d"):
        runtime(replace(lowered, ops=ops))


def test_a_library_of_another_abi_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanotool.runtime.model.ABI", 77)
    with pytest.raises(MissingTool, match=r"NANO_ABI 2, .* 77"):
        runtime(lower(digits_cnn()))


def test_declarations() -> None:
    header = """
#ifndef X_H
#define X_H
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
/* a comment; int gone; */
#define X_COUNT 3
#define X_NONE UINT32_MAX
#define X_TEXT "no"
#define X_CALL(a) ((a) + 1)
#define X_LONG(a)            \\
    typedef char b[(a) ? 1 : -1]
typedef struct { int a[X_COUNT]; } x_t; /* kept */
#ifdef __cplusplus
}
#endif
#endif
"""
    kept = [line for line in build.declarations(header).splitlines() if line.strip()]
    assert [line.strip() for line in kept] == [
        *("#define X_COUNT 3", "#define X_NONE ...", "typedef struct { int a[X_COUNT]; } x_t;")
    ]


# --- The extension is built in time ---------------------------------------------------------------


PROGRAM = """
import numpy as np
from nanotool.ir import QGraph, QOp, QTensor, Unary
from nanotool.lower import lower
from nanotool.plan import plan
from nanotool.errors import NanoError
from nanotool.runtime import Runtime
tensors = {name: QTensor(name, (3,), 1.0, 0) for name in ("x", "y")}
low = lower(QGraph("m", tensors, (QOp("y", Unary("relu"), ("x",)),), ("x",), ("y",)))
try:
    print(Runtime(low, plan(low)).run(np.array([[-1, 0, 1]], np.int8)).tolist())
except NanoError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what makes a checkout, with the extension as it is."""
    root = sources.project_dir()
    ignore = shutil.ignore_patterns("__pycache__", ".build-*")
    shutil.copytree(root / "nanotool", tmp_path / "nanotool", ignore=ignore)
    shutil.copytree(root / "lib", tmp_path / "lib", ignore=ignore)
    shutil.copy(root / "platformio.ini", tmp_path)
    return tmp_path


def compile_quickly(checkout: Path) -> None:
    """Have the checkout's extension made without the optimizer, in a third of the time."""
    builder = checkout / "nanotool" / "runtime" / "build.py"
    text = builder.read_text()
    assert '"-O3"' in text
    builder.write_text(text.replace('"-O3"', '"-O0"'))


def run_there(checkout: Path, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PATH": path}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        env=environment,
        cwd=checkout,
        check=False,
    )


@pytest.mark.slow
def test_a_changed_source_is_compiled_before_it_is_used(checkout: Path) -> None:
    assert run_there(checkout).stdout == "[[0, 0, 1]]\n"
    compile_quickly(checkout)
    source = checkout / "lib" / "nano" / "src" / "ops" / "table" / "table.c"
    text = source.read_text()
    source.write_text(text + "\n/* a change that changes nothing */\n")
    result = run_there(checkout)
    assert result.stdout == "[[0, 0, 1]]\n"
    assert result.stderr == (
        "nanotool: the compiled C library is older than its sources; compiling it\n"
    )
    assert run_there(checkout).stderr == ""
    assert not list((checkout / "nanotool" / "runtime").glob(".build-*"))
    source.write_text(text + "\nthis is no C;\n")
    result = run_there(checkout)
    assert result.stdout.startswith("MissingTool The runtime's C library does not compile")
    assert "table.c" in result.stdout
    assert "-m nanotool.runtime.build" in result.stdout


def test_without_a_compiler_the_way_out_is_told(checkout: Path) -> None:
    for extension in (checkout / "nanotool" / "runtime").glob("_nano*.so"):
        extension.unlink()
    result = run_there(checkout, path="")
    assert result.stdout.startswith("MissingTool")
    assert "no C compiler" in result.stdout
    assert "-m nanotool.runtime.build" in result.stdout
    assert "Traceback" not in result.stderr


def test_a_current_extension_is_not_built_again(checkout: Path) -> None:
    run_there(checkout)
    (extension,) = (checkout / "nanotool" / "runtime").glob("_nano*.so")
    modified = extension.stat().st_mtime_ns
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    command = [sys.executable, "-m", "nanotool.runtime.build"]
    result = subprocess.run(
        command, env=environment, cwd=checkout, capture_output=True, text=True, check=True
    )
    assert (result.stdout.strip(), result.stderr) == (str(extension), "")
    assert extension.stat().st_mtime_ns == modified


def test_the_loaded_library_tells_its_sources() -> None:
    module = load()
    text = module.ffi.string(module.lib.nanotool_fingerprint())
    assert text.startswith(build.MARKER)
    assert len(text) == len(build.MARKER) + 16


def test_two_processes_build_at_once(checkout: Path) -> None:
    compile_quickly(checkout)
    for extension in (checkout / "nanotool" / "runtime").glob("_nano*.so"):
        extension.unlink()
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    command = [sys.executable, "-m", "nanotool.runtime.build"]
    running = [
        subprocess.Popen(command, env=environment, cwd=checkout, stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    assert [process.wait() for process in running] == [0, 0]
    assert run_there(checkout).stdout == "[[0, 0, 1]]\n"
