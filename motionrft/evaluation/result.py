"""A result that carries its identity: what was judged, by whom, on what, with which seeds, on which
machine."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.evaluation.catalogue import in_order, metric_of
from motionrft.evaluation.metrics.exact import exact
from motionrft.generators.sampling_settings import SamplingSettings
from motionrft.generators.token_sampling import TokenSampling
from motionrft.intervals import replications
from motionrft.parsing import Place, parse_json, parsing, read_text
from motionrft.physics import RENAMED_MEASURES, current_names
from motionrft.report.verdict import Row
from motionrft.training.atomic import write_text
from motionrft.training.environment import environment
from motionrft.training.fingerprints import text_hash

FORMAT = "motionrft-evaluation-1"
RESULT = "result.json"


@dataclass(frozen=True)
class EvaluationResult:
    """Numbers of one evaluation, one value a repetition.

    kind: `generation`, `retrieval`, `preference`, `authenticity` or `physics`.
    subject: what was judged: `name`, `identity` (hash).
    judge: the evaluator or reward: `name`, `identity`, `comparable`. Empty where the metric needs none.
    data: `identity`, `split`, `items`.
    protocol: everything else that a number depends on (selection, steps, guidance, candidates, …).
    seeds: one a repetition. metrics, real: by name, a value a seed (or one value in all).
    choices: recorded random choices, a dictionary a seed, where the selection makes any.
    """

    kind: str
    subject: dict[str, Any]
    judge: dict[str, Any]
    data: dict[str, Any]
    protocol: dict[str, Any]
    seeds: list[int]
    environment: dict[str, Any]
    metrics: dict[str, list[float]]
    real: dict[str, list[float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    choices: list[dict[str, Any]] = field(default_factory=list)

    def mean(self, name: str, real: bool = False) -> float:
        """Mean over repetitions; NaN where it was not measured."""
        values = (self.real if real else self.metrics).get(name, [])
        return sum(values) / len(values) if values else math.nan

    def interval(self, name: str, real: bool = False) -> tuple[float, float]:
        """Mean and half-width of the 95 % interval as papers print it."""
        values = (self.real if real else self.metrics)[name]
        found = replications(values)
        return found.mean, found.half_width

    @property
    def identity(self) -> str:
        """A hash of all that the numbers depend on: subject, judge, data, protocol with its sampling, and seeds."""
        made = [self.kind, self.subject, self.judge, self.data, self.protocol, self.seeds]
        return text_hash(json.dumps(made, sort_keys=True))

    def plain(self) -> dict[str, Any]:
        """JSON values; numbers that are not finite become null. The same evaluation gives the same text."""
        return _finite({"format": FORMAT, "identity": self.identity, **asdict(self)})

    def save(self, path: Path) -> None:
        """Write the JSON document."""
        write_text(path, json.dumps(self.plain(), indent=1, ensure_ascii=False, allow_nan=False) + "\n")

    @classmethod
    def load(cls, path: Path) -> "EvaluationResult":
        """Read a result, or the `result.json` of a folder.

        Raises:
            UserError: no such file, or it is no evaluation result.
        """
        path = path / RESULT if path.is_dir() else path
        with parsing(path, "a result of motionrft eval") as place:
            values = parse_json(read_text(path))
            if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
                place.fail("no result of motionrft eval.")
            _check_kinds(values, place)
            values.pop("identity", None)  # follows from the rest
            return cls(**_current(_not_a_number(values)))


_KINDS: dict[str, type] = {
    "kind": str,
    "subject": dict,
    "judge": dict,
    "data": dict,
    "protocol": dict,
    "seeds": list,
    "environment": dict,
    "metrics": dict,
    "real": dict,
    "notes": list,
    "choices": list,
}
"""What a file must hold under each name."""


def _check_kinds(values: Mapping[str, Any], place: Place) -> None:
    """Refuse a result whose parts are of other kinds than tables print: better here than in the middle of one."""
    for name, kind in _KINDS.items():
        if name in values and not isinstance(values[name], kind):
            place.fail(f"{name} is {str(values[name])[:40]!r}, which is no {kind.__name__}.")
    named = [values["subject"].get("name"), *([values["judge"].get("identity")] if values["judge"] else [])]
    lists = [*values["metrics"].values(), *values.get("real", {}).values()]
    numbers = [number for each in lists for number in (each if isinstance(each, list) and each else ["none"])]
    if not all(isinstance(word, str) for word in (*named, *values.get("notes", []))):
        place.fail("a name or a note is no text.")
    if not all(number is None or type(number) in (int, float) for number in numbers):
        place.fail("metrics are lists of numbers, one a repetition; these are not.")


def collect(repetitions: Sequence[Mapping[str, Tensor]]) -> dict[str, list[float]]:
    """() tensors of each repetition as lists by name, brought to the host in one copy."""
    names = in_order(list(dict.fromkeys(name for numbers in repetitions for name in numbers)))
    if not names:
        return {}
    values = [exact(n[name]) if name in n else None for n in repetitions for name in names]
    device = next((v.device for v in values if v is not None and v.device.type != "cpu"), torch.device("cpu"))
    nan = torch.tensor(math.nan, dtype=torch.float64, device=device)
    table = torch.stack([nan if value is None else value.to(device) for value in values])
    return dict(zip(names, table.reshape(-1, len(names)).T.tolist(), strict=True))


def machine(device: torch.device | str, precision: str = "fp32") -> dict[str, Any]:
    """Versions, device and precision; the command line is left out, since it names places and not results."""
    return {k: v for k, v in environment(device).items() if k != "command"} | {"precision": precision}


def check_comparable(results: Sequence[EvaluationResult]) -> None:
    """Refuse to put results of different judges, data or protocols side by side.

    Raises:
        UserError: says what differs and between which two.
    """
    first = results[0]
    for other in results[1:]:
        for name, a, b in _identities(first, other):
            if a != b:
                raise UserError(
                    f"{first.subject['name']} and {other.subject['name']} cannot be compared: their {name} "
                    f"differs ({_short(a)} against {_short(b)}). Evaluate both in the same way."
                )


def compare(before: EvaluationResult, after: EvaluationResult) -> list[Row]:
    """Rows of a before/after table, differences paired by seed, with 95 % intervals over the seeds.

    Raises:
        UserError: the two were not made in the same way, or with different seeds.
    """
    check_comparable([before, after])
    if before.seeds != after.seeds:
        raise UserError(f"seeds differ ({before.seeds} against {after.seeds}): no pairs can be formed.")
    shared = [name for name in in_order(list(before.metrics)) if name in after.metrics]
    return [_paired(name, before, after) for name in shared]


def _paired(name: str, before: EvaluationResult, after: EvaluationResult) -> Row:
    metric = metric_of(name)
    reference = before.mean(name, real=True) if name in before.real else None
    return Row.paired(
        metric.label,
        before.metrics[name],
        after.metrics[name],
        good=metric.good,
        role=metric.role,
        unit=metric.unit,
        reference=reference,
        headline=metric.headline,
        note=metric.note,
        least=metric.least,
    )


def _identities(a: EvaluationResult, b: EvaluationResult) -> list[tuple[str, Any, Any]]:
    kinds = (SamplingSettings, TokenSampling)
    own = {
        field.name for kind in kinds for field in fields(kind)
    }  # of the generator, not of the way it is judged
    mine, theirs = ({k: v for k, v in r.protocol.items() if k not in own} for r in (a, b))
    return [
        ("kind of evaluation", a.kind, b.kind),
        ("evaluator", a.judge.get("identity"), b.judge.get("identity")),
        ("data", a.data.get("identity"), b.data.get("identity")),
        ("protocol", mine, theirs),
    ]


def _short(value: Any) -> str:
    return value[:12] if isinstance(value, str) else str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _current(values: dict[str, Any]) -> dict[str, Any]:
    """A document of an earlier version with the names that its metrics have today."""
    for group in ("metrics", "real"):
        values[group] = current_names(values[group], RENAMED_MEASURES)
    return values


def _not_a_number(values: dict[str, Any]) -> dict[str, Any]:
    """`null` back to NaN inside the lists of numbers."""
    for group in ("metrics", "real"):
        values[group] = {
            name: [math.nan if v is None else v for v in numbers] for name, numbers in values[group].items()
        }
    return values
