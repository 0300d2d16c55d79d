"""The one error type that a user meets: what is wrong, with its name, and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NanoError(Exception):
    """Something the user can put right.

    ``str(error)`` is one paragraph: the message, then the hint. The command line prints it
    and exits with `exit_code`; it never shows a traceback for it.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        # What another program said, quoted at the end, need not end as a sentence does.
        stop = "." if hint and message and message[-1] not in ".:!?\n" else ""
        super().__init__(f"{message}{stop} {hint}".strip())
        self.message = message
        self.hint = hint


class UnsupportedOp(NanoError):
    """A module, node or operator that has no int8 form here."""

    def __init__(self, node: str, what: str, hint: str) -> None:
        super().__init__(f"{node}: {what} is not supported.", hint)
        self.node = node


class InvalidModel(NanoError):
    """A model file or graph that contradicts itself."""


class NanoWarning(UserWarning):
    """Something goes on, but hardly as it is meant: inputs out of range, poor calibration data."""


class MissingTool(NanoError):
    """A compiler, emulator or package that has to be installed first."""


class DeviceError(NanoError):
    """The board, or the line to it, did not answer as agreed."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """ " Did you mean ...?" of the nearest of ``known``, to stand behind a message; or nothing."""
    near = difflib.get_close_matches(name, list(known), n=2)
    return f" Did you mean {' or '.join(near)}?" if near else ""
