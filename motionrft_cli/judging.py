"""What score does with one motion after another: read it, judge it, and say what is told of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionrft.reward.score_preset import ScorePreset
from motionrft_cli.motion_texts import MotionTexts
from motionrft_cli.options import Call
from motionrft_cli.shares import Share

if TYPE_CHECKING:
    import torch

    from motionrft.files import FileFault, Motion
    from motionrft.files.reading import ReadingOptions
    from motionrft.reward.limits import Limits
    from motionrft.reward.scoring import Query, Score, Scorer


@dataclass(frozen=True)
class Judge:
    """What motions are judged with, and how they are read."""

    scorer: "Scorer"
    limits: "Limits"
    options: "ReadingOptions"


def judge_of(
    call: Call[ScorePreset], under: dict[str, float], over: dict[str, float], device: "torch.device"
) -> Judge:
    """Reward, terms and limits as asked for.

    Raises:
        UserError: a term that there is not.
    """
    from motionrft.physics import current_names
    from motionrft.reward.limits import Limits
    from motionrft.reward.scoring import Scorer, choose_terms
    from motionrft.training.seeds import seed_everything

    preset = call.preset
    seed_everything(preset.seed)  # a reward or a format of the user's own may draw numbers
    model = _load(call, preset.terms, device)
    limits = Limits(current_names(under), current_names(over))
    scorer = Scorer(model, choose_terms(preset.terms, model), preset.frames, preset.judged_in, preset.fps)
    limits.check(scorer.terms)
    return Judge(scorer, limits, preset.reading_options(scorer.fps))


def told_of(
    call: Call[ScorePreset], judge: Judge, texts: MotionTexts, numbered: "list[tuple[int, Path]]"
) -> "list[Told]":
    """What is told of some files, given with their places among all."""
    from motionrft.training.distribution import ALONE

    alone, places = Share(0, 1, ALONE), list[int]()
    queries = queries_of(call, alone, iter(path for _, path in numbered), texts, judge.options, places)
    found = enumerate(judge.scorer.score(queries))
    return [told_one(call, judge, result, numbered[places[number]][0]) for number, result in found]


@dataclass(frozen=True)
class Told:
    """What is told of one motion, without the motion: small enough to be sent to another process.

    place: of its file among all inputs; fault: why it was skipped.
    """

    place: int
    index: int
    name: str
    fault: str | None = None
    document: dict[str, Any] = field(default_factory=dict)
    row: list[object] = field(default_factory=list)
    remarks: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    text: str | None = None
    rate_note: str | None = None
    far: tuple[str, ...] = ()


def told_one(call: Call[ScorePreset], judge: Judge, result: "Score | FileFault", place: int) -> Told:
    from motionrft.files import FileFault

    if isinstance(result, FileFault):
        return Told(place, 0, "", result.message)
    motion, scorer, limits = result.query.motion, judge.scorer, judge.limits
    document = _document(result, scorer, call.preset.frames) if call.json or call.out else {}
    row = [] if call.json else _row(result, scorer.terms)
    far = tuple(what for what in ("text", "motion") if result.far(what))
    said = (result.remarks, tuple(limits.broken(result)), result.query.text, motion.rate_note, far)
    return Told(place, motion.index, motion.label, None, document, row, *said)


def _load(call: Call[ScorePreset], words: list[str] | None, device: "torch.device") -> Any:
    """The reward with every term it has; none where physics alone is wanted."""
    from motionrft.loading import load_reward
    from motionrft.physics import COSTS, current_name
    from motionrft.reward.scoring import weigh

    if words is not None and all(word == "physics" or word in COSTS for word in map(current_name, words)):
        return None
    model: Any = load_reward(call.preset.reward, device=device)
    weigh(model, words)
    return model


def queries_of(
    call: Call[ScorePreset],
    share: Share,
    paths: Iterator[Path],
    texts: MotionTexts,
    options: "ReadingOptions",
    places: list[int],
) -> "Iterator[Query | FileFault]":
    """What falls to this share; `places` is filled with each one's place among the inputs.

    Files are shared where that is enough; where texts come one a motion, all are read, to count the motions before.
    """
    from motionrft.files import FileFault
    from motionrft.files.motions import doubt
    from motionrft.reward.scoring import Query

    counted = texts.one_a_motion
    chosen = enumerate(paths) if counted else share.of(enumerate(paths))
    for number, found in _read(chosen, options):
        place = texts.used if counted else number
        if isinstance(found, FileFault):
            texts.pass_over()
        text = None if isinstance(found, FileFault) else _text_of(found, texts)
        if counted and place % share.count != share.number:
            continue
        places.append(place)
        if isinstance(found, FileFault):
            yield found
            continue
        if remark := doubt(found):
            call.console.warn(f"{found.label}: {remark}")
        yield Query(found, text)


def _read(
    paths: Iterator[tuple[int, Path]], options: "ReadingOptions"
) -> "Iterator[tuple[int, Motion | FileFault]]":
    """Every motion of every file, with the file's number."""
    from motionrft.files.motions import arrays_at_their_rate, stream_motions

    for number, path in paths:
        reading = arrays_at_their_rate(path, options)
        yield from ((number, found) for found in stream_motions(path, reading))


def _text_of(motion: "Motion", texts: MotionTexts) -> str | None:
    return motion.text if motion.text and not texts.given else texts.of(motion.source)


def _document(result: "Score", scorer: "Scorer", frames: bool) -> dict[str, Any]:
    motion = result.query.motion
    document = {
        "file": str(motion.source),
        "index": motion.index,
        "name": motion.name,
        "frames": motion.recorded or len(motion),
        "representation": motion.representation,
        "text": result.query.text,
        "scores": result.scores,
        "percentiles": result.percentiles,
        "held_out_clips": scorer.held_out.clips,
        "distances": result.distances,
        "fps": scorer.fps,
        "remarks": [*result.remarks, *filter(None, [motion.rate_note])],
    }
    return {**document, "curves": result.curves} if frames else document


def _row(result: "Score", terms: list[str]) -> list[object]:
    motion = result.query.motion
    cells = []
    for term in terms:
        value, rank = result.scores[term], result.percentiles.get(term)
        cells.append("-" if value is None else f"{value:.3g}" + ("" if rank is None else f" ({rank:.0f} %)"))
    return [motion.label, motion.recorded or len(motion), *cells]
