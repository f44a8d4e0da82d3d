"""Text features on disk, keyed by the encoder's identity and the text: each distinct text is encoded once, ever."""

import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from motionrft.text.base import TextEncoder, TextFeatures
from motionrft.training.atomic import write_bytes

log = logging.getLogger(__name__)

STORED = torch.float16
"""Features are kept in half precision (a caption of 20 tokens x 1024 is 40 KB) and always pass through it, so that a
result does not depend on whether the cache was warm."""


def cache_folder() -> Path:
    """Where caches live: `MOTIONRFT_CACHE`, else `~/.cache/motionrft` (honouring `XDG_CACHE_HOME`)."""
    chosen = os.environ.get("MOTIONRFT_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(chosen) if chosen else base / "motionrft"


def text_key(text: str) -> str:
    """Name of a text's features inside the cache."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class CachedTextEncoder(TextEncoder):
    """A text encoder that remembers: in memory, and in `folder` (shards of safetensors, one a call that met new texts).

    Args:
        encoder: the encoder behind; its weights are loaded only when a new text comes, and dropped after.
        folder: where shards of this encoder lie, or None to remember in memory only.
        batch: texts encoded at once.
    """

    def __init__(self, encoder: TextEncoder, folder: Path | None = None, batch: int = 64):
        self.encoder, self.batch = encoder, batch
        self.name, self.identity = encoder.name, encoder.identity
        self.width, self.pooled_width = encoder.width, encoder.pooled_width
        self.folder = folder / "text" / encoder.identity if folder else None
        self._known: dict[str, tuple[Tensor, Tensor | None]] = {}
        self._shards: dict[Path, set[str]] = {}

    def encode(self, texts: Sequence[str]) -> TextFeatures:
        # Whoever trains in reduced precision still gets, and remembers, what everybody else does.
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            return self._encode(texts)

    def _encode(self, texts: Sequence[str]) -> TextFeatures:
        keys = [text_key(text) for text in texts]
        wanted = {key for key in keys if key not in self._known}
        if wanted:
            self._read_shards(wanted)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        if missing:
            self._encode_missing(missing)
        return self._collate(keys)

    def _collate(self, keys: list[str]) -> TextFeatures:
        found = [self._known[key] for key in keys]
        counts = torch.tensor([states.shape[0] for states, _ in found])
        tokens = torch.nn.utils.rnn.pad_sequence([states for states, _ in found], batch_first=True).float()
        mask = torch.arange(tokens.shape[1])[None] < counts[:, None]
        vectors = [pooled for _, pooled in found if pooled is not None]
        return TextFeatures(
            tokens, mask, torch.stack(vectors).float() if len(vectors) == len(found) else None
        )

    def _encode_missing(self, missing: dict[str, str]) -> None:
        shard: dict[str, Tensor] = {}
        # Neighbours in length share a batch: least padding.
        items = sorted(missing.items(), key=lambda item: len(item[1]))
        for start in range(0, len(items), self.batch):
            part = items[start : start + self.batch]
            features = self.encoder.encode([text for _, text in part])
            for row, (key, _) in enumerate(part):
                shard[f"{key}.tokens"] = (
                    features.tokens[row][features.mask[row]].to("cpu", STORED).contiguous()
                )
                if features.pooled is not None:
                    shard[f"{key}.pooled"] = features.pooled[row].to("cpu", STORED).contiguous()
        self._remember(shard)
        self._write_shard(shard)
        release = getattr(self.encoder, "release", None)
        if release is not None:
            release()

    def _remember(self, shard: dict[str, Tensor]) -> None:
        for name, value in shard.items():
            key, kind = name.rsplit(".", 1)
            if kind == "tokens":
                self._known[key] = (value, shard.get(f"{key}.pooled"))

    def _read_shards(self, wanted: set[str]) -> None:
        """Remember the wanted texts that lie on disk, reading those alone."""
        if self.folder is None or not self.folder.is_dir():
            return
        for path in sorted(self.folder.glob("*.safetensors")):
            if path in self._shards and self._shards[path].isdisjoint(wanted):
                continue
            try:
                with safe_open(path, "pt") as stored:
                    names = list(stored.keys())
                    self._shards[path] = {name.rsplit(".", 1)[0] for name in names}
                    hits = [name for name in names if name.rsplit(".", 1)[0] in wanted]
                    self._remember({name: stored.get_tensor(name) for name in hits})
            except (SafetensorError, OSError) as error:
                self._shards[path] = set()
                log.warning("%s: damaged text cache, its texts are encoded again (%s)", path, error)

    def _write_shard(self, shard: dict[str, Tensor]) -> None:
        if self.folder is None:
            return
        name = hashlib.sha256("".join(sorted(shard)).encode()).hexdigest()[:16]
        path = self.folder / f"{name}.safetensors"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_bytes(path, save(shard))
        except OSError as error:
            log.warning("%s: text features are not cached on disk (%s)", self.folder, error)
