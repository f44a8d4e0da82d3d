"""score: judge motion files, for people, pipes and CI."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from motionrft.errors import UserError
from motionrft.plurals import counted
from motionrft.reward.score_preset import ScorePreset
from motionrft_cli.inputs import NOTHING_LISTED, Null, expanded, listed_paths
from motionrft_cli.judging import Told, judge_of, queries_of, told_one
from motionrft_cli.motion_texts import MotionTexts
from motionrft_cli.options import Call, command, sets
from motionrft_cli.score_jobs import told_by_jobs
from motionrft_cli.scores_file import ScoresFile
from motionrft_cli.shares import Shard, Share, share_of

if TYPE_CHECKING:
    from motionrft.files import FileFault
    from motionrft.reward.scoring import Query, Scorer


@command(
    ScorePreset,
    'motionrft score walk.npy --text "a person walks"',
    "motionrft score out/*.npy --terms semantic,physics --json",
    "motionrft score captures/ --preset lint",
    only={"precision": (("auto", "fp32"), "computes in fp32")},
)
def score(
    call: Call[ScorePreset],
    motions: Annotated[
        list[str], typer.Argument(help="motion files, folders, globs, or - for paths on stdin")
    ],
    text: Annotated[str | None, typer.Option(help="one text for all motions")] = None,
    text_file: Annotated[
        Path | None, typer.Option(help="texts, one a line: one for all, or one a motion")
    ] = None,
    terms: Annotated[str | None, sets("terms")] = None,
    reward: Annotated[str | None, sets("reward")] = None,
    fps: Annotated[float | None, sets("fps")] = None,
    frames: Annotated[bool | None, typer.Option("--frames"), sets("frames")] = None,
    fail_under: Annotated[
        list[str] | None, typer.Option(help="exit 1 if a motion's TERM is below X; repeatable")
    ] = None,
    fail_over: Annotated[
        list[str] | None, typer.Option(help="exit 1 if a motion's TERM is above X; repeatable")
    ] = None,
    null: Null = False,
    jobs: Annotated[int | None, sets("jobs")] = None,
    shard: Shard = None,
) -> int:
    """Judge motion files with a reward and with physics.

    A text file beside a motion (walk.npy, walk.txt) is used when no text is given. Bad files are reported and
    skipped (exit code 3); limits turn the command into a linter (exit code 1).
    """
    file = ScoresFile.chosen(call.out, call.resume, call.overwrite)
    with share_of(call, shard) as share:
        limits = (
            {**call.preset.fail_under, **_limits("--fail-under", fail_under)},
            {**call.preset.fail_over, **_limits("--fail-over", fail_over)},
        )
        texts = MotionTexts(text, text_file)
        share.note(repr(texts.lines))
        paths = share.noted(_paths(motions, null), lambda path: path.name)
        return _score(call, share, file, paths, texts, *limits)


def _score(
    call: Call[ScorePreset],
    share: Share,
    file: ScoresFile | None,
    paths: Iterator[Path],
    texts: MotionTexts,
    under: dict[str, float],
    over: dict[str, float],
) -> int:
    judge = judge_of(call, under, over, share.company.device or call.device())
    if call.preset.jobs > 1 and not call.dry_run:
        told = told_by_jobs(call, under, over, texts, list(share.of(enumerate(paths))))
    else:
        places: list[int] = []
        queries = queries_of(call, share, paths, texts, judge.options, places)
        if call.dry_run:
            return _dry_run(call, judge.scorer.terms, queries)
        # Queries are read ahead of their scores, so a score's place is known when it comes.
        told = (
            told_one(call, judge, result, places[number])
            for number, result in enumerate(judge.scorer.score(queries))
        )
    told = _unless_alone(told, share)
    if share.several:
        told = iter(share.merged(list(told), lambda each: (each.place, each.index)))
    code = _report(call, judge.scorer, told, share, file if share.company.main else None)
    if (said := texts.unused) is not None:
        call.console.warn(said)
    return code


def _dry_run(call: Call[ScorePreset], terms: list[str], queries: "Iterator[Query | FileFault]") -> int:
    """Read and check every motion, judge none."""
    from motionrft.files import FileFault

    good = bad = 0
    for query in queries:
        if isinstance(query, FileFault):
            bad += 1
            call.console.warn(f"would be skipped: {query.message}")
        else:
            good += 1
    call.console.info(
        f"dry run: {counted(good, 'motion')} would be scored for {', '.join(terms)}; nothing is written"
    )
    call.console.emit({"dry_run": True, "motions": good, "skipped": bad, "terms": terms})
    return 3 if bad else 0


def _report(
    call: Call[ScorePreset],
    scorer: "Scorer",
    found: Iterator[Told],
    share: Share,
    file: ScoresFile | None,
) -> int:
    seen = _Seen()
    with call.console.progress("scoring", unit="motions") as bar:
        for told in found:
            if told.fault is not None:
                seen.skipped += 1
                call.console.warn(f"skipped: {told.fault}")
                continue
            bar.advance()
            document = share.placed(told.document, told.place)
            if file is not None:
                file.add(document)
            if call.json:
                call.console.emit(document)
            else:
                seen.rows.append(told.row)
            for sentence in (*told.remarks, *told.broken):
                call.console.warn(f"{told.name}: {sentence}")
            seen.count(told)
    seen.tell(call, scorer)
    if file is not None:
        if share.number_of_jobs > 1:
            file.add(share.signed(call))
        file.close()
        call.console.info(f"Scores: {file.path}")
    return 1 if seen.broken else 3 if seen.skipped else 0


@dataclass
class _Seen:
    """What is told once all motions are scored."""

    rows: list[list[object]] = field(default_factory=list)
    skipped: int = 0
    broken: int = 0
    without_text: int = 0
    rates: Counter[str] = field(default_factory=Counter)
    far_texts: dict[str, None] = field(default_factory=dict)
    far_motions: list[str] = field(default_factory=list)

    def count(self, told: Told) -> None:
        self.broken += bool(told.broken)
        self.without_text += told.text is None
        self.rates.update(filter(None, [told.rate_note]))
        if "text" in told.far:
            self.far_texts[str(told.text)] = None
        if "motion" in told.far:
            self.far_motions.append(Path(told.name).name)

    def tell(self, call: Call[ScorePreset], scorer: "Scorer") -> None:
        warn = call.console.warn
        if self.rows:
            ranks = f" (percentile among {scorer.held_out.whose})" if scorer.held_out.quantiles else ""
            call.console.table(f"scores{ranks}", ["file", "frames", *_headings(scorer.terms)], self.rows)
            for note, count in self.rates.items():
                call.console.info(f"{note} ({count}x)")
        if self.without_text and "semantic" in scorer.terms:
            have = counted(self.without_text, "motion has", "motions have")
            warn(f"{have} no text, so no semantic score; give one with --text")
        if self.skipped and not self.rows and not call.json:
            warn("no motion could be scored")
        for what, names in (("text", list(self.far_texts)), ("motion", self.far_motions)):
            if names:
                more = f"; and {len(names) - 3} more" if len(names) > 3 else ""
                warn(
                    "unlike anything the reward was trained on, so that its terms are guesses (distances: --json): "
                    f"{what} {'; '.join(names[:3])}{more}"
                )


def _unless_alone(found: Iterator[Told], share: Share) -> Iterator[Told]:
    """A bad file among others is skipped; alone it is the user's mistake."""
    if share.count > 1:  # the others are elsewhere
        yield from found
        return
    first = next(found, None)
    if first is not None and first.fault is not None:
        second = next(found, None)
        if second is None:
            raise UserError(first.fault)
        yield first
        yield second
    elif first is not None:
        yield first
    yield from found


def _paths(inputs: list[str], null: bool) -> Iterator[Path]:
    """Paths in order, those of stdin as they come.

    Raises:
        UserError: there is none at all.
    """
    from motionrft.files import motion_files

    found = False
    for name in listed_paths(inputs, null):
        for path in expanded(name) or [Path(name)]:  # a missing file costs itself alone
            yield from motion_files([path], batch=True)
        found = True
    if not found:
        raise UserError(NOTHING_LISTED)


def _limits(flag: str, given: list[str] | None) -> dict[str, float]:
    limits = {}
    for item in given or ():
        name, equals, value = item.partition("=")
        try:
            limits[name] = float(value)
        except ValueError:
            equals = ""
        if not equals:
            raise UserError(f"{flag} {item}: write it as TERM=NUMBER, such as foot_skating=0.1")
    return limits


def _headings(terms: list[str]) -> list[str]:
    """`foot_skating ↓ (m/s)`: terms by the name that --terms, --fail-over and --json know, and what is better."""
    from motionrft.evaluation.catalogue import ARROWS
    from motionrft.physics import QUANTITIES

    physical = {name: QUANTITIES[name] for name in terms if name in QUANTITIES}
    arrows = {name: ARROWS[physical[name].good if name in physical else "up"] for name in terms}
    units = {name: f" ({each.unit})" for name, each in physical.items() if each.unit}
    return [f"{name} {arrows[name]}{units.get(name, '')}" for name in terms]
