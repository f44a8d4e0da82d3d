"""What a judge that looks at frame sheets is asked, and what its answer is worth. The wording and the rules are ours."""

import json
from typing import Any

from motionrft.preferences.prompts import EventPrompt
from motionrft.preferences.scoring import event_score

INSTRUCTION = (
    "You see one person as a stick figure, in numbered frames in the order of time; the number and the time stand under "
    "each. The person's left arm and leg are orange, the right ones blue. Judge the movement of the body alone. Do not "
    "assume that the text below is true: say what the frames show. Answer with JSON of the given schema and nothing else."
)
_INTERVAL = {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}


def question(prompt: EventPrompt) -> str:
    """The question of one prompt."""
    named = ", ".join(f'"{event}"' for event in prompt.events)
    if prompt.kind == "frequency":
        return f'Text: "{prompt.text}". List every time that {named} happens, with its first and last frame.'
    when = "first and last frame" if prompt.kind == "temporal" else "frames"
    return f'Text: "{prompt.text}". For each of these events say whether it happens, and its {when}: {named}.'


def schema(prompt: EventPrompt) -> dict[str, Any]:
    """JSON schema of the answer."""
    if prompt.kind == "frequency":
        fields: dict[str, Any] = {"repetitions": {"type": "array", "items": _INTERVAL}}
    else:
        event = {
            "type": "object",
            "properties": {
                "name": {"type": "string", "enum": list(prompt.events)},
                "seen": {"type": "boolean"},
                "frames": {"anyOf": [_INTERVAL, {"type": "null"}]},
            },
            "required": ["name", "seen", "frames"],
            "additionalProperties": False,
        }
        fields = {"events": {"type": "array", "items": event}}
    return {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }


def schema_words(prompt: EventPrompt) -> str:
    """The schema in words, for a model that cannot be held to one."""
    return f"The JSON schema: {json.dumps(schema(prompt))}"


def correction(fault: str) -> str:
    """What is said to a model whose answer cannot be used."""
    return f"That does not fit: {fault}. Answer again, JSON alone."


def answer_in(said: str) -> Any:
    """The JSON object in what a model said, whatever it put around it.

    Raises:
        ValueError: there is none.
    """
    start, end = said.find("{"), said.rfind("}")
    if start < 0 or end < start:
        raise ValueError("the answer is no JSON object")
    return json.loads(said[start : end + 1])


def score_answer(prompt: EventPrompt, answer: Any, frames: int) -> float:
    """The score of an answer about a motion of so many frames.

    Raises:
        ValueError: the answer is not of the schema, names another event, or a frame that the motion does not have.
    """
    if not isinstance(answer, dict):
        raise ValueError("the answer is no JSON object")
    seen: dict[str, list[tuple[int, int]]] = {event: [] for event in prompt.events}
    if prompt.kind == "frequency":
        for interval in _list(answer, "repetitions"):
            seen[prompt.events[0]].append(_interval(interval, frames))
    else:
        for entry in _list(answer, "events"):
            if not isinstance(entry, dict) or entry.get("name") not in seen:
                raise ValueError(f"names are {', '.join(seen)}, not {entry!r}")
            if entry.get("seen") is True:
                seen[entry["name"]].append(_interval(entry.get("frames"), frames))
    return event_score(prompt.kind, prompt.events, prompt.count, seen)


def _list(answer: dict[str, Any], key: str) -> list[Any]:
    value = answer.get(key)
    if not isinstance(value, list):
        raise ValueError(f"{key} is no list")
    return value


def _interval(value: Any, frames: int) -> tuple[int, int]:
    whole = isinstance(value, list) and len(value) == 2 and all(type(each) is int for each in value)
    if not whole or not 0 <= value[0] <= value[1] < frames:
        raise ValueError(f"frames are [first, last] from 0 to {frames - 1}, not {value!r}")
    return value[0], value[1] + 1
