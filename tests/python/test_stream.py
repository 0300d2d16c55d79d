"""Streams: samples in, decisions out; the C library, its twin, and microWakeWord's own words."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from listening import EARS, MEL_EARS, listener, loud, one_class
from random_graphs import examples

from examples.speech import micro_wake_word_rule, package_model, say
from nanotool import qfile
from nanotool.errors import InvalidModel, NanoError
from nanotool.models import load_model
from nanotool.runtime import load as load_extension
from nanotool.sensing.description import ESPHOME, ClassRule, FrontEnd, Rule, Scaling
from nanotool.sensing.rule import Decider, class_integers, step_seconds
from nanotool.sensing.stream import Heard, Stream, quantize
from nanotool.signal import MicroFrontend
from nanotool.tflm import Interpreter

CLASSES = st.builds(
    ClassRule,
    index=st.integers(0, 3),
    threshold=st.floats(-40, 40),
    refractory=st.floats(0, 0.3),
)
RULES = st.builds(
    Rule,
    classes=st.lists(CLASSES, min_size=1, max_size=5).map(tuple),
    window=st.integers(1, 6),
    vote=st.booleans(),
    top=st.integers(1, 4),
    warm_up=st.integers(0, 5),
)


def assert_equal(one: Heard, two: Heard) -> None:
    np.testing.assert_array_equal(one.outputs, two.outputs)
    assert one.decisions == two.decisions


@examples(25)
@given(
    RULES,
    st.floats(0, 30),
    st.integers(1, 3),
    st.sampled_from([EARS, MEL_EARS, replace(MEL_EARS, coefficients=8)]),
    st.integers(0, 2**16),
)
def test_any_rule_in_c_and_numpy(
    rule: Rule, gap: float, hop: int, ears: FrontEnd, seed: int
) -> None:
    """In pieces of any size, and after a reset as at first. Every second class has a release."""
    classes = tuple(
        replace(one, threshold=one.threshold / (50 if rule.vote else 1)) for one in rule.classes
    )
    classes = tuple(
        replace(one, release=one.threshold - gap) if place % 2 else one
        for place, one in enumerate(classes)
    )
    graph = listener(replace(rule, classes=classes), hop, ears=ears)
    sound, rng = loud(6000, seed), np.random.default_rng(seed)
    c, twin = Stream(graph), Stream(graph, engine="numpy")
    whole = twin.feed(sound)
    frames = (len(sound) - 64) // 32 + 1
    assert len(whole.outputs) == (frames - 3) // hop + 1
    for stream in (c, twin):
        stream.reset()
        parts, begin = [], 0
        while begin < len(sound):
            end = begin + int(rng.integers(0, 500))
            parts.append(stream.feed(sound[begin:end]))
            begin = end
        joined = np.concatenate([part.outputs for part in parts])
        assert_equal(Heard(joined, sum((part.decisions for part in parts), ())), whole)
    c.reset()
    assert_equal(c.feed(sound), whole)
    content = qfile.to_bytes(graph)
    assert qfile.from_bytes(content).stream == graph.stream


def test_the_hash_is_of_the_stream_too() -> None:
    """A board with another rule, scaling or front end is another board."""
    graph = listener(Rule((one_class(5.0),)))
    stream = graph.stream
    assert stream is not None
    others = [
        replace(stream, hop=1),
        replace(stream, scaling=Scaling(3, -500, 8)),
        replace(stream, rule=replace(stream.rule, window=2)),
        replace(stream, front_end=replace(EARS, lower_hz=200.0)),
        replace(stream, front_end=MEL_EARS),
        None,
    ]
    graphs = [graph, *(replace(graph, stream=other) for other in others)]
    assert len({qfile.graph_hash(one) for one in graphs}) == len(graphs)
    assert qfile.graph_hash(qfile.from_bytes(qfile.to_bytes(graph))) == qfile.graph_hash(graph)


def decisions(rule: Rule, scores: list[list[int]]) -> list[tuple[int, int]]:
    decider = Decider(listener(rule))
    zero = listener(rule).output_tensor.zero_point
    rows = [np.array(row, np.int8) + np.int8(zero) for row in scores]
    return [(made.step, made.index) for row in rows for made in decider.decide(row)]


def test_what_a_rule_says() -> None:
    """By hand: a step is 8 ms; class 1 gets these scores, the others -5."""
    rows = [[-5, x, -5, -5] for x in (9, 9, 9, 0, 9, 9, 9, 9)]
    plain = one_class(5.0, refractory=0.0)
    assert decisions(Rule((plain,)), rows) == [(i, 1) for i in (0, 1, 2, 4, 5, 6, 7)]
    assert decisions(Rule((plain,), warm_up=2), rows) == [(i, 1) for i in (2, 4, 5, 6, 7)]
    assert decisions(Rule((plain,), window=2), rows) == [(i, 1) for i in (1, 2, 5, 6, 7)]
    held = replace(plain, release=0.0)
    assert decisions(Rule((held,)), rows) == [(0, 1), (4, 1)]
    silent = replace(plain, refractory=0.024)  # three steps
    assert decisions(Rule((silent,)), rows) == [(0, 1), (4, 1), (7, 1)]
    voted = one_class(0.6, refractory=0.0)
    assert decisions(Rule((voted,), window=3, vote=True), rows) == [(i, 1) for i in range(2, 8)]
    both = Rule((ClassRule(0, -9.0, refractory=0.0), plain), top=1)
    assert decisions(both, rows)[:4] == [(0, 1), (1, 1), (2, 1), (3, 0)]
    assert decisions(replace(both, top=2), rows)[:4] == [(0, 1), (0, 0), (1, 1), (1, 0)]


@pytest.mark.parametrize("window", [1, 3, 5, 10])
def test_a_mean_that_is_the_cutoff_does_not_exceed_it(window: int) -> None:
    """As pymicro-wakeword's floats say: 0.85 is not above 0.85."""
    graph = load_model(package_model("okay_nabu"))
    stream = graph.stream
    assert stream is not None
    for cutoff in (0.5, 0.85, 0.9, 0.95, 0.97, 0.995, 1 / 3):
        rule = Rule((ClassRule(0, cutoff),), window=window)
        (one,) = class_integers(replace(graph, stream=replace(stream, rule=rule)))
        assert one.threshold / 256 / window <= cutoff < (one.threshold + 1) / 256 / window


@pytest.fixture(scope="module")
def tflm() -> Any:
    with Interpreter() as interpreter:
        yield interpreter


@pytest.mark.parametrize(
    ("name", "text", "voice", "heard"),
    [
        ("alexa", "alexa", "en-us", True),
        ("okay_nabu", "okay nabu", "en-gb", True),
        ("hey_mycroft", "hey mycroft", "en-gb", True),
        ("hey_jarvis", "hey jarvis", "en-gb", False),
        ("alexa", "okay nabu", "en-gb", False),
    ],
)
def test_wake_words(name: str, text: str, voice: str, heard: bool, tflm: Interpreter) -> None:
    """A .tflite with its .json needs no more. Probabilities are TensorFlow Lite Micro's, decisions
    those of pymicro-wakeword's rule: what it says itself is looked at in example 11."""
    path = package_model(name)
    graph = load_model(path)
    stream = graph.stream
    assert stream is not None and stream.scaling == ESPHOME and graph.labels
    sound = np.concatenate([say(text, voice), say(text, voice, seed=1, noise=100)])
    got = Stream(graph).feed(sound)
    assert_equal(Stream(graph, engine="numpy").feed(sound), got)
    features = MicroFrontend().process(sound)
    steps = len(features) // 3
    raw = features[: 3 * steps].astype(np.int32).reshape(steps, *graph.input_tensor.shape)
    x = np.clip((raw * 256 + 333) // 666 - 128, -128, 127).astype(np.int8)
    np.testing.assert_array_equal(quantize(graph, ESPHOME, raw), x)
    (wanted,) = tflm.run_ends(path.read_bytes(), (x,), 1)
    np.testing.assert_array_equal(got.outputs.reshape(-1), wanted.reshape(-1))
    (one,) = stream.rule.classes
    by_rule = micro_wake_word_rule(wanted, one.threshold, stream.rule.window, 67)
    assert [made.step for made in got.decisions] == by_rule
    assert bool(by_rule) is heard


def test_a_ring_is_never_torn() -> None:
    """Pieces written and pulled in any order: what was left out cuts the sound in two, and either
    part is heard as if it were alone."""
    extension = load_extension()
    ffi, lib = extension.ffi, extension.lib
    graph = listener(Rule((one_class(5.0, refractory=0.0),), window=2))
    stream, rng, sound = Stream(graph), np.random.default_rng(1), loud(40000)
    engine: Any = stream._engine
    room, ring = ffi.new("int16_t[256]"), ffi.new("nano_ring *")
    assert lib.nano_ring_init(ring, room, 255) == lib.NANO_ERR_ARGUMENT
    assert lib.nano_ring_init(ring, room, 256) == lib.NANO_OK
    pulled: list[int] = []
    parts: list[list[int]] = [[]]
    begin = lost = 0
    twin = Stream(graph)
    while begin < len(sound):
        end = begin + int(rng.integers(0, 90))
        piece = sound[begin:end]
        taken = lib.nano_ring_write(ring, ffi.from_buffer("int16_t[]", piece), len(piece))
        assert taken in (0, len(piece))
        lost += len(piece) - taken
        if taken < len(piece) and parts[-1]:
            parts.append([])
        parts[-1].extend(piece[:taken])
        if rng.random() < 0.4:
            pulled.append(int(lib.nano_stream_pull(engine._state, ring)))
        begin = end
    pulled.append(int(lib.nano_stream_pull(engine._state, ring)))
    assert ring.overrun == lost > 0 and len(parts) > 10
    wanted = 0
    for part in parts:
        twin.reset()
        wanted += len(twin.feed(np.array(part, np.int16)).decisions)
    assert sum(pulled) == wanted > 0


def test_a_ring_between_two_threads() -> None:
    extension = load_extension()
    ffi, lib = extension.ffi, extension.lib
    graph = listener(Rule((one_class(0.0, refractory=0.0),)))
    stream, sound = Stream(graph), loud(200000)
    wanted = len(Stream(graph).feed(sound).decisions)
    engine: Any = stream._engine
    room, ring = ffi.new("int16_t[1024]"), ffi.new("nano_ring *")
    lib.nano_ring_init(ring, room, 1024)

    def write() -> None:
        for begin in range(0, len(sound), 160):
            piece = sound[begin : begin + 160]
            while 1024 - (ring.written - ring.read) % 2**32 < len(piece):
                pass
            lib.nano_ring_write(ring, ffi.from_buffer("int16_t[]", piece), len(piece))

    writer = threading.Thread(target=write)
    writer.start()
    made = 0
    while writer.is_alive():
        made += lib.nano_stream_pull(engine._state, ring)
    writer.join()
    made += lib.nano_stream_pull(engine._state, ring)
    assert made == wanted and ring.overrun == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"type": "micro"}', "no `micro`"),
        ('{"type": "micro", "micro": {"sliding_window_size": 5}}', "probability_cutoff"),
        ('{"type": "micro", "micro": {"sliding_window_size": 0}}', "sliding_window_size"),
        (
            '{"type": "micro", "micro": {"probability_cutoff": 0.5, "sliding_window_size": 5, '
            '"feature_step_size": 40}}',
            "every 640",
        ),
    ],
)
def test_a_json_that_cannot_be(tmp_path: Any, text: str, message: str) -> None:
    model = tmp_path / "alexa.tflite"
    model.write_bytes(package_model("alexa").read_bytes())
    assert load_model(model).stream is None
    (tmp_path / "alexa.json").write_text('{"type": "other"}')
    assert load_model(model).stream is None
    (tmp_path / "alexa.json").write_text(text)
    with pytest.raises(NanoError, match=message):
        load_model(model)


def test_descriptions_that_cannot_be() -> None:
    graph = listener(Rule((one_class(),)))
    stream = graph.stream
    assert stream is not None and float(step_seconds(stream)) == 0.008
    for wrong in (
        replace(stream, hop=4),
        replace(stream, hop=0),
        replace(stream, front_end=replace(EARS, channels=7)),
        replace(stream, rule=Rule((ClassRule(4, 0.0),))),
        replace(stream, rule=Rule((one_class(refractory=3600.0),))),
    ):
        with pytest.raises(InvalidModel):
            Stream(replace(graph, stream=wrong))
    with pytest.raises(InvalidModel, match="does not say"):
        Stream(replace(graph, stream=None))
    for make in (
        lambda: Scaling(0, 0, 1),
        lambda: Scaling(1, 0, 0),
        lambda: Rule(()),
        lambda: Rule((one_class(),), window=0),
        lambda: Rule((one_class(),), top=0),
        lambda: one_class(0.5, release=0.6),
        lambda: one_class(0.5, refractory=-1.0),
    ):
        with pytest.raises(NanoError):
            make()
    assert Scaling.of(0.0390625, 0.1019607844).divisor > 0
    near = Scaling.of(1 / 64, 26 / 255)
    for x in (0, 1, 333, 671, 65535):
        q = (x * near.multiplier + near.addend) // near.divisor
        assert abs(q - x / 64 / (26 / 255)) <= 0.5001
