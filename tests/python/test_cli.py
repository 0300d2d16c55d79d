"""The command line: what it prints where, its exit codes, its messages, and that it stays quick."""

from __future__ import annotations

import json
import os
import pickle
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from handmade import GraphBuilder
from torch import nn

from nanotool import __version__, qfile, simulate
from nanotool.boards import BOARDS
from nanotool.cli import main
from nanotool.device.line import SerialPort
from nanotool.errors import DeviceError, NanoError
from nanotool.ir import Int8Array, MaxPool2D, QGraph
from nanotool.pipeline import prepare
from nanotool.run import run, verdict
from nanotool.simulate import kernel, kernels
from nanotool.targets import TARGETS

COMMANDS = (
    *("quantize", "export", "new", "info", "plan", "simulate", "build", "flash", "run", "train"),
    "bench",
    *("listen", "measure", "tune", "bisect", "console", "report", "boards", "doctor", "version"),
)
SOURCE = """
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3))
labels = ["red", "green", "blue"]
{calibration}
"""
CALIBRATION = "calibration = torch.rand(20, 1, 8, 8)"


@dataclass
class Outcome:
    code: int
    out: str
    err: str


Cli = Callable[..., Outcome]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run a command line in this process."""

    def call(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["nanotool", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as leaving:
            main()
        printed = capsys.readouterr()
        code = leaving.value.code
        return Outcome(code if isinstance(code, int) else int(bool(code)), printed.out, printed.err)

    return call


def small(seed: int = 0) -> QGraph:
    builder = GraphBuilder("small", (8, 8, 1), seed)
    builder.conv2d("conv", 3)
    builder.max_pool("pool")
    builder.flatten("flat")
    builder.dense("fc", 4)
    return replace(builder.graph(), labels=("n", "e", "s", "w"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "small.nano"
    qfile.save(small(), path)
    return path


def save(path: Path, array: Any) -> Path:
    np.save(path, array)
    return path


def inputs(tmp_path: Path, n: int = 5) -> Path:
    rng = np.random.default_rng(1)
    return save(tmp_path / "x.npy", rng.integers(-128, 128, (n, 8, 8, 1)).astype(np.int8))


def run_process(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command line in a process of its own."""
    command = [sys.executable, "-m", "nanotool", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, **options
    )


# --- help, usage, start-up ------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(cli: Cli, command: str) -> None:
    done = cli(command, "--help")
    assert done.code == 0 and "Examples" in done.out and f"nanotool {command}" in done.out


def test_help_lists_every_command(cli: Cli) -> None:
    done = cli("--help")
    assert done.code == 0 and done.err == ""
    for command in COMMANDS:
        assert re.search(rf"│ {command} ", done.out)


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("info",),
        ("simulate", "x.nano"),
        ("info", "x.nano", "--wat"),
        ("export", "x.nano", "-o", "x", "--golden", "-1"),
        ("quantize", "x.py", "-o", "x.nano", "--observer", "guess"),
        ("console",),
    ],
)
def test_wrong_usage_is_2(cli: Cli, arguments: tuple[str, ...]) -> None:
    done = cli(*arguments)
    assert done.code == 2 and done.out == "" and done.err


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['nanotool', '--help']\n"
        "from nanotool.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'torch', 'PIL', 'jinja2', 'serial', 'prompt_toolkit', 'elftools'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    begin = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    # 0.2 s of a processor; the imports above are the exact check, this one is for surprises.
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert end.ru_utime - begin.ru_utime < 2


def test_version(cli: Cli) -> None:
    for way in ("version", "--version", "-V"):
        assert cli(way).out == f"nanotool {__version__}\n"
    assert json.loads(cli("version", "--json").out) == {"version": __version__}


def test_no_colour_in_a_pipe(model: Path) -> None:
    done = run_process("info", model)
    assert done.returncode == 0 and "\x1b" not in done.stdout


def test_a_terminal_that_knows_no_such_characters(model: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    for command in ("info", "plan"):
        done = run_process(command, model, env=environment)
        assert done.returncode == 0 and done.stderr == ""


def test_a_reader_that_goes_away_is_no_error(model: Path) -> None:
    line = f"{sys.executable} -m nanotool info {model} | true"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_ctrl_c_is_130(tmp_path: Path) -> None:
    source = tmp_path / "slow.py"
    source.write_text("import time, pathlib\npathlib.Path('up').touch()\ntime.sleep(60)\n")
    # A shell's background jobs ignore SIGINT, and so would what they start.
    attentive = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code = attentive + "from nanotool.cli import main; main()"
    command = [sys.executable, "-c", code, "quantize", str(source), "-o", "x.nano"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        end = time.monotonic() + 40
        while not (tmp_path / "up").exists() and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=120)
    assert process.returncode == 130 and "Traceback" not in error


def test_all_but_quantize_works_without_torch(model: Path, tmp_path: Path) -> None:
    commands: list[list[object]] = [
        ["info", model],
        ["plan", model],
        ["simulate", model, "-i", inputs(tmp_path)],
        ["report", model, "-o", tmp_path / "r.html"],
        ["export", model, "-o", tmp_path / "out"],
        ["boards"],
        ["quantize", "x.py", "-o", "x.nano"],
    ]
    code = (
        "import json, sys\n"
        "sys.modules['torch'] = None\n"  # importing it fails
        "from nanotool.cli import main\n"
        "codes = []\n"
        "for command in json.loads(sys.argv[1]):\n"
        "    sys.argv = ['nanotool', *command]\n"
        "    try: main()\n"
        "    except SystemExit as leaving: codes.append(leaving.code)\n"
        "print(codes)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(commands, default=str)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[0, 0, 0, 0, 0, 0, 1]", done.stderr
    assert "nanotool[torch]" in done.stderr


# --- messages -------------------------------------------------------------------------------------


def refused(done: Outcome, *words: str) -> None:
    """Failed with one paragraph on stderr that says ``words``, and nothing else."""
    assert done.code == 1 and done.out == ""
    assert done.err.startswith("error: ") and "Traceback" not in done.err
    assert done.err.count("\n") == 1
    for word in words:
        assert word in done.err


def test_labels_that_are_none(cli: Cli, tmp_path: Path) -> None:
    for number, labels in enumerate(("3", "'abc'")):
        source = tmp_path / f"labels{number}.py"
        source.write_text(f"{SOURCE.format(calibration=CALIBRATION)}labels = {labels}\n")
        done = cli("quantize", source, "-o", tmp_path / "x.nano")
        refused(done, source.name, "`labels` is", "list of names")


def test_options_that_need_a_board(cli: Cli, model: Path, tmp_path: Path) -> None:
    done = cli("report", model, "--port", "/dev/x", "-o", tmp_path / "r.html")
    assert done.code == 2 and "--board" in done.err and not (tmp_path / "r.html").exists()


def test_what_another_program_said_ends_as_a_sentence() -> None:
    assert str(NanoError("It said: no", "Try again.")) == "It said: no. Try again."
    assert str(NanoError("Wrong.", "Try again.")) == "Wrong. Try again."


def test_wrong_models(cli: Cli, tmp_path: Path) -> None:
    refused(cli("info", tmp_path / "none.nano"), "There is no file or folder", "nanotool quantize")
    refused(cli("info", tmp_path), "holds no model.nano", "nanotool export")
    text = tmp_path / "model.txt"
    text.write_text("hello")
    refused(cli("info", text), "no model that nanotool knows", ".nano file", "model folder")
    garbage = tmp_path / "garbage.nano"
    garbage.write_bytes(os.urandom(1000))
    refused(cli("info", garbage), "garbage.nano")
    garbage.write_bytes(b"")
    refused(cli("plan", garbage), "garbage.nano")
    source = tmp_path / "net.py"
    source.touch()
    refused(cli("plan", source), "not quantized yet", f"nanotool quantize {source}")


def test_wrong_inputs(cli: Cli, model: Path, tmp_path: Path) -> None:
    def simulate_with(array: Any) -> Outcome:
        return cli("simulate", model, "-i", save(tmp_path / "bad.npy", array))

    refused(cli("simulate", model, "-i", tmp_path / "none.npy"), "There is no file")
    refused(cli("simulate", model, "-i", tmp_path), "is a folder")
    refused(cli("simulate", model, "-i", model), "not a .npy file", "numpy.save")
    refused(simulate_with(np.zeros((2, 9, 9, 1), np.float32)), "2x9x9x1", "N x 8x8x1")
    refused(simulate_with(np.zeros((8, 8, 1), np.float32)), "x[None]")
    refused(simulate_with(np.zeros((2, 8, 8, 1), np.int64)), "int64")
    refused(simulate_with(np.full((1, 8, 8, 1), np.nan, np.float32)), "NaN")
    refused(simulate_with(np.zeros((0, 8, 8, 1), np.int8)), "no inputs")
    refused(simulate_with(np.array(["a"])), "<U1")
    (tmp_path / "bad.npy").write_bytes(pickle.dumps({"x": 1}))
    refused(cli("simulate", model, "-i", tmp_path / "bad.npy"), "a pickle")
    (tmp_path / "bad.npy").write_bytes(b"")
    refused(cli("simulate", model, "-i", tmp_path / "bad.npy"), "is empty")
    objects = tmp_path / "objects.npy"
    np.save(objects, np.array([{}], object), allow_pickle=True)
    refused(cli("simulate", model, "-i", objects), "plain numbers")
    (tmp_path / "short.npy").write_bytes(inputs(tmp_path).read_bytes()[:-1])
    refused(cli("simulate", model, "-i", tmp_path / "short.npy"), "damaged")


def test_wrong_places_to_write(cli: Cli, model: Path, tmp_path: Path) -> None:
    x = inputs(tmp_path)
    nowhere = tmp_path / "no" / "y.npy"
    refused(cli("simulate", model, "-i", x, "-o", nowhere), "Cannot write", "folder that exists")
    refused(cli("report", model, "-o", tmp_path), "is a folder")
    for command in (("page",), ("report",), ("flash", "--board", "esp32_bare", "--web")):
        # Before anything is read or compiled: the model is not even there.
        name, *options = command
        told = cli(name, tmp_path / "none.nano", *options, "-o", tmp_path / "no" / "page.html")
        refused(told, f"there is no folder {tmp_path / 'no'}", "folder that exists")
    refused(cli("quantize", "x.py", "-o", tmp_path / "x.npy"), "does not end in .nano")


def test_wrong_boards_and_targets(cli: Cli, model: Path, tmp_path: Path) -> None:
    refused(cli("build", model, "-b", "toaster"), "toaster", "native", "stm32")
    refused(cli("plan", model, "--target", "toaster"), "toaster", "portable")
    refused(cli("flash", tmp_path / "none.nano", "-b", "stm32"), "There is no file")


def test_a_port_that_is_none(cli: Cli, tmp_path: Path) -> None:
    refused(cli("console", "--port", tmp_path / "tty"), "Cannot open", "nanotool boards")


# --- quantize -------------------------------------------------------------------------------------


def write_source(tmp_path: Path, calibration: str = CALIBRATION) -> Path:
    path = tmp_path / "colours.py"
    path.write_text(SOURCE.format(calibration=calibration))
    return path


def test_quantize_names_the_worst_layer(cli: Cli, tmp_path: Path) -> None:
    output = tmp_path / "colours.nano"
    done = cli("quantize", write_source(tmp_path), "-o", output)
    assert done.code == 0 and str(output) in done.err
    graph = qfile.load(output)
    assert graph.name == "colours" and graph.labels == ("red", "green", "blue")
    worst = min(graph.quality, key=lambda row: row.sqnr_db)
    assert f"Worst layer: {worst.tensor}" in done.out


def test_quantize_as_json(cli: Cli, tmp_path: Path) -> None:
    output = tmp_path / "colours.nano"
    done = cli("quantize", write_source(tmp_path), "-o", output, "--json", "--name", "rgb")
    value = json.loads(done.out)
    assert value["name"] == "rgb" and value["hash"] == qfile.graph_hash(qfile.load(output))
    assert {row["tensor"] for row in value["layers"]} >= {"0", "3"}


@pytest.mark.parametrize(
    "calibration",
    [
        "calibration = torch.rand(20, 1, 8, 8).numpy()",
        "calibration = [torch.rand(4, 1, 8, 8), torch.rand(3, 1, 8, 8)]",
        "calibration = [(torch.rand(4, 1, 8, 8), torch.zeros(4))]",
        "def calibration():\n    yield torch.rand(4, 1, 8, 8)",
        "def calibration():\n    return torch.rand(4, 1, 8, 8)\nexample = torch.zeros(1, 1, 8, 8)",
    ],
)
def test_calibration_data_in_many_forms(cli: Cli, tmp_path: Path, calibration: str) -> None:
    output = tmp_path / "x.nano"
    assert cli("quantize", write_source(tmp_path, calibration), "-o", output).code == 0
    assert output.is_file()


@pytest.mark.parametrize(
    ("calibration", "words"),
    [
        ("", ("defines no `calibration`", "--calibration")),
        ("calibration = 7", ("`calibration` is int",)),
        ("calibration = []", ("empty",)),
        ("calibration = torch.zeros(0, 1, 8, 8)", ("N at least 1",)),
        ("calibration = torch.full((2, 1, 8, 8), float('nan'))", ("NaN",)),
        ("calibration = [torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 9, 9)]", ("same input shape",)),
        ("calibration = torch.rand(3, 2, 9, 9)", ()),
        ("model = 7\ncalibration = 1", ("`model` is of type int",)),
        ("del model", ("defines no `model`",)),
        ("1 / 0", ("line 7", "ZeroDivisionError")),
        ("def calibration():\n    yield undefined", ("line 8", "NameError")),
        ("raise SystemExit(3)", ("line 7", "SystemExit")),
        ("def (", ("line 7",)),
    ],
)
def test_faulty_sources(cli: Cli, tmp_path: Path, calibration: str, words: tuple[str, ...]) -> None:
    output = tmp_path / "x.nano"
    refused(cli("quantize", write_source(tmp_path, calibration), "-o", output), *words)
    assert not output.exists()


def test_wrong_sources(cli: Cli, tmp_path: Path) -> None:
    output = tmp_path / "x.nano"
    refused(cli("quantize", tmp_path / "none.py", "-o", output), "does not exist")
    refused(cli("quantize", tmp_path, "-o", output), "is a folder")
    refused(cli("quantize", inputs(tmp_path), "-o", output), "is no .py, .pt2 or .onnx file")
    for name, said in (("w.pt", "holds weights"), ("m.tflite", "integers already")):
        (tmp_path / name).touch()
        refused(cli("quantize", tmp_path / name, "-o", output), said)
    program = tmp_path / "x.pt2"
    program.write_bytes(b"hello")
    refused(cli("quantize", program, "-o", output), "no calibration data", "--calibration")
    x = inputs(tmp_path)
    refused(cli("quantize", program, "-c", x, "-o", output), "no program that this torch can load")


def test_a_saved_program(cli: Cli, tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3)).eval()
    program = torch.export.export(net, (torch.zeros(2, 1, 8, 8),))
    torch.export.save(program, tmp_path / "net.pt2")
    x = save(tmp_path / "c.npy", np.random.default_rng(0).random((9, 1, 8, 8), np.float32))
    output = tmp_path / "net.nano"
    done = cli("quantize", tmp_path / "net.pt2", "-c", x, "-o", output, "--observer", "mse")
    assert done.code == 0
    graph = qfile.load(output)
    assert graph.name == "net" and graph.output_tensor.size == 3


# --- looking at a model ---------------------------------------------------------------------------


def test_info(cli: Cli, model: Path) -> None:
    done = cli("info", model)
    assert done.code == 0 and "conv2d 3x3 stride 1 pad 1" in done.out and "max pool 2x2" in done.out
    value = json.loads(cli("info", model, "--json").out)
    assert value["labels"] == ["n", "e", "s", "w"] and value["input"] == "8x8x1"
    assert [op["name"] for op in value["ops"]] == ["conv", "pool", "flat", "fc"]


def test_plan(cli: Cli, model: Path) -> None:
    value = json.loads(cli("plan", model, "--json").out)
    assert f"{value['arena_bytes']:,}" in cli("plan", model).out
    assert max(b["offset"] + b["bytes"] for b in value["blocks"]) <= value["arena_bytes"]


def test_simulate(cli: Cli, model: Path, tmp_path: Path) -> None:
    x, y = inputs(tmp_path), tmp_path / "y.npy"
    expected = simulate.simulate(small(), np.load(x))
    assert cli("simulate", model, "-i", x, "-o", y).code == 0
    assert np.load(y).dtype == np.int8
    np.testing.assert_array_equal(np.load(y), expected)
    assert cli("simulate", model, "-i", x, "-o", y, "--float").code == 0
    np.testing.assert_array_equal(np.load(y), small().output_tensor.dequantize(expected))
    value = json.loads(cli("simulate", model, "-i", x, "--json").out)
    assert value["outputs"] == expected.tolist()
    assert value["input_saturation"] is None
    np.save(x, np.load(x).astype(np.float32) * 100)
    told = cli("simulate", model, "-i", x, "--json")
    assert told.err.startswith("warning: ") and "saturate" in told.err
    assert 0 < json.loads(told.out)["input_saturation"]["share"] <= 1
    assert "outside of what the model covers" in told.err
    assert re.search(r"\b[nesw]\b", cli("simulate", model, "-i", x).out)


def test_export_makes_a_folder_that_is_a_model(cli: Cli, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert cli("export", model, "-o", folder, "--golden", "2").code == 0
    assert (folder / "small.c").is_file() and (folder / "app_model.h").is_file()
    first = json.loads(cli("info", folder, "--json").out)
    assert first == json.loads(cli("info", model, "--json").out)


def test_report(cli: Cli, model: Path, tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    assert cli("report", model, "-o", page).code == 0
    assert page.read_text().startswith("<!doctype html>") and "conv" in page.read_text()


def test_outputs_replace_old_files_whole(cli: Cli, model: Path, tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    page.write_text("old")
    assert cli("report", model, "-o", page).code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.html", "small.nano"]


def test_boards(cli: Cli) -> None:
    assert "stm32" in cli("boards").out
    names = {board["name"] for board in json.loads(cli("boards", "--json").out)["boards"]}
    assert names >= {"native", "stm32"}


def test_doctor_says_what_is_missing(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanotool.doctor.shutil.which", lambda command: None)
    monkeypatch.setattr("nanotool.doctor.Computer.__init__", _blind_computer)
    done = cli("doctor", "--board", "stm32", "--json")
    value = json.loads(done.out)
    assert done.code == 1 and not value["healthy"]
    assert any("gcc-arm-none-eabi" in fix for fix in value["fixes"])
    done = cli("doctor", "--board", "stm32")
    assert done.code == 1 and "apt-get install" in done.out


def _blind_computer(self: Any) -> None:
    """A computer on which no program is found."""
    values = {
        "which": lambda command: None,
        "has_module": lambda name: True,
        "ports": list,
        "may_open": lambda port: True,
        "stand_ins": lambda: False,
        "platformio_packages": Path("/nonexistent"),
    }
    for name, value in values.items():
        object.__setattr__(self, name, value)


# --- boards ---------------------------------------------------------------------------------------


class SimulatedDevice:
    """A board made of the simulator; ``broken`` names a layer whose first byte is flipped."""

    def __init__(self, graph: QGraph, broken: str = "", dead_after: int = 10**9) -> None:
        self.lowered, self.broken, self.left = (
            prepare(graph, BOARDS["stm32"].target)[0],
            broken,
            dead_after,
        )
        self.input: Int8Array = np.zeros(0, np.int8)

    @property
    def graph(self) -> QGraph:
        return self.lowered.graph

    def info(self) -> Any:
        hash = qfile.graph_hash(self.lowered.graph)
        return SimpleNamespace(model="small", hash=hash, ops=len(self.lowered.ops), models=())

    def encode(self, x: Any) -> bytes:
        return bytes(x.tobytes())

    def load(self, data: Any) -> None:
        self.input = np.frombuffer(bytes(data), np.int8)

    def crc(self) -> Any:
        return SimpleNamespace(input=zlib.crc32(self.input.tobytes()))

    def _tensors(self) -> dict[str, Int8Array]:
        graph = self.graph
        values = {graph.input: self.input.reshape(1, *graph.input_tensor.shape)}
        for op in graph.ops:
            one = replace(graph, ops=(op,), inputs=op.inputs, outputs=op.outputs)
            value = simulate.simulate(one, values[op.inputs[0]]).copy()
            if op.name == self.broken:
                value.reshape(-1)[0] ^= 1
            values[op.name] = value
        return values

    def run(self, data: Any) -> Int8Array:
        self.load(data)
        self.left -= 1
        if self.left < 0:
            raise DeviceError("The line broke.", "Plug the board in again.")
        return self._tensors()[self.graph.output].reshape(-1)

    def layers(self) -> Any:
        values = self._tensors()
        rows = [
            SimpleNamespace(index=i, crc=zlib.crc32(values[op.output].tobytes()))
            for i, op in enumerate(self.lowered.ops)
        ]
        return SimpleNamespace(layers=rows)

    def dump(self, index: int) -> Int8Array:
        return self._tensors()[self.lowered.ops[index].output].reshape(-1)


@pytest.mark.parametrize("layer", ["conv", "pool", "fc"])
def test_run_names_the_first_layer_that_differs(layer: str) -> None:
    graph = small()
    (samples,) = graph.samples
    device: Any = SimulatedDevice(graph, broken=layer)
    result = run(device, graph, device.lowered, samples)
    assert result.first is None or layer in result.first.layer.split(" + ")
    assert (result.mismatches > 0) == (len(result.differing) > 0)
    if layer == "fc":
        assert result.mismatches == len(samples) and "fc" in verdict(result)
        assert result.to_json()["first_difference"]["layer"] == "fc"


def test_run_agrees() -> None:
    graph = small()
    (samples,) = graph.samples
    device: Any = SimulatedDevice(graph)
    seen: list[tuple[int, int]] = []
    result = run(device, graph, device.lowered, samples, lambda *step: seen.append(step))
    np.testing.assert_array_equal(result.outputs, simulate.simulate(graph, samples))
    assert result.mismatches == 0 and result.first is None and "0 bytes differ" in verdict(result)
    assert seen[-1] == (len(samples), len(samples))


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> SimulatedDevice:
    """`--port` leads to a board made of the simulator."""
    device = SimulatedDevice(small())

    @contextmanager
    def connect(board: Any, firmware: Any, port: Any = None) -> Iterator[Any]:
        assert port == SerialPort("/dev/fake")
        yield device

    monkeypatch.setattr("nanotool.bench.connect", connect)
    return device


RUN = ("-b", "stm32", "--port", "/dev/fake")


def test_run_over_a_port(cli: Cli, model: Path, tmp_path: Path, board: SimulatedDevice) -> None:
    x, y = inputs(tmp_path), tmp_path / "y.npy"
    done = cli("run", model, "-i", x, "-o", y, *RUN)
    assert done.code == 0 and "0 bytes differ" in done.out
    np.testing.assert_array_equal(np.load(y), simulate.simulate(small(), np.load(x)))
    value = json.loads(cli("run", model, "-i", x, *RUN, "--json").out)
    assert value["mismatches"] == 0 and np.shape(value["outputs"]) == (value["inputs"], 4)


def test_run_on_this_computer(cli: Cli, model: Path, tmp_path: Path) -> None:
    x, y, labels = tmp_path / "x.npy", tmp_path / "y.npy", tmp_path / "labels.npy"
    rng = np.random.default_rng(0)
    np.save(x, rng.integers(-128, 128, (40, *small().input_tensor.shape), np.int8))
    np.save(labels, rng.integers(0, 4, 40))
    done = cli("run", model, "-i", x, "-o", y, "--labels", labels)
    assert done.code == 0 and "40 inputs, the first 32 compared: 0 bytes differ" in done.out
    assert "right" in done.out
    np.testing.assert_array_equal(np.load(y), simulate.simulate(small(), np.load(x)))
    value = json.loads(cli("run", model, "-i", x, "--json").out)
    assert value["board"] is None and not value["emulated"]
    assert (value["inputs"], value["compared"], value["mismatches"]) == (40, 32, 0)
    refused(cli("run", model, "-i", x, "--port", "/dev/ttyUSB0"), "--port is of a board", "--board")


def test_run_fails_where_bytes_differ(
    cli: Cli, model: Path, tmp_path: Path, board: SimulatedDevice
) -> None:
    board.broken = "fc"
    x, y = inputs(tmp_path), tmp_path / "y.npy"
    done = cli("run", model, "-i", x, "-o", y, *RUN)
    assert done.code == 1 and "The first layer that differs is fc: 1 of 4 bytes" in done.out
    assert len(np.load(y)) == 5  # what the board answered is kept, right or not
    value = json.loads(cli("run", model, "-i", x, *RUN, "--json").out)
    assert value["mismatches"] == 5 and value["first_difference"]["layer"] == "fc"


def test_run_with_another_model_on_the_board(
    cli: Cli, model: Path, tmp_path: Path, board: SimulatedDevice
) -> None:
    board.lowered = prepare(small(seed=1), BOARDS["stm32"].target)[0]
    refused(cli("run", model, "-i", inputs(tmp_path), *RUN), "The board runs", "flash")


def test_run_leaves_no_output_when_the_line_breaks(
    cli: Cli, model: Path, tmp_path: Path, board: SimulatedDevice
) -> None:
    board.left = 2
    y = tmp_path / "y.npy"
    refused(cli("run", model, "-i", inputs(tmp_path), "-o", y, *RUN), "The line broke")
    assert not y.exists()


def test_bench_judges_its_inputs_before_it_builds(
    cli: Cli, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nanotool.build.build", None)
    stm32 = ("bench", model, "-b", "stm32", "-i")
    refused(cli(*stm32, tmp_path / "none.npy"), "There is no file")
    refused(cli(*stm32, save(tmp_path / "wide.npy", np.zeros((3, 9, 9, 1)))), "3x9x9x1")
    refused(cli(*stm32, save(tmp_path / "long.npy", np.zeros((3, 8, 8, 1), int))), "type int64")


def test_bisect(cli: Cli, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = cli("bisect", model)
    assert done.code == 0 and "0 bytes differ from TensorFlow Lite Micro" in done.out
    right = kernel.handlers[MaxPool2D]
    wrong: kernels.Kernel = lambda *arguments: right(*arguments) ^ 1  # noqa: E731
    monkeypatch.setitem(kernel.handlers, MaxPool2D, wrong)
    x = inputs(tmp_path)
    done = cli("bisect", model, "-i", x)
    assert done.code == 1 and "first layer that differs is pool" in done.out and done.err == ""
    value = json.loads(cli("bisect", model, "-i", x, "--json").out)
    assert value["first_difference"] == "pool" and value["inputs"] == 5
    monkeypatch.setattr("nanotool.tflm.importlib.util.find_spec", lambda name: None)
    refused(cli("bisect", model), "not installed", "pip install tflite-micro")


def test_a_tflite_file_is_a_model(cli: Cli, model: Path, tmp_path: Path) -> None:
    file = tmp_path / "again.tflite"
    assert cli("export", model, "--format", "tflite", "-o", file).code == 0
    x, y, z = inputs(tmp_path), tmp_path / "y.npy", tmp_path / "z.npy"
    assert cli("simulate", model, "-i", x, "-o", y).code == 0
    assert cli("simulate", file, "-i", x, "-o", z).code == 0
    np.testing.assert_array_equal(np.load(y), np.load(z))
    for command in (("info",), ("plan",), ("bisect",), ("export", "-o", tmp_path / "folder")):
        assert cli(command[0], file, *command[1:]).code == 0
    assert (tmp_path / "folder" / "again.c").is_file()
    file.write_bytes(file.read_bytes()[:100])
    refused(cli("info", file), "again.tflite")


def test_the_name_says_what_an_export_writes(cli: Cli, model: Path, tmp_path: Path) -> None:
    tflite, nano = tmp_path / "out.tflite", tmp_path / "out.nano"
    assert cli("export", model, "-o", tflite).code == 0 and tflite.is_file()
    assert cli("export", tflite, "-o", nano).code == 0 and nano.is_file()
    assert cli("info", nano).code == 0
    assert cli("export", model, "-o", tmp_path / "v1.2").code == 0
    assert (tmp_path / "v1.2" / "app_model.h").is_file()
    for arguments, words in (
        (("-o", "x.tflite", "--format", "c"), "not the name of a folder"),
        (("-o", "x", "--format", "tflite"), "not the name of a .tflite file"),
        (("-o", "x.c"), "folder of C sources"),
        (("-o", "no/x.tflite"), "folder that exists"),
    ):
        refused(cli("export", model, *arguments), words)
    assert cli("export", model, "-o", "x.tflite", "--target", "portable").code == 2


def test_a_model_is_known_by_its_content(cli: Cli, model: Path, tmp_path: Path) -> None:
    """Whatever it was renamed to."""
    tflite = tmp_path / "x.tflite"
    assert cli("export", model, "-o", tflite).code == 0
    for source, name in ((model, "y.tflite"), (model, "y.bin"), (tflite, "y.nano"), (tflite, "y")):
        shutil.copy(source, tmp_path / name)
        assert cli("info", tmp_path / name).code == 0, name


def test_export_is_for_every_target(cli: Cli, model: Path, tmp_path: Path) -> None:
    done = cli("export", model, "-o", tmp_path / "all")
    assert done.code == 0 and all(f"{name}: arena" in done.err for name in TARGETS)
    done = cli("export", model, "-o", tmp_path / "one", "--target", "portable")
    assert done.code == 0 and "portable: arena" in done.err and "armv7em" not in done.err
    done = cli("export", model, "-o", tmp_path / "one", "--target", "portable", "--weights", "bin")
    assert done.code == 0 and len(list((tmp_path / "one").glob("*.portable.bin"))) == 1
    assert cli("export", model, "-o", tmp_path / "one", "--loadable").code == 0
    assert {one.suffix for one in (tmp_path / "one").iterdir()} == {".c", ".h", ".nano", ".weights"}
    assert cli("export", model, "-o", tmp_path / "x.tflite", "--weights", "bin").code == 2


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_the_whole_way_on_native(
    cli: Cli, model: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NANOTOOL_CACHE", str(cache))
    x = inputs(tmp_path, 3)
    built = json.loads(cli("build", model, "-b", "native", "--json").out)
    assert Path(built["elf"]).is_file() and built["board"] == "native"
    done = cli("run", model, "-b", "native", "-i", x)
    assert done.code == 0 and "0 bytes differ" in done.out
    measured = json.loads(cli("bench", model, "-b", "native", "-i", x, "--json").out)
    keys = {"arena_bytes", "stack_bytes", "code_bytes", "weight_bytes", "macs", "mismatches"}
    assert keys | {"board", "model", "hash", "instructions", "cycles"} <= set(measured)
    assert measured["mismatches"] == 0 and measured["inputs"] == 3
    script = ["-c", f":load {x} 1", "-c", "infer 1 0", "-c", "layers"]
    done = cli("console", model, "-b", "native", *script)
    assert done.code == 0 and "conv" in done.out and re.search(r"^[nesw] +-?\d", done.out, re.M)
    done = cli("console", model, "-b", "native", "-c", "nonsense", "--raw")
    assert done.code == 1 and "nonsense" in done.out
    page = tmp_path / "r.html"
    assert cli("report", model, "-b", "native", "-o", page).code == 0
    assert "nanoseconds" in page.read_text()


def test_new_tells_what_comes_next(cli: Cli, tmp_path: Path) -> None:
    model = tmp_path / "small.nano"
    qfile.save(small(), model)
    project = tmp_path / "my project"
    done = cli("new", project, "--kind", "cmake", "--model", model)
    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        *(f"cd '{project}'", "cmake -S . -B build", "cmake --build build", "build/app")
    ]
    assert (project / "model" / "small.h").is_file()
    again = cli("new", project)
    assert again.code == 1 and "is not empty" in again.err
