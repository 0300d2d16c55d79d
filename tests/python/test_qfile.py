"""The .nano file: exact, deterministic, and never believed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_graphs import ALL, random_graph

from nanotool.errors import InvalidModel, NanoError
from nanotool.inputs import to_device
from nanotool.ir import LayerQuality, QGraph
from nanotool.qfile import (
    CAMERA,
    GENERAL,
    MAGIC,
    PREFIX,
    SIMPLE,
    STREAM,
    from_bytes,
    graph_hash,
    load,
    save,
    to_bytes,
)
from nanotool.sensing.description import FORMATS
from nanotool.sensing.stream import Stream
from nanotool.simulate import simulate, simulate_steps

MODELS = Path(__file__).resolve().parents[1] / "models"
FUZZ = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


def example(seed: int = 3) -> QGraph:
    graph = random_graph(seed)
    quality = (LayerQuality(graph.input, float("inf"), 0.0), LayerQuality(graph.output, 31.5, 0.25))
    samples = np.arange(2 * graph.input_tensor.size).astype(np.int8)
    return replace(
        graph,
        quality=quality,
        samples=(samples.reshape(2, *graph.input_tensor.shape),),
        labels=tuple(f"Ä{i}" for i in range(graph.output_tensor.size)),
        source="torch: Netz",
    )


def any_graph(seed: int) -> QGraph:
    """Of every operator, with constants, other types at the borders."""
    return random_graph(seed, kinds=ALL, borders=True)


def same(one: Any, two: Any) -> bool:
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape) == (two.dtype, two.shape) and np.array_equal(one, two)
    if isinstance(one, tuple):
        return len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, Mapping):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    return bool(one == two)


def assert_same(one: QGraph, two: QGraph) -> None:
    assert len(one.ops) == len(two.ops)
    for left, right in zip(one.ops, two.ops, strict=True):
        for field in fields(left):
            assert same(getattr(left, field.name), getattr(right, field.name)), field.name
    for field in fields(one):
        if field.name != "ops":
            assert same(getattr(one, field.name), getattr(two, field.name)), field.name


@pytest.mark.parametrize("seed", range(60))
def test_there_and_back(seed: int) -> None:
    graph = any_graph(seed)
    content = to_bytes(graph)
    assert_same(from_bytes(content), graph)
    assert to_bytes(from_bytes(content)) == content


def test_everything_is_kept() -> None:
    graph = example()
    assert_same(from_bytes(to_bytes(graph)), graph)


def test_save_and_load(tmp_path: Path) -> None:
    path = tmp_path / "m.nano"
    save(example(3), path)
    save(example(4), str(path))
    assert_same(load(path), example(4))
    assert [file.name for file in tmp_path.iterdir()] == ["m.nano"]


def test_an_unsound_graph_is_not_saved(tmp_path: Path) -> None:
    path = tmp_path / "m.nano"
    save(example(), path)
    before = path.read_bytes()
    with pytest.raises(InvalidModel):
        save(replace(example(), name="no identifier"), path)
    assert path.read_bytes() == before


def test_the_order_of_the_tensors_does_not_show() -> None:
    graph = example()
    turned = replace(graph, tensors=dict(reversed(list(graph.tensors.items()))))
    assert to_bytes(turned) == to_bytes(graph)


# --- The hash -------------------------------------------------------------------------------------


def test_hash_is_of_what_is_computed() -> None:
    graph = example()
    digits = graph_hash(graph)
    assert len(digits) == 16
    assert int(digits, 16) >= 0
    bare = replace(graph, quality=(), samples=(), source="", labels=(), name="other")
    assert graph_hash(bare) == digits
    assert graph_hash(from_bytes(to_bytes(graph))) == digits


def test_hash_sees_every_number() -> None:
    graph = example()
    seen = {graph_hash(graph)}
    changed = []
    for i, op in enumerate(graph.ops):
        variants = [replace(op, clamp=(op.clamp[0], op.clamp[1] - 1))]
        if op.weight is not None and op.weight_scale is not None:
            variants += [
                replace(op, weight=op.weight ^ 1),
                replace(op, weight_scale=op.weight_scale * 2),
            ]
        if op.bias is not None:
            variants.append(replace(op, bias=op.bias + 1))
        changed += [
            replace(graph, ops=(*graph.ops[:i], variant, *graph.ops[i + 1 :]))
            for variant in variants
        ]
    for name, tensor in graph.tensors.items():
        other = replace(tensor, scale=tensor.scale * 2)
        changed.append(replace(graph, tensors={**graph.tensors, name: other}))
    seen |= {graph_hash(other) for other in changed}
    assert len(seen) == len(changed) + 1


# --- Bad files ------------------------------------------------------------------------------------


def test_no_file_and_not_our_file(tmp_path: Path) -> None:
    with pytest.raises(NanoError, match="Cannot read"):
        load(tmp_path / "absent.nano")
    with pytest.raises(NanoError, match="Cannot read"):
        load(tmp_path)
    other = tmp_path / "other.nano"
    other.write_bytes(b"TFL3" * 30)
    with pytest.raises(InvalidModel, match=r"other\.nano: This is no \.nano file"):
        load(other)


@pytest.mark.parametrize(("version", "hint"), [(0, "quantize"), (CAMERA + 1, "Update nanotool")])
def test_another_version(version: int, hint: str) -> None:
    content = bytearray(to_bytes(example()))
    content[len(MAGIC)] = version
    with pytest.raises(
        InvalidModel, match=f"version {version}.* reads {SIMPLE} to {CAMERA}"
    ) as caught:
        from_bytes(bytes(content))
    assert hint in caught.value.hint


@pytest.mark.parametrize("version", range(1, SIMPLE + 1))
def test_stored_files_of_every_version(version: int) -> None:
    """docs/compatibility.md: an old file computes what it did, or says the way out."""
    with np.load(MODELS / f"format_{version}.npz") as stored:
        kinds = [name.removesuffix(".nano") for name in stored if name.endswith(".nano")]
        files = {kind: stored[f"{kind}.nano"].tobytes() for kind in kinds}
        assert {PREFIX.unpack_from(content)[1] for content in files.values()} == {version}
        graphs = {kind: from_bytes(content) for kind, content in files.items()}
        for kind, graph in graphs.items():
            assert same(simulate(graph, stored[f"{kind}.x"]), stored[f"{kind}.y"]), kind
    told = graphs["dense"]
    assert told.labels[-1] == "Ä59" and told.samples and told.source == "torch: Netz"
    assert told.quality[1] == LayerQuality(told.output, 31.5, 0.25)


def test_stored_files_of_models_with_states() -> None:
    """Format 2: several inputs and outputs, states, layers that write several tensors."""
    with np.load(MODELS / "format_2.npz") as stored:
        kinds = [name.removesuffix(".nano") for name in stored if name.endswith(".nano")]
        for kind in kinds:
            content = stored[f"{kind}.nano"].tobytes()
            assert PREFIX.unpack_from(content)[1] == GENERAL
            graph = from_bytes(content)
            assert graph.states and to_bytes(graph) == content
            steps = [stored[f"{kind}.x{i}"] for i in range(len(graph.inputs))]
            for number, y in enumerate(simulate_steps(graph, steps)[0]):
                assert same(y, stored[f"{kind}.y{number}"]), kind
        told = from_bytes(stored["several ends.nano"].tobytes())
    assert {"several ends", "lstm", "svdf int8", "svdf int16", "exchanged"} == {*kinds}
    assert told.labels[2] == "Ä" and len(told.samples) == 2 and told.source == "torch: Netz"


def test_stored_files_of_models_that_listen() -> None:
    """Format 3: every front end, rules of every kind."""
    with np.load(MODELS / "format_3.npz") as stored:
        kinds = [name.removesuffix(".nano") for name in stored if name.endswith(".nano")]
        for kind in kinds:
            content = stored[f"{kind}.nano"].tobytes()
            assert PREFIX.unpack_from(content)[1] == STREAM
            graph = from_bytes(content)
            assert to_bytes(graph) == content
            heard = Stream(graph).feed(stored[f"{kind}.x"])
            assert same(heard.outputs, stored[f"{kind}.y"]), kind
            made = [(one.step, one.index, one.sum) for one in heard.decisions]
            assert made == [tuple(row) for row in stored[f"{kind}.d"].tolist()], kind
    assert {"micro_frontend", "mel", "mfcc", "sensor"} == {*kinds}


def test_stored_files_of_models_that_look() -> None:
    """Format 4: cameras of every format, both resizes."""
    with np.load(MODELS / "format_4.npz") as stored:
        kinds = [name.removesuffix(".nano") for name in stored if name.endswith(".nano")]
        for kind in kinds:
            content = stored[f"{kind}.nano"].tobytes()
            assert PREFIX.unpack_from(content)[1] == CAMERA
            graph = from_bytes(content)
            assert to_bytes(graph) == content
            assert same(simulate(graph, to_device(graph, stored[f"{kind}.x"])), stored[f"{kind}.y"])
    assert {*FORMATS} == {*kinds}


@FUZZ
@given(data=st.data())
def test_any_cut_or_changed_byte_is_noticed(data: st.DataObject) -> None:
    content = to_bytes(example())
    position = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        broken = content[:position]
    else:
        flipped = content[position] ^ data.draw(st.integers(1, 255))
        broken = content[:position] + bytes([flipped]) + content[position + 1 :]
    with pytest.raises(InvalidModel):
        from_bytes(broken)


@FUZZ
@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    for prefix in (b"", MAGIC, MAGIC + b"\1\0\0\0"):
        with pytest.raises(InvalidModel):
            from_bytes(prefix + content)


def signed(header: bytes, arrays: bytes) -> bytes:
    """A file with a right checksum around whatever it holds."""
    body = header + arrays
    return PREFIX.pack(MAGIC, 1, len(header), hashlib.sha256(body).digest()) + body


def parts(graph: QGraph) -> tuple[Any, bytes]:
    content = to_bytes(graph)
    length = PREFIX.unpack_from(content)[2]
    body = content[PREFIX.size :]
    return json.loads(body[:length]), body[length:]


def harmless_or_invalid(content: bytes) -> None:
    """Loading either refuses, or yields a graph that is written and read like any other."""
    try:
        graph = from_bytes(content)
    except InvalidModel as error:
        assert len(str(error)) < 6000
        return
    assert_same(from_bytes(to_bytes(graph)), graph)


HOSTILE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 300),
    st.sampled_from([2**31 - 1, -(2**31), 2**31, 2**63, 10**30, 0.5, 1e308]),
    st.text(max_size=8),
    st.sampled_from(["inf", "-inf", "nan", "0x1p-149", "0x1p+127", "0x1p+1023", "-0x1p+0", "1e9"]),
    st.lists(st.integers(-2, 9), max_size=5),
    st.builds(lambda: [2**30] * 4),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything in a JSON value."""
    found = [path] if path else []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    else:
        children = []
    for key, child in children:
        found += places(child, (*path, key))
    return found


@FUZZ
@given(data=st.data())
def test_hostile_headers_with_a_right_checksum(data: st.DataObject) -> None:
    header, arrays = parts(any_graph(data.draw(st.integers(0, 40))))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(places(header)))
        parent = header
        for key in path[:-1]:
            parent = parent[key]
        action = data.draw(st.sampled_from(["replace", "remove", "repeat"]))
        if action == "replace":
            parent[path[-1]] = data.draw(HOSTILE)
        elif action == "remove":
            del parent[path[-1]]
        elif isinstance(parent, list):
            parent.append(parent[path[-1]])
        if not places(header):
            break
    harmless_or_invalid(signed(json.dumps(header).encode(), arrays))


@FUZZ
@given(data=st.data())
def test_hostile_arrays_with_a_right_checksum(data: st.DataObject) -> None:
    header, arrays = parts(any_graph(data.draw(st.integers(0, 40))))
    changed = bytearray(arrays)
    for _ in range(data.draw(st.integers(1, 4))):
        if changed:
            changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, 8))
    body = bytes(changed[: len(changed) - cut]) + data.draw(st.binary(max_size=4))
    harmless_or_invalid(signed(json.dumps(header).encode(), body))


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"\xff\xfe",
        b"NaN",
        b"1" * 10_000,
        b'{"name": "\\ud800"}',
        b"null",
    ],
)
def test_hostile_json(header: bytes) -> None:
    with pytest.raises(InvalidModel):
        from_bytes(signed(header, b""))


def test_a_huge_array_is_refused_before_it_is_made() -> None:
    header, arrays = parts(example())
    header["samples"]["shape"] = [2**30, 2**30, 2**30]
    with pytest.raises(InvalidModel, match="outside the file"):
        from_bytes(signed(json.dumps(header).encode(), arrays))
