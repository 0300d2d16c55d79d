"""The bare ESP32 platform as PlatformIO sees it."""

from platformio.public import PlatformBase


class Esp32barePlatform(PlatformBase):
    """No packages: compiler and programmer come from PATH and from Python."""

    def is_embedded(self):
        """True: PlatformIO would tell it by a programmer among the packages."""
        return True
