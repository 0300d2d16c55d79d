"""`nanotool version`."""

from __future__ import annotations

from nanotool.cli.common import AsJson, examples, out, print_json

EPILOG = examples("nanotool version", "nanotool version --json")


def command(as_json: AsJson = False) -> None:
    """Print nanotool's version."""
    from nanotool.version import __version__

    if as_json:
        print_json({"version": __version__})
    else:
        out().print(f"nanotool {__version__}")
