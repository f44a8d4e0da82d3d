"""MotionGPT (Jiang et al. 2023): a T5 that reads words and writes motion tokens, and its VQ-VAE.

Also what MotionPrefer's authors tuned (AToM), whose adapters are merged when it is read. The tokenizer is flan-T5's, the
user's own copy: no weights of flan-T5 are needed to run a checkpoint.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from motionrft.errors import UserError
from motionrft.generators.motion_tokens import MotionTokens, TokenScores
from motionrft.generators.motiongpt_t5 import EOS, IGNORED, PAD, T5Writer, build_t5, scores_of, teacher_forced
from motionrft.generators.motiongpt_text import PLAIN, TemplateSettings, fill, parse_motion, token_word
from motionrft.generators.motiongpt_vq import MotionVq
from motionrft.generators.token_generator import TokenGenerator, Vocabulary
from motionrft.generators.token_sampling import TokenSampling
from motionrft.moving import moved
from motionrft.text.sources import Source, find

TOKENIZER = Source("google/flan-t5-base", "7bcac572ce56db69c1ea7c8af255c5d7c9672fc2", ("tokenizer.json",))
_UNKNOWN = 2
_ADDED = 3
"""Motion tokens beside the codes: start, end, mask."""
_LONGEST_PROMPT, _LONGEST_TEXT = 256, 127


@dataclass(frozen=True)
class MotionGptSettings:
    """Settings of the family; sizes are those of the published model.

    features … down: of the VQ-VAE. d_model … dropout_rate: of the T5. text_vocab: words of the tokenizer, of which
    `sentinels` are never written out. tokenizer: folder with flan-T5's tokenizer.json; None looks in the hub's cache.
    template: what a caption is put into; quoted: the caption in quotation marks (published: at random).
    """

    features: int = 263
    codes: int = 512
    code_width: int = 512
    vq_width: int = 512
    vq_depth: int = 3
    down: int = 2
    text_vocab: int = 32_100
    sentinels: int = 100
    d_model: int = 768
    d_kv: int = 64
    d_ff: int = 2048
    num_layers: int = 12
    num_decoder_layers: int = 12
    num_heads: int = 12
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    dropout_rate: float = 0.1
    tokenizer: str | None = None
    template: str = PLAIN
    quoted: bool = False
    fps: float = 20.0
    min_frames: int = 16
    max_frames: int = 196

    def t5(self) -> dict[str, Any]:
        """Sizes of the T5."""
        own = ("d_model", "d_kv", "d_ff", "num_layers", "num_decoder_layers", "num_heads", "dropout_rate")
        positions = ("relative_attention_num_buckets", "relative_attention_max_distance")
        sizes = {name: getattr(self, name) for name in (*own, *positions)}
        return {**sizes, "vocab_size": self.text_vocab + self.codes + _ADDED}


@dataclass(frozen=True)
class Captions:
    """Captions as they are: the prompt may name the frames, which come later."""

    texts: tuple[str, ...]
    device: torch.device

    def __len__(self) -> int:
        return len(self.texts)

    def index(self, items: Tensor) -> "Captions":
        return Captions(tuple(self.texts[item] for item in items.tolist()), self.device)

    def to(self, device: torch.device | str) -> "Captions":
        return Captions(self.texts, torch.device(device))


class MotionGpt(TokenGenerator):
    """Family `motiongpt`."""

    family = "motiongpt"
    representation = "kinematic"

    def __init__(self, config: MotionGptSettings):
        super().__init__()
        self.config = config
        self.fps, self.min_frames, self.max_frames = config.fps, config.min_frames, config.max_frames
        if "<Caption_Placeholder>" not in config.template:
            raise ValueError(f"template {config.template!r} has no place for <Caption_Placeholder>")
        self.vq = MotionVq(
            config.features, config.codes, config.code_width, config.vq_width, config.down, config.vq_depth
        )
        self.language_model = build_t5(config.t5())
        first = config.text_vocab
        end = first + config.codes + 1
        self.vocabulary = Vocabulary(end + 2, config.codes, first, end, EOS, first + config.codes)
        self.most_ids = _LONGEST_TEXT
        self.usual = TokenSampling(1.0, 0, True, "asked", config.fps)
        self.register_buffer("mean", torch.zeros(config.features))
        self.register_buffer("std", torch.ones(config.features))
        self._tokenizer: Any = None

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(MotionGptSettings(**config))

    def to_config(self) -> dict[str, Any]:
        return asdict(self.config)

    @property
    def lora_targets(self) -> list[str]:
        return ["q", "v"]

    def encode_text(self, texts: Sequence[str]) -> Captions:
        return Captions(tuple(texts), self.device)

    @property
    def tokenizer(self) -> Any:
        """flan-T5's, with the motion tokens (`tokenizers.Tokenizer`); read when first asked for.

        Raises:
            UserError: there is none, or it has another vocabulary.
        """
        if self._tokenizer is None:
            from tokenizers import Tokenizer

            named = self.config.tokenizer
            folder = find(TOKENIZER, None if named is None else Path(named))
            self.use_tokenizer(Tokenizer.from_file(str(folder / "tokenizer.json")))
        return self._tokenizer

    def use_tokenizer(self, tokenizer: Any) -> None:
        """Read prompts with this `tokenizers.Tokenizer`; the motion tokens are added where it lacks them.

        Raises:
            UserError: it has another vocabulary than the model.
        """
        first = self.config.text_vocab
        if tokenizer.token_to_id(token_word(0)) is None:
            if tokenizer.get_vocab_size() != first:
                raise UserError(
                    f"the tokenizer has {tokenizer.get_vocab_size()} words, the model was trained with {first}: name "
                    "the folder of flan-T5's tokenizer.json (setting tokenizer)."
                )
            tokenizer.add_tokens([token_word(number) for number in range(self.config.codes + _ADDED)])
        if tokenizer.token_to_id(token_word(0)) != first:
            raise UserError(f"the tokenizer's motion tokens do not begin at {first}, where the model's do.")
        tokenizer.no_padding()
        tokenizer.enable_truncation(_LONGEST_PROMPT)
        self._tokenizer = tokenizer

    def read_prompts(self, prompts: Captions, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Ids and mask (B, L) of the captions in their template, for motions of (B,) `frames`."""
        settings = TemplateSettings(self.config.codes, self.fps, self.stride)
        filled = [
            fill(self.config.template, settings, text, count, quoted=self.config.quoted)
            for text, count in zip(prompts.texts, frames.tolist(), strict=True)
        ]
        rows = [torch.tensor(found.ids) for found in self.tokenizer.encode_batch(filled)]
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)
        return ids.to(self.device), (ids != PAD).long().to(self.device)

    def labels(self, tokens: MotionTokens) -> Tensor:
        """(B, N + 3) ids of start, codes, end and eos, -100 behind."""
        v = self.vocabulary
        assert v.start is not None
        written = F.pad(tokens.codes + v.first, (1, 2), value=IGNORED)  # (B, N + 3)
        behind = torch.arange(written.shape[1], device=written.device) - tokens.counts[:, None]  # (B, N + 3)
        written = written.masked_fill(behind == 1, v.end).masked_fill(behind == 2, v.stop)
        written = written.masked_fill(behind > 2, IGNORED)
        written[:, 0] = v.start
        return moved(written, self.device)

    def log_prob(
        self, prompts: Captions, tokens: MotionTokens, heard: MotionTokens | None = None
    ) -> TokenScores:
        ids, mask = self.read_prompts(prompts, tokens.counts * self.stride)
        labels = self.labels(tokens)
        read = None if heard is None else self.labels(heard)
        return scores_of(teacher_forced(self.language_model, ids, mask, labels, read), labels)

    def written_logits(self, prompts: Captions, tokens: MotionTokens, lengths: Tensor) -> Tensor:
        ids, mask = self.read_prompts(prompts, lengths)
        found = teacher_forced(self.language_model, ids, mask, self.labels(tokens))
        return found[:, 1 : tokens.codes.shape[1] + 2]  # the start is given

    def writer(self, prompts: Captions, lengths: Tensor) -> T5Writer:
        return T5Writer(self.language_model, *self.read_prompts(prompts, lengths))

    def read_ids(self, ids: Sequence[int]) -> tuple[list[int], bool]:
        """As the published parser reads a text; a word stands for any other, and special ones are skipped."""
        first, unseen = self.config.text_vocab, self.config.text_vocab - self.config.sentinels
        shown = [number for number in ids if number >= first or _UNKNOWN < number < unseen]
        text = "".join(token_word(number - first) if number >= first else " word " for number in shown)
        try:
            found = parse_motion(text, self.config.codes)
        except ValueError:
            return [0], False
        return found.clamped(self.config.codes), found.usable
