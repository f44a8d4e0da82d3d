"""What a run's folder is: which job, how far it came, whether it can go on."""

from pathlib import Path
from typing import Any

from motionrft.checking.found import Found, faulty
from motionrft.errors import UserError
from motionrft.parsing import read_json, read_text
from motionrft.settings.plain_yaml import read_yaml
from motionrft.training.lines import read_lines
from motionrft.training.run import CHECKPOINTS, ENVIRONMENT, METRICS, PRESET, is_run

RUN = "run folder"
_RESULTS = ("generator", "reward", "evaluator", "pairs.jsonl", "report.html")


def is_run_folder(path: Path) -> bool:
    """Whether a run was here: directly, or in the `training` that some commands put below their result."""
    return is_run(path) or ((path / PRESET).is_file() and any(is_run(child) for child in _folders(path)))


def run_folder(path: Path) -> Found:
    """A run with what it was asked, its newest checkpoint, its last measurements and its results."""
    try:
        return Found(path, RUN, _facts(path))
    except UserError as error:
        return faulty(path, RUN, error)


def _facts(path: Path) -> dict[str, Any]:
    inner = path if is_run(path) else next(child for child in _folders(path) if is_run(child))
    preset = read_yaml(read_text(path / PRESET), str(path / PRESET)) if (path / PRESET).is_file() else {}
    environment = read_json(inner / ENVIRONMENT)
    lines = read_lines(inner / METRICS)
    asked = environment.get("command")
    words = [str(word) for word in asked[1:]] if isinstance(asked, list) else []
    results = [name for name in _RESULTS if (path / name).exists()]
    steps = sorted(
        int(name)
        for each in (inner / CHECKPOINTS).glob("step-*")
        if (name := each.name.removeprefix("step-")).isdecimal()
    )
    facts: dict[str, Any] = {
        "command": words[0] if words else None,
        "method": _method(preset),
        "measurements": len(lines),
        "checkpoints": steps,
        "finished": bool(results),
        "results": results,
        "version": (environment.get("packages") or {}).get("motionrft"),
        "device": environment.get("device"),
        "hashes": environment.get("hashes"),
    }
    if lines:
        last = lines[-1]
        facts["last"] = {name: last[name] for name in ("update", "reward", "loss") if name in last}
    return {name: value for name, value in facts.items() if value is not None}


def _method(preset: Any) -> str | None:
    method = preset.get("method") if isinstance(preset, dict) else None
    return method.get("method") if isinstance(method, dict) else method


def _folders(path: Path) -> list[Path]:
    return [child for child in sorted(path.iterdir()) if child.is_dir()]
