"""What a forward asks of the world around it: the clock, the environment, files, the process.

None of it is there on a device; what it was at capture would stay in the model as a constant.
Python tells of every call while a profile function is set, of built-in functions too.
"""

from __future__ import annotations

import _thread
import datetime
import gc
import logging
import os
import sys
import threading
import time
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

KINDS = {  # and what a forward does with it
    "clock": "reads the clock",
    "environment": "reads or sets the environment",
    "file": "opens or looks for a file",
    "process": "asks about its process",
    "object": "asks for what differs from process to process",
}
_CLOCKS = ("time", "perf_counter", "monotonic", "process_time", "thread_time")
_BUILT_IN: dict[Any, tuple[str, str]] = {
    **{getattr(time, f"{name}{ns}"): ("clock", f"time.{name}{ns}")
       for name in _CLOCKS for ns in ("", "_ns")},
    **{getattr(time, name): ("clock", f"time.{name}")
       for name in ("localtime", "gmtime", "ctime", "strftime")},
    **{getattr(os, name): ("file", f"os.{name}")
       for name in ("open", "stat", "lstat", "listdir", "scandir")},
    open: ("file", "open"),
    np.fromfile: ("file", "numpy.fromfile"),
    input: ("process", "input"),
    **{getattr(os, name): ("process", f"os.{name}")
       for name in ("getpid", "getppid", "getuid", "uname", "getcwd", "cpu_count", "getloadavg")
       if hasattr(os, name)},
    _thread.get_ident: ("process", "threading.get_ident"),
    _thread.get_native_id: ("process", "threading.get_native_id"),
    torch.get_num_threads: ("process", "torch.get_num_threads"),
    gc.get_count: ("process", "gc.get_count"),
    os.urandom: ("random", "os.urandom"),
    hash: ("object", "hash"),
    id: ("object", "id"),
}  # fmt: skip


class _Arguments(list[str]):
    """``sys.argv`` while it is listened to: Python tells of no call into a plain list."""

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[str]:
        return super().__iter__()

    def __len__(self) -> int:
        return super().__len__()

    def __contains__(self, item: object) -> bool:
        return super().__contains__(item)


_PYTHON: dict[types.CodeType, tuple[str, str]] = {
    **{getattr(_Arguments, name).__code__: ("process", "sys.argv")
       for name in ("__getitem__", "__iter__", "__len__", "__contains__")},
    threading.active_count.__code__: ("process", "threading.active_count"),
    type(os.environ).__getitem__.__code__: ("environment", "os.environ"),
    type(os.environ).__setitem__.__code__: ("environment", "os.environ"),
    torch.load.__code__: ("file", "torch.load"),
}  # fmt: skip
_DATES = frozenset({"now", "utcnow", "today"})
# They note the time and read sources on their own account.
_APART = (os.path.dirname(logging.__file__), warnings.__file__, "<frozen importlib")  # noqa: PTH120


@contextmanager
def listening(
    note: Callable[[str, str, types.FrameType], None], is_user: Callable[[str], bool], end: str
) -> Iterator[None]:
    """Call ``note`` with kind, name and frame of whatever the user's code (``is_user`` of a file)
    asks from here on, itself or through libraries. What PyTorch asks, and frames of files whose
    path begins with ``end``, are no one's business. Nor is what the garbage collector calls in
    between, whoever's line it interrupts."""
    stops = (os.path.dirname(torch.__file__), end, *_APART)  # noqa: PTH120

    def asked_by_user(frame: types.FrameType | None) -> bool:
        while frame is not None and not is_user(frame.f_code.co_filename):
            if frame.f_code.co_filename.startswith(stops):
                return False
            frame = frame.f_back
        return frame is not None

    collecting = False

    # gc calls its callbacks in their order: all the others, and finalizers, are between these two.
    def begin(phase: str, info: dict[str, int]) -> None:
        nonlocal collecting
        collecting = True

    def finish(phase: str, info: dict[str, int]) -> None:
        nonlocal collecting
        collecting = phase != "stop"

    def look(frame: types.FrameType, event: str, argument: Any) -> None:
        if collecting:
            return
        if event == "c_call":
            found, asker = _built_in(argument), frame
        elif event == "call" and frame.f_back is not None:
            found, asker = _PYTHON.get(frame.f_code), frame.f_back
        else:
            return
        if found is None:
            return
        # Libraries take an object's id or hash as its name; what comes of it is the same.
        if is_user(asker.f_code.co_filename) if found[0] == "object" else asked_by_user(asker):
            note(*found, asker)

    before, arguments = sys.getprofile(), sys.argv
    listened = _Arguments(arguments)
    imported = list(_places_of(arguments, is_user))
    for module, name in imported:
        setattr(module, name, listened)
    sys.argv = listened
    gc.callbacks.insert(0, begin)
    gc.callbacks.append(finish)
    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(before)
        gc.callbacks.remove(begin)
        gc.callbacks.remove(finish)
        sys.argv = arguments
        for module, name in imported:
            setattr(module, name, arguments)


def _places_of(
    arguments: list[str], is_user: Callable[[str], bool]
) -> Iterator[tuple[types.ModuleType, str]]:
    """The user's modules that have done `from sys import argv`, and the name that they gave it."""
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file is not None and is_user(file):
            for name, value in list(vars(module).items()):
                if value is arguments:
                    yield module, name


def _built_in(called: Any) -> tuple[str, str] | None:
    owner = getattr(called, "__self__", None)
    if isinstance(owner, type):  # a class method
        if called.__name__ in _DATES and issubclass(owner, datetime.date):
            return "clock", f"{owner.__module__}.{owner.__name__}.{called.__name__}"
        return None
    # A method hashes its object, which may have no hash: a module's functions only.
    return _BUILT_IN.get(called) if owner is None or isinstance(owner, types.ModuleType) else None
