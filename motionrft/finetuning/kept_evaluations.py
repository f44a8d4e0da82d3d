"""Evaluations that a folder keeps, and what each was made of: a run that is resumed takes up those that still hold."""

import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from motionrft.errors import UserError
from motionrft.evaluation.generation import Repetition
from motionrft.evaluation.result import EvaluationResult
from motionrft.files.arrays import write_members
from motionrft.finetuning.report import Pictured, picture
from motionrft.report.content import Mark
from motionrft.training.distribution import ALONE, Distribution
from motionrft.training.fingerprints import file_hash

Keep = Callable[[Repetition | Pictured], None]
"""Takes the motions of each repetition, or those of them that are to be pictured."""
Evaluate = Callable[[Keep], EvaluationResult]
"""Samples and judges; shows each repetition to what it is given."""


@dataclass(frozen=True)
class KeptEvaluations:
    """`NAME.json`, and beside it `NAME.npz`: what the result was made of, and the motions that the report pictures.

    The second is written last, so that an evaluation which was cut short is not taken for a whole one.

    folder: None in a process that another one keeps them for.
    say: told what is taken up, and why what is there is made again.
    company: the processes that evaluate together; the first one's folder says what has to be made.
    """

    folder: Path | None
    say: Callable[[str], None]
    company: Distribution = ALONE

    def of(
        self, name: str, made_of: Mapping[str, Any], evaluate: Evaluate
    ) -> tuple[EvaluationResult, Pictured | None]:
        """The evaluation that is there if it was made of the same; else a new one, which is kept.

        Args:
            made_of: all that its numbers depend on; JSON values. Only read where there is a folder.

        Returns:
            The result, and motions of its first repetition; None where nothing was pictured.
        """
        wanted = json.loads(json.dumps(made_of))
        kept = self.company.known(lambda: self._kept(name, wanted))
        if kept is not None:
            return kept
        seen: list[Pictured] = []

        def keep(made: Repetition | Pictured) -> None:
            if not seen:
                seen.append(made if isinstance(made, Pictured) else picture(made))

        result = evaluate(keep)
        if self.folder is not None:
            file, beside = _files(self.folder, name)
            beside.unlink(missing_ok=True)
            result.save(file)
            write_members(beside, _members(wanted, file, seen))
        return result, seen[0] if seen else None

    def _kept(self, name: str, wanted: Mapping[str, Any]) -> tuple[EvaluationResult, Pictured | None] | None:
        """What is there, if it was made of what is wanted."""
        assert self.folder is not None, "the first process keeps them"
        file, beside = _files(self.folder, name)
        if not file.is_file():
            return None
        former, shown = _read(beside, file)
        if former == wanted:
            self.say(f"{file}: taken up, nothing of it has changed.")
            return EvaluationResult.load(file), shown
        self.say(f"{file}: evaluated again, {_changed(former, wanted)}.")
        return None


def _files(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}.json", folder / f"{name}.npz"


def _members(made_of: Mapping[str, Any], result: Path, seen: list[Pictured]) -> dict[str, np.ndarray]:
    members = {"made_of": np.array(json.dumps(made_of)), "result": np.array(file_hash(result))}
    for pictured in seen:
        members |= {"texts": np.array(pictured.texts), "rewards": np.array(pictured.rewards)}
        members |= {f"joints_{place}": joints for place, joints in enumerate(pictured.joints)}
        told = [[(mark.text, mark.right) for mark in each] for each in pictured.marks]
        members |= {"marks": np.array(json.dumps(told))} if told else {}
    return members


def _read(beside: Path, result: Path) -> tuple[dict[str, Any] | None, Pictured | None]:
    """What the result was made of, None where nothing whole says so, and the pictured motions."""
    try:
        with np.load(beside, allow_pickle=False) as held:
            if str(held["result"]) != file_hash(result):
                return None, None
            made_of = json.loads(str(held["made_of"]))
            if "texts" not in held:
                return made_of, None
            texts = [str(text) for text in held["texts"]]
            joints = [held[f"joints_{place}"] for place in range(len(texts))]
            told = json.loads(str(held["marks"])) if "marks" in held else []
            marks = [tuple(Mark(*mark) for mark in each) for each in told]
            return made_of, Pictured(texts, joints, held["rewards"].tolist(), marks)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, UserError):
        return None, None


def _changed(former: dict[str, Any] | None, wanted: Mapping[str, Any]) -> str:
    """In words: what differs."""
    if former is None:
        return "since nothing whole says what it was made of"
    names = [name for name in wanted if former.get(name) != wanted[name]]
    names += [name for name in former if name not in wanted]
    return f"since what it was made of has changed: {', '.join(names)}"
