"""What text files are: pairs, prompts, captions, tables of cuts and splits, and presets of every command."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from motionrft.checking.found import Found, faulty
from motionrft.data.prompts import read_prompt_file
from motionrft.errors import UserError
from motionrft.files.captions import read_captions
from motionrft.files.cuts import read_cuts
from motionrft.files.joint_maps import read_joint_map
from motionrft.parsing import csv_rows, json_lines, read_text, text_of
from motionrft.settings.base import Preset
from motionrft.settings.layers import resolve
from motionrft.settings.plain_yaml import read_yaml

Presets = Mapping[str, Callable[[], type[Preset]]]
"""The settings of each command, loaded when asked for."""


def json_lines_file(path: Path) -> Found:
    """Pairs of motions, captions of clips, prompts of events, or lines of measurements."""
    kind = "JSON lines"
    try:
        first = next((entry for _, entry in json_lines(path)), None)
        if first is None:
            return Found(path, kind, {}, f"{path}: holds no line.")
        if {"better", "worse"} <= first.keys():
            kind = "preference pairs"
            return Found(path, kind, _pairs(path))
        if "captions" in first:
            kind = "captions"
            captions = read_captions(path)
            return Found(path, kind, {"clips": len(captions), "captions": sum(map(len, captions.values()))})
        lines = sum(1 for _ in json_lines(path))
        return Found(
            path,
            "prompts" if "text" in first or "prompt" in first else kind,
            {"lines": lines, "keys": list(first)},
        )
    except UserError as error:
        return faulty(path, kind, error)


def _pairs(path: Path) -> dict[str, Any]:
    """Raises `UserError` where a line lacks a motion, or its file is not there."""
    kinds, prompts = Counter[str](), 0
    for place, entry in json_lines(path):
        for side in ("better", "worse"):
            if not (path.parent / text_of(entry, side, place)).is_file():
                place.fail(f"{side}: {entry[side]} is not beside it.")
        kinds[str(entry.get("kind", ""))] += 1
        prompts += "prompt" in entry or "text" in entry
    return {"pairs": kinds.total(), "kinds": dict(kinds), "with_prompt": prompts}


def text_file(path: Path) -> Found:
    """Prompts, one a line, or the captions of the motion of the same name."""
    try:
        if beside := next(
            (each for each in sorted(path.parent.glob(f"{path.stem}.*")) if each != path), None
        ):
            lines = len(read_prompt_file(path).texts)
            return Found(path, "captions of a motion", {"captions": lines, "motion": beside.name})
        found = read_prompt_file(path)
    except UserError as error:
        return faulty(path, "prompts", error)
    facts: dict[str, Any] = {"prompts": len(found.texts), "distinct": len(set(found.texts))}
    if found.seconds is not None:
        facts |= {"seconds": [min(found.seconds), max(found.seconds)]}
    return Found(path, "prompts", facts | ({"notes": [found.said]} if found.said else {}))


def table(path: Path) -> Found:
    """A CSV file: cuts, splits, or an index of clips."""
    try:
        columns, rows = csv_rows(path)
    except UserError as error:
        return faulty(path, "table", error)
    facts = {"rows": len(rows), "columns": columns}
    if "clip_id" in columns:
        return Found(path, "index of clips" if "split" not in columns else "splits of clips", facts)
    try:
        read_cuts(path)
    except UserError:
        return Found(path, "", facts, f"{path}: a table that nothing here reads ({', '.join(columns)}).")
    return Found(path, "cuts of motions", facts)


def yaml_file(path: Path, presets: Presets) -> Found:
    """A preset of one of the commands, or a joint map."""
    try:
        text = read_text(path)
        values = read_yaml(text, str(path))
    except UserError as error:
        return faulty(path, "YAML", error)
    if not isinstance(values, dict):
        return Found(path, "", {}, f"{path}: no table of settings.")
    said = {name for name in presets if f"motionrft {name} " in text or path.parent.name == name}
    fitting, complaints = [], []
    for name, model in presets.items():
        try:
            resolve(model(), str(path), environment={})
            fitting.append(name)
        except UserError as error:
            complaints += [error] if name in said else []
    if chosen := [name for name in fitting if name in said] or fitting:
        return Found(path, f"preset of {' or '.join(chosen)}", {"sets": list(values)})
    if complaints:
        return faulty(path, f"preset of {' or '.join(sorted(said))}", complaints[0])
    try:
        return Found(path, "joint map", {"joints": len(read_joint_map(path).sources)})
    except UserError:
        return Found(path, "", {}, f"{path}: neither a preset of a command nor a joint map.")
