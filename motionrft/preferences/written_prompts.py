"""Prompts in a language model's words: what each shall tell (events, order, number) is drawn, the model writes the text.

AToM's prompts were written by a language model from a list of elementary motions; its instructions are not published,
these are ours. Every answer is kept in a journal; texts that are missing or were written twice are asked for again, by a
question that names what is there already.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from motionrft.errors import UserError
from motionrft.preferences.chat import Chat, Message, Said, in_parallel
from motionrft.preferences.journal import Journal, unanswered
from motionrft.preferences.prompts import EventPrompt
from motionrft.reward.events import EVENTS

INSTRUCTION = (
    "You write captions for short recordings of one person's movement. Each caption is one plain English sentence of at "
    "most 30 words. It tells exactly the events that are asked for, no other movement, and names no emotion or place. "
    "Vary subject (a person, someone, a man, a woman), verbs and sentence structure; no two captions are alike. Answer "
    "with JSON of the given schema: as many captions as there are numbers, in their order."
)
ROUNDS = 4
"""Questions about one prompt at most."""
LONGEST = 240
"""Letters of a caption."""
INSTRUCTION_TOKENS, ASKED_TOKENS, WRITTEN_TOKENS = 180, 45, 30
"""About: of a question's frame, of each prompt in it, and of each caption."""
_TIMES = {1: "exactly once", 2: "exactly twice", 3: "exactly three times"}


def wanted(prompt: EventPrompt) -> str:
    """What a caption shall tell, for the model."""
    phrases = [f'"{EVENTS[name].phrase if name in EVENTS else name}"' for name in prompt.events]
    if prompt.kind == "frequency":
        number = _TIMES.get(prompt.count, f"exactly {prompt.count} times")
        return f"the person {phrases[0]} {number}; the caption says how often"
    if prompt.kind == "temporal":
        return f"first {', then '.join(phrases)}; the caption makes the order clear"
    return f"{', '.join(phrases)}; all of them happen, in any order"


def question(prompts: Sequence[EventPrompt], there: Sequence[str] = ()) -> list[Message]:
    """A call's messages. there: captions that are not to be written again."""
    lines = [f"{number}. {wanted(prompt)}" for number, prompt in enumerate(prompts, 1)]
    if there:
        lines += ["Do not write any of these again:", *(f"- {text}" for text in there)]
    return [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": "\n".join(lines)}]


def schema(count: int) -> dict[str, Any]:
    """JSON schema of the answer."""
    texts = {"type": "array", "items": {"type": "string"}, "minItems": count, "maxItems": count}
    return {
        "type": "object",
        "properties": {"captions": texts},
        "required": ["captions"],
        "additionalProperties": False,
    }


def write_prompts(
    chat: Chat, drawn: Sequence[EventPrompt], journal: Journal, at_once: int
) -> list[EventPrompt]:
    """The drawn prompts with the model's texts, no two alike; those without one after `ROUNDS` questions are left out.

    Args:
        drawn: whose own texts are replaced. at_once: prompts of one call, all of a kind.

    Raises:
        UserError: a limit is reached, the server refuses, or nothing it wrote for a kind of prompt can be used.
    """
    texts: dict[str, str] = {}
    for number in range(ROUNDS):
        missing = [prompt for prompt in drawn if prompt.id not in texts]
        parts = _parts(missing, at_once)
        calls = [(part, question(part, _told(part, drawn, texts) if number else ())) for part in parts]
        keys = [_key(chat, messages, number) for _, messages in calls]
        unasked = unanswered(keys, journal)

        def ask(place: int, calls: Any = calls) -> Said:
            part, messages = calls[place]
            return chat.ask(messages, schema(len(part)), temperature=1.0)

        for place, said in in_parallel(ask, unasked, chat.limits.parallel):
            journal.add(keys[unasked[place]], {"model": chat.model, "round": number, **asdict(said)})
        taken = set(texts.values())
        for (part, _), key in zip(calls, keys, strict=True):
            for prompt, text in zip(part, _captions(journal[key]["text"], len(part)), strict=False):
                if text and text not in taken:
                    texts[prompt.id] = text
                    taken.add(text)
    made = [replace(prompt, text=texts[prompt.id]) for prompt in drawn if prompt.id in texts]
    empty = {prompt.kind for prompt in drawn} - {prompt.kind for prompt in made}
    if empty:
        raise UserError(
            f"{chat.model} wrote nothing that can be used for {sorted(empty)[0]} prompts; what it said is in "
            f"{journal.path}."
        )
    return made


def _parts(prompts: Sequence[EventPrompt], at_once: int) -> list[list[EventPrompt]]:
    """Prompts of each call."""
    kinds: dict[str, list[EventPrompt]] = {}
    for prompt in prompts:
        kinds.setdefault(prompt.kind, []).append(prompt)
    return [
        group[start : start + at_once] for group in kinds.values() for start in range(0, len(group), at_once)
    ]


def calls_for(counts: Sequence[int], at_once: int) -> int:
    """Calls of the first round for so many prompts of each kind."""
    return sum(-(-count // at_once) for count in counts)


def _told(part: Sequence[EventPrompt], drawn: Sequence[EventPrompt], texts: dict[str, str]) -> list[str]:
    """Captions that are there of what a part tells."""
    asked = {(prompt.events, prompt.count) for prompt in part}
    alike = [p.id for p in drawn if (p.events, p.count) in asked and p.kind == part[0].kind]
    return [texts[name] for name in alike if name in texts]


def _captions(said: str, count: int) -> list[str]:
    """The captions of an answer, "" for what is none; [] where it is no answer of so many."""
    try:
        found = json.loads(said)["captions"]
    except (ValueError, TypeError, KeyError):
        return []
    if not isinstance(found, list) or len(found) != count:
        return []
    words = [" ".join(text.split()) if isinstance(text, str) else "" for text in found]
    return [text if len(text) <= LONGEST else "" for text in words]


def _key(chat: Chat, messages: Sequence[Message], number: int) -> str:
    """Of an answer: who was asked, what, in which round."""
    told = json.dumps([chat.model, number, list(messages)])
    return hashlib.sha256(told.encode()).hexdigest()[:32]
