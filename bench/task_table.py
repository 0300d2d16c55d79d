"""The table of docs/tasks.md, out of the records in bench/tasks.

    python -m bench.task_table      put it into the page

`python -m examples.task07_fashion --record` does so after it has kept its record. A test compares.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench import pages

ROOT = Path(__file__).resolve().parents[1]
PAGE, MAKER = "tasks.md", "bench.task_table"
RECORDS = ROOT / "bench" / "tasks"
TITLES = {  # in the order of examples/
    "digits": "06 digits",
    "fashion": "07 fashion",
    "motion": "08 motion",
    "spoken_digits": "09 spoken digits",
    "spam": "10 spam",
}
HEADINGS = (
    *("task", "test samples", "float", "int8", "on the board", "bytes unlike the PC's"),
    *("instructions", "arena", "weights", "code"),
)


def table() -> str:
    """The table in Markdown; a task without a record has dashes."""
    rows = []
    for name, title in TITLES.items():
        path = RECORDS / f"{name}.json"
        cells = figures(json.loads(path.read_text("utf-8"))) if path.is_file() else ()
        rows.append((title, *(cells or ["–"] * (len(HEADINGS) - 1))))
    return pages.markdown(HEADINGS, rows, right=True)


def figures(record: dict[str, Any]) -> tuple[str, ...]:
    """A record's cells; of the boards, those of the one whose counter counts instructions."""
    board = next(board for board in record["boards"] if board["instructions"] is not None)
    sizes = (f"{board[f'{part}_bytes']:,} B" for part in ("arena", "weight", "code"))
    return (
        f"{sum(fold['test_samples'] for fold in record['folds']):,}",
        f"{record['float_accuracy']:.2%}",
        f"{record['int8_accuracy']:.2%}",
        f"{board['accuracy']:.1%} of {board['samples']}",
        str(sum(each["mismatches"] for each in record["boards"])),
        f"{board['instructions']:,}",
        *sizes,
    )


def update() -> None:
    """Put the table into the page."""
    pages.update(PAGE, MAKER, table())


if __name__ == "__main__":
    update()
