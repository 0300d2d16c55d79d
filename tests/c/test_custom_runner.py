"""How `pio test` runs the suites: no Unity library, since check/check.h prints its format.

A board whose environment has a test_testing_command is emulated: nothing is uploaded. With
--test-port a real one is flashed and listened to instead.
"""

from __future__ import annotations

import re
from typing import Any

from platformio.test.exception import UnitTestSuiteError
from platformio.test.runners.unity import UnityTestRunner

LAST_LINE = re.compile(r"(\d+) Tests (\d+) Failures (\d+) Ignored")


class CustomTestRunner(UnityTestRunner):  # type: ignore[misc]
    """Runs one suite and insists on its last line: a crash half-way is no success."""

    EXTRA_LIB_DEPS = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.announced: int | None = None

    def configure_build_env(self, env: Any) -> Any:
        """Nothing to add: firmware/build.py does."""
        return env

    def emulated(self) -> bool:
        """Does this environment bring its own board?"""
        section = f"env:{self.test_suite.env_name}"
        return bool(self.project_config.get(section, "test_testing_command"))

    def stage_building(self) -> Any:
        """Build here for an emulator; for a real board uploading builds."""
        if not self.emulated() or self.get_test_port():
            return super().stage_building()
        if self.options.without_building:
            return None
        return self.run_project_targets(["__test", "checkprogsize"])

    def stage_uploading(self) -> Any:
        """Upload to a real board only."""
        if self.emulated() and not self.get_test_port():
            return None
        return super().stage_uploading()

    def on_testing_line_output(self, line: str) -> None:
        """Take the last line down on its way."""
        if match := LAST_LINE.search(line):
            self.announced = int(match[1])
        super().on_testing_line_output(line)

    def stage_testing(self) -> Any:
        """Run the suite; an error if it did not end as it should."""
        result = super().stage_testing()
        if self.options.without_testing:
            return result
        ran = len(self.test_suite.cases)
        if self.announced is None:
            raise UnitTestSuiteError(f"The suite stopped after {ran} tests, without a last line.")
        if self.announced != ran:
            raise UnitTestSuiteError(f"The suite ran {self.announced} tests, {ran} were heard of.")
        return result
