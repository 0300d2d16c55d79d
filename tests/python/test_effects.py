"""A forward that writes or draws numbers is refused with its line, and nothing of it is changed."""

from __future__ import annotations

import datetime
import functools
import gc
import itertools
import logging
import os
import random
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune

import nanotool
from nanotool.errors import NanoError, UnsupportedOp
from nanotool.frontends.torch import capture, capture_program, effects
from nanotool.frontends.torch.effects import apart, watch

LENGTHS: list[int] = []
CALLS = 0
GLOBAL = torch.zeros(4)
NORMAL: Any = torch.distributions.Normal(0.0, 1.0)
TABLE = np.zeros(4, np.float32)


class Box:
    """Some object of the user's."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = torch.zeros(4)


class Kept(nn.Module):
    """A linear layer, and whatever a forward may write into; ``body`` is the forward."""

    shared = 0

    def __init__(self, body: Any) -> None:
        super().__init__()
        self.body = body
        self.linear = nn.Linear(4, 4)
        self.count = 0
        self.list: list[Any] = []
        self.queue: deque[Any] = deque(maxlen=3)
        self.table = {"seen": 0}
        self.box = Box()
        self.numbers = itertools.count()
        self.draw = random.Random(1)
        self.numpy = np.random.default_rng(1)
        self.generator = torch.Generator()
        self.state = torch.zeros(4)
        self.register_buffer("mean", torch.zeros(2, 4))
        self.register_buffer("late", None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.body(self, x)
        return result


def _attribute(m: Any, x: torch.Tensor) -> Any:
    y = x + m.state
    m.state = y[0].detach()
    return y


def _number(m: Any, x: torch.Tensor) -> Any:
    m.count += 1
    return x * m.count


def _unused(m: Any, x: torch.Tensor) -> Any:
    m.last = x
    return x.relu()


def _lazily(m: Any, x: torch.Tensor) -> Any:
    if m.late is None:
        m.late = torch.ones(4)
    return x + m.late


def _append(m: Any, x: torch.Tensor) -> Any:
    m.list.append(x)
    return m.linear(x)


def _nested(m: Any, x: torch.Tensor) -> Any:
    m.table["seen"] += 1
    return x + m.table["seen"]


def _buffer(m: Any, x: torch.Tensor) -> Any:
    m.mean.mul_(0.9).add_(0.1)
    return x - m.mean[0]


def _still(m: Any, x: torch.Tensor) -> Any:
    m.mean.mul_(2)  # 0 stays 0, with these values
    return x - m.mean[0]


def _view(m: Any, x: torch.Tensor) -> Any:
    m.mean.view(-1)[2:6] += 1
    return x - m.mean[0]


def _replaced(m: Any, x: torch.Tensor) -> Any:
    m.mean = m.mean * 0.9 + 0.1
    return x - m.mean[0]


def _data(m: Any, x: torch.Tensor) -> Any:
    m.linear.weight.data = m.linear.weight.data * 0.5
    return m.linear(x)


def _by_numpy(m: Any, x: torch.Tensor) -> Any:
    m.mean.numpy()[0] += 1
    return x + m.mean[0]


def _registered(m: Any, x: torch.Tensor) -> Any:
    m.register_buffer("scale", torch.full((4,), 2.0))
    return x * m.scale


def _global_tensor(m: Any, x: torch.Tensor) -> Any:
    GLOBAL.add_(1)
    return x + GLOBAL


def _global_number(m: Any, x: torch.Tensor) -> Any:
    global CALLS  # noqa: PLW0603
    CALLS += 1
    return x * CALLS


def _global_list(m: Any, x: torch.Tensor) -> Any:
    LENGTHS.append(len(LENGTHS))
    return x + len(LENGTHS)


def _global_array(m: Any, x: torch.Tensor) -> Any:
    TABLE[1] += 1
    return x + torch.tensor(TABLE)


def _class(m: Any, x: torch.Tensor) -> Any:
    Kept.shared += 1
    return x * Kept.shared


def _closure() -> Any:
    total, times = torch.zeros(4), 0

    def forward(m: Any, x: torch.Tensor) -> Any:
        nonlocal times
        times += 1
        total.add_(1)
        return x + total

    return forward


def _default(m: Any, x: torch.Tensor, cache: list[int] = []) -> Any:  # noqa: B006
    cache.append(1)
    return x + len(cache)


def _slot(m: Any, x: torch.Tensor) -> Any:
    m.box.value = m.box.value + 1
    return x + m.box.value


def _input(m: Any, x: torch.Tensor) -> Any:
    x += 1
    return m.linear(x)


def _input_view(m: Any, x: torch.Tensor) -> Any:
    x[:, 1] = 0
    return m.linear(x)


def _generator(m: Any, x: torch.Tensor) -> Any:
    return x + torch.randn(4, generator=m.generator)


RANDOM = {
    "randn": lambda m, x: x + torch.randn(4),
    "rand_like": lambda m, x: m.linear(x) * torch.rand_like(x),
    "bernoulli": lambda m, x: x * torch.bernoulli(torch.full((4,), 0.5)),
    "dropout": lambda m, x: F.dropout(x, training=True),
    "alpha dropout": lambda m, x: F.alpha_dropout(x, training=True),
    "permutation": lambda m, x: m.linear(x)[:, torch.randperm(4)],
    "multinomial": lambda m, x: x + torch.multinomial(torch.ones(4), 4),
    "normal_": lambda m, x: x + torch.empty(4).normal_(),
    "randint": lambda m, x: x * torch.randint(0, 9, (4,)),
    "gumbel": lambda m, x: F.gumbel_softmax(x),
    "distribution": lambda m, x: x + NORMAL.sample((4,)),
    "leaky": lambda m, x: F.rrelu(x, training=True),
    "own generator": _generator,
    "Python's": lambda m, x: x + random.random(),
    "Python's own": lambda m, x: x + m.draw.random(),
    "NumPy's": lambda m, x: x + float(np.random.rand()),
    "NumPy's own": lambda m, x: x + float(m.numpy.normal()),
}
ANSWERS = {
    "iterator": lambda m, x: x + next(m.numbers),
    "address": lambda m, x: x + (x + 1).data_ptr() % 4096,
}
OUTSIDE: dict[str, Any] = {  # small changes of large numbers, or none that two calls could show
    "time.time": lambda m, x: x * time.time(),
    "time.perf_counter": lambda m, x: x + time.perf_counter() % 1,
    "time.localtime": lambda m, x: x * time.localtime().tm_hour,
    "datetime.date.today": lambda m, x: x * datetime.date.today().day,
    "datetime.datetime.now": lambda m, x: x * datetime.datetime.now().hour,
    "os.environ": lambda m, x: x * len(os.getenv("HOME", "")),
    "os.stat": lambda m, x: x * (2 if Path(__file__).exists() else 1),
    "open": lambda m, x: x * len(Path(__file__).read_text()),
    "torch.load": lambda m, x: x * torch.load(m.file),
    "os.getpid": lambda m, x: x * os.getpid(),
    "os.uname": lambda m, x: x * len(os.uname().nodename),
    "threading.get_ident": lambda m, x: x * threading.current_thread().ident % 7,
    "torch.get_num_threads": lambda m, x: x * torch.get_num_threads(),
    "sys.argv": lambda m, x: x * len(sys.argv),
    "hash": lambda m, x: x * (hash("a") % 5 + 1),
    "id": lambda m, x: x * (id(m) % 5 + 1),
}
WRITES = {
    "state": _attribute,
    "count": _number,
    "last": _unused,
    "late": _lazily,
    "list": _append,
    "table.seen": _nested,
    "mean": _buffer,
    "mean, the same": _still,
    "mean, a view": _view,
    "mean, replaced": _replaced,
    "linear.weight": _data,
    "mean, by numpy": _by_numpy,
    "scale": _registered,
    "GLOBAL": _global_tensor,
    "CALLS": _global_number,
    "LENGTHS": _global_list,
    "TABLE": _global_array,
    "Kept.shared": _class,
    "times": _closure(),
    "_default": _default,
    "box.value": _slot,
    "input": _input,
    "input, a view": _input_view,
}


def everything(model: nn.Module) -> list[Any]:
    """What may have changed."""
    m: Any = model
    tensors = [*m.state_dict().values(), m.state, m.box.value, GLOBAL, torch.tensor(TABLE)]
    return [
        [tensor.tolist() for tensor in tensors],
        [*m.state_dict(), *sorted(vars(m))],
        (m.count, list(m.list), dict(m.table), LENGTHS[:], CALLS, Kept.shared, m.training),
        [p.grad is None and p.requires_grad for p in m.parameters()],
        [id(p) for p in m.parameters()],
        (m.draw.getstate(), m.numpy.bit_generator.state, m.generator.get_state().tolist()),
        (random.getstate(), torch.get_rng_state().tolist(), repr(np.random.get_state())),
        repr(m.numbers),
    ]


def refused(model: nn.Module) -> UnsupportedOp:
    """How `nanotool.quantize` refuses ``model``, which it leaves alone."""
    data = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    kept, before = data.clone(), everything(model)
    with pytest.raises(UnsupportedOp) as caught:
        nanotool.quantize(model, data)
    assert everything(model) == before
    assert torch.equal(kept, data)
    assert model.training
    return caught.value


@pytest.mark.parametrize("name", WRITES)
def test_a_forward_that_writes_is_refused_with_its_line(name: str) -> None:
    error = refused(Kept(WRITES[name]))
    assert name.partition(",")[0] in error.message
    assert "test_effects.py, line" in error.message
    assert "window" in error.hint or "first call" in error.hint or "new tensor" in error.hint


def test_the_line_is_found_while_the_garbage_collector_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Circle:  # with code of the user's to run, wherever it is collected
        def __init__(self) -> None:
            self.own = self

        def __del__(self) -> None:
            self.own = self

    def forward(m: Any, x: torch.Tensor) -> Any:
        y = x + m.state
        m.state = y[0].detach() * bool(Circle())
        return y

    # Within an operator, with frames on the stack that are nobody's.
    collecting = "def tensors(value):\n    collect(0)\n    return found(value)"
    names: dict[str, Any] = {"collect": gc.collect, "found": effects._tensors}
    exec(compile(collecting, "<frozen>", "exec"), names)
    monkeypatch.setattr(effects, "_tensors", names["tensors"])
    assert "`m.state = y[0].detach() * bool(Circle())`" in refused(Kept(forward)).message


@pytest.mark.parametrize("name", RANDOM)
def test_a_random_forward_is_refused_with_its_line(name: str) -> None:
    error = refused(Kept(RANDOM[name]))
    assert "random" in error.message
    assert "test_effects.py, line" in error.message
    assert "self.training" in error.hint


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_that_differ_are_refused(name: str) -> None:
    assert "differently" in refused(Kept(ANSWERS[name])).message


@pytest.mark.parametrize("name", OUTSIDE)
def test_what_is_read_outside_is_refused_with_its_line(name: str, tmp_path: Path) -> None:
    model: Any = Kept(OUTSIDE[name])
    model.file = str(tmp_path / "gain.pt")
    torch.save(torch.ones(4), model.file)
    error = refused(model)
    assert f": {name} (test_effects.py, line" in error.message
    assert "give it as an input" in error.hint


def test_arguments_are_the_users_again() -> None:
    arguments = sys.argv
    capture(Kept(lambda m, x: m.linear(x)), torch.randn(8, 4))
    assert sys.argv is arguments


def test_arguments_imported_by_name_are_heard_too(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = sys.argv
    monkeypatch.setitem(globals(), "given", arguments)  # from sys import argv as given
    error = refused(Kept(lambda m, x: x * len(globals()["given"])))
    assert ": sys.argv (test_effects.py, line" in error.message
    assert globals()["given"] is arguments


def test_a_forward_may_log() -> None:
    def forward(m: Any, x: torch.Tensor) -> Any:
        logging.getLogger("test").error("a record holds its time")
        return m.linear(x)

    capture(Kept(forward), torch.randn(8, 4))


def test_the_module_and_the_line_are_named() -> None:
    error = refused(Kept(_number))
    assert "`m.count += 1`" in error.message
    with pytest.raises(UnsupportedOp) as caught:
        nanotool.quantize(nn.Sequential(nn.Linear(4, 4), Kept(_number)), torch.randn(8, 4))
    assert caught.value.node == "1"
    assert "self.1.count" in caught.value.message


def test_hooks_are_watched() -> None:
    seen: list[torch.Tensor] = []
    model = Kept(lambda m, x: m.linear(x))
    model.linear.register_forward_hook(lambda module, inputs, output: seen.append(output))
    assert "seen" in refused(model).message
    assert not seen


def test_a_cache_that_is_filled_is_no_state() -> None:
    model = Kept(_lazily)
    assert "first call" in refused(model).hint
    model(torch.zeros(1, 4))
    assert capture(model, torch.randn(3, 4)).nodes


def test_modules_that_cannot_be_copied() -> None:
    model = Kept(_buffer)
    model.state = model.linear(torch.ones(4))  # a tensor with a history
    assert "mean" in refused(model).message


def test_after_an_error_the_model_is_as_before() -> None:
    def failing(m: Any, x: torch.Tensor) -> torch.Tensor:
        m.count += 1
        m.mean.add_(1)
        raise KeyError("lost")

    model = Kept(failing)
    before = everything(model)
    with pytest.raises(NanoError, match=r"test_effects.py, line .*KeyError: 'lost'"):
        nanotool.quantize(model, torch.zeros(4, 4))
    assert everything(model) == before


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    "wrap",
    [
        nn.utils.weight_norm,
        nn.utils.spectral_norm,
        functools.partial(prune.l1_unstructured, name="weight", amount=3),
    ],
    ids=["weight_norm", "spectral_norm", "pruning"],
)
def test_weights_that_a_hook_computes_anew_are_no_state(wrap: Any) -> None:
    torch.manual_seed(1)
    model, data = nn.Sequential(wrap(nn.Linear(4, 4))).eval(), torch.randn(40, 4)
    model(data)
    found = nanotool.quantize(model, data).run(data.numpy())
    with torch.no_grad():
        wanted = model(data).numpy()
    assert np.abs(found - wanted).max() < 0.02 * np.ptp(wanted)


OWN = {
    "a tensor made here": lambda m, x: x + torch.zeros(4).add_(1),
    "a list made here": lambda m, x: sum([x, x.relu()][1:]),
    "a copy of the input": lambda m, x: m.linear(x.clone().add_(1)),
    "a copy of a buffer": lambda m, x: x + m.mean[0].clone().mul_(2),
    "an activation": lambda m, x: F.relu(m.linear(x), inplace=True),
    "dropout that is off": lambda m, x: F.dropout(x, training=m.training),
    "partial": functools.partial(lambda m, x, k: x * k, k=2),
}


@pytest.mark.parametrize("name", OWN)
def test_what_lasts_no_longer_than_the_call_is_captured(name: str) -> None:
    torch.manual_seed(1)
    model, data = Kept(OWN[name]), torch.randn(20, 4)
    found = nanotool.quantize(model, data).run(data.numpy())
    with torch.no_grad():
        assert np.abs(found - model.eval()(data).numpy()).max() < 0.1


@pytest.mark.filterwarnings("ignore::FutureWarning")  # torch's own, in run_decompositions
@pytest.mark.parametrize(
    ("name", "decomposed"),
    [("mean", False), ("mean", True), ("mean, a view", False), ("input, a view", False)],
)
def test_exported_programs_are_looked_at_too(name: str, decomposed: bool) -> None:
    program = torch.export.export(Kept(WRITES[name]).eval(), (torch.ones(2, 4),))
    if decomposed:
        program = program.run_decompositions()
    with pytest.raises(UnsupportedOp, match=name.partition(",")[0]):
        capture_program(program)


def test_a_random_program_is_refused() -> None:
    program = torch.export.export(Kept(RANDOM["randn"]).eval(), (torch.ones(2, 4),))
    with pytest.raises(UnsupportedOp, match=r"random"):
        capture_program(program)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (nn.Linear(4, 4).state_dict(), "is a state_dict, no nn.Module to capture. Make the nn"),
        (nn.ReLU, r"the class ReLU, no nn.Module to capture. Give an object of it: ReLU\(\)"),
        (
            {"epoch": 3, "net": nn.Linear(4, 4).state_dict()},
            "is a checkpoint, .* load_state_dict with its 'net', and give the module",
        ),
        (
            torch.jit.trace(nn.Linear(4, 4), torch.ones(1, 4)),  # type: ignore[no-untyped-call]
            r"is a ScriptModule, no nn.Module to capture. Give the nn.Module that it was made from",
        ),
        (nn.functional.relu, "is a function, .* Give the nn.Module that it makes"),
        (nn.Linear(4, 4, device="meta"), "without values. Load its weights first"),
        (torch.ones(3), "of type Tensor"),
        (nn.Bilinear(4, 4, 2), "one tensor; the forward takes input1, input2. Give several"),
        (nn.Linear(5, 4), r"fails on a batch of inputs of shape 4, in Linear.*Check the shape"),
    ],
)
def test_what_people_give_for_a_model(given: Any, message: str) -> None:
    with pytest.raises(NanoError, match=message) as caught:
        nanotool.quantize(given, torch.randn(20, 4))
    assert "\n" not in str(caught.value)


START: dict[str, Any] = {
    "zeros": lambda m, x: torch.zeros(x.shape[0], 4),
    "len": lambda m, x: torch.ones(len(x), 4),
    "new_full": lambda m, x: x.new_full((x.size(0), 4), 0.5),
    "zeros_like": lambda m, x: torch.zeros_like(x[:, :1]).expand(-1, 4),
    "ones_like": lambda m, x: torch.ones_like(m.linear(x)),
    "repeat": lambda m, x: m.mean[:1].repeat(x.shape[0], 1),
    "expand": lambda m, x: m.mean[:1].expand(x.shape[0], -1),
}


@pytest.mark.parametrize("name", START)
def test_the_first_state_of_a_recurrence_is_a_constant(name: str) -> None:
    model = Kept(lambda m, x: torch.tanh(m.linear(x) + m.linear(START[name](m, x))))
    model.register_buffer("mean", torch.arange(8.0).reshape(2, 4) / 8)
    data = torch.randn(60, 4)
    found = nanotool.quantize(model, data).run(data.numpy())
    with torch.no_grad():
        assert np.abs(found - model(data).numpy()).max() < 0.05


def test_the_buffers_that_are_written_are_known() -> None:
    model = Kept(_buffer)
    with apart(model) as copied:
        assert watch(copied, {"x": torch.ones(2, 4)}).buffers == ("mean",)


def test_a_batch_size_in_the_result_is_found() -> None:
    with pytest.raises(NanoError, match=r"computes something else|fixed number"):
        capture(Kept(lambda m, x: m.linear(x) / float(len(x))), torch.ones(2, 4))
