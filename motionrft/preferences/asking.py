"""A judge asked about many motions by several processes, each about some, or by one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from motionrft.preferences.candidates import Candidates, read_candidates, read_usable
from motionrft.preferences.judges.base import Item, Judge, Judgement
from motionrft.preferences.prompts import EventPrompt
from motionrft.training.distribution import Distribution


@dataclass(frozen=True)
class CandidateItems:
    """The motions of a folder that can be judged, read when they are asked for; the last prompt's are kept.

    places: of each, its prompt and its place among the candidates of that.
    """

    folder: Path
    places: Sequence[tuple[EventPrompt, int]]
    _held: dict[str, Candidates] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path, prompts: Sequence[EventPrompt]) -> "CandidateItems":
        """All but mean poses in the place of a motion, which are nothing to judge.

        Raises:
            UserError: a prompt has no candidates.
        """
        usable = ((prompt, read_usable(folder, prompt.id)) for prompt in prompts)
        return cls(
            folder, [(prompt, place) for prompt, good in usable for place in good.nonzero()[0].tolist()]
        )

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Item]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> Item:
        prompt, place = self.places[number]
        if prompt.id not in self._held:
            self._held.clear()
            self._held[prompt.id] = read_candidates(self.folder, prompt.id)
        held = self._held[prompt.id]
        return Item(prompt, place, held.joints[place][: held.lengths[place]], held.fps)


def answers(
    judge: Judge, items: CandidateItems, wanted: Sequence[int], company: Distribution
) -> Iterator[tuple[int, Judgement]]:
    """The judge's answers about the items at the places `wanted`, each with its place: in the first process.

    Alone, they come as the judge gives them. The processes of a company ask about as many together as one would.
    """
    if company.processes == 1:
        for number, judgement in judge.judge([items[place] for place in wanted]):
            yield wanted[number], judgement
        return
    blocks = [wanted[start : start + judge.at_once] for start in range(0, len(wanted), judge.at_once)]
    own = (_answered(judge, items, block) for block in blocks[company.place :: company.processes])
    for found in company.rounds(own, 1):
        yield from found


def _answered(judge: Judge, items: CandidateItems, block: Sequence[int]) -> list[tuple[int, Judgement]]:
    return [
        (block[number], judgement) for number, judgement in judge.judge([items[place] for place in block])
    ]
