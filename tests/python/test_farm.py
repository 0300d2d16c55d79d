"""A farm on one computer: labgrid's coordinator, an exporter of three emulated boards, clients."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nanotool.boards import BOARDS
from nanotool.build import build
from nanotool.cli import app
from nanotool.device import Device
from nanotool.errors import DeviceError, NanoError
from nanotool.farm import FarmTarget, acquired, read_farm
from nanotool.sources import default_model_dir
from nanotool.under_test import held_open, unemulated

labgrid_client = pytest.importorskip("labgrid.remote.client")
messages = pytest.importorskip("labgrid.remote.generated.labgrid_coordinator_pb2")

MODEL = default_model_dir()
PLACES = {"mortal": "stm32", "left": "native", "middle": "native", "right": "native"}
PATH = f"{os.environ['PATH']}:/usr/sbin"  # ser2net's


@dataclass(frozen=True)
class Farm:
    """What the tests share."""

    address: str  # of the coordinator
    env: Path
    mortal: int  # pid of the board at that place

    def target(self, name: str) -> FarmTarget:
        return next(one for one in read_farm(self.env, self.address) if one.name == name)

    def say(self, *requests: tuple[str, Any], user: str = "") -> list[Any]:
        """Calls of the coordinator, as ``user``."""

        async def said() -> list[Any]:
            loop = asyncio.get_running_loop()
            session = labgrid_client.ClientSession(self.address, loop)
            if user:
                session.getuser = lambda: user
            await session.start()
            done = [await getattr(session.stub, name)(request) for name, request in requests]
            await session.sync_with_coordinator()
            held = [place.acquired for place in session.places.values()]
            known = [name for groups in session.resources.values() for name in groups]
            session.stopping.set()
            await session.stop()
            await session.close()
            return [*done, held, known]

        said_so: Coroutine[Any, Any, list[Any]] = said()
        return asyncio.run(said_so)

    def holders(self) -> set[str]:
        """Who has places."""
        return {held for held in self.say()[-2] if held}


def until(met: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 20
    while not met():
        assert time.monotonic() < end, what
        time.sleep(0.05)


@contextmanager
def program(name: str, *arguments: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program of labgrid, ended with all that it has started."""
    command = [sys.executable, "-c", f"import sys; from labgrid.remote.{name} import main; main()"]
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *arguments],
            cwd=folder,
            env=os.environ | {"PATH": PATH},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()  # the exporter ends its ser2nets
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answers(address: str) -> bool:
    host, port = address.split(":")
    with socket.socket() as line:
        return line.connect_ex((host, int(port))) == 0


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    if shutil.which("ser2net", path=PATH) is None:
        pytest.skip("ser2net is not installed")
    if why := unemulated(BOARDS["stm32"]):
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("farm")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with ExitStack() as stack:
        mortal, port = stack.enter_context(running("stm32"))
        ports = {"mortal": port}
        for place in list(PLACES)[1:]:
            _, ports[place] = stack.enter_context(running("native"))
        stack.enter_context(program("coordinator", "-l", address, folder=folder))
        until(lambda: answers(address), "the coordinator does not start")
        lines = [f"{name}:\n  RawSerialPort: {{port: {port}}}\n" for name, port in ports.items()]
        (folder / "exports.yaml").write_text("".join(lines))
        where = ("-c", address, "-n", "exp", "--hostname", "127.0.0.1", "exports.yaml")
        stack.enter_context(program("exporter", *where, folder=folder))
        (folder / "env.yaml").write_text(environment(address))
        made = Farm(address, folder / "env.yaml", mortal)
        made.say(*(request for name in PLACES for request in new_place(name)))
        until(lambda: len(made.say()[-1]) == len(PLACES), "the exporter does not start")
        yield made


@contextmanager
def running(name: str) -> Iterator[tuple[int, str]]:
    """An emulated board with the model's firmware: its process, and its port."""
    emulator, elf = BOARDS[name].emulator, build(MODEL, BOARDS[name]).elf
    command = [part.replace("{elf}", str(elf)) for part in emulator.command]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            assert process.stdout is not None
            lines = (re.search(emulator.pty_pattern, line.decode()) for line in process.stdout)
            found = next(match for match in lines if match)
            with held_open(found[1]):
                yield process.pid, found[1]
        finally:
            process.kill()


def environment(address: str) -> str:
    targets = [
        f"  {name}:\n    resources:\n      RemotePlace: {{name: {name}}}\n"
        f"    options: {{nano_board: {board}, nano_emulated: true}}\n"
        for name, board in PLACES.items()
    ]
    return f"options:\n  coordinator_address: {address}\ntargets:\n{''.join(targets)}"


def new_place(name: str) -> Iterator[tuple[str, Any]]:
    yield "AddPlace", messages.AddPlaceRequest(name=name)
    pattern = f"exp/{name}/NetworkSerialPort"
    yield "AddPlaceMatch", messages.AddPlaceMatchRequest(placename=name, pattern=pattern)


TESTS = """
import os, signal
import numpy as np

def test_same(nano_board, nano_model):
    nano_board.assert_same_bytes(np.zeros((1, *nano_model.input_shape), np.int8))

def test_dies(nano_board):
    if nano_board.place == os.environ.get("DIES"):
        assert nano_board.ticks()
        os.kill(int(os.environ["PID"]), signal.SIGKILL)
    nano_board.assert_ticks_within(1 << 40)
"""


def client(farm: Farm, folder: Path, user: str, *options: str, **more: str) -> Any:
    """pytest of a project, on the farm, as ``user``; of all plugins with nanotool's alone."""
    folder.mkdir()
    (folder / "test_mine.py").write_text(TESTS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-v",
        "-pno:cacheprovider",
        "-pnanotool.pytest_plugin",
    ]
    return subprocess.Popen(
        [*command, f"--model={MODEL}", f"--lg-env={farm.env}", *options],
        cwd=folder,
        env=os.environ | {"LG_USERNAME": user, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | more,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_bench_draws_one_table(farm: Farm) -> None:
    command = ["bench", str(MODEL), "--farm", str(farm.env)]
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 0, told.output
    rows = [line.split() for line in told.stdout.splitlines()[-4:]]
    assert [row[:2] for row in rows] == [list(place) for place in PLACES.items()], told.output
    assert "instructions, emulated" in told.stdout and rows[0][-1] == "0"
    found = json.loads(CliRunner().invoke(app, [*command, "--board", "stm32", "--json"]).stdout)
    assert [one["target"] for one in found] == ["mortal"] and found[0]["instructions"] > 100_000
    assert found[0]["emulated"] and found[0]["cycles"] is None and found[0]["error"] is None
    assert not farm.holders()


def test_a_board_dies(farm: Farm, tmp_path: Path) -> None:
    """Its test fails by its name, the others' go on, and its place is free again; it stays dead."""
    one = client(
        farm,
        tmp_path / "dies",
        "carol",
        "-pno:labgrid",
        "-kmortal or left",
        DIES="mortal",
        PID=str(farm.mortal),
    )
    told, _ = one.communicate(timeout=50)
    assert "3 passed" in told and "1 failed" in told, told
    assert re.search(r"mortal \(stm32\), emulated: The line mortal at mortal .* broke", told), told
    assert not farm.holders()
    command = [sys.executable, "-m", "nanotool", "bench", str(MODEL), "--farm", str(farm.env)]
    done = subprocess.run([*command, "-b", "stm32"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and re.search("mortal +stm32 +no answer", done.stdout), done
    assert "mortal: Cannot open mortal at mortal" in done.stderr and not farm.holders()


def test_two_clients_at_once(farm: Farm, tmp_path: Path) -> None:
    """Each gets every board, one after the other; afterwards all places are free."""
    plugins = {"alice": "-plabgrid.pytestplugin", "bob": "-pno:labgrid"}
    both = [
        client(farm, tmp_path / user, user, "--board=native", option)
        for user, option in plugins.items()
    ]
    for one in both:
        told, _ = one.communicate(timeout=50)
        assert one.returncode == 0 and "6 passed" in told, told
        assert "test_same[middle]" in told
    assert not farm.holders()


def test_turns(farm: Farm) -> None:
    """Another has it; another has reserved it; another program of ours has it; ours to begin with;
    a killed program left it."""
    left = farm.target("left")
    acquire = messages.AcquirePlaceRequest(placename="left")
    release = messages.ReleasePlaceRequest(placename="left")
    farm.say(("AcquirePlace", acquire), user="eve")
    with pytest.raises(DeviceError, match=r"/eve has acquired the place left.*--farm-wait"):
        acquired(left, 0).__enter__()
    filters = {"main": messages.Reservation.Filter(filter={"name": "left"})}
    reserve = messages.CreateReservationRequest(filters=filters, prio=1.0)
    token = farm.say(("ReleasePlace", release), ("CreateReservation", reserve), user="eve")[1]
    with pytest.raises(DeviceError, match="not reserved for"):
        acquired(left, 0).__enter__()
    cancel = messages.CancelReservationRequest(token=token.reservation.token)
    farm.say(("CancelReservation", cancel), user="eve")
    with acquired(left, 0), pytest.raises(DeviceError, match="Another program of yours"):
        acquired(left, 0).__enter__()
    assert not farm.holders()
    farm.say(("AcquirePlace", acquire))
    with acquired(left, 0) as port, Device(port) as device:
        assert device.info().board
    assert len(farm.holders()) == 1  # as it was found
    farm.say(("ReleasePlace", release))
    code = (
        "import os, sys; from pathlib import Path; from nanotool.farm import *\n"
        "turn = acquired(read_farm(Path(sys.argv[1]))[1]); turn.__enter__(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, farm.env], check=True)
    assert len(farm.holders()) == 1
    with acquired(left, 0):
        pass
    assert not farm.holders()


def test_a_reserved_place_by_its_token(farm: Farm) -> None:
    filters = {"main": messages.Reservation.Filter(filter={"name": "left"})}
    reserve = messages.CreateReservationRequest(filters=filters, prio=1.0)
    token = farm.say(("CreateReservation", reserve))[0].reservation.token
    with acquired(replace(farm.target("left"), place=f"+{token}"), 0) as port:
        assert port.title.startswith("left at left (rfc2217://")
    farm.say(("CancelReservation", messages.CancelReservationRequest(token=token)))


def test_nobody_there(farm: Farm) -> None:
    left = farm.target("left")
    with pytest.raises(DeviceError, match="place pattern nowhere matches nothing"):
        acquired(replace(left, place="nowhere"), 0).__enter__()
    with pytest.raises(DeviceError, match="has no serial port named usb"):
        acquired(replace(left, line="usb"), 0).__enter__()
    assert not farm.holders()
    with pytest.raises(DeviceError, match="No coordinator of labgrid answers at 127"):
        acquired(replace(left, coordinator="127.0.0.1:1"), 0).__enter__()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("targets: {a: {resources: {RemotePlace: {name: x}}}}", "No target of .* says which"),
        ("targets: {a: {options: {nano_board: stm33}}}", "target a: There is no board 'stm33'"),
        ("targets: {a: {options: {nano_board: stm32, nano_bord: 1}}}", "nano_bord is no option"),
        ("targets: {a: {options: {nano_board: stm32, nano_emulated: 1}}}", "true or false"),
        ("targets: {a: {options: {nano_board: stm32}}}", "target a has no line"),
        (
            "targets: {a: {options: {nano_board: stm32}, resources: {RawSerialPort: {}}}}",
            "does not take",
        ),
        ("targets: [a]", "`targets` is no mapping"),
        ("[1]", "no environment of labgrid"),
        ("a: [", "no environment of labgrid"),
        ("", "no environment of labgrid"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "env.yaml").write_text(text)
    with pytest.raises(NanoError, match=said):
        read_farm(tmp_path / "env.yaml")


def test_a_line_without_a_place(tmp_path: Path) -> None:
    (tmp_path / "env.yaml").write_text(
        "targets:\n  a:\n    options: {nano_board: stm32}\n"
        "    resources: {NetworkSerialPort: {host: '[::1]', port: 7, protocol: raw, speed: 9600}}\n"
    )
    (target,) = read_farm(tmp_path / "env.yaml")
    with acquired(target) as port:
        assert (port.name, port.baud) == ("socket://[::1]:7", 9600) and not target.emulated
