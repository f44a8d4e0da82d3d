"""LLM2Vec on Llama 3 8B (BehnamGhader et al. 2024), Kimodo's text encoder: one vector of 4096 a prompt.

Layer by layer: all prompts pass one layer before the next is read, so that 16 GB of weights need no more memory than two
layers (0.9 GB), with or without a GPU, and are read once. The user's own files are read: the base model is gated.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from motionrft.errors import UserError
from motionrft.parsing import parsing, read_json
from motionrft.text.base import TextEncoder, TextFeatures
from motionrft.text.llama import LlamaSizes, llama_layer, rms_norm
from motionrft.text.loading import own_folder
from motionrft.text.low_rank import LowRank, LowRankFolder
from motionrft.text.prompt_cleaning import clean_prompt
from motionrft.text.shards import Shards
from motionrft.text.sources import Source, find
from motionrft.training.fingerprints import sampled_hash, text_hash

BASE = Source(
    "meta-llama/Meta-Llama-3-8B-Instruct",
    "8afb486c1db24fe5011ec46dfbe5b5dccdb575c2",
    ("config.json", "tokenizer.json", "model.safetensors.index.json"),
)
_ADAPTER = ("adapter_config.json", "adapter_model.safetensors")
MNTP = Source(
    "McGill-NLP/LLM2Vec-Meta-Llama-3-8B-Instruct-mntp", "31474e395ada192e8ed1586db6be79fb3b70c9c0", _ADAPTER
)
SUPERVISED = Source(
    "McGill-NLP/LLM2Vec-Meta-Llama-3-8B-Instruct-mntp-supervised",
    "baa8ebf04a1c2500e61288e7dad65e8ae42601a7",
    _ADAPTER,
)
WIDTH = 4096
DEVICE = "MOTIONRFT_TEXT_DEVICE"
"""Environment variable: where it runs; unset: on the GPU where there is one."""
_BEFORE, _AFTER = "<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"
_LINEAR = (
    *(f"self_attn.{name}_proj" for name in "qkvo"),
    *(f"mlp.{name}_proj" for name in ("gate", "up", "down")),
)
_NORMS = ("input_layernorm.weight", "post_attention_layernorm.weight")


@dataclass(frozen=True)
class _Layer:
    """One layer's weights; the first adapter is merged into them, the second lies beside."""

    weights: dict[str, Tensor]
    beside: dict[str, LowRank]
    norms: tuple[Tensor, Tensor]

    def project(self, name: str, states: Tensor) -> Tensor:
        result = F.linear(states, self.weights[name])
        return self.beside[name].beside(states, result) if name in self.beside else result


class Llm2Vec(TextEncoder):
    """One vector (B, 1, 4096) a prompt: the mean of the last states over the text and its `<|eot_id|>`.

    A prompt is cleaned first, as Kimodo does; an empty one is zeros. Each is computed alone: in bfloat16 the company of
    others would change it in the third decimal.

    Args:
        path: folder with the three folders of `BASE`, `MNTP` and `SUPERVISED`, by their names with or without owner; what
            is not there is looked for in the hub's cache.
        dtype: of weights and states.
        width: of the vector, which the model's configuration has to confirm.
    """

    pooled_width = None
    fixed_tokens = 1
    batch = 2048
    max_tokens = 400
    """Longer prompts lose words at their end."""

    def __init__(
        self,
        name: str,
        path: Path | None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.bfloat16,
        width: int = WIDTH,
    ):
        self.name, self.path, self.device, self.dtype = name, path, torch.device(device), dtype
        self.width = width
        parts = [self._identity(source) for source in (BASE, MNTP, SUPERVISED)]
        self.identity = f"{name}-{text_hash(*parts, str(dtype))[:16]}"

    @property
    def cost(self) -> str:
        folder = self._local(BASE)
        if folder is None:
            return "its weights are read once, layer by layer"
        size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        return f"{size / 1e9:.1f} GB of weights are read once, layer by layer"

    def cleaned(self, text: str) -> str:
        return clean_prompt(text)

    def check(self, texts: Sequence[str]) -> None:
        if any(map(self.cleaned, texts)):
            self._found()

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> TextFeatures:
        cleaned = [self.cleaned(text) for text in texts]
        vectors = torch.zeros(len(texts), self.width)
        there = [row for row, text in enumerate(cleaned) if text]
        if there:
            vectors[there] = self._vectors([cleaned[row] for row in there])
        return TextFeatures(vectors[:, None].to(self.device), torch.ones(len(texts), 1, dtype=torch.bool))

    def _vectors(self, texts: Sequence[str]) -> Tensor:
        """(B, D) float32 of texts with something in them."""
        base, mntp, supervised = self._found()
        sizes = self._sizes(base / "config.json")
        ids = _tokenizer(base / "tokenizer.json")
        tokens = [self._tokens(text, ids) for text in texts]
        shards, first, second = Shards(base), LowRankFolder(mntp), LowRankFolder(supervised)
        states = self._embedded([ids for ids, _ in tokens], shards)
        for number in range(sizes.layers):
            layer = self._layer(number, shards, first, second)
            for row, before in enumerate(states):
                states[row] = llama_layer(before, layer.project, layer.norms, sizes)
            del layer  # before the next one is read
        last = shards.read(["norm.weight"], self.device, self.dtype)["norm.weight"]
        pooled = [
            rms_norm(after, last, sizes.eps)[-count:].mean(0)
            for after, (_, count) in zip(states, tokens, strict=True)
        ]
        return torch.stack(pooled).float().cpu()

    def _sizes(self, source: Path) -> LlamaSizes:
        with parsing(source, "a Llama's configuration") as place:
            sizes = LlamaSizes.of_config(read_json(source))
            if sizes.width != self.width:
                place.fail(f"states of {sizes.width}; a model with {self.width} is wanted.")
            return sizes

    def _layer(self, number: int, shards: Shards, first: LowRankFolder, second: LowRankFolder) -> _Layer:
        at = f"layers.{number}."
        names = [at + name for name in _LINEAR]
        merged, beside = first.read(names, self.device), second.read(names, self.device)
        weights = {}
        for name in names:  # one by one: what is mapped of a file counts as memory until it is closed
            weight = shards.read([f"{name}.weight"], self.device, self.dtype)[f"{name}.weight"]
            weights[name.removeprefix(at)] = merged[name].merged(weight) if name in merged else weight
            del weight
        norms = shards.read([at + name for name in _NORMS], self.device, self.dtype)
        return _Layer(
            weights,
            {name.removeprefix(at): adapter for name, adapter in beside.items()},
            (norms[at + _NORMS[0]], norms[at + _NORMS[1]]),
        )

    def _embedded(self, ids: Sequence[Sequence[int]], shards: Shards) -> list[Tensor]:
        """Word vectors (L, D) of each text; the table of 128 thousand is not read whole."""
        words = sorted({word for text in ids for word in text})
        rows = shards.rows("embed_tokens.weight", words).to(self.device, self.dtype)
        place = {word: row for row, word in enumerate(words)}
        return [rows[[place[word] for word in text]] for text in ids]

    def _tokens(self, text: str, ids: Callable[[str, bool], list[int]]) -> tuple[list[int], int]:
        """Token ids of a text in its frame, and how many of them, from the end, make its vector."""
        while (count := len(ids(text, False))) > self.max_tokens:
            words = text.split()
            text = " ".join(words[: int(len(words) * self.max_tokens / count)])
        return ids(f"{_BEFORE}{text}{_AFTER}", True), len(ids(f"{text}{_AFTER}", False))

    def _local(self, source: Source) -> Path | None:
        """The user's own folder of it."""
        if self.path is None:
            return None
        places = (self.path / source.repository, self.path / source.repository.split("/")[1])
        return next((place for place in places if place.is_dir()), None)

    def _identity(self, source: Source) -> str:
        """Of the files as they lie in the user's folder, else the pinned revision."""
        folder = self._local(source)
        if folder is None:
            return source.revision
        files = sorted(path for path in folder.iterdir() if path.suffix in (".json", ".safetensors"))
        return text_hash(*(part for path in files for part in (path.name, sampled_hash(path))))

    def _found(self) -> list[Path]:
        """The three folders.

        Raises:
            UserError: not all are there; says what is missing, and the two ways around it.
        """
        found, missing = [], []
        for source in (BASE, MNTP, SUPERVISED):
            try:
                found.append(self._local(source) or find(source))
            except UserError:
                missing.append(f"revision {source.revision[:8]} of {source.repository}")
        if missing:
            raise UserError(
                f"text encoder {self.name} is not on this machine. Download {', '.join(missing)} into folders of these "
                "names below $MOTIONRFT_TEXT_ENCODERS/llm2vec (the base model asks to accept Meta's licence), or give "
                "ready features (--set text_features=FILE) or Kimodo's encoder service (--set text_service=URL)."
            )
        return found


def _tokenizer(source: Path) -> Callable[[str, bool], list[int]]:
    """Token ids of a text, with or without the ids that begin every text."""
    from tokenizers import Tokenizer

    with parsing(source, "a tokenizer"):
        tokenizer: Any = Tokenizer.from_file(str(source))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return lambda text, special: list(tokenizer.encode(text, add_special_tokens=special).ids)


def _usual_device(device: torch.device | str) -> torch.device | str:
    """Where nobody says otherwise, on the GPU: on a CPU a prompt takes seconds."""
    return os.environ.get(DEVICE) or ("cuda" if torch.cuda.is_available() else device)


def llm2vec(path: Path | None, device: torch.device | str) -> Llm2Vec:
    """In bfloat16, as Kimodo's text encoder runs."""
    return Llm2Vec("llm2vec", path, _usual_device(device), torch.bfloat16)


def llm2vec_fp32(path: Path | None, device: torch.device | str) -> Llm2Vec:
    """In float32, which Kimodo v1.1 was trained on; the files are those of `llm2vec`."""
    return Llm2Vec("llm2vec-fp32", path or own_folder("llm2vec"), _usual_device(device), torch.float32)
