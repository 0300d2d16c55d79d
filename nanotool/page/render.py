"""The page as text: style, script, module and facts inside, nothing fetched."""

from __future__ import annotations

import base64
import json
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template

from nanotool.ir import Lowered, Plan, QGraph
from nanotool.page.facts import facts
from nanotool.page.wasm import compile_model
from nanotool.pipeline import prepare
from nanotool.report.text import number, size

# One scope for all: each may use what stands in those before it, and the last one begins.
SCRIPTS = ("bytes", "model", "views", "inputs", "listen", "wire", "board", "main")
_HERE = Path(__file__).parent


def render(graph: QGraph, optimize: str = "balanced") -> str:
    """The page of ``graph``. `MissingTool` without clang or lld."""
    lowered, plan = prepare(graph, "portable", optimize)
    return page_text(lowered, plan, compile_model(lowered, plan))


def page_text(lowered: Lowered, plan: Plan, module: bytes) -> str:
    """The page of a model that was compiled to ``module``. Deterministic."""
    known = facts(lowered, plan)
    return template("page.html.j2").render(
        facts=known,
        json=as_json(known),
        wasm=base64.b64encode(module).decode("ascii"),
        script="\n".join((_HERE / f"{name}.js").read_text("utf-8") for name in SCRIPTS),
    )


def message_page(text: str) -> str:
    """A page that says only this."""
    return f'<!doctype html><meta charset="utf-8"><title>nanotool</title><pre>{escape(text)}</pre>'


def as_json(facts: dict[str, Any]) -> str:
    """``facts`` for a <script>, inside of which only "<" could end it or begin a comment."""
    return json.dumps(facts, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


@cache
def template(name: str) -> Template:
    """The template ``name`` of this room, with the report's styles in reach."""
    environment = Environment(
        loader=ChoiceLoader(
            [PackageLoader("nanotool.page", "."), PackageLoader("nanotool.report", ".")]
        ),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(number=number, size=size)
    return environment.get_template(name)
