"""C out: complete, deterministic, strict-clean, right when compiled, and never half written.

Many models more are compiled in test_exported_models.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from exported import COMPILE, compile_c
from handmade import GraphBuilder, digits_cnn
from objects import library_objects
from operators import OPERATORS, Draw, operator_graph
from random_graphs import random_graph, random_inputs

import nanotool
from nanotool import qfile, targets
from nanotool.backends import c
from nanotool.backends.c import emit, folder, text
from nanotool.errors import InvalidModel, NanoError
from nanotool.identifiers import c_comment, c_string, layer_symbols, model_identifier
from nanotool.ir import DTYPES, Concat, Int8Array, Lowered, Plan, QGraph, QTensor, Quantize, Softmax
from nanotool.lower import ABI, ARRAY_ENDINGS, MODEL_SYMBOLS, lower
from nanotool.plan import plan
from nanotool.simulate import simulate
from nanotool.sources import lib_dir

CC = "cc"
MAIN = """
#include <stdio.h>
#include "app_model.h"
#include "nano/nano.h"

/* Inputs come from stdin, outputs go to stdout. */
int main(void) {
    NANO_ALIGNED static uint8_t room[APP_ARENA_SIZE];
    nano_arena arena;
    nano_net net;
    if (nano_arena_init(&arena, room, sizeof room) != NANO_OK)
        return 1;
    if (nano_init(&net, &APP_MODEL, &arena) != NANO_OK)
        return 2;
    while (fread(nano_input(&net), 1, APP_INPUT_SIZE, stdin) == APP_INPUT_SIZE) {
        if (nano_run(&net) != NANO_OK)
            return 3;
        fwrite(nano_output(&net), 1, APP_OUTPUT_SIZE, stdout);
    }
    return 0;
}
"""


def lowered(graph: QGraph) -> tuple[Lowered, Plan]:
    low = lower(graph)
    return low, plan(low)


def files_of(graph: QGraph) -> dict[str, str]:
    """The C sources by name."""
    return {
        name: content.decode("ascii")
        for name, content in emit.sources([lowered(graph)]).items()
        if name.endswith((".c", ".h"))
    }


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The object files of lib/nano."""
    return library_objects(COMPILE, tmp_path_factory)


@pytest.fixture
def run_exported(library: list[Path], tmp_path: Path) -> Callable[[QGraph, Int8Array], Int8Array]:
    """Export, compile, run: the outputs of the exported C."""
    main = tmp_path / "main.c"
    main.write_text(MAIN)

    def run(graph: QGraph, x: Int8Array) -> Int8Array:
        model = tmp_path / graph.name
        c.export([lowered(graph)], model)
        program = tmp_path / f"{graph.name}.run"
        sources = sorted(model.glob("*.c"))
        compile_c(f"-I{model}", main, *sources, *library, "-o", program)
        # Run in a folder of its own, so that a crash leaves nothing in the tree.
        out = subprocess.run(
            [program], input=x.tobytes(), capture_output=True, check=False, cwd=tmp_path
        )
        assert out.returncode == 0, out.stderr.decode()
        y = np.frombuffer(out.stdout, DTYPES[graph.output_tensor.dtype])
        return y.reshape(len(x), *graph.output_tensor.shape)

    return run


# --- The C is right -------------------------------------------------------------------------------


def test_exported_digits_equal_the_simulator(
    run_exported: Callable[[QGraph, Int8Array], Int8Array],
) -> None:
    graph = digits_cnn()
    x = random_inputs(graph, 20)
    assert np.array_equal(run_exported(graph, x), simulate(graph, x))


def test_a_model_of_reshapes_only(
    run_exported: Callable[[QGraph, Int8Array], Int8Array],
) -> None:
    b = GraphBuilder("still", (3, 4, 2))
    b.flatten("flatten.1")
    x = random_inputs(b.graph(), 5)
    assert np.array_equal(run_exported(b.graph(), x), x.reshape(5, 24))
    source = files_of(b.graph())["still.c"]
    assert ".op_count = 0" in source
    assert ".ops = NULL" in source
    assert "flatten.1  reshape" in source


ODD_NAMES = ("a.b", "a_b", 'quote"\\', "*/ int x; /*", "??/", "été", "model", "(x) [1]", "%s")


@pytest.mark.parametrize("name", ["int", "string", "nano", "Nano_x", "app_model", "stdint", "_x__"])
def test_odd_names(
    run_exported: Callable[[QGraph, Int8Array], Int8Array], name: str, tmp_path: Path
) -> None:
    b = GraphBuilder("odd", (6,))
    for layer in ODD_NAMES:
        b.dense(layer, 6)
    graph = replace(b.graph(), name=name, labels=("*/", "b", "??/", "été", "e", "f"))
    x = random_inputs(graph, 3)
    assert np.array_equal(run_exported(graph, x), simulate(graph, x))
    names = {path.name for path in (tmp_path / name).iterdir()}
    assert not names & {"int.h", "string.h", "nano.h", "stdint.h"}
    golden = next((tmp_path / name).glob("*_golden.h"))
    compile_c("-fsyntax-only", "-Wno-unused", f"-I{tmp_path / name}", golden)


def test_layer_names_reach_the_console_unchanged(library: list[Path], tmp_path: Path) -> None:
    b = GraphBuilder("odd", (6,))
    for layer in ODD_NAMES:
        b.dense(layer, 6)
    c.export([lowered(b.graph())], tmp_path / "m")
    main = tmp_path / "main.c"
    main.write_text(
        '#include <stdio.h>\n#include "odd.h"\nint main(void) {\n'
        "    for (int i = 0; i < odd_model.op_count; i++) puts(odd_model.op_names[i]);\n}\n"
    )
    sources = sorted((tmp_path / "m").glob("*.c"))
    compile_c(f"-I{tmp_path / 'm'}", main, *sources, *library, "-o", tmp_path / "names")
    printed = subprocess.run([tmp_path / "names"], capture_output=True, check=True).stdout
    assert printed.decode().splitlines() == list(ODD_NAMES)


def test_headers_are_good_cplusplus(tmp_path: Path) -> None:
    c.export([lowered(digits_cnn())], tmp_path / "m")
    includes = '#include "app_model.h"\n#include "digits_weights.h"\n#include "digits_golden.h"\n'
    (tmp_path / "x.cpp").write_text(includes + "const nano_model *m = &digits_model;\n")
    command = ["c++", "-std=c++11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    paths = [f"-I{tmp_path / 'm'}", f"-I{lib_dir() / 'include'}", str(tmp_path / "x.cpp")]
    result = subprocess.run([*command, *paths], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_a_source_for_another_abi_does_not_compile(tmp_path: Path) -> None:
    c.export([lowered(digits_cnn())], tmp_path / "m")
    include = tmp_path / "include"
    shutil.copytree(lib_dir() / "include", include)
    config = include / "nano" / "config.h"
    source = config.read_text()
    number = int(re.search(r"#define NANO_ABI (\d+)", source)[1])  # type: ignore[index]
    assert number == ABI
    config.write_text(source.replace(f"NANO_ABI {number}", f"NANO_ABI {number + 1}"))
    command = [CC, "-std=c99", f"-I{include}", "-c", str(tmp_path / "m" / "digits.c")]
    result = subprocess.run(
        [*command, "-o", str(tmp_path / "x.o")], capture_output=True, text=True, check=False
    )
    assert result.returncode != 0
    wanted = f"export digits again (nanotool export): it is for NANO_ABI {number}"
    assert wanted in result.stderr


# --- The C reads well -----------------------------------------------------------------------------


def test_every_layer_is_described() -> None:
    source = files_of(digits_cnn())["digits.c"]
    assert (
        "/* 0  features.0 + features.2  conv2d 3x3 stride 1 pad 1 + max pool 2x2 stride 2\n"
        " *   28x28x1 -> 14x14x8, ReLU\n"
    ) in source
    assert "in 0.00392157/-128  out" in source
    assert "56,448 MAC  144 B weights" in source
    assert "arena 844..1628 -> 8..1576  scratch 1628..1660 */" in source
    assert "/* -  flatten  reshape  7x7x16 -> 784: the same bytes, nothing to do */" in source
    assert "1,660 bytes of arena" in source


def test_banner_and_sizes() -> None:
    graph = digits_cnn()
    files = files_of(graph)
    for name, content in files.items():
        first = content.splitlines()[0]
        assert first.startswith(f"/* {name} - ")
        assert first.endswith(f"Made by nanotool {nanotool.__version__}; do not edit.")
        assert f"hash {qfile.graph_hash(graph)}" in content
        assert "target portable, optimize balanced" in content
    assert "#define DIGITS_ARENA_SIZE 1660u" in files["digits.h"]
    assert "#define DIGITS_INPUT_SIZE 784u" in files["digits.h"]
    assert "#define DIGITS_OUTPUT_SIZE 10u" in files["digits.h"]


def test_scales_and_labels_are_constants(library: list[Path], tmp_path: Path) -> None:
    names = ("plain", 'a "b" ??/ \\', "gr\u00fcn", "", *"456789")
    graph = digits_cnn()
    output = graph.output_tensor
    c.export([lowered(replace(graph, name="m", labels=names))], tmp_path / "m")
    main = tmp_path / "main.c"
    main.write_text(
        '#include <stdio.h>\n#include "m.h"\n'
        "static const char *const labels[] = M_LABELS;\n"
        "int main(void) { for (unsigned i = 0; i < M_LABEL_COUNT; i++) puts(labels[i]);\n"
        '    printf("%.9g %d", (double)M_OUTPUT_SCALE, M_OUTPUT_ZERO_POINT); return 0; }\n'
    )
    compile_c(f"-I{tmp_path / 'm'}", main, "-o", tmp_path / "main")
    told = subprocess.run([tmp_path / "main"], capture_output=True, check=True).stdout.decode()
    assert told.split("\n") == [*names, f"{output.scale:.9g} {output.zero_point}"]


def test_lines_are_tidy() -> None:
    draw = Draw(np.random.default_rng(1))
    pieces = [QTensor(f"piece.number.{i}", (1, 1, 2, 3), 0.1, 0) for i in range(40)]
    draw.cut(*pieces)
    names = [piece.name for piece in pieces]
    draw.add(Concat(1), QTensor("output", (1, 40, 2, 3), 0.1, 0), *names)
    graphs = [draw.graph("wide"), *(random_graph(seed) for seed in range(12))]
    graphs += [operator_graph(kind, seed) for kind in OPERATORS for seed in range(3)]
    for graph in graphs:
        check_lines(replace(graph, name="m"))


def check_lines(graph: QGraph) -> None:
    for name, content in files_of(graph).items():
        assert content.endswith("\n"), name
        assert not content.endswith("\n\n"), name
        assert "\n\n\n" not in content, name
        for line in content.splitlines():
            assert len(line) <= 100, (name, line)
            assert line == line.rstrip(), (name, line)
            assert "\t" not in line


def test_arrays_stand_in_columns() -> None:
    data = np.array([-128, 127, 0, 5] * 9, np.int8)
    rows = text.number_rows(data)
    assert rows[0] == "    " + " ".join(["-128,", " 127,", "   0,", "   5,"] * 4)
    assert len(rows) == 3
    assert rows[2] == "    -128,  127,    0,    5,"
    assert text.number_rows(np.array([-(2**31), 2**31 - 1], np.int32)) == [
        "    -2147483648,  2147483647,"
    ]


@pytest.mark.parametrize("value", [1.0, 1e-20, 0.1, 1 / 3, 3.4e38, 1.17549435e-38, 16777216.0])
def test_floats_read_back_exactly(value: float) -> None:
    exact = float(np.float32(value))
    literal = text.float_literal(exact)
    assert re.fullmatch(r"\d+(\.\d+)?(e[+-]\d+)?f", literal)
    assert "." in literal or "e" in literal
    assert float(np.float32(literal[:-1])) == exact


def test_weights_are_all_there() -> None:
    graph = digits_cnn()
    source = files_of(graph)["digits_weights.c"]
    for name in ("features.0", "features.3", "classifier"):
        weight = graph.op(name).weight
        assert weight is not None
        symbol = f"digits_{name.replace('.', '_')}_weights[{weight.size}]"
        body = source.split(symbol + " = {", 1)[1].split("};", 1)[0]
        assert [int(n) for n in body.replace(",", " ").split()] == weight.reshape(-1).tolist()


# --- Golden vectors -------------------------------------------------------------------------------


def golden(graph: QGraph, count: int) -> str:
    return emit.sources([lowered(graph)], golden=count)[f"{graph.name}_golden.h"].decode()


def test_golden_vectors_are_samples_with_their_answers() -> None:
    graph = digits_cnn()
    header = golden(graph, 3)
    x = graph.samples[0][:3]
    y = simulate(graph, x)
    crcs = re.findall(r"0x([0-9A-F]{8})u", header)
    assert crcs == [f"{zlib.crc32(v.tobytes()):08X}" for v in (*x, *y)]
    numbers = re.findall(r"(?<=[ {])(-?\d+)(?=,)", header.split("GOLDEN_COUNT 3u", 1)[1])
    flat = np.concatenate([x.reshape(-1), y.reshape(-1)]).tolist()
    assert [int(n) for n in numbers][: len(flat)] == flat
    assert "inputs from the calibration data" in header


def test_golden_vectors_are_made_where_samples_are_missing() -> None:
    graph = replace(digits_cnn(), samples=())
    assert "inputs are noise" in golden(graph, 2)
    assert "4 inputs from the calibration data, then noise" in golden(digits_cnn(), 6)
    assert golden(graph, 2) == golden(graph, 2)
    assert "digits_golden.h" not in emit.sources([lowered(graph)], golden=0)


# --- Deterministic --------------------------------------------------------------------------------


def test_the_same_model_gives_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    c.export([lowered(digits_cnn())], tmp_path / "here")
    program = (
        "import sys; from pathlib import Path; from handmade import digits_cnn\n"
        "from nanotool.lower import lower; from nanotool.plan import plan\n"
        "from nanotool.backends import c\n"
        "low = lower(digits_cnn()); c.export([(low, plan(low))], Path(sys.argv[1]))\n"
    )
    here = Path(__file__).parent
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(here), str(here.parent.parent))),
        "PYTHONHASHSEED": "77",
        "TZ": "Pacific/Apia",
        "LC_ALL": "C",
    }
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "there")],
        check=True,
        env=environment,
        cwd=tmp_path,
    )
    for path in (tmp_path / "here").iterdir():
        assert path.read_bytes() == (tmp_path / "there" / path.name).read_bytes(), path.name
        assert str(tmp_path).encode() not in path.read_bytes()


def test_the_folder_is_a_model_for_nanotool_too(tmp_path: Path) -> None:
    graph = digits_cnn()
    c.export([lowered(graph)], tmp_path / "m")
    again = qfile.load(tmp_path / "m" / "model.nano")
    assert qfile.to_bytes(again) == qfile.to_bytes(graph)


# --- Several targets ------------------------------------------------------------------------------


@pytest.fixture
def two_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {
        name: targets.Target(name, name, guard)
        for name, guard in (("never", "defined(__NO_SUCH__)"), ("gnu", "defined(__GNUC__)"))
    }
    merged = MappingProxyType({**targets.TARGETS, **extra})
    monkeypatch.setattr(targets, "TARGETS", merged)


@pytest.mark.usefixtures("two_targets")
def test_each_target_stands_under_its_guard(library: list[Path], tmp_path: Path) -> None:
    graph = digits_cnn()
    pairs = [(low, plan(low)) for low in (lower(graph, "portable"), lower(graph, "never"))]
    c.export(pairs, tmp_path / "m")
    source = (tmp_path / "m" / "digits.c").read_text()
    assert source.index("#if defined(__NO_SUCH__)") < source.index("#else  /* target portable */")
    assert "not for this compiler" not in source
    (tmp_path / "main.c").write_text(MAIN)
    sources = sorted((tmp_path / "m").glob("*.c"))
    compile_c(f"-I{tmp_path / 'm'}", tmp_path / "main.c", *sources, *library, "-o", tmp_path / "p")


@pytest.mark.usefixtures("two_targets")
def test_no_fitting_target_is_an_error_with_the_models_name(tmp_path: Path) -> None:
    low = lower(digits_cnn(), "never")
    c.export([(low, plan(low))], tmp_path / "m")
    command = [CC, f"-I{lib_dir() / 'include'}", "-fsyntax-only", str(tmp_path / "m" / "digits.c")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "digits was exported for never, not for this compiler" in result.stderr
    low = lower(digits_cnn(), "gnu")
    c.export([(low, plan(low))], tmp_path / "m")
    compile_c("-fsyntax-only", tmp_path / "m" / "digits.c")


def test_contradicting_exports_are_refused(tmp_path: Path) -> None:
    digits = lowered(digits_cnn())
    with pytest.raises(InvalidModel, match="nothing to export"):
        c.export([], tmp_path / "m")
    with pytest.raises(InvalidModel, match="twice"):
        c.export([digits, digits], tmp_path / "m")
    assert not list(tmp_path.iterdir())


# --- The folder -----------------------------------------------------------------------------------


def snapshot(path: Path) -> dict[str, bytes]:
    return {entry.name: entry.read_bytes() for entry in path.iterdir()}


def test_a_failed_export_leaves_the_old_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "m"
    c.export([lowered(digits_cnn())], model)
    before = snapshot(model)
    other = lowered(random_graph(3))

    def no_space(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.write", no_space)
        with pytest.raises(NanoError, match=r"No space left.*Make room"):
            c.export([other], model)
    assert snapshot(model) == before
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


@pytest.mark.parametrize("how", ["exchanged", "renamed twice"])
def test_a_refused_rename_leaves_the_old_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    model = tmp_path / "m"
    c.export([lowered(digits_cnn())], model)
    before = snapshot(model)
    real, calls = os.rename, []

    def fails(*names: Path) -> bool:
        calls.append(names)
        if len(calls) == 3 or how == "exchanged":
            raise OSError(5, "Input/output error")
        real(*names)
        return False

    if how == "exchanged":
        monkeypatch.setattr(folder, "exchange", fails)
    else:
        monkeypatch.setattr(folder, "exchange", lambda *_: False)
        monkeypatch.setattr("os.rename", fails)
    with pytest.raises(NanoError, match="Input/output"):
        c.export([lowered(random_graph(3))], model)
    assert len(calls) == (1 if how == "exchanged" else 4)
    assert snapshot(model) == before
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_an_export_replaces_another_model_whole(tmp_path: Path) -> None:
    model = tmp_path / "deep" / "m"
    c.export([lowered(digits_cnn())], model)
    c.export([lowered(random_graph(3))], model)
    names = sorted(path.name for path in model.iterdir())
    assert "digits.c" not in names
    assert "random_3.c" in names
    assert [path.name for path in model.parent.iterdir()] == ["m"]
    assert c.is_model_folder(model)


@pytest.mark.parametrize("other", ["notes.txt", "main.c", "app_model.h", "sub"])
def test_a_folder_with_other_files_is_left_alone(tmp_path: Path, other: str) -> None:
    if other == "sub":
        (tmp_path / other).mkdir()
    else:
        (tmp_path / other).write_text("/* mine */\n")
    with pytest.raises(NanoError, match=re.escape(other)) as error:
        c.export([lowered(digits_cnn())], tmp_path)
    assert error.value.hint
    assert [path.name for path in tmp_path.iterdir()] == [other]
    assert not c.is_model_folder(tmp_path)


def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "m").write_text("mine")
    with pytest.raises(NanoError, match="is a file"):
        c.export([lowered(digits_cnn())], tmp_path / "m")
    with pytest.raises(NanoError, match="Cannot write"):
        c.export([lowered(digits_cnn())], tmp_path / "m" / "below")


def test_a_link_to_a_model_folder_stays_a_link(tmp_path: Path) -> None:
    c.export([lowered(digits_cnn())], tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    c.export([lowered(random_graph(3))], tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "random_3.c").is_file()


def test_marked_files_only_count_as_generated(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("int x;\n/* " + folder.MARK + " */\n")
    with pytest.raises(NanoError, match=r"a\.c"):
        c.check_replaceable(tmp_path)


# --- Names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("digits", "digits"),
        ("My Net-2", "My_Net_2"),
        ("2fast", "model_2fast"),
        ("", "model"),
        ("été", "t"),
        ("while", "model_while"),
        ("STRING", "model_STRING"),
        ("nano_kws", "model_nano_kws"),
        ("nanobot", "nanobot"),
        ("__x__", "x"),
    ],
)
def test_model_identifiers(name: str, identifier: str) -> None:
    assert model_identifier(name) == identifier


def test_layer_symbols_keep_clear_of_each_other_and_of_the_models_own() -> None:
    names = ["conv", "conv_weights", "Conv", "ops", "golden_input", "conv_2", ""]
    symbols = layer_symbols(names, ARRAY_ENDINGS, MODEL_SYMBOLS)
    assert symbols == [
        *("conv", "conv_weights_2", "Conv_2", "ops_2", "golden_input_2", "conv_2_2", "layer")
    ]


def test_comments_and_strings_hold_anything() -> None:
    for text_ in ("*/", "/*", "/*/", "**//", "??/", "???", "é\n\\", "\u202e", "\x00"):
        comment = c_comment(text_)
        assert comment.isascii()
        assert comment.isprintable()
        assert not {"*/", "/*", "??"} & {comment[i : i + 2] for i in range(len(comment))}
    assert c_string('a"b\\?é\n') == '"a\\"b\\\\\\?\\303\\251\\012"'


def test_softmax_and_tables_are_described() -> None:
    b = GraphBuilder("act", (4, 6))
    b.softmax("probabilities")
    assert isinstance(b.ops[0].op, Softmax)
    source = files_of(b.graph())["act.c"]
    assert "probabilities  softmax  4x6 -> 4x6" in source
    assert "nano_softmax_params" in source


def test_concats_are_described_part_by_part() -> None:
    draw = Draw(np.random.default_rng(1))
    pieces = [QTensor(name, (2, 3), 0.1, 0) for name in ("left", "middle", "right")]
    draw.cut(*pieces[::2])
    draw.constant(pieces[1])
    whole = QTensor("output", (6, 3), 0.1, 0)
    draw.add(Concat(0), whole, "left", "middle", "right")
    source = files_of(draw.graph("joined"))["joined.c"]
    assert "output (part 1)  concat along axis 0  2x3, 2x3, 2x3 -> 6x3" in source
    assert "output (part 2)  concat" in source
    assert ".constant = joined_output_3_constant" in source
    assert source.count(".out_size = 0}") == 2
    assert source.count(".out_size = 18}") == 1


def test_borders_of_other_types() -> None:
    """A float comes in; floats stand in the golden vectors; sizes are bytes."""
    draw = Draw(np.random.default_rng(1))
    draw.input((2, 3), "float32")
    draw.add(Quantize(), QTensor("inner", (2, 3), 0.05, 3), "input")
    draw.add(Quantize(), QTensor("output", (2, 3), 1, 0, "float32"), "inner")
    graph = draw.graph("floats")
    files = files_of(graph)
    assert "#define FLOATS_INPUT_SIZE 24u" in files["floats.h"]
    assert ".size = 24," in files["floats.c"]
    assert files["floats.c"].count(".type = NANO_FLOAT32") == 2
    header = files["floats_golden.h"]
    vector = "static const float floats_golden_input[FLOATS_GOLDEN_COUNT][FLOATS_INPUT_SIZE / 4]"
    assert vector in header
    (x,), _ = emit.golden_inputs(graph, 4)
    y = simulate(graph, x)
    numbers = [float(n) for n in re.findall(r"(-?[\d.]+(?:e[+-]\d+)?)f,", header)]
    expected = np.concatenate([x.reshape(-1), y.reshape(-1)])
    assert np.array_equal(np.array(numbers, np.float32), expected)
    crcs = re.findall(r"0x([0-9A-F]{8})u", header)
    assert crcs == [f"{zlib.crc32(v.tobytes()):08X}" for v in (*x, *y)]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "float32"])
def test_noise_has_the_type_of_the_input(dtype: str) -> None:
    """An element a byte of noise, whatever it takes; all of int8's and int16's range."""
    noise = np.array([-128, 0, 127], np.int8)
    made = emit.noise_of_type(noise, np.dtype(dtype))
    assert made.dtype == dtype and made.shape == (3,)
    if dtype == "int16":
        assert made.tolist() == [-32768, 0, 32512]
