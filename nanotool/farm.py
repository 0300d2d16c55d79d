"""Boards of a farm: places of a labgrid coordinator, as labgrid's environment file names them.

    # env.yaml
    targets:
      left:
        resources:
          RemotePlace: {name: stm32-1}       # or +TOKEN, a reservation's; + is that in LG_TOKEN
        options: {nano_board: stm32}         # one that `nanotool boards` lists

A target's other options: `nano_emulated: true` where the exporter's board is an emulated one, whose
figures are then called so; `nano_line: NAME` which serial port, where a place has several. Instead
of a RemotePlace it may have a RawSerialPort or a NetworkSerialPort, which nobody has to acquire.

A place is used while it is acquired: by `acquired`, which waits for its turn and releases it, or by
the user before, with `labgrid-client acquire`, and then it stays so. Each call speaks to the
coordinator in a session of its own, so that none is out of date.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import getpass
import hashlib
import importlib.util
import logging
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias, TypeVar

from nanotool.bench import BenchResult, bench
from nanotool.boards import Board, find_board
from nanotool.build import BuildResult
from nanotool.cache import cache_dir
from nanotool.device.line import SerialPort
from nanotool.errors import DeviceError, MissingTool, NanoError

if TYPE_CHECKING:
    from labgrid.config import Config
    from labgrid.remote.client import ClientSession

T = TypeVar("T")
WAIT = 60.0  # s for a place that another has
_ADDRESS = "127.0.0.1:20408"  # labgrid's own default
_CONNECT = 10.0  # s for the coordinator to answer
_NEGOTIATE = 3.0  # s, of a serial port's server; as labgrid's own driver
_POLL = 0.2  # s
_LOCAL = ("RawSerialPort", "NetworkSerialPort")
_OPTIONS = ("nano_board", "nano_emulated", "nano_line")

Tell: TypeAlias = Callable[[str], None]  # is told what is waited for


@dataclass(frozen=True, slots=True)
class FarmTarget:
    """A board of a farm, as an environment file names it."""

    name: str  # of the target
    board: Board
    emulated: bool
    place: str  # a place's name or alias, or + and a reservation's token; "": it has none
    line: str  # of the place's serial ports; "": the only one
    port: SerialPort | None  # where it has no place
    coordinator: str  # HOST[:PORT]

    def __str__(self) -> str:
        emulated = ", emulated" if self.emulated else ""
        return f"{self.name} ({self.board.name}{emulated})"


# --- The environment file -------------------------------------------------------------------------


def read_farm(path: Path, coordinator: str = "") -> tuple[FarmTarget, ...]:
    """The targets of the environment file ``path`` that say which board they are, in its order.

    ``coordinator``: HOST[:PORT]; "": the file's `coordinator_address`, else LG_COORDINATOR, else
    this computer. `NanoError` if there is none, or what is wrong with the file; `MissingTool`
    without labgrid."""
    config = _read(path)
    address = coordinator or config.get_option(
        "coordinator_address", os.environ.get("LG_COORDINATOR", _ADDRESS)
    )
    targets = config.get_targets()
    if not isinstance(targets, dict):
        raise NanoError(f"{path}: `targets` is no mapping of names.")
    found = [
        _target(path, str(name), content, str(address))
        for name, content in targets.items()
        if isinstance(content, dict) and "nano_board" in (content.get("options") or {})
    ]
    if not found:
        raise NanoError(
            f"No target of {path} says which board it is.",
            "Give one `options: {nano_board: stm32}`.",
        )
    return tuple(found)


def _read(path: Path) -> Config:
    if importlib.util.find_spec("labgrid") is None:
        raise MissingTool(
            "A farm's boards are reached with labgrid, which is not installed.",
            "pip install 'nanotool[farm]'.",
        )
    from labgrid.config import Config  # noqa: PLC0415  # half a second
    from labgrid.exceptions import InvalidConfigError, NoConfigFoundError  # noqa: PLC0415

    try:
        config = Config(str(path))
    except (InvalidConfigError, NoConfigFoundError) as error:
        raise NanoError(f"{path} is no environment of labgrid: {error.msg}") from error
    except OSError as error:
        raise NanoError(f"Cannot read {path}: {error.strerror or error}.") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise NanoError(f"{path} is no environment of labgrid: {error}.") from error
    return config


def _target(path: Path, name: str, content: Mapping[str, Any], address: str) -> FarmTarget:
    """One target of the file; `NanoError` with its name if it cannot be used."""
    options, where = content["options"], f"{path}, target {name}"
    own = [key for key in options if str(key).startswith("nano_")]
    if unknown := [key for key in own if key not in _OPTIONS]:
        raise NanoError(f"{where}: {unknown[0]} is no option.", f"There are {', '.join(_OPTIONS)}.")
    emulated = options.get("nano_emulated", False)
    if not isinstance(emulated, bool):
        raise NanoError(f"{where}: nano_emulated is true or false, not {emulated!r}.")
    try:
        board = find_board(str(options["nano_board"]))
    except NanoError as error:
        raise NanoError(f"{where}: {error.message}", error.hint) from error
    place, port = _line_of(where, content)
    line = str(options.get("nano_line", ""))
    return FarmTarget(
        name, board, emulated or not board.real, place, line, port and _titled(port, name), address
    )


def _line_of(where: str, content: Mapping[str, Any]) -> tuple[str, SerialPort | None]:
    """(place, port) of a target: one of them."""
    from labgrid.factory import target_factory  # noqa: PLC0415

    with _taken_by_labgrid(where):
        resources, _ = target_factory.normalize_config(copy.deepcopy(dict(content)))
    places = list(resources.get("RemotePlace", {}))
    if len(places) == 1 and isinstance(places[0], str):
        return places[0], None
    if places:
        raise NanoError(f"{where}: a board is at one place, which has a name.")
    for cls in _LOCAL:
        for (arguments,) in resources.get(cls, {}).values():
            with _taken_by_labgrid(where):
                return "", _port(cls, arguments)
    raise NanoError(f"{where} has no line.", f"Give it a RemotePlace, or a {' or '.join(_LOCAL)}.")


@contextmanager
def _taken_by_labgrid(where: str) -> Iterator[None]:
    """What labgrid says of what stands in a file, as a `NanoError`."""
    from labgrid.exceptions import InvalidConfigError  # noqa: PLC0415

    try:
        yield
    except (InvalidConfigError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise NanoError(f"{where}: labgrid does not take its resources: {error}.") from error


def _port(
    cls: str, arguments: Mapping[str, Any], extra: Mapping[str, Any] | None = None
) -> SerialPort:
    """The port of a resource of labgrid, through its proxy where it needs one."""
    from labgrid import Target  # noqa: PLC0415
    from labgrid.factory import target_factory  # noqa: PLC0415
    from labgrid.util.proxy import proxymanager  # noqa: PLC0415

    resource = target_factory.make_resource(Target("line"), cls, None, dict(arguments))
    if cls == "RawSerialPort":
        return SerialPort(resource.port, resource.speed)
    resource.extra = dict(extra or {})
    host, port = proxymanager.get_host_and_port(resource)
    host = f"[{host}]" if ":" in host else host
    if resource.protocol == "raw":
        return SerialPort(f"socket://{host}:{port}", resource.speed)
    options = f"ign_set_control&timeout={_NEGOTIATE:g}"  # many servers do not answer for lines
    return SerialPort(f"rfc2217://{host}:{port}?{options}", resource.speed)


def _titled(port: SerialPort, title: str) -> SerialPort:
    return replace(port, title=f"{title} ({port.name.partition('?')[0]})")


# --- A place, from its turn to its release --------------------------------------------------------


@contextmanager
def acquired(
    target: FarmTarget, wait: float = WAIT, tell: Tell = lambda _: None
) -> Iterator[SerialPort]:
    """The serial port of ``target``, which is nobody else's until the end.

    Waits ``wait`` seconds (0: not at all) for a place that is another's, and for other programs of
    this user on this computer, whom the coordinator takes for the same. A place that a killed
    program left acquired is taken over. `DeviceError` if it does not come to it: by whom it is
    held or reserved, that there is no coordinator, no such place, or no line at it."""
    if target.port is not None:
        yield target.port
        return
    patience = _Patience(target, wait, tell)
    name = _speak(_place_name(target))
    with _turn(target, name, patience) as note:
        while isinstance(taken := _speak(_take(target, name, note)), str):
            patience.wait(taken)
        try:
            yield _speak(_line_at(target, name))
        finally:
            if taken:
                _speak(_release(target, name))
                note.truncate(0)


class _Patience:
    """Waits for a turn: tells why, once, and gives up in time."""

    def __init__(self, target: FarmTarget, wait: float, tell: Tell) -> None:
        self._target, self._tell = target, tell
        self._end = time.monotonic() + wait
        self._told = False

    def wait(self, why: str) -> None:
        """A moment more, because of ``why``; `DeviceError` when it is over."""
        if time.monotonic() >= self._end:
            raise DeviceError(
                f"{why[0].upper()}{why[1:]}.",
                "Wait longer (--farm-wait SECONDS), or try again later.",
            )
        if not self._told:
            self._tell(f"{self._target}: {why}; waiting for it")
        self._told = True
        time.sleep(_POLL)


@contextmanager
def _turn(target: FarmTarget, place: str, patience: _Patience) -> Iterator[IO[str]]:
    """This program's turn among those of the same user on this computer. In the file that is held
    for it stands when the place was acquired, until it is released."""
    import fcntl  # noqa: PLC0415  # not on Windows

    who = f"{target.coordinator} {_me()} {place}"
    folder = cache_dir() / "farm"
    folder.mkdir(exist_ok=True)
    path = folder / f"{hashlib.sha256(who.encode()).hexdigest()[:16]}.lock"
    with path.open("a+") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                patience.wait(f"another program of yours has the place {place}")
        yield lock


def _me() -> str:
    """As labgrid has it."""
    host = os.environ.get("LG_HOSTNAME", socket.gethostname())
    return f"{host}/{os.environ.get('LG_USERNAME') or getpass.getuser()}"


# --- What is said to the coordinator --------------------------------------------------------------


_speaking = threading.Lock()  # gRPC serves one event loop at a time well


def _speak(said: Coroutine[Any, Any, T]) -> T:
    with _speaking:
        return asyncio.run(said)


@asynccontextmanager
async def _session(target: FarmTarget) -> AsyncIterator[ClientSession]:
    """A session with the coordinator, told of all its places and resources."""
    import grpc  # noqa: PLC0415
    from labgrid.remote.client import ClientSession, Error  # noqa: PLC0415
    from labgrid.util.proxy import proxymanager  # noqa: PLC0415

    address = proxymanager.get_grpc_address(target.coordinator, default_port=20408)
    session = ClientSession(address, asyncio.get_running_loop())
    lost = DeviceError(
        f"No coordinator of labgrid answers at {target.coordinator}.",
        "Start it (`labgrid-coordinator`), or correct LG_COORDINATOR or the file's "
        "`coordinator_address`.",
    )
    try:
        with _quiet():
            try:
                await asyncio.wait_for(session.start(), _CONNECT)
            except (Error, asyncio.TimeoutError) as error:
                raise lost from error
        try:
            yield session
        except Error as error:
            raise DeviceError(f"labgrid: {' '.join(map(str, error.args))}.") from error
        except grpc.aio.AioRpcError as error:
            raise lost from error
    finally:
        session.stopping.set()
        await session.stop()
        await session.close()


@contextmanager
def _quiet() -> Iterator[None]:
    """labgrid logs what is raised here as an error anyway."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)


async def _place_name(target: FarmTarget) -> str:
    async with _session(target) as session:
        return str(session.get_place(target.place).name)


async def _take(target: FarmTarget, name: str, note: IO[str]) -> bool | str:
    """Acquire the place unless the user has: whether it has to be released, or why it is not to be
    had."""
    import grpc  # noqa: PLC0415
    from labgrid.remote.generated import labgrid_coordinator_pb2 as messages  # noqa: PLC0415

    async with _session(target) as session:
        place = session.get_place(name)
        if place.acquired == _me() or _me() in place.allowed:
            note.seek(0)
            return note.read() == str(place.changed)  # a killed program's
        if place.acquired:
            return f"{place.acquired} has acquired the place {name}"
        try:
            await session.stub.AcquirePlace(messages.AcquirePlaceRequest(placename=name))
            await session.sync_with_coordinator()
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                raise
            return str(error.details())  # another was quicker, or has reserved it
        note.truncate(0)
        note.write(str(session.get_place(name).changed))
        note.flush()
        return True


async def _line_at(target: FarmTarget, name: str) -> SerialPort:
    """The port of the place, which is acquired."""
    async with _session(target) as session:
        resources = session.get_target_resources(session.get_place(name))
    lines = {
        resource: entry
        for (resource, cls), entry in resources.items()
        if cls == "NetworkSerialPort" and target.line in ("", resource)
    }
    if not lines:
        which = f" named {target.line}" if target.line else ""
        raise DeviceError(
            f"The place {name} has no serial port{which}.",
            "See that its exporter runs, and what it matches: "
            f"`labgrid-client -p {name} show`, `labgrid-client resources`.",
        )
    if len(lines) > 1:
        raise DeviceError(
            f"The place {name} has {len(lines)} serial ports: {', '.join(lines)}.",
            "Name one: `options: {nano_line: NAME}`.",
        )
    ((_, entry),) = lines.items()
    if not entry.avail or not entry.args.get("port"):
        raise DeviceError(
            f"The serial port of the place {name} is not there.",
            "Plug the board in at its exporter.",
        )
    with _taken_by_labgrid(str(target)):
        port = _port(entry.cls, entry.args, entry.extra)
    return _titled(port, f"{target.name} at {name}")


async def _release(target: FarmTarget, name: str) -> None:
    import grpc  # noqa: PLC0415
    from labgrid.remote.generated import labgrid_coordinator_pb2 as messages  # noqa: PLC0415

    async with _session(target) as session:
        # Where somebody has taken it from us, it is theirs.
        request = messages.ReleasePlaceRequest(placename=name, fromuser=_me())
        with contextlib.suppress(grpc.aio.AioRpcError):
            await session.stub.ReleasePlace(request)


# --- A model on all boards ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of one board of a farm: a result, or why there is none."""

    target: FarmTarget
    result: BenchResult | None
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """The result as `BenchResult.to_json`, with the target's name; else `error`."""
        told = {"board": self.target.board.name} if self.result is None else self.result.to_json()
        return {"target": self.target.name, **told, "error": self.error or None}


def bench_farm(
    targets: Sequence[FarmTarget],
    built: Callable[[Board], BuildResult],
    wait: float = WAIT,
    tell: Tell = lambda _: None,
) -> list[Measured]:
    """Measure on every board of a farm the firmware that ``built`` has for it, which it must have
    been flashed with; all at once, each as soon as its place is free. What one board lacks does not
    keep the others."""
    firmwares: dict[str, BuildResult | NanoError] = {}
    for target in targets:
        if target.board.name not in firmwares:
            try:
                firmwares[target.board.name] = built(target.board)
            except NanoError as error:
                firmwares[target.board.name] = error

    def measure(target: FarmTarget) -> Measured:
        try:
            firmware = firmwares[target.board.name]
            if isinstance(firmware, NanoError):
                raise firmware
            with acquired(target, wait, tell) as port:
                tell(f"Measuring on {target}")
                return Measured(target, bench(firmware, port=port, emulated=target.emulated))
        except NanoError as error:
            return Measured(target, None, str(error))

    with ThreadPoolExecutor(max(1, len(targets))) as pool:
        under_way: list[Future[Measured]] = [pool.submit(measure, target) for target in targets]
        return [one.result() for one in under_way]
