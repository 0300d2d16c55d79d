"""The fuzzing itself: what it finds is kept, and said."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz.__main__ import HERE, harnesses
from fuzz.python import run

from nanotool.errors import NanoError
from nanotool.files import read_array


def refuses_zero(data: bytes) -> None:
    assert 0 not in data


def test_a_finding_ends_the_run_and_is_kept(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "sound").write_bytes(b"abcdef")
    arguments = ["-max_total_time=60", f"-artifact_prefix={tmp_path}/found-", str(corpus)]
    assert run(refuses_zero, arguments) != 0
    (found,) = tmp_path.glob("found-*")
    assert 0 in found.read_bytes()
    assert run(refuses_zero, [str(found)]) != 0
    assert run(refuses_zero, [str(corpus / "sound")]) == 0


def test_every_harness_has_a_corpus_of_small_inputs() -> None:
    folders = sorted((HERE / "corpus").iterdir())
    assert [folder.name for folder in folders] == sorted(harnesses())
    sizes = [file.stat().st_size for folder in folders for file in folder.iterdir()]
    assert max(sizes) <= 3000


@pytest.mark.parametrize("missing", [b"}", b"'", b"(", b","])
def test_an_array_with_a_broken_header_is_refused(missing: bytes, tmp_path: Path) -> None:
    """NumPy reads it with Python's tokenizer, whose errors are no ValueError."""
    file = HERE / "corpus" / "arrays"
    sound = next(f.read_bytes() for f in sorted(file.iterdir()) if b"<f4" in f.read_bytes())
    path = tmp_path / "broken.npy"
    path.write_bytes(sound.replace(missing, b" ", 1))
    with pytest.raises(NanoError, match=r"damaged|holds"):
        read_array(path)
