"""What a path is: the first kind that knows it; a folder that is nothing itself is looked through."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from motionrft import builtin
from motionrft.checking import data, models, runs, texts
from motionrft.checking.found import Found, faulty
from motionrft.checking.texts import Presets
from motionrft.errors import UserError
from motionrft.files.formats.table import is_motion_file, suffixes
from motionrft.official.evaluators import is_published_evaluator
from motionrft.official.kimodo import is_published_folder
from motionrft.official.tmr import is_weights_folder
from motionrft.parsing import read_json

CHECKPOINTS = (".ckpt", ".pt", ".pth", ".tar")
_ADAPTER = "adapter_config.json"


def what_is(path: Path, presets: Presets) -> Iterator[Found]:
    """The thing that a path is, or everything below a folder that is no thing itself.

    `builtin` and `builtin-world` are three models each, `builtin-tokens` is a generator.

    Args:
        presets: settings of each command, by which presets are known.
    """
    if str(path) in builtin.GENERATORS and not path.exists():
        others = (models.REWARD, models.EVALUATOR) if str(path) in builtin.NAMES else ()
        for model in (models.GENERATOR, *others):
            yield models.model_folder(builtin.resolve(str(path), model))
        return
    if not path.exists():
        yield Found(path, "", {}, f"{path}: no such file or folder.")
        return
    try:
        found = _folder(path) if path.is_dir() else _file(path, presets)
    except UserError as error:
        found = faulty(path, "damaged", error)
    except OSError as error:
        found = Found(path, "unreadable", {}, f"{path}: cannot be read ({error.strerror}).")
    if found is not None:
        yield found
    elif path.is_dir():
        yield from _below(path, presets)
    else:
        yield Found(path, "", {}, f"{path}: nothing that motionrft reads.")


def _folder(path: Path) -> Found | None:
    knows: Iterable[tuple[Callable[[Path], bool], Callable[[Path], Found]]] = (
        (runs.is_run_folder, runs.run_folder),
        (is_published_evaluator, models.published_evaluator),
        (models.is_model, models.model_folder),
        (lambda each: (each / _ADAPTER).is_file(), adapters),
        (models.is_words, models.words),
        (is_weights_folder, models.checkpoint),
        (is_published_folder, models.checkpoint),
        (data.is_data_set, data.data_set),
    )
    return next((describe(path) for knows_it, describe in knows if knows_it(path)), None)


def adapters(path: Path) -> Found:
    """A peft folder."""
    config = read_json(path / _ADAPTER)
    rank, base = config.get("r"), config.get("base_model_name_or_path")
    return Found(path, "low-rank adapters (peft)", {"rank": rank, "base": base})


def _file(path: Path, presets: Presets) -> Found | None:
    suffix = path.suffix.lower()
    if suffix in CHECKPOINTS:
        return models.checkpoint(path)
    if data.is_statistics(path):
        return data.statistics_file(path)
    if suffix in suffixes() and (suffix not in (".csv", ".pkl") or is_motion_file(path)):
        return data.motion_file(path)
    readers: dict[str, Callable[[Path], Found]] = {
        ".jsonl": texts.json_lines_file,
        ".txt": texts.text_file,
        ".csv": texts.table,
        ".yaml": lambda each: texts.yaml_file(each, presets),
        ".yml": lambda each: texts.yaml_file(each, presets),
    }
    return readers[suffix](path) if suffix in readers else None


def _below(folder: Path, presets: Presets) -> Iterator[Found]:
    """Everything in a folder that is something; the rest (pictures, notes) is passed over."""
    told = False
    for child in sorted(folder.iterdir()):
        if child.name.startswith("."):
            continue
        for found in what_is(child, presets):
            if found.kind:
                told = True
                yield found
    if not told:
        yield Found(folder, "", {}, f"{folder}: nothing below it that motionrft reads.")
