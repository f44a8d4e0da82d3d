"""`motionrft prefer`: prompts, candidates, sheets, judgements, pairs; each stage a file, and none is done twice.

OUT/prompts.jsonl  OUT/candidates/ID.npz  OUT/sheets/ID-N.png  OUT/judge.json, validation.jsonl (what the judge is worth)
OUT/judgements.jsonl  OUT/pairs.jsonl  OUT/pairs_val.jsonl (of held-out prompts)  OUT/motions/  OUT/preset.yaml
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, get_args

import torch

from motionrft.data.folder import MotionDataset
from motionrft.errors import UserError
from motionrft.generators.text_to_motion import asked_of
from motionrft.loading import load_generator, loaded_for
from motionrft.preferences.candidates import make_candidates, read_candidates
from motionrft.preferences.events import SHOWN, Shown
from motionrft.preferences.journal import Journal
from motionrft.preferences.judges.base import Item, Judge
from motionrft.preferences.judges.endpoint import EndpointJudge, Limits
from motionrft.preferences.judges.reward import RewardJudge
from motionrft.preferences.judges.rules import RuleJudge
from motionrft.preferences.judges.transformers import TransformersJudge
from motionrft.preferences.pairs import Pair, balanced, pairs_of, write_pairs
from motionrft.preferences.people import RATINGS, STUDY, Meeting, meetings, pairs_voted, write_page
from motionrft.preferences.preset import JudgePart, PreferPreset
from motionrft.preferences.prompts import (
    EventPrompt,
    read_event_prompts,
    template_prompts,
    write_event_prompts,
)
from motionrft.preferences.scoring import KINDS
from motionrft.preferences.sheets import frame_sheet
from motionrft.preferences.validation import check_believed, known_motions, real_clips, validate
from motionrft.training.atomic import atomic_file, write_text

Stage = Literal["prompts", "candidates", "sheets", "validate", "judge", "pairs"]
STAGES: tuple[Stage, ...] = get_args(Stage)
PROMPTS, JUDGEMENTS, VALIDATION, WORTH = "prompts.jsonl", "judgements.jsonl", "validation.jsonl", "judge.json"
_TEXT_TOKENS, _ANSWER_TOKENS = 350, 120


@dataclass(frozen=True)
class Preferring:
    """One run of `prefer`. progress: told (stage, how much more is done of how much in all)."""

    preset: PreferPreset
    out: Path
    device: torch.device
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None

    def run(self, stages: Sequence[Stage] = STAGES) -> dict[str, Any]:
        """The stages in order; what is there is kept.

        Returns:
            Mean score and share of perfect motions of each kind, pairs, and what was left out.

        Raises:
            UserError: a stage lacks what an earlier one makes, or the judge cannot work.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        summary: dict[str, Any] = {}
        for stage in STAGES:
            if stage in stages:
                summary |= getattr(self, f"_{stage}")()
        return summary

    def prompts(self) -> list[EventPrompt]:
        """Those of the run.

        Raises:
            UserError: there are none yet.
        """
        path = self.out / PROMPTS
        if not path.is_file():
            raise UserError(f"{path}: missing. Run --stage prompts first, or all stages.")
        return read_event_prompts(path)

    def estimate(self) -> dict[str, Any]:
        """What the judge would be asked: calls, tokens, price (None where prices are not set)."""
        preset, judge = self.preset, self.preset.judge
        count = len(self._made_prompts())
        checks = 2 * len(KINDS) * judge.checks if judge.data is not None else 0
        calls = count * preset.candidates + checks if judge.name == "endpoint" else 0
        sent, received = calls * (judge.image_tokens + _TEXT_TOKENS), calls * _ANSWER_TOKENS
        priced = judge.price_in is not None and judge.price_out is not None
        cost = (sent * (judge.price_in or 0) + received * (judge.price_out or 0)) / 1e6 if priced else None
        return {
            "prompts": count, "motions": count * preset.candidates, "calls": calls,
            "tokens_in": sent, "tokens_out": received, "price": cost,
        }  # fmt: skip

    def _made_prompts(self) -> list[EventPrompt]:
        preset = self.preset
        if preset.prompts is not None:
            return read_event_prompts(Path(preset.prompts))
        return template_prompts(preset.kinds, preset.events, preset.held_out, preset.seed)

    def _prompts(self) -> dict[str, Any]:
        path = self.out / PROMPTS
        if not path.exists():
            write_event_prompts(path, self._made_prompts())
        return {"prompts": len(self.prompts())}

    def _candidates(self) -> dict[str, Any]:
        prompts, preset = self.prompts(), self.preset
        total = len(prompts) * preset.candidates
        generator = loaded_for(preset, load_generator(preset.generator, str(self.device)))
        make_candidates(
            generator,
            prompts,
            self.out / "candidates",
            preset.candidates,
            asked_of(generator, preset),
            preset.seed,
            preset.batch,
            lambda count: self.progress("candidates", count, total),
        )
        return {"motions": total}

    def _sheets(self) -> dict[str, Any]:
        folder = self.out / "sheets"
        folder.mkdir(exist_ok=True)
        items = list(self._items())
        for item in items:
            path = folder / f"{item.prompt.id}-{item.candidate}.png"
            if not path.exists():
                with atomic_file(path) as temporary:
                    frame_sheet(item.joints, item.fps, item.prompt.kind).save(temporary, "PNG")
            self.progress("sheets", 1, len(items))
        return {"sheets": len(items)}

    def _validate(self) -> dict[str, Any]:
        """What the judge is worth on real motions, kept as `judge.json`.

        Raises:
            UserError: it is not worth asking, and that is not forced.
        """
        part = self.preset.judge
        if part.data is None or part.name == "people":  # who are what a judge is held against
            return {"validated": None}
        judge, dataset = judge_of(part, self.device), MotionDataset(part.data, part.split)
        clips = real_clips(dataset, SHOWN | {kind: Shown(event) for kind, event in part.shows.items()})
        known = known_motions(clips, dataset.fps, part.checks, self.preset.seed)
        total = 2 * len(known)
        found = validate(
            judge,
            known,
            Journal(self.out / VALIDATION),
            _key,
            lambda count: self.progress("validate", count, total),
        )
        shown = {kind: asdict(one) for kind, one in found.items()}
        told = {
            "judge": judge.name,
            "identity": judge.identity,
            "split": part.split,
            "data": dataset.identity,
        }
        write_text(self.out / WORTH, json.dumps(told | {"figures": shown}, indent=1) + "\n")
        if not part.force:
            check_believed(judge, found)
        return {"validated": shown}

    def _judge(self) -> dict[str, Any]:
        if self.preset.judge.name == "people":
            return self._study()
        judge, journal = judge_of(self.preset.judge, self.device), Journal(self.out / JUDGEMENTS)
        self._validate()  # what is answered already is not asked again
        items = list(self._items())
        keys = [_key(judge, item) for item in items]
        missing = [place for place, key in enumerate(keys) if key not in journal]
        self.progress("judge", len(items) - len(missing), len(items))
        for place, judgement in judge.judge([items[place] for place in missing]):
            item = items[missing[place]]
            journal.add(
                keys[missing[place]],
                {
                    "prompt": item.prompt.id,
                    "kind": item.prompt.kind,
                    "candidate": item.candidate,
                    "judge": judge.name,
                }
                | asdict(judgement),
            )
            self.progress("judge", 1, len(items))
        records = [journal[key] for key in keys]
        return {"asked": len(missing), "judged": judged(records)}

    def _study(self) -> dict[str, Any]:
        """The page for people; one that is there is left as it is, since raters may have it."""
        shown = self._meetings()
        if not (self.out / STUDY).exists():
            held = {
                each.prompt.id: read_candidates(self.out / "candidates", each.prompt.id) for each in shown
            }
            write_page(self.out, shown, held, self.preset.seed)
        return {"study": str(self.out / STUDY), "comparisons": len(shown)}

    def _meetings(self) -> list[Meeting]:
        usable: dict[str, list[int]] = {}
        for item in self._items():
            usable.setdefault(item.prompt.id, []).append(item.candidate)
        return meetings(self.prompts(), usable, self.preset.pairs.per_prompt)

    def _pairs(self) -> dict[str, Any]:
        if self.preset.judge.name == "people":
            return self._voted()
        scores: dict[str, dict[int, float]] = {}
        judge, journal = judge_of(self.preset.judge, self.device), Journal(self.out / JUDGEMENTS)
        failed = 0
        for item in self._items():
            key = _key(judge, item)
            if key not in journal:
                raise UserError(
                    f"{journal.path}: {item.prompt.id} is not judged by {judge.name}. Run --stage judge."
                )
            score = journal[key]["score"]
            failed += score is None
            if score is not None:
                scores.setdefault(item.prompt.id, {})[item.candidate] = score
        settings = self.preset.pairs
        made = [
            pair
            for prompt in self.prompts()
            for pair in pairs_of(prompt, scores.get(prompt.id, {}), settings.per_prompt, settings.margin)
        ]
        return {**self._written(made, judge.name), "judgements_failed": failed}

    def _voted(self) -> dict[str, Any]:
        """Pairs that people agree on; none while nobody has answered."""
        if not any((self.out / RATINGS).glob("*.json")):
            (self.out / RATINGS).mkdir(exist_ok=True)
            return {"ratings": 0}
        return self._written(pairs_voted(self.out, self._meetings(), self.preset.pairs.margin), "people")

    def _written(self, made: Sequence[Pair], judge: str) -> dict[str, Any]:
        """Both files of pairs, of prompts that are tuned on and of those held out."""
        read = {
            name: read_candidates(self.out / "candidates", name)
            for name in sorted({pair.prompt.id for pair in made})
        }
        counts = {}
        for apart, name in ((False, "pairs"), (True, "pairs_val")):
            found = [pair for pair in made if pair.prompt.held_out == apart]
            chosen = balanced(found) if self.preset.pairs.balance else found
            write_pairs(self.out, name, chosen, read, judge)
            counts[name] = len(chosen)
        without = len(self.prompts()) - len(read)
        return {
            "pairs": counts["pairs"],
            "held_out_pairs": counts["pairs_val"],
            "prompts_without_pair": without,
        }

    def _items(self) -> Iterator[Item]:
        for prompt in self.prompts():
            held = read_candidates(self.out / "candidates", prompt.id)
            for place, joints in enumerate(held.joints):
                if held.usable[place]:  # a mean pose in the place of a motion is nothing to judge
                    yield Item(prompt, place, joints[: held.lengths[place]], held.fps)


def judge_of(part: JudgePart, device: torch.device | str = "cpu") -> Judge:
    """The judge that a preset names.

    Raises:
        UserError: it cannot work: no address, no such reward.
    """
    if part.name == "reward":
        return RewardJudge(part.reward, device=device)
    if part.name == "endpoint":
        limits = Limits(
            part.parallel, part.timeout, max_calls=part.max_calls, max_cost=part.max_cost,
            price_in=part.price_in, price_out=part.price_out,
        )  # fmt: skip
        return EndpointJudge(part.model, limits)
    if part.name == "transformers":
        return TransformersJudge(part.model, part.parallel, device)
    if part.name == "people":
        raise UserError(
            "people judge two motions side by side: motionrft prefer --judge people makes their page."
        )
    return RuleJudge()


def judged(records: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean score and share of perfect motions by kind, over those that have a score."""
    found: dict[str, dict[str, float]] = {}
    for kind in KINDS:
        scores = [r["score"] for r in records if r["kind"] == kind and r["score"] is not None]
        if scores:
            found[kind] = {"score": fmean(scores), "perfect": fmean(score >= 1 for score in scores)}
    return found


def _key(judge: Judge, item: Item) -> str:
    """Of an answer: who was asked, what, about which motion."""
    digest = hashlib.sha256(f"{judge.identity}\n{item.prompt.kind}\n{item.prompt.text}\n".encode())
    digest.update(f"{item.prompt.events} {item.prompt.count} {item.fps}".encode())
    digest.update(item.joints.tobytes())
    return digest.hexdigest()[:32]
