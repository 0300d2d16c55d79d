"""`nanotool doctor`."""

from __future__ import annotations

import typer

from nanotool.cli.common import AsJson, OptionalBoard, examples, find_board, out, print_json

EPILOG = examples("nanotool doctor", "nanotool doctor --board stm32", "nanotool doctor --json")


def command(board: OptionalBoard = None, as_json: AsJson = False) -> None:
    """Check what is missing here, and print the command that fixes it.

    Exit code 0 if everything that is needed is there, else 1.
    """
    from nanotool import doctor
    from nanotool.boards import BOARDS
    from nanotool.report.tables import checks_table

    boards = tuple(BOARDS.values()) if board is None else (find_board(board),)
    checks = doctor.examine(boards)
    healthy, fixes = doctor.healthy(checks), doctor.fixes(checks)
    if as_json:
        print_json(
            {
                "healthy": healthy,
                "checks": [
                    {
                        "scope": check.scope,
                        "what": check.what,
                        "ok": check.ok,
                        "needed": check.needed,
                        "found": check.found,
                    }
                    for check in checks
                ],
                "fixes": list(fixes),
            }
        )
    else:
        console = out()
        console.print(checks_table(checks))
        for line in doctor.advice(checks):
            console.print(line, soft_wrap=True)
    if not healthy:
        raise typer.Exit(1)
