"""Text features on disk, keyed by the encoder's identity and the text: each distinct text is encoded once, ever."""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import save

from motionrft.errors import RunError, UserError
from motionrft.parsing import parsing
from motionrft.text.base import TextEncoder, TextFeatures
from motionrft.text.shard import STORED, Features, Shard
from motionrft.training.atomic import clean_temporaries, write_bytes
from motionrft.training.recent import Recent

log = logging.getLogger(__name__)

HELD = 64 * 2**20
"""Bytes of features kept in memory beside the disk: a data set's captions may take gigabytes."""
TOLD = 3
"""Texts that are named as cut off; the others are cut as well."""
SHARD = 2048
"""Texts of a shard at most: so many are in memory while a data set is encoded."""
_ROW_BITS = 32
_ROWS = (1 << _ROW_BITS) - 1


@cache
def _tell_of_another_build(trained: str, origin: str, here: str) -> None:
    """Once in a process, however often the model is loaded."""
    log.warning(
        "%s was trained on texts read by %s; here %s reads them. What it says about texts may differ from what it was "
        "measured with: use the same encoder, or train it again.", origin, trained, here,
    )  # fmt: skip


def text_key(text: str) -> str:
    """Name of a text's features inside the cache."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class CachedTextEncoder(TextEncoder):
    """A text encoder that remembers: in `folder` (shards of safetensors), and lately read ones in memory.

    Args:
        encoder: the encoder behind; its weights are loaded only when a new text comes, and dropped after.
        folder: where shards of this encoder lie, or None to remember in memory only.
        batch: texts encoded at once; None asks the encoder.
    """

    def __init__(self, encoder: TextEncoder, folder: Path | None = None, batch: int | None = None):
        self.encoder, self.batch = encoder, batch or encoder.batch
        self.name, self.identity = encoder.name, encoder.identity
        self.width, self.pooled_width = encoder.width, encoder.pooled_width
        self.fixed_tokens = encoder.fixed_tokens
        self.folder = folder / "text" / encoder.identity if folder else None
        self._recent: Recent[str, Features] = Recent(HELD)
        self._homeless: dict[str, Features] = {}
        """Features that are on no disk, so that memory must not forget them."""
        self._shards: list[Shard] = []
        self._homes: dict[str, int] = {}
        """Of each text on the disk the number of its shard, times 2 ** `_ROW_BITS`, and its row there."""
        self._surveyed: set[Path] = set()
        self._told: set[str] = set()
        self.learnt_with: tuple[str, str] | None = None
        """Identity of the encoder whose features a model was trained on, and where that is written."""

    def encode(self, texts: Sequence[str]) -> TextFeatures:
        # Whoever trains in reduced precision still gets, and remembers, what everybody else does.
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            return self._encode(texts)

    def _encode(self, texts: Sequence[str]) -> TextFeatures:
        self._tell_of_build()
        texts = [self.cleaned(text) for text in texts]
        keys = [text_key(text) for text in texts]
        named = dict(zip(keys, texts, strict=True))
        found = self._recall(named)
        missing = {key: text for key, text in named.items() if key not in found}
        if missing:
            found |= self._learn(missing, keep=True)
        self._tell_of_cuts(named, found)
        return _collate([found[key] for key in keys])

    def _tell_of_build(self) -> None:
        """Say, before the first text is read for a model, that it was trained on another encoder's features."""
        if self.learnt_with is not None and self.learnt_with[0] != self.identity:
            _tell_of_another_build(*self.learnt_with, self.identity)
        self.learnt_with = None

    def _tell_of_cuts(self, named: dict[str, str], found: dict[str, Features]) -> None:
        """Say of the first few texts that fill all tokens the encoder reads that their end is lost."""
        most: int | None = getattr(self.encoder, "max_tokens", None)
        if most is None or len(self._told) >= TOLD:
            return
        for key, text in named.items():
            # Fixed states are padded to all that are read: there the words must tell, which are fewer than tokens.
            read = found[key][0].shape[0] if self.fixed_tokens is None else len(text.split())
            if read >= most and key not in self._told and len(self._told) < TOLD:
                self._told.add(key)
                log.warning(
                    "%s reads the first %d tokens of a text; the rest of this one (%d words) is cut off: %.60r…",
                    *(self.name, most, len(text.split()), text),
                )

    @property
    def cost(self) -> str:
        return self.encoder.cost

    def cleaned(self, text: str) -> str:
        return self.encoder.cleaned(text)

    def unknown(self, texts: Iterable[str]) -> list[str]:
        self._survey()
        named = {text_key(text): text for text in super().unknown(texts)}
        return [text for key, text in named.items() if key not in self._homes and key not in self._homeless]

    def check(self, texts: Sequence[str]) -> None:
        if unknown := self.unknown(texts):
            self.encoder.check(unknown)

    def remember(self, texts: Iterable[str]) -> None:
        named = {text_key(text): text for text in map(self.cleaned, texts)}
        if any(key not in self._homes for key in named):
            self._survey()
        missing = {
            key: text for key, text in named.items() if key not in self._homes and key not in self._homeless
        }
        if missing:
            with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
                self._learn(missing, keep=False)

    def _recall(self, keys: Iterable[str]) -> dict[str, Features]:
        """What is known of the wanted texts, from memory and from the shards that hold them."""
        known = {key: self._homeless.get(key) or self._recent.get(key) for key in keys}
        found = {key: features for key, features in known.items() if features is not None}
        absent = [key for key in known if key not in found]
        if any(key not in self._homes for key in absent):
            self._survey()
        shelves: dict[int, list[str]] = {}
        for key in absent:
            if key in self._homes:
                shelves.setdefault(self._homes[key] >> _ROW_BITS, []).append(key)
        for number, here in shelves.items():
            found |= self._read(self._shards[number], here)
        return found

    def _learn(self, missing: dict[str, str], keep: bool) -> dict[str, Features]:
        """Encode texts and write them, a shard at a time; returns the features if they are to be kept."""
        found: dict[str, Features] = {}
        # Neighbours in length share a batch: least padding.
        items = sorted(missing.items(), key=lambda item: len(item[1]))
        try:
            for first in range(0, len(items), SHARD):
                fresh = self._encoded(items[first : first + SHARD])
                if not self._write_shard(fresh):
                    self._homeless |= fresh
                if keep:
                    found |= fresh
                    for key, features in fresh.items():
                        self._hold(key, features)
        finally:
            release = getattr(self.encoder, "release", None)
            if release is not None:
                release()
        return found

    def _encoded(self, items: Sequence[tuple[str, str]]) -> dict[str, Features]:
        found: dict[str, Features] = {}
        for start in range(0, len(items), self.batch):
            part = items[start : start + self.batch]
            features = self.encoder.encode([text for _, text in part])
            for row, (key, _) in enumerate(part):
                states = features.tokens[row][features.mask[row]].to("cpu", STORED).contiguous()  # (L, D)
                pooled = None if features.pooled is None else features.pooled[row].to("cpu", STORED).clone()
                found[key] = states, pooled
        return found

    def _hold(self, key: str, features: Features) -> None:
        if key not in self._homeless:
            self._recent.put(key, features, sum(part.nbytes for part in features if part is not None))

    def _survey(self) -> None:
        """Learn which texts lie in shards that are new here, from their headers alone."""
        if self.folder is None:
            return
        for path in sorted(set(self.folder.glob("*.safetensors")) - self._surveyed):
            self._house(path)

    def _house(self, path: Path) -> None:
        """Learn what a shard holds."""
        self._surveyed.add(path)
        with self._careful(path):
            shard, keys = Shard.met(path, self.width)
            first = len(self._shards) << _ROW_BITS
            self._shards.append(shard)
            self._homes |= {key: first + row for row, key in enumerate(keys)}

    def _read(self, shard: Shard, keys: Sequence[str]) -> dict[str, Features]:
        """The features of some texts of a shard, and no others; what does not fit its checksum is encoded again."""
        found: dict[str, Features] = {}
        with self._careful(shard.path):
            rows = [self._homes[key] & _ROWS for key in keys]
            for key, (features, checksum) in zip(keys, shard.read(rows), strict=True):
                if checksum != self._checksum(key, features):
                    raise UserError(f"the features of a text ({key[:8]}) do not fit their checksum")
                found[key] = features
        for key, features in found.items():
            self._hold(key, features)
        return found

    @contextmanager
    def _careful(self, path: Path) -> Iterator[None]:
        """Whatever is wrong with a shard, work goes on without it: a cache is never fatal."""
        try:
            with parsing(path, "a shard of the text cache"):
                yield
        except (UserError, RunError) as error:
            gone = {number for number, shard in enumerate(self._shards) if shard.path == path}
            self._homes = {key: home for key, home in self._homes.items() if home >> _ROW_BITS not in gone}
            if not isinstance(
                error.__cause__, OSError
            ):  # otherwise it would be met, and told, at every start
                with suppress(OSError):
                    path.unlink()
            log.warning("%s: damaged text cache, its texts are encoded again (%s)", path, error)

    def _checksum(self, key: str, features: Features) -> str:
        """SHA-256 of a text's key and features, shapes among them, under this encoder."""
        digest = hashlib.sha256(f"{self.identity} {key}".encode())
        for part in features:
            if part is not None:
                digest.update(f" {part.dtype} {tuple(part.shape)} ".encode())
                digest.update(part.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def _write_shard(self, fresh: dict[str, Features]) -> bool:
        """Whether there is a shard of these texts now; False where it cannot be written."""
        if self.folder is None:
            return False
        shard = {f"{key}.tokens": states for key, (states, _) in fresh.items()}
        shard |= {f"{key}.pooled": pooled for key, (_, pooled) in fresh.items() if pooled is not None}
        sums = {key: self._checksum(key, features) for key, features in fresh.items()}
        path = self.folder / f"{hashlib.sha256(''.join(sorted(shard)).encode()).hexdigest()[:16]}.safetensors"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            clean_temporaries(self.folder)
            write_bytes(path, save(shard, metadata=sums))
        except (UserError, RunError, OSError) as error:  # full, read-only, a file where a folder should be
            log.warning("%s: text features are not cached on disk (%s)", self.folder, error)
            return False
        self._house(path)
        return True


def _collate(found: Sequence[Features]) -> TextFeatures:
    counts = torch.tensor([states.shape[0] for states, _ in found])
    tokens = torch.nn.utils.rnn.pad_sequence([states for states, _ in found], batch_first=True).float()
    mask = torch.arange(tokens.shape[1])[None] < counts[:, None]
    vectors = [pooled for _, pooled in found if pooled is not None]
    return TextFeatures(tokens, mask, torch.stack(vectors).float() if len(vectors) == len(found) else None)
