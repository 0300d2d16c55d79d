"""The process that TFLite Micro runs in: models and inputs come over a pipe, outputs go back.

It is started by file name, and imports nothing of nanotool. Each request is two messages, the
.tflite file and the inputs as .npy; each answer is one: `ANSWER` and the outputs as .npy, or
`REFUSAL` and the reason. The first message, `ANSWER` alone, says that TFLite Micro is loaded.
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


def run(runtime: Any, model: bytes, x: Any) -> Any:
    """The outputs of ``model`` for the samples ``x``, each flat."""
    import numpy as np  # noqa: PLC0415  the parent process imports this module for its constants

    size = ARENA_FACTOR * (len(model) + x[:1].nbytes)
    arena = min(max(size, MIN_ARENA), MAX_ARENA)
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=arena)
    shape = interpreter.get_input_details(0)["shape"]
    outputs = []
    for sample in x:
        interpreter.set_input(sample.reshape(shape), 0)
        interpreter.invoke()
        outputs.append(np.array(interpreter.get_output(0)).reshape(-1))
    return np.asarray(outputs)


def serve(line: Connection[bytes, bytes]) -> None:
    """Answer until the line is closed."""
    import numpy as np  # noqa: PLC0415
    from tflite_micro import runtime  # noqa: PLC0415

    line.send_bytes(ANSWER)
    while True:
        try:
            model, x = line.recv_bytes(), np.load(io.BytesIO(line.recv_bytes()))
        except EOFError:
            return
        try:
            content = io.BytesIO()
            np.save(content, run(runtime, model, x), allow_pickle=False)
            line.send_bytes(ANSWER + content.getvalue())
        except Exception as error:  # whatever it is, it is TFLite Micro's wrapper that raised it
            line.send_bytes(REFUSAL + (str(error).split("\n")[0] or repr(error)).encode())


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
