"""A checkpoint on its way in: the file, what lies beside it, and what the user says of it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from motionrft.errors import UserError
from motionrft.files.layouts import usual_fps
from motionrft.generators import TextToMotion
from motionrft.parsing import parsing, read_text
from motionrft.representations.names import KINEMATIC
from motionrft.representations.statistics import Statistics
from motionrft.settings.plain_yaml import read_foreign_yaml
from motionrft.training.weights import load_state

Family = TypeVar("Family", bound=TextToMotion)
_PAIRS = (("Mean.npy", "Std.npy"), ("mean.npy", "std.npy"))


@dataclass(frozen=True)
class Source:
    """An official checkpoint, opened.

    path: the file; content: what it holds.
    statistics: folder named by the user for the normalisation statistics, or None to look beside the file.
    settings: fields of the family's configuration that the user sets: what tensors cannot tell.
    """

    path: Path
    content: Mapping[str, Any]
    statistics: Path | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def arguments(self, name: str = "args.json") -> dict[str, Any]:
        """The options file beside the checkpoint (JSON or YAML), or nothing where there is none."""
        path = self.path.parent / name
        if not path.is_file():
            return {}
        text = read_text(path)
        if path.suffix == ".json":
            with parsing(path, "JSON"):
                found = json.loads(text)
        else:
            found = read_foreign_yaml(text, str(path))
        if not isinstance(found, dict):
            raise UserError(f"{path}: holds {type(found).__name__}; options are an object.")
        return found

    def find_statistics(self, features: int) -> Statistics:
        """The model's normalisation: the named folder's, else `Mean.npy`/`Std.npy` beside the file or in
        `meta/`.

        Raises:
            UserError: none found, or of another width. They are part of the model: nothing stands in for
                them.
        """
        here = self.path.parent
        folders = (
            [self.statistics]
            if self.statistics
            else [here, here / "meta", here.parent / "meta", here / "stats"]
        )
        for folder in folders:
            for mean, std in _PAIRS:
                if (folder / mean).is_file() and (folder / std).is_file():
                    return self._checked(Statistics.of_files(folder / mean, folder / std), folder, features)
        raise UserError(
            f"{self.path}: the normalisation statistics of this model are missing. Looked for Mean.npy and "
            f"Std.npy in {', '.join(map(str, folders))}. Copy those the model was trained with beside it, or "
            "name their folder."
        )

    def _checked(self, found: Statistics, folder: Path, features: int) -> Statistics:
        if len(found.mean) != features:
            raise UserError(
                f"{folder}: statistics of {len(found.mean)} features, but {self.path} has {features}."
            )
        return found


def found_in(options: Any, name: str, otherwise: Any) -> Any:
    """The value of a field wherever it stands in nested options."""
    return next(_values(options, name), otherwise)


def _values(options: Any, name: str) -> Iterator[Any]:
    if isinstance(options, Mapping):
        if name in options:
            yield options[name]
        for value in options.values():
            yield from _values(value, name)
    elif isinstance(options, list):
        for value in options:
            yield from _values(value, name)


def settings_for(source: Source, features: int, **published: Any) -> dict[str, Any]:
    """Settings of a model on kinematic features: the published ones, KIT-ML's frame rate, and what the user says."""
    return {"fps": usual_fps(KINEMATIC, features), **published, **source.settings}


def filled(generator: Family, tensors: Mapping[str, Tensor], origin: Path) -> Family:
    """The generator with these weights and buffers, strictly: names and shapes must all agree; evaluation
    mode.

    Buffers of the generator itself that the tensors do not mention keep their values.
    """
    own = {name: value for name, value in generator.state_dict().items() if "." not in name}
    load_state(generator, own | dict(tensors), str(origin))
    return generator.eval()
