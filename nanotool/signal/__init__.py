"""Front ends: from a sensor's raw samples to what a model takes, in the device's integers.

`MicroFrontend`, `Mel` and `Sensor` run the C library's blocks in this process, so that training
data goes through the very arithmetic of the board.
"""

from nanotool.sensing.description import MelSettings, MicroFrontendSettings, SensorSettings
from nanotool.signal.frontend import Mel, MicroFrontend, Sensor

__all__ = [
    "Mel",
    "MelSettings",
    "MicroFrontend",
    "MicroFrontendSettings",
    "Sensor",
    "SensorSettings",
]
