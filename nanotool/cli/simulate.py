"""`nanotool simulate`."""

from __future__ import annotations

from nanotool.cli.common import (
    AsFloat,
    AsJson,
    InputFile,
    Model,
    OutputFile,
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
) -> None:
    """Run a model on this computer, byte for byte as a board does."""
    import numpy as np

    from nanotool.files import write_array
    from nanotool.report.tables import answers_table
    from nanotool.simulate import simulate

    graph = load(model)
    x, beyond = load_input(graph, input)
    parts = []
    with progress("Simulating") as show:
        for start in range(0, len(x), CHUNK):
            parts.append(simulate(graph, x[start : start + CHUNK]))
            show(min(start + CHUNK, len(x)), len(x))
    y = np.concatenate(parts)
    if output is not None:
        write_array(output, as_asked(graph, y, as_float))
        note(f"Wrote {output}: {len(y):,} outputs.")
    if as_json:
        print_json({"outputs": as_asked(graph, y, as_float).tolist()} | saturation(beyond))
    elif output is None:
        values = graph.output_tensor.dequantize(y).reshape(len(y), -1).tolist()
        out().print(answers_table(values, graph.labels))
