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
    check_output_file,
    examples,
    load,
    load_inputs,
    outputs_json,
    print_json,
    progress,
    saturation,
    show_answers,
    write_outputs,
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

    from nanotool.simulate import simulate_steps

    graph = load(model)
    check_output_file(graph, output)
    x, beyond = load_inputs(graph, input)
    count = len(x[0])
    parts = []
    with progress("Simulating") as show:
        chunk = count if graph.states else CHUNK
        for start in range(0, count, chunk):
            part = [data[start : start + chunk] for data in x]
            parts.append(simulate_steps(graph, part, reset_every=reset_every)[0])
            show(min(start + chunk, count), count)
    ends = [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
    outputs = as_asked(graph, ends, as_float)
    if output is not None:
        write_outputs(output, outputs)
    if as_json:
        print_json({"outputs": outputs_json(outputs)} | saturation(graph, beyond))
    elif output is None:
        show_answers(graph, ends)
