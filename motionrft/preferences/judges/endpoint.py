"""A vision-language model behind an OpenAI-compatible endpoint (`motionrft.preferences.chat`), one frame sheet a motion.

Answers that do not fit the schema are asked for once more with the fault named.
"""

import base64
import io
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

from motionrft.preferences.chat import Chat, Message, Said, in_parallel
from motionrft.preferences.judges.base import Item, Judge, Judgement
from motionrft.preferences.judges.questions import (
    INSTRUCTION,
    correction,
    question,
    schema,
    score_answer,
)
from motionrft.preferences.sheets import frame_sheet


class EndpointJudge(Judge):
    """One call a motion."""

    name = "endpoint"

    def __init__(self, chat: Chat):
        self.chat = chat

    @property
    def identity(self) -> str:
        return f"endpoint-{self.chat.model}-1"

    def judge(self, items: Sequence[Item]) -> Iterator[tuple[int, Judgement]]:
        yield from in_parallel(self._one, items, self.chat.limits.parallel)

    def _one(self, item: Item) -> Judgement:
        began = time.perf_counter()
        messages = _messages(item)
        said: list[Said] = []
        fault = ""
        for _ in range(2):
            said.append(self.chat.ask(messages, schema(item.prompt)))
            try:
                raw = json.loads(said[-1].text)
                score = score_answer(item.prompt, raw, len(item.joints))
                return _judgement(score, raw, began, said)
            except (ValueError, TypeError) as error:
                fault = str(error)
                messages = [
                    *messages,
                    {"role": "assistant", "content": said[-1].text},
                    {"role": "user", "content": correction(fault)},
                ]
        return _judgement(None, {}, began, said, fault)


def _judgement(
    score: float | None,
    raw: dict[str, Any],
    began: float,
    said: Sequence[Said],
    fault: str | None = None,
) -> Judgement:
    return Judgement(
        score,
        raw,
        time.perf_counter() - began,
        sum(each.tokens_in for each in said),
        sum(each.tokens_out for each in said),
        sum(each.cost for each in said),
        fault,
        sum(each.calls for each in said),
    )


def _messages(item: Item) -> list[Message]:
    stream = io.BytesIO()
    frame_sheet(item.joints, item.fps, item.prompt.kind).save(stream, "PNG")
    picture = "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
    asked = [
        {"type": "text", "text": question(item.prompt)},
        {"type": "image_url", "image_url": {"url": picture}},
    ]
    return [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": asked}]
