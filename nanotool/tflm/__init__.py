"""TensorFlow Lite Micro as an oracle: run a .tflite file's bytes in a process of its own.

TFLite Micro's reference kernels (PyPI `tflite-micro`) check little and abort on what they do not
expect. So they run in another process, whose death is told and survived.

    with Interpreter() as tflm:
        y = tflm.run(model, x)
"""

from __future__ import annotations

import importlib.util
import io
import signal
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import MissingTool, NanoError
from nanotool.tflm.worker import ANSWER

START_SECONDS = 120.0  # until the process has loaded TFLite Micro
RUN_SECONDS = 300.0  # for one model and its inputs
HINT = "That is TensorFlow Lite Micro's own doing; docs/numerics.md lists what is known."


class TflmError(NanoError):
    """TFLite Micro refused a model, or died of it."""


class Interpreter:
    """A process that runs one model after another; a new one takes the place of one that died."""

    def __init__(self) -> None:
        if importlib.util.find_spec("tflite_micro") is None:
            raise MissingTool(
                "TensorFlow Lite Micro is not installed.", "Run: pip install tflite-micro"
            )
        self._process: subprocess.Popen[bytes] | None = None
        self._line: Connection[bytes, bytes] | None = None

    def __enter__(self) -> Interpreter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def run(self, model: bytes, x: NDArray[Any]) -> NDArray[Any]:
        """The first output, [n, size], of the .tflite ``model`` for its one input ``x``."""
        return self.run_ends(model, (x,), 1)[0]

    def run_ends(
        self, model: bytes, inputs: Sequence[NDArray[Any]], outputs: int
    ) -> tuple[NDArray[Any], ...]:
        """The first ``outputs`` outputs, [n, size] each, of the .tflite ``model`` for ``inputs``,
        [n, *shape] each, sample by sample: the steps of one sequence if it has variables.

        The model's inputs have as many elements as a sample; their shapes do not matter.

        Raises TflmError where TFLite Micro refuses the model, crashes or does not come back.
        """
        line = self._line or self._start()
        content = io.BytesIO()
        given = {str(number): x for number, x in enumerate(inputs)}
        np.savez(content, outputs=np.array(outputs), **given)  # type: ignore[arg-type]
        try:
            line.send_bytes(model)
            line.send_bytes(content.getvalue())
            if not line.poll(RUN_SECONDS):
                self._stop()
                raise TflmError(f"It did not answer in {RUN_SECONDS:.0f} s.", HINT)
            answer = line.recv_bytes()
        except (EOFError, OSError):
            raise TflmError(f"It crashed ({self._stop()}).", HINT) from None
        if answer[:1] != ANSWER:
            raise TflmError(
                f"It refused the model: {answer[1:].decode(errors='replace')[:300]}.", HINT
            )
        with np.load(io.BytesIO(answer[1:]), allow_pickle=False) as results:
            return tuple(results[str(number)] for number in range(outputs))

    def _start(self) -> Connection[bytes, bytes]:
        ours, theirs = Pipe()
        with theirs:
            worker = str(Path(__file__).with_name("worker.py"))
            self._process = subprocess.Popen(
                [sys.executable, worker, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # it talks
                stderr=subprocess.DEVNULL,
            )
        self._line = ours
        try:
            if ours.poll(START_SECONDS) and ours.recv_bytes() == ANSWER:
                return ours
        except EOFError:
            pass
        raise MissingTool(
            f"TensorFlow Lite Micro does not start ({self._stop()}).",
            "Run: pip install --force-reinstall tflite-micro",
        )

    def _stop(self) -> str:
        """End the process; how it ended."""
        process, line = self._process, self._line
        self._process = self._line = None
        if line is not None:
            line.close()
        if process is None:
            return "it was not running"
        try:
            code = process.wait(timeout=5)  # it leaves once its line is closed
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
