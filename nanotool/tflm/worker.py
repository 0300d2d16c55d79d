"""The process that TFLite Micro runs in: models and inputs come over a pipe, outputs go back.

It is started by file name, and imports nothing of nanotool. Each request is two messages, the
.tflite file and an .npz: the inputs under "0", "1" and so on, and under "outputs" how many there
are. Each answer is one: `ANSWER` and the outputs as .npz, likewise, or `REFUSAL` and the reason.
The first message, `ANSWER` alone, says that TFLite Micro is loaded.
"""

from __future__ import annotations

import io
import sys
from multiprocessing.connection import Connection
from typing import Any

ANSWER, REFUSAL = b"y", b"n"
MIN_ARENA = 1 << 20
ARENA_FACTOR = 64  # bytes of arena a byte of input and file: plenty, as nothing is known yet
MAX_ARENA = 1 << 28


def run(runtime: Any, model: bytes, inputs: Any, count: int) -> Any:
    """``count`` outputs of ``model`` for the samples ``inputs``, an array an input; each flat."""
    import numpy as np  # noqa: PLC0415  the parent process imports this module for its constants

    size = ARENA_FACTOR * (len(model) + sum(x[:1].nbytes for x in inputs))
    arena = min(max(size, MIN_ARENA), MAX_ARENA)
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=arena)
    shapes = [interpreter.get_input_details(number)["shape"] for number in range(len(inputs))]
    outputs: list[list[Any]] = [[] for _ in range(count)]
    for samples in zip(*inputs, strict=True):
        for number, (sample, shape) in enumerate(zip(samples, shapes, strict=True)):
            interpreter.set_input(sample.reshape(shape), number)
        interpreter.invoke()
        for number, rows in enumerate(outputs):
            rows.append(np.array(interpreter.get_output(number)).reshape(-1))
    return [np.asarray(rows) for rows in outputs]


def serve(line: Connection[bytes, bytes]) -> None:
    """Answer until the line is closed."""
    import numpy as np  # noqa: PLC0415
    from tflite_micro import runtime  # noqa: PLC0415

    line.send_bytes(ANSWER)
    while True:
        try:
            model, given = line.recv_bytes(), dict(np.load(io.BytesIO(line.recv_bytes())))
        except EOFError:
            return
        try:
            content = io.BytesIO()
            count = int(given.pop("outputs"))
            inputs = [given[str(number)] for number in range(len(given))]
            outputs = run(runtime, model, inputs, count)
            np.savez(content, **{str(number): y for number, y in enumerate(outputs)})
            line.send_bytes(ANSWER + content.getvalue())
        except Exception as error:  # whatever it is, it is TFLite Micro's wrapper that raised it
            line.send_bytes(REFUSAL + (str(error).split("\n")[0] or repr(error)).encode())


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
