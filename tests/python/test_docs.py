"""What the pages in docs/ state is what the code does."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import click
import numpy as np
import pytest
import typer

from bench import operator_tables, pages, task_table
from nanotool.backends.tflite import emits
from nanotool.cli import app, main
from nanotool.frontends.tflite.variables import OPERATORS as VARIABLES
from nanotool.models import load_model
from nanotool.pipeline import prepare
from nanotool.sources import lib_dir

ROOT = Path(__file__).parents[2]
NOXFILE = (ROOT / "noxfile.py").read_text()
READMES = [ROOT / "README.md", ROOT / "examples" / "README.md"]


def tracked(pattern: str) -> list[Path]:
    """The files of the repository that match, new ones included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", pattern]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return sorted(path for name in listing.stdout.split() if (path := ROOT / name).is_file())


PAGES = tracked("*.md")


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the table whose first heading is ``heading``."""
    text = (ROOT / "docs" / page).read_text()
    table = text[text.index(f"| {heading} |") :].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()][
        2:
    ]


@pytest.mark.parametrize("page", operator_tables.TABLES)
def test_the_operators_are_those_of_the_registries(page: str) -> None:
    """`python -m bench.operator_tables` makes the tables."""
    made = pages.page_with(page, operator_tables.MAKER, operator_tables.TABLES[page]())
    assert made == pages.read(page)
    assert (
        "| Conv2D | conv1d, conv2d, convolution | CONV_2D, DEPTHWISE_CONV_2D |"
        in operator_tables.operators()
    )


def test_what_the_writer_can_write_is_listed() -> None:
    writer = (ROOT / "nanotool" / "backends" / "tflite").glob("*.py")
    written = {
        name for file in writer for name in re.findall(r"Codes\.([A-Z]\w+)", file.read_text())
    }
    listed = {operator_tables.CODES[code] for codes in emits.writes.values() for code in codes}
    assert listed == written - VARIABLES


def test_the_arenas_are_those_of_the_planner() -> None:
    for name, *_, ours in rows("memory.md", "model"):
        _, plan = prepare(load_model(ROOT / "tests" / "models" / f"{name}.tflite"))
        assert f"{plan.arena_size:,}" == ours, name


# --- Links ----------------------------------------------------------------------------------------


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.M | re.S)


def anchors(page: Path) -> set[str]:
    """What a link may name behind #, as GitHub and MkDocs make it of headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose(page))):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


# --- Commands -------------------------------------------------------------------------------------


def code_lines(page: Path) -> list[str]:
    """Every line of code: fenced or indented blocks, and `code` within a line."""
    text = page.read_text("utf-8")
    fenced = re.findall(r"^```(?:sh|text)?\n(.*?)^```$", text, re.M | re.S)
    lines = [line.strip() for block in fenced for line in block.splitlines()]
    lines += [line.strip() for line in re.findall(r"^ {4}(\S.*)$", prose(page), re.M)]
    return lines + re.findall(r"`([^`\n]+)`", prose(page))


def options_of(command: click.Command) -> set[str]:
    return {"--help", "-h"} | {
        name for p in command.params for name in (*p.opts, *p.secondary_opts)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist_with_their_options(page: Path) -> None:
    commands = cast(Any, typer.main.get_command(app)).commands
    sessions = set(
        re.findall(r"^@nox\.session(?:\(name=\"([\w-]+)\"\))?\ndef (\w+)", NOXFILE, re.M)
    )
    named = {name or function for name, function in sessions}
    for line in code_lines(page):
        for words in re.findall(r"(?:^|&& )nanotool ([a-z].*?)(?= +#| {2,}|$)", line):
            name, *rest = shlex.split(words.split("…")[0].rstrip("\\"))
            assert name in commands, line
            used = {word.split("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
            assert used <= options_of(commands[name]), line
        for session in re.findall(r"(?:nox -s|\./dev) ([a-z][\w-]*)", line):
            assert session in named | {"setup"}, line
        for environment in re.findall(r"pio (?:run|test) -e (\w+)", line):
            assert f"[env:{environment}]" in (ROOT / "platformio.ini").read_text(), line


# --- Blocks that run ------------------------------------------------------------------------------

# Pages whose Python blocks run: the first two in test_api, the third in test_torch_ends, the others
# below.
RUN = (
    "docs/python-api.md",
    "docs/coming-from-nano-rust.md",
    "docs/states.md",
    "docs/tutorial.md",
    "docs/signal.md",
    "docs/streams.md",
    "README.md",
)


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)


def test_every_block_is_run_somewhere() -> None:
    """What is only to be read stands indented, and has its commands and options checked."""
    fenced = [page for page in PAGES if blocks(page, "python") or blocks(page, "sh")]
    assert {str(page.relative_to(ROOT)) for page in fenced} <= set(RUN)


@pytest.mark.parametrize("page", ["signal.md", "streams.md"])
def test_the_pages_of_sound_run(page: str) -> None:
    names: dict[str, Any] = {}
    for block in blocks(ROOT / "docs" / page, "python"):
        exec(compile(block, page, "exec"), names)


def run_page(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, **swaps: str) -> list[str]:
    """Write the page's Python files, then run its nanotool commands in order; returns them.

    A board is emulated, so a line with a port is not run, nor is one that waits for a person."""
    for block in blocks(page, "python"):
        (folder / block.split()[1]).write_text(block)
    done = []
    monkeypatch.chdir(folder)
    for line in "".join(blocks(page, "sh")).splitlines():
        if not line.startswith("nanotool ") or "--port" in line or line.split()[1] in INTERACTIVE:
            continue
        words = [swaps.get(word, word) for word in shlex.split(line, comments=True)]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as leaving:
            main()
        assert not leaving.value.code, line
        done.append(line.split()[1])
    return done


INTERACTIVE = ("console", "doctor")  # the latter's exit code is this computer's


def test_the_tutorial_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run_page(ROOT / "docs" / "tutorial.md", tmp_path, monkeypatch)
    assert done == [
        "quantize",
        "info",
        "plan",
        "simulate",
        "run",
        "bench",
        "report",
        "new",
        "export",
    ]
    printed = capsys.readouterr().out
    assert "float accuracy: 100%" in printed and "0 bytes differ" in printed
    assert np.load(tmp_path / "answers.npy").shape == (30, 3)
    assert (tmp_path / "my_gestures" / "CMakeLists.txt").is_file()


def test_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the native board, which is quicker; its C compiles with what `export` wrote."""
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((3, 1, 8, 8), np.float32))
    shutil.copy(ROOT / "tests" / "models" / "kws.tflite", tmp_path)
    done = run_page(ROOT / "README.md", tmp_path, monkeypatch, stm32="native")
    assert {"quantize", "bench", "run", "export", "report"} <= set(done)
    for number, block in enumerate(blocks(ROOT / "README.md", "c")):
        source = tmp_path / f"block{number}.c"
        source.write_text(block)
        for language in LANGUAGES:
            compile_block(source, language, tmp_path / "mymodel")


# Compilers, and one that knows no GNU attributes: there NANO_ALIGNED is the language's own word.
LANGUAGES = (
    "-x c -std=c99",
    "-x c++ -std=c++17",
    "-x c -std=c11 -U__GNUC__",
    "-x c++ -std=c++17 -U__GNUC__",
)


def compile_block(source: Path, language: str, *includes: Path) -> None:
    """As a stranger would: no macro or flag of ours, every warning an error."""
    folders = [f"-I{folder}" for folder in (*includes, lib_dir() / "include")]
    warnings = ("-pedantic", "-Wall", "-Wextra", "-Werror")
    command = ["cc", *language.split(), *warnings, *folders, "-fsyntax-only", source.name]
    done = subprocess.run(command, cwd=source.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_block_of_c_compiles(tmp_path: Path, language: str) -> None:
    """With the library alone; README's, which uses a model, has its own test."""
    pages = [page for page in PAGES if page != ROOT / "README.md"]
    for number, block in enumerate(block for page in pages for block in blocks(page, "c")):
        (tmp_path / f"block{number}.c").write_text(block)
        compile_block(tmp_path / f"block{number}.c", language)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("header", ["nano.h", "sequential.h", "train.h"])
def test_the_headers_examples_compile(tmp_path: Path, header: str, language: str) -> None:
    """The lines that a header shows, around them what its reader has."""
    text = (lib_dir() / "include" / "nano" / header).read_text()
    shown = re.findall(r"^ \* {5}(\S.*)$", text.split("*/")[0], re.M)
    lines = [re.sub(r" *//.*", "", line) for line in shown]
    declared = {"nano.h": "", "sequential.h": SEQUENTIAL, "train.h": TRAIN}[header]
    (tmp_path / "example.c").write_text(READER.format(header, declared, "\n".join(lines)))
    compile_block(tmp_path / "example.c", language)


READER = """
#include <string.h>
#include "nano/nano.h"
#include "nano/{}"
#define DIGITS_ARENA_SIZE 64
#define DIGITS_TRAIN_ARENA_SIZE 64
extern const nano_model digits_model;
extern int8_t image[784];
void use(const int8_t *scores);
void example(void);
void example(void) {{
{}
{}
}}
"""
SEQUENTIAL = """
nano_arena arena; nano_net net; memset(&arena, 0, sizeof arena);
nano_conv2d_layer conv; memset(&conv, 0, sizeof conv);
nano_dense_layer fc; memset(&fc, 0, sizeof fc);
"""
TRAIN = """
extern const nano_train_config digits_train;
nano_net backbone; memset(&backbone, 0, sizeof backbone); nano_arena arena;
nano_train head; nano_train_result result; const int8_t *logits; int label = 0;
nano_train_opinion opinion; uint32_t threshold; uint16_t recording = 1;
"""


def test_the_tasks_table_is_that_of_the_records() -> None:
    """`python -m bench.task_table` makes it."""
    made = pages.page_with(task_table.PAGE, task_table.MAKER, task_table.table())
    assert made == pages.read(task_table.PAGE)
    assert set(task_table.TITLES) == {
        found[1]
        for path in (ROOT / "examples").glob("task[0-9]*.py")
        if (found := re.search(r'^    name="(\w+)"', path.read_text(), re.M))  # else it trains none
    }


def test_the_readme_is_short_and_has_a_picture() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 150
    (picture,) = [line for line in lines if line.startswith("![")]
    assert (ROOT / picture.rpartition("(")[2].rstrip(")")).is_file()
