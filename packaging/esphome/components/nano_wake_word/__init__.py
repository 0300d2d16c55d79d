"""nano_wake_word: a wake word without an interpreter.

Takes the place of ESPHome's micro_wake_word for one model: the same microphone, features and rule;
the model is C that nanotool made of it, without TensorFlow Lite Micro.
"""

from pathlib import Path

import esphome.codegen as cg
import esphome.config_validation as cv
from esphome import automation
from esphome.automation import register_action, register_condition
from esphome.components import esp32, microphone
from esphome.const import CONF_ID, CONF_MICROPHONE, CONF_MODEL
from esphome.core import CORE

from .prepare import NAME, PrepareError, prepare, sample_rate

DEPENDENCIES = ["microphone"]

CONF_ON_WAKE_WORD_DETECTED = "on_wake_word_detected"
CONF_STOP_AFTER_DETECTION = "stop_after_detection"
SAMPLE_RATE = 16000

nano_wake_word_ns = cg.esphome_ns.namespace("nano_wake_word")
NanoWakeWord = nano_wake_word_ns.class_("NanoWakeWord", cg.Component)
StartAction = nano_wake_word_ns.class_("StartAction", automation.Action)
StopAction = nano_wake_word_ns.class_("StopAction", automation.Action)
IsRunningCondition = nano_wake_word_ns.class_("IsRunningCondition", automation.Condition)


def _component(model: Path) -> Path:
    return prepare(model, Path(CORE.data_dir) / "nano_wake_word")


def validate_model(value):
    """A file from which nanotool makes a model that listens to 16 kHz."""
    path = Path(CORE.relative_config_path(cv.string_strict(value)))
    if path.suffix not in {".tflite", ".nano"}:
        raise cv.Invalid("A model is a .tflite or a .nano file.")
    if not path.is_file():
        raise cv.Invalid(f"There is no file {path}.")
    try:
        rate = sample_rate(_component(path))
    except PrepareError as error:
        raise cv.Invalid(str(error)) from error
    if rate != SAMPLE_RATE:
        raise cv.Invalid(f"{path.name} listens to {rate} samples a second, not to {SAMPLE_RATE}.")
    return str(path)


CONFIG_SCHEMA = cv.All(
    cv.Schema(
        {
            cv.GenerateID(): cv.declare_id(NanoWakeWord),
            cv.Optional(CONF_MICROPHONE, default={}): microphone.microphone_source_schema(
                min_bits_per_sample=16, max_bits_per_sample=16, min_channels=1, max_channels=1
            ),
            cv.Required(CONF_MODEL): validate_model,
            cv.Optional(CONF_STOP_AFTER_DETECTION, default=True): cv.boolean,
            cv.Optional(CONF_ON_WAKE_WORD_DETECTED): automation.validate_automation(single=True),
        }
    ).extend(cv.COMPONENT_SCHEMA),
    cv.only_on_esp32,
)

FINAL_VALIDATE_SCHEMA = cv.Schema(
    {
        cv.Required(CONF_MICROPHONE): microphone.final_validate_microphone_source_schema(
            "nano_wake_word", sample_rate=SAMPLE_RATE
        )
    },
    extra=cv.ALLOW_EXTRA,
)


async def to_code(config):
    """C++ of the configuration; the model and the library are a component of ESP-IDF."""
    var = cg.new_Pvariable(config[CONF_ID])
    await cg.register_component(var, config)
    source = await microphone.microphone_source_to_code(config[CONF_MICROPHONE])
    cg.add(var.set_microphone_source(source))
    cg.add(var.set_stop_after_detection(config[CONF_STOP_AFTER_DETECTION]))
    esp32.add_idf_component(name=NAME, path=str(_component(Path(config[CONF_MODEL])).resolve()))
    if detected := config.get(CONF_ON_WAKE_WORD_DETECTED):
        await automation.build_automation(
            var.get_wake_word_detected_trigger(), [(cg.std_string, "wake_word")], detected
        )


ACTION_SCHEMA = cv.Schema({cv.GenerateID(): cv.use_id(NanoWakeWord)})


@register_action("nano_wake_word.start", StartAction, ACTION_SCHEMA, synchronous=True)
@register_action("nano_wake_word.stop", StopAction, ACTION_SCHEMA, synchronous=True)
@register_condition("nano_wake_word.is_running", IsRunningCondition, ACTION_SCHEMA)
async def action_to_code(config, action_id, template_arg, args):
    """Each refers to its wake word."""
    var = cg.new_Pvariable(action_id, template_arg)
    await cg.register_parented(var, config[CONF_ID])
    return var
