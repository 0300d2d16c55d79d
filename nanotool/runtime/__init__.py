"""Run models in this process with the very C library that runs on the device.

    runtime = Runtime(lowered, plan)
    y = runtime.run(x)              # int8 [n, *input shape] -> int8 [n, *output shape]
    session = runtime.start()       # a net with states, step by step

The C structs are filled from a Lowered and a Plan as the emitter prints them: one description, two
readers.
"""

from nanotool.runtime.extension import load
from nanotool.runtime.model import Runtime, Session

__all__ = ["Runtime", "Session", "load"]
