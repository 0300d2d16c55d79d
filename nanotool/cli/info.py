"""`nanotool info`."""

from __future__ import annotations

from nanotool.cli.common import AsJson, Model, examples, load, out, plan_model, print_json

EPILOG = examples("nanotool info digits.nano", "nanotool info digits.nano --json")


def command(model: Model, as_json: AsJson = False) -> None:
    """Show a model's tensors and operations, its MACs, and what its portable kernels take.

    `nanotool plan --board BOARD` tells it for a board.
    """
    from nanotool.describe import describe, proposal, summary
    from nanotool.qfile import graph_hash
    from nanotool.report.tables import (
        facts_table,
        model_facts,
        ops_table,
        quality_table,
        tensors_table,
        trials_table,
    )

    graph = load(model)
    facts = summary(*plan_model(graph, "portable"), graph_hash(graph))
    if as_json:
        print_json(
            {
                **dict(facts),
                "labels": list(graph.labels),
                "tensors": {
                    t.name: {
                        "shape": t.shape,
                        "type": t.dtype,
                        "scale": t.scale,
                        "zero_point": t.zero_point,
                    }
                    for t in graph.tensors.values()
                },
                "ops": [
                    {"name": op.name, "what": describe(op), "inputs": op.inputs} for op in graph.ops
                ],
            }
        )
        return
    console = out()
    console.print(facts_table(model_facts(facts)))
    for table in (tensors_table(graph), ops_table(graph)):
        console.print()
        console.print(table)
    if graph.quality:
        console.print()
        console.print(quality_table(graph))
    if graph.trials:
        console.print()
        console.print(trials_table(graph))
    if proposal(graph):
        console.print(f"\n{proposal(graph)}", highlight=False)
