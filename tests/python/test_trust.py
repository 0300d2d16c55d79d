"""Nothing that a user is sent runs code: each format with a payload that would make a file."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from handmade import digits_cnn
from torch import nn

import nanotool
from nanotool import models, qfile
from nanotool.errors import NanoError
from nanotool.files import read_array
from nanotool.report import render
from nanotool.report.about import about_model

Members = dict[str, bytes]
Attack = Callable[[Members, Path], None]
X = np.random.default_rng(0).random((8, 6), np.float32)


class Payload:
    """Unpickled, it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 3)
        self.offset = torch.tensor([1.0, 2.0, 3.0])  # a constant of the program

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.fc(x).reshape(-1, 3) + self.offset
        return result


@pytest.fixture(scope="module")
def members() -> Members:
    """A plain .pt2 file's, with a free batch, below one folder."""
    file = io.BytesIO()
    free = ({0: torch.export.Dim("batch", min=2, max=64)},)
    torch.export.save(
        torch.export.export(Net().eval(), (torch.zeros(2, 6),), dynamic_shapes=free), file
    )
    with zipfile.ZipFile(file) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def pack(members: Members, path: Path, root: str = "net/", kind: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in members.items():
            archive.writestr(root + name, content)
    return path


def pickled(mark: Path) -> bytes:
    file = io.BytesIO()
    torch.save(((Payload(mark),), {}), file)
    return file.getvalue()


# --- .pt2 -----------------------------------------------------------------------------------------


def edit(members: Members, name: str, change: Callable[[Any], None]) -> None:
    value = json.loads(members[name])
    change(value)
    members[name] = json.dumps(value).encode()


def program(members: Members, change: Callable[[Any], None]) -> None:
    edit(members, "models/model.json", change)


def renamed(members: Members, old: str, new: str) -> None:
    text = members["models/model.json"].decode()
    members["models/model.json"] = text.replace(f'"{old}"', json.dumps(new)).encode()


def sample_inputs(members: Members, mark: Path) -> None:
    members["data/sample_inputs/model.pt"] = pickled(mark)


def bare_sample_inputs(members: Members, mark: Path) -> None:
    """As torch.save wrote before it had archives."""
    file = io.BytesIO()
    torch.save((Payload(mark),), file, _use_new_zipfile_serialization=False)
    members["data/sample_inputs/model.pt"] = file.getvalue()


def weights_of_before(members: Members, mark: Path) -> None:
    members["data/weights/model.pt"] = pickled(mark)


def constants_of_before(members: Members, mark: Path) -> None:
    members["data/constants/model.pt"] = pickled(mark)


def pickled_weight(members: Members, mark: Path) -> None:
    def change(config: Any) -> None:
        config["config"]["fc.weight"]["use_pickle"] = True

    edit(members, "data/weights/model_weights_config.json", change)
    members["data/weights/weight_0"] = pickled(mark)


def opaque_constant(members: Members, mark: Path) -> None:
    def change(config: Any) -> None:
        config["config"]["offset"] |= {"path_name": "opaque_obj_0", "use_pickle": True}

    edit(members, "data/constants/model_constants_config.json", change)
    members["data/constants/opaque_obj_0"] = pickle.dumps(Payload(mark))


def size_expression(members: Members, mark: Path) -> None:
    text = members["models/model.json"].decode()
    at = text.index('"expr_str"')
    begin = text.index('"', text.index(":", at)) + 1
    end = text.index('"', begin)
    evil = f"Symbol(str(__import__('os').mkdir('{mark}')))"
    members["models/model.json"] = (text[:begin] + evil + text[end:]).encode()


def input_name(members: Members, mark: Path) -> None:
    renamed(members, "x", f"x=__import__('os').mkdir('{mark}')")


def argument_name(members: Members, mark: Path) -> None:
    def change(value: Any) -> None:
        node = value["graph_module"]["graph"]["nodes"][0]
        node["inputs"][0]["name"] = f"x, y=__import__('os').mkdir('{mark}')"

    program(members, change)


def tree_that_imports(members: Members, mark: Path) -> None:
    mark.with_name("evil.py").write_text(f"import os\nos.mkdir({str(mark)!r})\nclass E: A = 1\n")

    def change(value: Any) -> None:
        signature = value["graph_module"]["module_call_graph"][0]["signature"]
        protocol, tree = json.loads(signature["in_spec"])
        tree["context"] = json.dumps([{"__enum__": True, "fqn": "evil:E", "name": "A"}])
        signature["in_spec"] = json.dumps([protocol, tree])

    program(members, change)


def target_outside_the_operators(members: Members, mark: Path) -> None:
    def change(value: Any) -> None:
        node = value["graph_module"]["graph"]["nodes"][0]
        node["target"] = "torch.os.mkdir"
        node["inputs"] = [{"name": "", "arg": {"as_string": str(mark)}, "kind": 1}]

    program(members, change)


def compiled_library(members: Members, mark: Path) -> None:
    members["data/aotinductor/model/x.so"] = b"\x7fELF"


def unknown_file(members: Members, mark: Path) -> None:
    members["data/other/x.pkl"] = pickled(mark)


RUN_BY_TORCH = (
    *(sample_inputs, bare_sample_inputs, weights_of_before, constants_of_before, pickled_weight),
    *(opaque_constant, size_expression, input_name, tree_that_imports),
)
OTHERS = (argument_name, target_outside_the_operators, compiled_library, unknown_file)


@pytest.mark.parametrize("attack", [*RUN_BY_TORCH, *OTHERS], ids=lambda a: str(a.__name__))
def test_a_program_that_brings_code_is_refused(
    members: Members, attack: Attack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless it is trusted: then torch does what it does."""
    monkeypatch.syspath_prepend(str(tmp_path))
    mark, changed = tmp_path / "mark", dict(members)
    attack(changed, mark)
    file = pack(changed, tmp_path / "net.pt2")
    with pytest.raises(NanoError, match=r"can run any code, so it is refused.*--trust") as caught:
        nanotool.quantize(file, X)
    assert "trust=True" in caught.value.hint and str(file) in caught.value.message
    assert not mark.exists()
    if attack in RUN_BY_TORCH:
        with contextlib.suppress(NanoError):  # the payload comes first
            nanotool.quantize(file, X, trust=True)
        assert mark.exists(), "this torch does not run the payload: the test proves nothing"


@pytest.mark.parametrize("name", ["example_inputs", "state_dict", "constants"])
def test_a_program_of_an_older_torch_is_no_way_in(
    members: Members, name: str, tmp_path: Path
) -> None:
    mark, plain = tmp_path / "mark", io.BytesIO()
    torch.save({}, plain)
    old = {f"serialized_{part}.pt": plain.getvalue() for part in ("state_dict", "constants")}
    old |= {
        "version": b"8.8",
        "serialized_exported_program.json": members["models/model.json"],
        "serialized_example_inputs.pt": members["data/sample_inputs/model.pt"],
        f"serialized_{name}.pt": pickled(mark),
    }
    file = pack(old, tmp_path / "net.pt2", root="")
    with pytest.raises(NanoError, match="can run any code"):
        nanotool.quantize(file, X)
    assert not mark.exists()
    with pytest.raises(NanoError):
        nanotool.quantize(file, X, trust=True)
    assert mark.exists()


def test_a_plain_program_gives_what_its_module_gives(members: Members, tmp_path: Path) -> None:
    """Code in places that nothing needs is left out."""

    def change(value: Any) -> None:
        value["guards_code"] = [f"__import__('os').mkdir({str(tmp_path / 'mark')!r})"]
        value["graph_module"]["graph"]["nodes"][0]["metadata"]["custom"] = "{}"

    changed = dict(members)
    program(changed, change)
    changed["extra/notes.txt"] = b"hello"
    plain = nanotool.quantize(pack(changed, tmp_path / "net.pt2"), X, name="net")
    trusted = nanotool.quantize(pack(members, tmp_path / "net.pt2"), X, name="net", trust=True)
    assert plain.hash == trusted.hash
    assert not (tmp_path / "mark").exists()


def test_an_archive_that_torch_would_not_write_is_refused(members: Members, tmp_path: Path) -> None:
    """Where two readers of one archive could see two things."""
    file = pack(members, tmp_path / "net.pt2", kind=zipfile.ZIP_DEFLATED)
    with pytest.raises(NanoError, match="compressed"):
        nanotool.quantize(file, X)
    pack(members, file)
    with pytest.warns(UserWarning), zipfile.ZipFile(file, "a") as archive:
        archive.writestr("net/models/model.json", b"{}")
    with pytest.raises(NanoError, match="two files of one name"):
        nanotool.quantize(file, X)


# --- Everything else ------------------------------------------------------------------------------


def test_an_array_of_objects_is_refused(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    np.save(tmp_path / "x.npy", np.array([Payload(mark)], object), allow_pickle=True)
    (tmp_path / "bare.npy").write_bytes(pickle.dumps(Payload(mark)))
    np.savez(tmp_path / "x.npz", x=np.array([Payload(mark)], object))
    (tmp_path / "zip.npy").write_bytes((tmp_path / "x.npz").read_bytes())
    for name in ("x.npy", "bare.npy", "x.npz", "zip.npy"):
        with pytest.raises(NanoError):
            read_array(tmp_path / name)
    assert not mark.exists()


@pytest.mark.parametrize("suffix", [".nano", ".tflite"])
def test_a_pickle_is_no_model(tmp_path: Path, suffix: str) -> None:
    mark = tmp_path / "mark"
    for content in (pickle.dumps(Payload(mark)), pickled(mark)):
        (tmp_path / f"x{suffix}").write_bytes(content)
        with pytest.raises(NanoError):
            models.load_model(tmp_path / f"x{suffix}")
    assert not mark.exists()


def test_names_in_a_model_stay_names(tmp_path: Path) -> None:
    """In the report's HTML, and through the template engine; C sources have their own test."""
    evil = "</style><script>alert(1)</script>{{ 7 * 191 }}"
    graph = digits_cnn()
    graph = replace(graph, source=evil, labels=(evil, *map(str, range(1, 10))))
    qfile.save(graph, tmp_path / "x.nano")
    page = render(about_model(models.load_model(tmp_path / "x.nano")))
    assert "<script" not in page and "1337" not in page
    assert "&lt;script&gt;" in page


def test_labels_do_not_command_the_terminal(tmp_path: Path) -> None:
    graph = digits_cnn()
    graph = replace(graph, labels=("\x1b]0;owned\x07", *map(str, range(1, 10))))
    (tmp_path / "x.nano").write_bytes(qfile.to_bytes(graph))
    with pytest.raises(NanoError, match="control characters") as caught:
        models.load_model(tmp_path / "x.nano")
    assert "\x1b" not in str(caught.value)
