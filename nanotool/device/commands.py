"""The console's commands (docs/console.md): what completion and help know of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "name": "who answers",
        "profile": "protocol and model",
        "timestamp": "microseconds since start-up",
        "help": "the board's own list of commands",
        "db load": "N: begin an input of N bytes; of several: N [INPUT], all of them or one",
        "db print": "show the input buffer",
        "db": "HH…: append bytes of the input, in hex",
        "infer": "N [W]: W warm-up inferences (10), then N timed ones",
        "time": "N [W]: infer without the results",
        "results": "the newest output; of several: [OUTPUT], all of them or one",
        "info": "versions, clock, model, shapes",
        "mem": "arena, RAM, stack and flash",
        "layers": "ticks and output CRC of every layer",
        "dump": "[I]: the newest output, or that of op I, as bytes",
        "crc": "CRC-32 of image, input and output",
        "reset": "start over as after power-on",
    }
)
"""Of every board."""

BULK_COMMANDS: Mapping[str, str] = MappingProxyType(
    {"baud": "[RATE]: the line's rate from the next answer on; 0: the first one"}
)
"""Of a board whose model listens or learns."""

MODEL_COMMANDS: Mapping[str, str] = MappingProxyType(
    {"model": "[MODEL]: the models; or choose one, by number or name, to begin anew with it"}
)
"""Of a board with several models."""

STATE_COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "state": "size and CRC-32 of what the model remembers",
        "state reset": "the initial values: the next inference is the first step of a sequence",
        "state fetch": "its bytes",
        "state put": "SIZE: states that follow in pieces",
    }
)
"""Of a board whose model has states."""

STREAM_COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "stream status": "rate, whether one is open, ticks, counts; also plain stream",
        "stream begin": "forget everything; samples follow",
        "stream feed": "HH…: samples of two bytes, the lower one first, in hex",
        "stream step": "the newest step's output and decisions",
    }
)
"""Of a board whose model listens."""

SENSOR_COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "sensor": "what waits of the board's own sensor",
        "sensor begin": "sample anew",
        "sensor read": "AT: values from number AT on, as frames; those before are forgotten",
        "sensor end": "switch it off",
        "start": "listen to it (MLPerf Tiny's streaming wake word)",
        "stop": "no longer; the outputs since start",
    }
)
"""Of a board whose firmware has a sensor."""

TRAIN_COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "train help": "the board's own list of these",
        "train status": "counters, and what the head is",
        "train begin": "[RATE [BATCH]]: set both, count evaluations anew",
        "train set": "rate|momentum|decay|clip VALUE: one number of the recipe",
        "train sample": "LABEL: learn the input",
        "train remember": "LABEL: the input to the replay buffer only",
        "train learn": "RECORDING [LABEL]: the input is normal",
        "train score": "how far the input is from what is normal",
        "train threshold": "[SCORE|auto|none]: above which a score is anomalous",
        "train votes": "NEEDED WINDOW: so many of the last scores are an alarm",
        "train quantile": "QUANTILE MARGIN: per mille, for train threshold auto",
        "train step": "[N]: learn N samples of the replay buffer, update the weights",
        "train eval": "[LABEL]: judge the input; without a label, how many were right",
        "train target": "OUTPUT BITS: what an output shall be, a float32 in hex",
        "train fit": "learn the input with these targets",
        "train loss": "judge the input by these targets",
        "train ticks": "what the newest sample took to learn",
        "train class": "one class more",
        "train save": "[head|optimizer|all]: keep it in the board's store",
        "train load": "what was saved last",
        "train reset": "the initial weights",
        "train fetch": "[head|optimizer|all]: its bytes",
        "train put": "SIZE: a head that follows in pieces",
    }
)
"""Of a board with a trainable head."""

BOARD_COMMANDS = (
    COMMANDS,
    BULK_COMMANDS,
    MODEL_COMMANDS,
    STATE_COMMANDS,
    STREAM_COMMANDS,
    SENSOR_COMMANDS,
    TRAIN_COMMANDS,
)
"""All of them, in the order in which they are told."""
