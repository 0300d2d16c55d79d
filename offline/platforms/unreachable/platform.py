"""What PlatformIO gets in the place of a platform that only its registry has."""

from platformio.exception import UserSideException
from platformio.public import PlatformBase


class UnreachablePlatform(PlatformBase):
    """Refuses to build, with the way out."""

    def configure_default_packages(self, options, targets):
        """Called first of all."""
        wanted = options.get("custom_registry_platform")
        raise UserSideException(
            f"{wanted} comes from PlatformIO's registry, which was out of reach when "
            "platformio_override.ini was written. Where it is in reach, remove that file. "
            "Without it: -e native, a firmware by `nanotool build`, or of an ESP32 -e esp32_bare."
        )
