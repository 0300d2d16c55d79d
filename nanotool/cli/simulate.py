"""`nanotool simulate`."""

from __future__ import annotations

from nanotool.cli.common import (
    AsFloat,
    AsJson,
    InputFile,
    Model,
    OutputFile,
    ResetEvery,
    as_asked,
    examples,
    load,
    load_input,
    note,
    out,
    print_json,
    progress,
    saturation,
)

EPILOG = examples(
    "nanotool simulate digits.nano --input images.npy",
    "nanotool simulate digits.nano --input images.npy --output y.npy",
)
CHUNK = 64  # samples at a time: the progress bar moves, and memory stays bounded


def command(
    model: Model,
    input: InputFile,
    output: OutputFile = None,
    as_float: AsFloat = False,
    as_json: AsJson = False,
    reset_every: ResetEvery = 0,
) -> None:
    """Run a model on this computer, byte for byte as a board does.

    A model with states takes the inputs as consecutive steps, from a reset on.
    """
    import numpy as np

    from nanotool.files import write_array
    from nanotool.report.tables import answers_table
    from nanotool.simulate import simulate

    graph = load(model)
    x, beyond = load_input(graph, input)
    parts = []
    with progress("Simulating") as show:
        chunk = len(x) if graph.states else CHUNK
        for start in range(0, len(x), chunk):
            part = x[start : start + chunk]
            parts.append(simulate(graph, part, reset_every=reset_every))
            show(min(start + chunk, len(x)), len(x))
    y = np.concatenate(parts)
    if output is not None:
        write_array(output, as_asked(graph, y, as_float))
        note(f"Wrote {output}: {len(y):,} outputs.")
    if as_json:
        print_json({"outputs": as_asked(graph, y, as_float).tolist()} | saturation(beyond))
    elif output is None:
        values = graph.output_tensor.dequantize(y).reshape(len(y), -1).tolist()
        out().print(answers_table(values, graph.labels))
