"""The frozen text encoders of published generators, through transformers: CLIP, sentence-T5, DistilBERT.

Files come from a folder the user names, or from the hub's cache at a pinned revision; nothing is downloaded. Weights are
read when a new text comes and can be dropped after (`release`): the cache remembers the features.
"""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from motionrft.errors import UserError
from motionrft.linear import quicken
from motionrft.text.base import TextEncoder, TextFeatures
from motionrft.text.sources import Source, find, quiet_transformers
from motionrft.training.fingerprints import folder_hash

CLIP_B32 = Source(
    "openai/clip-vit-base-patch32",
    "3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268",
    ("config.json", "tokenizer.json"),
)
CLIP_L14 = Source(
    "openai/clip-vit-large-patch14",
    "32bd64288804d66eefd0ccbe215aa642df71cc41",
    ("config.json", "tokenizer.json"),
)
SENTENCE_T5 = Source(
    "sentence-transformers/sentence-t5-large",
    "1fc08ea477205aa54a3e5b13f0971ae16b86410a",
    ("config.json", "tokenizer.json", "2_Dense/pytorch_model.bin"),
)
DISTILBERT = Source(
    "distilbert/distilbert-base-uncased",
    "12040accade4e8a0f71eabdb258fecc2e7e948be",
    ("config.json", "tokenizer.json", "model.safetensors"),
)


class PretrainedEncoder(TextEncoder):
    """A tokenizer and a transformers model, both loaded when first needed.

    Args:
        name: what configurations call it. source: where its files may be found.
        path: folder with the files, or None for the hub's cache.
        max_tokens: longer texts are cut, special tokens included.
    """

    def __init__(
        self, name: str, source: Source, path: Path | None, device: torch.device | str, max_tokens: int
    ):
        self.name, self.source, self.path, self.max_tokens = name, source, path, max_tokens
        self.device = torch.device(device)
        weights = source.revision if path is None else folder_hash(path)
        self.identity = f"{name}-{weights[:16]}-{max_tokens}"
        self._model: Any = None
        self._tokenizer: Any = None

    def release(self) -> None:
        """Drop the weights from memory; the next text loads them again."""
        self._model = None

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> TextFeatures:
        if self._model is None:
            folder = find(self.source, self.path)
            self._model = self._loaded(folder).to(self.device)
            self._tokenizer = self._read_tokenizer(folder)
        return self._encode(*self._tokens(texts))

    def check(self, texts: Sequence[str]) -> None:
        find(self.source, self.path)

    def _loaded(self, folder: Path) -> nn.Module:
        try:
            with quiet_transformers():
                return quicken(self._read(folder)).eval().requires_grad_(False)
        except (OSError, RuntimeError, KeyError) as error:
            first = str(error).strip().splitlines()[0]
            raise UserError(
                f"{folder}: no weights of the text encoder {self.name} there ({first})."
            ) from None

    def _tokens(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token ids, padded with 0, and their mask, (B, L) each."""
        encoded = self._tokenizer.encode_batch(list(texts))
        ids = [torch.tensor(item.ids) for item in encoded]
        counts = torch.tensor([len(item) for item in ids])
        padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True).to(self.device)
        mask = torch.arange(padded.shape[1]) < counts[:, None]
        return padded, mask.to(self.device)

    def _read_tokenizer(self, folder: Path) -> Any:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.max_tokens)
        return tokenizer

    @abstractmethod
    def _read(self, folder: Path) -> nn.Module:
        """The model of that folder, in float32."""

    @abstractmethod
    def _encode(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        """Features of tokens (B, L) with their mask (B, L)."""


class Clip(PretrainedEncoder):
    """CLIP's text tower.

    Args:
        part: `projected`: states up to the end-of-text token, and its state through the text projection (MLD, MDM,
            ACMDM). `states`: all 77 states, padding included, as models without a mask read them, and the plain
            end-of-text state (MotionDiffuse, StableMoFusion).
        width: of the states; projected_width: of the projection.
    """

    CONTEXT = 77

    def __init__(
        self,
        name: str,
        source: Source,
        path: Path | None = None,
        device: torch.device | str = "cpu",
        part: Literal["projected", "states"] = "projected",
        max_tokens: int = CONTEXT,
        width: int = 512,
        projected_width: int = 512,
    ):
        super().__init__(name, source, path, device, max_tokens)
        self.part, self.width = part, width
        self.pooled_width = projected_width if part == "projected" else width
        self.fixed_tokens = self.CONTEXT if part == "states" else None

    def _read(self, folder: Path) -> nn.Module:
        from transformers import CLIPTextModelWithProjection

        return CLIPTextModelWithProjection.from_pretrained(folder, dtype=torch.float32)

    def _encode(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        if self.part == "states":
            ids = torch.nn.functional.pad(ids, (0, self.CONTEXT - ids.shape[1]))
            mask = torch.ones_like(ids, dtype=torch.bool)
        # Causal attention: what follows the end-of-text token changes nothing before it, so no mask is needed.
        states = self._model(input_ids=ids).last_hidden_state
        end = ids.argmax(dim=1)  # its id is the largest of the vocabulary
        pooled = states[torch.arange(len(ids), device=ids.device), end]
        if self.part == "states":
            return TextFeatures(states, mask, pooled)
        return TextFeatures(states * mask[..., None], mask, self._model.text_projection(pooled))


def clip_b32(path: Path | None, device: torch.device | str) -> Clip:
    """ViT-B/32's pooled vector (MDM, MotionDiffuse, StableMoFusion, ACMDM)."""
    return Clip("clip-b32", CLIP_B32, path, device)


def clip_b32_short(path: Path | None, device: torch.device | str) -> Clip:
    """`clip_b32` of at most 22 tokens, as MDM cuts its prompts."""
    return Clip("clip-b32-short", CLIP_B32, path, device, max_tokens=22)


def clip_b32_states(path: Path | None, device: torch.device | str) -> Clip:
    """ViT-B/32's token states."""
    return Clip("clip-b32-states", CLIP_B32, path, device, "states")


def clip_l14(path: Path | None, device: torch.device | str) -> Clip:
    """ViT-L/14's pooled vector (MLD)."""
    return Clip("clip-l14", CLIP_L14, path, device, width=768, projected_width=768)


class SentenceT5(PretrainedEncoder):
    """sentence-T5 large: T5 states, their mean through a linear layer, at unit length (MLD v1, MLD++, MotionLCM)."""

    width = 1024
    pooled_width = 768
    _dense: Tensor

    def __init__(self, path: Path | None = None, device: torch.device | str = "cpu", max_tokens: int = 256):
        super().__init__("sentence-t5-large", SENTENCE_T5, path, device, max_tokens)

    def _read(self, folder: Path) -> nn.Module:
        from transformers import T5EncoderModel

        dense = torch.load(folder / "2_Dense" / "pytorch_model.bin", map_location="cpu", weights_only=True)
        self._dense = dense["linear.weight"].float().to(self.device)
        return T5EncoderModel.from_pretrained(folder, dtype=torch.float32)

    def _encode(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        states = self._model(input_ids=ids, attention_mask=mask.long()).last_hidden_state * mask[..., None]
        mean = states.sum(1) / mask.sum(1, keepdim=True)
        return TextFeatures(states, mask, torch.nn.functional.normalize(mean @ self._dense.T, dim=-1))


class DistilBert(PretrainedEncoder):
    """DistilBERT's last states (MDM's decoder); it has no pooled vector."""

    width = 768
    pooled_width = None

    def __init__(self, path: Path | None = None, device: torch.device | str = "cpu", max_tokens: int = 512):
        super().__init__("distilbert", DISTILBERT, path, device, max_tokens)

    def _read(self, folder: Path) -> nn.Module:
        from transformers import DistilBertModel

        return DistilBertModel.from_pretrained(folder, dtype=torch.float32)

    def _encode(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        states = self._model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        return TextFeatures(states * mask[..., None], mask)
