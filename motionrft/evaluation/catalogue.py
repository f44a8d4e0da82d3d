"""Every number of an evaluation: what people call it, which direction is good, how it is printed."""

from dataclasses import dataclass, replace

from motionrft.physics import QUANTITIES
from motionrft.report.verdict import Good, Role


@dataclass(frozen=True)
class Metric:
    """How a metric is shown.

    label: as in tables. good: `up`, `down`, `near` (to real motion) or `none`. digits: after the point.
    headline: a comparison's verdict rests on it. note: a few words below its name.
    least: the smallest change that matters, in `unit`.
    """

    label: str
    good: Good
    role: Role = "judge"
    digits: int = 3
    unit: str = ""
    headline: bool = False
    note: str = ""
    least: float = 0.0


def _physical(name: str, digits: int, least: float = 0.0) -> dict[str, Metric]:
    """The entry of a physical quantity, which knows its own name, unit and direction."""
    found = QUANTITIES[name]
    return {
        name: Metric(found.label, found.good, "physics", digits, found.unit, note=found.note, least=least)
    }


METRICS: dict[str, Metric] = {
    "reward": Metric("reward", "up", "reward"),
    "events/mean": Metric("events, mean", "up", headline=True, note="over the kinds of prompt"),
    "events/integrity": Metric("events happen", "up", headline=True),
    "events/temporal": Metric("in the order told", "up", headline=True),
    "events/frequency": Metric("as often as told", "up", headline=True),
    "events/integrity perfect": Metric("all happen", "up"),
    "events/temporal perfect": Metric("order perfect", "up"),
    "events/frequency perfect": Metric("number perfect", "up"),
    "label_r1": Metric("R@1 label", "up", headline=True, note="32 candidates, same kind counts"),
    "label_r2": Metric("R@2 label", "up", note="32 candidates, same kind counts"),
    "label_r3": Metric("R@3 label", "up", note="32 candidates, same kind counts"),
    "distinct_r1": Metric("R@1 distinct", "up", note="32 candidates, all of different kinds"),
    "distinct_r2": Metric("R@2 distinct", "up", note="32 candidates, all of different kinds"),
    "distinct_r3": Metric("R@3 distinct", "up", headline=True, note="32 candidates, all of different kinds"),
    "raw_r1": Metric("R@1 raw", "up", note="32 candidates, only the own motion counts"),
    "raw_r2": Metric("R@2 raw", "up", note="32 candidates, only the own motion counts"),
    "raw_r3": Metric("R@3 raw", "up", note="32 candidates, only the own motion counts"),
    "bound_r1": Metric("R@1 raw, bound", "none", note="a judge that tosses a coin among equals"),
    "bound_r2": Metric("R@2 raw, bound", "none", note="a judge that tosses a coin among equals"),
    "bound_r3": Metric("R@3 raw, bound", "none", note="a judge that tosses a coin among equals"),
    "mm_dist": Metric("MM-Dist", "down", headline=True),
    "fid": Metric("FID", "down", headline=True),
    "diversity": Metric("Diversity", "near"),
    "multimodality": Metric("MultiModality", "none"),
    "unusable": Metric("no motion", "down", note="share; a mean pose stands in their place"),
    "hand_as_told": Metric("hand as told", "up", note="the named hand alone is raised"),
    "turn_as_told": Metric("turn as told", "up", note="the heading changes to the named side"),
    **_physical("jitter", 1),
    "events/jitter": replace(
        _physical("jitter", 1)["jitter"], label="jitter of events", note="event prompts"
    ),
    **_physical("skating_ratio", 3),
    **_physical("motion_energy", 3),
    **_physical("penetration", 4, least=0.002),
    **_physical("floating", 4, least=0.002),
    **_physical("bone_length_drift", 4),
}

ARROWS = {"up": "↑", "down": "↓", "near": "→", "none": ""}


PROTOCOLS = {
    "32": "32 candidates",
    "all": "whole set",
    "threshold": "equal texts count",
    "dissimilar": "dissimilar items",
    "small": "groups of 32 (TMR)",
}
DIRECTIONS = {"t2m": "text to motion", "m2t": "motion to text"}
_SHARES = ("accuracy", "precision", "recall", "f1")


def metric_of(name: str) -> Metric:
    """The entry of a metric; `reward/TERM`, recalls, shares, and names nobody catalogued as they are called."""
    if name in METRICS:
        return METRICS[name]
    protocol, *rest = name.split("/")
    if len(rest) == 2 and rest[0] in DIRECTIONS:
        rank = recall_name(rest[1])
        title = f"{rank}, {PROTOCOLS.get(protocol, protocol)}, {DIRECTIONS[rest[0]]}"
        return Metric(title, "down" if rest[1] == "MedR" else "up", unit="" if rest[1] == "MedR" else "%")
    if protocol == "reward":
        return Metric(name.replace("/", ": "), "up", "reward")
    known = protocol in _SHARES or (rest and rest[-1] in _SHARES)
    return Metric(name.replace("/", ": ").replace("_", " "), "up" if known else "none")


def recall_name(rank: str) -> str:
    """`R05` as people write it: R@5; `MedR` is the median rank."""
    return "median rank" if rank == "MedR" else f"R@{int(rank.removeprefix('R'))}"


def in_order(names: list[str]) -> list[str]:
    """Reading order: the catalogue's, a reward's terms right after the reward, strangers last."""
    places = {name: place for place, name in enumerate(METRICS)}
    return sorted(names, key=lambda name: (_place(name, places), "/" in name))


def _place(name: str, places: dict[str, int]) -> int:
    return places.get(name, places.get(name.split("/")[0], len(places)))
