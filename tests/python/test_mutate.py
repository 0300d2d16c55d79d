"""The mutants themselves: wrong where code computes, and nowhere else."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from mutate import c_operators, python_operators
from mutate.__main__ import Server, excused, patched, too_few
from mutate.c import Unit
from mutate.mutant import ROOT
from mutate.rooms import killers, mutants, sources

from nanotool import __version__

C = """\
#define LIMIT 3 /* 4 < 5 */
int f(int a, const int *b) {
    const char *text = "a < b + 1";
    if (a < 7 && g(a, *b))
        a += 2;
    reset(a);
    return a * 2 - 1;
}
"""
PYTHON = '''\
def f(a: int, b: int = 2) -> int:
    """Adds 1 < 2."""
    if a < b:
        raise ValueError(f"{a + 1}")
    return g(a, b) + 3
'''


def changes(operators: object, text: str) -> set[tuple[str, str]]:
    found = operators.mutants("x", text)  # type: ignore[attr-defined]
    return {m.lines for m in found}


def test_mutants_of_c() -> None:
    assert changes(c_operators, C) == {
        *(("if (a < 7 && g(a, *b))", f"if ({new})") for new in (
            "a <= 7 && g(a, *b)", "a < 7 || g(a, *b)", "a < 8 && g(a, *b)",
            "!(a < 7 && g(a, *b))", "a < 7 && g(*b, a)")),
        *(("a += 2;", new) for new in ("a -= 2;", "a += 3;", ";")),
        ("reset(a);", ";"),
        *(("return a * 2 - 1;", f"return {new};") for new in (
            "a + 2 - 1", "a * 2 + 1", "a * 3 - 1", "a * 2 - 2", "a * 2 - 0")),
    }  # fmt: skip


def test_mutants_of_python() -> None:
    assert changes(python_operators, PYTHON) == {
        ("def f(a: int, b: int = 2) -> int:", "def f(a: int, b: int = 3) -> int:"),
        ("if a < b:", "if a <= b:"),
        ("if a < b:", "if (not (a < b)):"),
        ("return g(a, b) + 3", "return g(b, a) + 3"),
        ("return g(a, b) + 3", "return g(a, b) - 3"),
        ("return g(a, b) + 3", "return g(a, b) + 4"),
    }


def test_each_mutant_has_its_key_and_what_is_excused_is_one() -> None:
    keys = [mutant.key for mutant in mutants()]
    assert len(set(keys)) == len(keys)
    assert set(excused()) <= set(keys)


def test_every_source_has_tests() -> None:
    for path in sources():
        name = path.relative_to(ROOT).as_posix()
        assert killers(name), name


# Words in a source's name that a test of something else has, too: a head's int16 are its weights,
# those of test_int16 a model's activations; test_quantize chooses scales, test_flip flips bits.
HOMONYMS = {"/train/": "int16", "/quantize/": "quantize", "/flip/": "flip"}


def test_a_test_that_a_source_names_can_kill_its_mutants() -> None:
    """camera.c has test_camera, conv2d_int16_dsp.c test_int16: a source that comes without its line
    in the table of rooms would be tried by the tests of its folder, which know nothing of it."""
    there = {path.stem for path in Path(__file__).parent.glob("test_*.py")}
    missing = []
    for path in (path for path in sources() if ROOT / "lib" in path.parents):
        name = path.relative_to(ROOT).as_posix()
        others = {word for folder, word in HOMONYMS.items() if folder in name}
        own = there & {f"test_{word}" for word in set(path.stem.split("_")) - others}
        missing += [(name, test) for test in own - {Path(t).stem for t in killers(name)}]
    assert not missing


@pytest.mark.parametrize("root", [ROOT, Path()], ids=["whole", "relative"])
def test_what_a_source_reads(root: Path, tmp_path: Path) -> None:
    """With whole paths, or with those relative to the checkout that ccache writes: a mutant of what
    nobody reads would be none."""
    source, header = "lib/nano/src/arena.c", "lib/nano/src/../include/nano/arena.h"
    paths = (root / source, root / header, Path("/usr/include/stdint.h"))
    (tmp_path / "arena.d").write_text(f"arena.o: {paths[0]} \\\n {paths[1]} {paths[2]}\n")
    unit = Unit(ROOT / source, (), tmp_path / "arena.o")
    assert unit.depends == {source, "lib/nano/include/nano/arena.h"}


def test_a_draw_fails_by_its_kills_and_not_by_chance() -> None:
    assert not too_few(Counter())
    assert not too_few(Counter(killed=2, survived=3))
    assert not too_few(Counter(killed=8, survived=8))
    assert too_few(Counter(killed=3, survived=17))
    assert too_few(Counter(killed=0, survived=4, excused=6))


def test_a_patch_is_a_mutant(tmp_path: Path) -> None:
    name = "nanotool/version.py"
    line = (ROOT / name).read_text().splitlines()[0]
    patch = tmp_path / "wrong.diff"
    patch.write_text(f"--- a/{name}\n+++ b/{name}\n@@ -1 +1 @@\n-{line}\n+wrong = 1\n")
    assert patched(patch).files[name].startswith("wrong = 1\n")
    patch.write_text(f"--- a/{name}\n+++ b/{name}\n@@ -1 +1 @@\n-no such line\n+wrong\n")
    with pytest.raises(SystemExit, match="does not apply"):
        patched(patch)


def test_a_changed_module_is_what_the_tests_see(tmp_path: Path) -> None:
    test = tmp_path / "test_it.py"
    test.write_text(
        "import nanotool\n\ndef test_version():\n"
        f"    assert nanotool.__version__ == {__version__!r}\n"
    )
    job = {"extension": None, "tests": [str(test)], "seconds": 60}
    server = Server()
    assert server.ask({"files": {}, **job})["status"] == 0
    changed = server.ask({"files": {"nanotool/version.py": '__version__ = "0.0.0"\n'}, **job})
    server.close()
    assert changed["status"] == 1
    assert "test_version" in str(changed["failed"])
