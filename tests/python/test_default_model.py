"""The committed default model is what today's exporter makes of its own model.nano."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from nanotool.cli import app

DEFAULT = Path(__file__).parents[2] / "firmware" / "models" / "default"


def test_the_default_model_is_exported_anew_to_the_same_bytes(tmp_path: Path) -> None:
    fresh = tmp_path / "default"
    arguments = ["export", str(DEFAULT / "model.nano"), "-o", str(fresh), "--optimize", "speed"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    names = sorted(path.name for path in DEFAULT.iterdir())
    assert names == sorted(path.name for path in fresh.iterdir())
    stale = [n for n in names if (fresh / n).read_bytes() != (DEFAULT / n).read_bytes()]
    command = "nanotool export firmware/models/default/model.nano -o firmware/models/default"
    hint = f"run: {command} --optimize speed"
    assert not stale, f"{stale} are out of date; {hint}"
