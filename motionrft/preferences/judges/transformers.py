"""A vision-language model of one's own, read from a folder through transformers: nothing leaves the machine.

The folder is what `save_pretrained` of a model and of its processor write; the processor's chat template asks the same
questions as the endpoint judge.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from motionrft.errors import UserError
from motionrft.preferences.judges.base import Item, Judge, Judgement
from motionrft.preferences.judges.questions import (
    INSTRUCTION,
    answer_in,
    correction,
    question,
    schema_words,
    score_answer,
)
from motionrft.preferences.sheets import frame_sheet
from motionrft.training.fingerprints import folder_hash

_LONGEST = 256
"""New tokens of an answer."""


class TransformersJudge(Judge):
    """One sheet and one question a motion, several at once.

    Args:
        folder: of the model. batch: motions asked about at once.

    Raises:
        UserError: the folder holds no model that reads pictures and texts, or its processor has no chat template.
    """

    name = "transformers"

    def __init__(self, folder: str, batch: int = 4, device: torch.device | str = "cpu"):
        self.folder, self.at_once, self.device = Path(folder), batch, torch.device(device)
        if not (self.folder / "config.json").is_file():
            raise UserError(
                f"judge: {folder} is no folder of a vision-language model; name one with judge.model."
            )
        self._hash = folder_hash(self.folder)
        from transformers import AutoModelForImageTextToText, AutoProcessor

        try:
            self.processor: Any = AutoProcessor.from_pretrained(self.folder, local_files_only=True)
            model: Any = AutoModelForImageTextToText.from_pretrained(self.folder, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f"judge: {folder} cannot be read by transformers: {error}") from error
        if not getattr(self.processor, "chat_template", None):
            raise UserError(
                f"judge: the processor of {folder} has no chat template, so nothing can be asked."
            )
        self.processor.tokenizer.padding_side = "left"
        self.model = model.to(self.device).eval()

    @property
    def identity(self) -> str:
        return f"transformers-{self._hash[:16]}-1"

    def judge(self, items: Sequence[Item]) -> Iterator[tuple[int, Judgement]]:
        for start in range(0, len(items), self.at_once):
            places = list(range(start, min(start + self.at_once, len(items))))
            yield from self._together(items, places)

    def _together(self, items: Sequence[Item], places: Sequence[int]) -> Iterator[tuple[int, Judgement]]:
        """Ask about some motions, and once more about those whose answer does not fit."""
        began = time.perf_counter()
        talks = {place: _asked(items[place]) for place in places}
        found: dict[int, Judgement] = {}
        for _ in range(2):
            open_places = [place for place in places if place not in found or found[place].score is None]
            if not open_places:
                break
            for place, said in zip(open_places, self._answers([talks[p] for p in open_places]), strict=True):
                found[place] = _judged(items[place], said, (time.perf_counter() - began) / len(places))
                if (fault := found[place].error) is not None:
                    talks[place] = [*talks[place], _turn("assistant", said), _turn("user", correction(fault))]
        yield from found.items()

    @torch.no_grad()
    def _answers(self, talks: Sequence[list[dict[str, Any]]]) -> list[str]:
        """What the model says next in each talk, greedily."""
        given = self.processor.apply_chat_template(
            list(talks),
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            padding=True,
        ).to(self.device)
        written = self.model.generate(**given, max_new_tokens=_LONGEST, do_sample=False)
        new = written[:, given["input_ids"].shape[1] :]
        texts: list[str] = self.processor.batch_decode(new, skip_special_tokens=True)
        return texts


def _asked(item: Item) -> list[dict[str, Any]]:
    prompt = item.prompt
    words = f"{INSTRUCTION} {question(prompt)} {schema_words(prompt)}"
    sheet = frame_sheet(item.joints, item.fps, prompt.kind)
    return [{"role": "user", "content": [{"type": "image", "image": sheet}, {"type": "text", "text": words}]}]


def _turn(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text}]}


def _judged(item: Item, said: str, seconds: float) -> Judgement:
    try:
        raw = answer_in(said)
        return Judgement(score_answer(item.prompt, raw, len(item.joints)), raw, seconds)
    except (ValueError, TypeError) as error:
        return Judgement(None, {"said": said[:500]}, seconds, error=str(error))
