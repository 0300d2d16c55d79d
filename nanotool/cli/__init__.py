"""The `nanotool` command. One module a command; none holds logic, none imports before it runs."""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
from collections.abc import Callable
from io import TextIOWrapper
from typing import Annotated, NoReturn

import typer

from nanotool.cli import (
    bench,
    bisect,
    boards,
    build,
    capture,
    console,
    doctor,
    export,
    flash,
    info,
    listen,
    measure,
    new,
    page,
    plan,
    quantize,
    report,
    run,
    simulate,
    stream,
    train,
    tune,
    version,
)
from nanotool.cli.common import FIRST_PANEL, LOOK_PANEL, MODEL_PANEL, RUN_PANEL, examples
from nanotool.errors import NanoError

app = typer.Typer(
    name="nanotool",
    help="PyTorch in, plain C for microcontrollers out, proven byte for byte.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "nanotool quantize digits.py -o digits.nano",
        "nanotool run digits.nano --board stm32 --input images.npy",
        "nanotool bench digits.nano --board stm32",
    ),
)


def _text(command: Callable[..., None]) -> str:
    """A command's docstring for its help: the terminal breaks the lines, not the source."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _version(asked: bool) -> None:
    if asked:
        version.command()
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=_version, is_eager=True, show_default=False,
            help="Print the version and leave.",
        ),
    ] = False,
) -> None:  # fmt: skip
    """PyTorch in, plain C for microcontrollers out, proven byte for byte."""


for panel, modules in (
    (FIRST_PANEL, (quantize, run, bench, export, doctor)),
    (MODEL_PANEL, (new, info, plan, stream, tune)),
    (RUN_PANEL, (simulate, build, flash, listen, capture, measure, train, console, bisect)),
    (LOOK_PANEL, (page, report, boards, version)),
):
    for module in modules:
        name = module.__name__.rpartition(".")[2]
        app.command(name, rich_help_panel=panel, help=_text(module.command), epilog=module.EPILOG)(
            module.command
        )


def main() -> NoReturn:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    for end in (sys.stdout, sys.stderr):
        if isinstance(end, TextIOWrapper):
            end.reconfigure(errors="replace")  # a terminal that knows no × gets ?
    try:
        app(prog_name="nanotool")
    except NanoError as error:
        _fail(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        _let_go_of_stdout()
        sys.exit(1)
    raise AssertionError("typer always exits")


def _fail(error: NanoError) -> None:
    """One paragraph on stderr."""
    from rich.text import Text

    from nanotool.cli.common import err

    console = err()
    with contextlib.suppress(BrokenPipeError):
        console.print(
            Text.assemble(("error: ", "bold red"), str(error)), soft_wrap=not console.is_terminal
        )


def _let_go_of_stdout() -> None:
    """The reader is gone: what is still buffered must not raise again at exit."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
