"""`motionrft prefer`: prompts, candidates, sheets, judgements, pairs; each stage a file, and none is done twice.

OUT/written.jsonl (what a language model wrote)  OUT/prompts.jsonl  OUT/candidates/ID.npz  OUT/sheets/ID-N.png
OUT/judge.json, validation.jsonl (what the judge is worth)
OUT/judgements.jsonl  OUT/pairs.jsonl  OUT/pairs_val.jsonl (of held-out prompts)  OUT/motions/  OUT/preset.yaml
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, get_args

import torch

from motionrft import builtin
from motionrft.data.folder import MotionDataset
from motionrft.errors import UserError
from motionrft.generators.text_to_motion import asked_of
from motionrft.loading import load_generator, loaded_for
from motionrft.preferences.asking import CandidateItems, answers
from motionrft.preferences.candidates import make_candidates, read_candidates
from motionrft.preferences.chat import Chat, Limits, Spending
from motionrft.preferences.journal import Journal, unanswered
from motionrft.preferences.judges.base import Item, Judge
from motionrft.preferences.judges.endpoint import EndpointJudge
from motionrft.preferences.judges.reward import RewardJudge
from motionrft.preferences.judges.rules import RuleJudge, second_rules
from motionrft.preferences.judges.transformers import TransformersJudge
from motionrft.preferences.pairs import Pair, balanced, pairs_of, write_pairs
from motionrft.preferences.people import RATINGS, STUDY, Meeting, meetings, pairs_voted, write_page
from motionrft.preferences.preset import PROMPTS, JudgePart, PreferPreset
from motionrft.preferences.prompts import (
    EventPrompt,
    read_event_prompts,
    template_prompts,
    write_event_prompts,
)
from motionrft.preferences.recorded_clips import Clips, recorded_clips
from motionrft.preferences.scoring import KINDS
from motionrft.preferences.sheets import frame_sheet
from motionrft.preferences.validation import check_believed, known_motions, real_clips, validate
from motionrft.preferences.written_prompts import (
    ASKED_TOKENS,
    INSTRUCTION_TOKENS,
    WRITTEN_TOKENS,
    calls_for,
    write_prompts,
)
from motionrft.reward.events import SHOWN, Shown
from motionrft.training.atomic import atomic_file, clean_temporaries, write_text
from motionrft.training.distribution import ALONE, Distribution
from motionrft.training.lock import FolderLock

Stage = Literal["prompts", "candidates", "sheets", "validate", "judge", "pairs"]
STAGES: tuple[Stage, ...] = get_args(Stage)
JUDGEMENTS, VALIDATION, WORTH = "judgements.jsonl", "validation.jsonl", "judge.json"
WRITTEN = "written.jsonl"
_TEXT_TOKENS, _ANSWER_TOKENS = 350, 120
_ASKED_BY_ONE = ("endpoint", "people")
"""Judges that have one budget, or one page."""
_SHEETS_AT_ONCE = 16


@dataclass(frozen=True)
class Preferring:
    """One run of `prefer`.

    progress: told (stage, how much more is done of how much in all). company: whose processes sample, draw and judge
    together; the first of them does all else while the others wait.
    """

    preset: PreferPreset
    out: Path
    device: torch.device
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None
    company: Distribution = ALONE

    def run(self, stages: Sequence[Stage] = STAGES) -> dict[str, Any]:
        """The stages in order; what is there is kept.

        Returns:
            Mean score and share of perfect motions of each kind, pairs, and what was left out.

        Raises:
            UserError: a stage lacks what an earlier one makes, the judge cannot work, or another process is at it.
        """
        lock = FolderLock(self.out)

        def begin() -> None:
            self.out.mkdir(parents=True, exist_ok=True)
            lock.acquire()  # two of them would pay for the same answers
            for name in ("candidates", "sheets", "motions"):
                if (self.out / name).is_dir():
                    clean_temporaries(self.out / name, locked=True)

        try:
            self.company.first(begin)
            summary: dict[str, Any] = {}
            for stage in STAGES:
                if stage in stages:
                    summary |= self._done(stage)
            return summary
        finally:
            lock.release()

    def _done(self, stage: Stage) -> dict[str, Any]:
        """What a stage tells, done by all processes or by the first."""
        by_all = stage in ("candidates", "sheets") or (
            stage == "judge" and self.preset.judge.name not in _ASKED_BY_ONE
        )
        who = self if by_all else replace(self, company=ALONE)
        work: Callable[[], dict[str, Any]] = getattr(who, f"_{stage}")
        return work() if by_all else self.company.known(work)

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
        """What endpoints would be asked: calls, tokens, price (None where prices are not set)."""
        preset, judge, writer = self.preset, self.preset.judge, self.preset.writer
        drawn = self._drawn_prompts()
        checks = 2 * len(KINDS) * judge.checks if judge.data is not None else 0
        asked = len(drawn) * preset.candidates + checks if judge.name == "endpoint" else 0
        kinds = [sum(prompt.kind == kind for prompt in drawn) for kind in KINDS]
        written = len(drawn) if writer.name == "endpoint" else 0
        writing = calls_for(kinds, writer.at_once) if written else 0
        sent = (
            asked * (judge.image_tokens + _TEXT_TOKENS)
            + writing * INSTRUCTION_TOKENS
            + written * ASKED_TOKENS
        )
        received = asked * _ANSWER_TOKENS + written * WRITTEN_TOKENS
        priced = judge.price_in is not None and judge.price_out is not None
        return {
            "prompts": len(drawn), "motions": len(drawn) * preset.candidates,
            "prompt_calls": writing, "judge_calls": asked, "calls": writing + asked,
            "tokens_in": sent, "tokens_out": received,
            "price": _limits(judge).price(sent, received) if priced else None,
        }  # fmt: skip

    def _drawn_prompts(self) -> list[EventPrompt]:
        preset = self.preset
        if preset.prompts is not None:
            return read_event_prompts(Path(preset.prompts))
        return template_prompts(preset.kinds, preset.events, preset.held_out, preset.seed)

    def _prompts(self) -> dict[str, Any]:
        path, writer = self.out / PROMPTS, self.preset.writer
        if path.exists():
            return {"prompts": len(self.prompts())}
        drawn = self._drawn_prompts()
        if writer.name == "templates":
            write_event_prompts(path, drawn)
            return {"prompts": len(drawn)}
        journal = Journal(self.out / WRITTEN)
        made = write_prompts(self._chat(writer.model), drawn, journal, writer.at_once)
        write_event_prompts(path, made)
        return {"prompts": len(made), "prompts_not_written": len(drawn) - len(made)}

    def _chat(self, model: str) -> Chat:
        """A model of the endpoint, with what the run spent on it in all its starts."""
        records = [
            record
            for name in (WRITTEN, VALIDATION, JUDGEMENTS)
            for record in Journal(self.out / name).records.values()
        ]
        spent = Spending(sum(r.get("calls", 0) for r in records), sum(r.get("cost", 0.0) for r in records))
        return Chat(model, _limits(self.preset.judge), spent)

    def _judge_asked(self) -> Judge:
        part = self.preset.judge
        return (
            EndpointJudge(self._chat(part.model)) if part.name == "endpoint" else judge_of(part, self.device)
        )

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
            self.company,
        )
        return {"motions": total}

    def _sheets(self) -> dict[str, Any]:
        items, company = self._items(), self.company
        drawn = (self._sheet(items[place]) for place in range(company.place, len(items), company.processes))
        for more in company.rounds(drawn, _SHEETS_AT_ONCE):
            self.progress("sheets", more, len(items))
        return {"sheets": len(items)}

    def _sheet(self, item: Item) -> int:
        """Draw a motion, where that is not done yet."""
        path = self.out / "sheets" / f"{item.prompt.id}-{item.candidate}.png"
        if not path.exists():
            with atomic_file(path) as temporary:
                frame_sheet(item.joints, item.fps, item.prompt.kind).save(temporary, "PNG")
        return 1

    def _validate(self) -> dict[str, Any]:
        """What the judge is worth on real motions, kept as `judge.json`.

        Raises:
            UserError: it is not worth asking, and that is not forced.
        """
        part = self.preset.judge
        if part.data is None or part.name == "people":  # who are what a judge is held against
            return {"validated": None}
        judge = self._judge_asked()
        clips, fps, identity = self._real_clips()
        known = known_motions(clips, fps, part.checks, self.preset.seed)
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
            "data": identity,
        }
        write_text(self.out / WORTH, json.dumps(told | {"figures": shown}, indent=1) + "\n")
        if not part.force:
            check_believed(judge, found)
        return {"validated": shown}

    def _real_clips(self) -> tuple[Clips, float, str]:
        """Clips by event, their rate, and a hash of where they come from."""
        part = self.preset.judge
        if part.data == builtin.NAME:
            return recorded_clips()
        dataset = MotionDataset(str(part.data), part.split)
        shown = SHOWN | {kind: Shown(event) for kind, event in part.shows.items()}
        return real_clips(dataset, shown), dataset.fps, dataset.identity

    def _judge(self) -> dict[str, Any]:
        if self.preset.judge.name == "people":
            return self._study()
        self._done("validate")  # what is answered already is not asked again
        judge, items, company = self._judge_asked(), self._items(), self.company
        opened = company.first(
            lambda: (Journal(self.out / JUDGEMENTS), [_key(judge, item) for item in items])
        )
        missing = company.known(lambda: unanswered(opened[1], opened[0]) if opened else [])
        self.progress("judge", len(items) - len(missing), len(items))
        told: dict[str, dict[str, float]] = {}
        for place, judgement in answers(judge, items, missing, company):
            assert opened is not None, "answers come out in the first process"
            prompt, candidate = items.places[place]
            said = {"prompt": prompt.id, "kind": prompt.kind, "candidate": candidate, "judge": judge.name}
            opened[0].add(opened[1][place], said | asdict(judgement))
            self.progress("judge", 1, len(items))
        if opened is not None:
            told = judged([opened[0][key] for key in opened[1]])
        return {"asked": len(missing), "judged": told}

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
        for prompt, place in self._items().places:
            usable.setdefault(prompt.id, []).append(place)
        return meetings(self.prompts(), usable, self.preset.pairs.per_prompt)

    def _pairs(self) -> dict[str, Any]:
        if self.preset.judge.name == "people":
            return self._voted()
        scores: dict[str, dict[int, float]] = {}
        judge, journal = self._judge_asked(), Journal(self.out / JUDGEMENTS)
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

    def _items(self) -> CandidateItems:
        return self.company.known(lambda: CandidateItems.of(self.out / "candidates", self.prompts()))


def judge_of(part: JudgePart, device: torch.device | str = "cpu") -> Judge:
    """The judge that a preset names.

    Raises:
        UserError: it cannot work: no such reward or model.
    """
    if part.name == "reward":
        return RewardJudge(part.reward, device=device)
    if part.name == "endpoint":
        return EndpointJudge(Chat(part.model, _limits(part)))
    if part.name == "transformers":
        return TransformersJudge(part.model, part.parallel, device)
    if part.name == "people":
        raise UserError(
            "people judge two motions side by side: motionrft prefer --judge people makes their page."
        )
    return second_rules() if part.name == "swings" else RuleJudge()


def _limits(part: JudgePart) -> Limits:
    return Limits(
        part.parallel, part.timeout, max_calls=part.max_calls, max_cost=part.max_cost,
        price_in=part.price_in, price_out=part.price_out,
    )  # fmt: skip


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
