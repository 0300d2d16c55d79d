"""`nanotool page`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nanotool.cli.common import Model, examples, load, note, status

EPILOG = examples(
    "nanotool page digits.nano -o page.html",
    "nanotool page alexa.tflite -o alexa.html",
    "nanotool page digits.nano --serve",
)


def command(
    model: Model,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="PAGE.html", help="Where the page goes.", show_default=False
        ),
    ] = None,
    serve: Annotated[
        bool,
        typer.Option(
            "--serve", help="Open it in a browser, and again whenever the model changes.",
            show_default=False,
        ),
    ] = False,
    port: Annotated[
        int, typer.Option("--serve-port", min=0, max=65535, help="Of this computer; 0: any.")
    ] = 0,
) -> None:  # fmt: skip
    """Write one HTML file in which a model runs: the C library itself, the same bytes as a board's.

    Draw a digit, speak, move a slider, open a file; see every layer; and connect a board that runs
    the same model, to see both. The file needs no network, and no server.
    """
    from nanotool.files import check_writable, write_atomic
    from nanotool.page import render

    if (output is None) == (not serve):
        raise typer.BadParameter("Give either --output PAGE.html or --serve.")
    if output is None:
        _serve(model, port)
        return
    check_writable(output)
    graph = load(model)
    with status("Compiling the model for browsers …"):
        text = render(graph)
    write_atomic(output, text)
    note(f"Wrote {output} ({len(text.encode()):,} B).")


def _serve(model: Path, port: int) -> None:
    import contextlib
    import webbrowser

    from nanotool.page import render
    from nanotool.page.serve import PageServer

    with PageServer(model, lambda path: render(load(path)), port) as server:
        server.text()  # what is wrong with the model shows before a browser opens
        note(f"Serving {model} at {server.address} until Ctrl-C.")
        webbrowser.open(server.address)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
