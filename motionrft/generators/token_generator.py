"""The interface of a generator that writes motion tokens: encode, decode, generate, and how likely a motion is.

A motion becomes tokens by a VQ-VAE that stays as it is; a language model writes them from the text, and is what tuning
changes (MotionGPT, Jiang et al. 2023; T2M-GPT, Zhang et al. 2023).
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from motionrft.errors import UserError
from motionrft.generators.kinds import TOKEN_FIELDS, Ending, Kind
from motionrft.generators.motion_tokens import MotionTokens, TokenScores
from motionrft.generators.motiongpt_vq import MotionVq
from motionrft.generators.text_to_motion import Prompts, Sampled, TextToMotion
from motionrft.generators.token_sampling import TokenDraws, TokenSampling, allowed_logits
from motionrft.lengths import length_mask


@dataclass(frozen=True)
class Vocabulary:
    """Which ids of a language model's output mean what.

    size: V. codes: K codes of motion, ids `first` … `first` + K - 1. end: closes a motion.
    start: opens a motion, where the model writes that itself. stop: nothing is written after it.
    """

    size: int
    codes: int
    first: int
    end: int
    stop: int
    start: int | None = None

    @property
    def around(self) -> int:
        """Ids that are written around a motion's codes."""
        return 1 + (self.start is not None) + (self.stop != self.end)


@dataclass(frozen=True)
class Written:
    """What a language model wrote. usable: (B,) bool; where False, `tokens` holds what the family makes of it."""

    tokens: MotionTokens
    usable: Tensor


class Writer(Protocol):
    """A language model in the middle of writing a batch."""

    def logits(self, ids: Tensor | None) -> Tensor:
        """(B, V) of the next token, after the (B,) ids just written; None at the very beginning."""


@dataclass(frozen=True)
class Guided:
    """Two writers of one batch, with the prompts and with the null prompt: null + scale (text - null) on the logits."""

    text: Writer
    null: Writer
    scale: float

    def logits(self, ids: Tensor | None) -> Tensor:
        null = self.null.logits(ids)
        return null + self.scale * (self.text.logits(ids) - null)


class TokenGenerator(TextToMotion):
    """A language model of motion tokens. Concrete families are final."""

    kind: ClassVar[Kind] = "tokens"
    sampling_fields: ClassVar[tuple[str, ...]] = TOKEN_FIELDS
    tuned_part: ClassVar[str] = "language_model"
    vq: MotionVq
    """Tokens to normalised features and back; never tuned."""
    language_model: nn.Module
    """The trainable network. May be replaced by its adapted self."""
    vocabulary: Vocabulary
    most_ids: int
    """Ids of the longest text it writes without a mask."""
    usual: TokenSampling
    """How it is sampled unless something else is said."""
    knows_guidance: ClassVar[bool] = False
    """Whether it was trained with the null prompt too."""
    tuned_with: TokenSampling | None = None

    @abstractmethod
    def log_prob(self, prompts: Any, tokens: MotionTokens, heard: MotionTokens | None = None) -> TokenScores:
        """Log-probability of each written token given its prompt and the tokens before, with gradient.

        Teacher forcing over the whole vocabulary; what ends a motion counts. Sampling under a mask, top-k or a
        temperature is another distribution than this one.

        Args:
            prompts: B, as `encode_text` gives, on the generator's device. tokens: B rows.
            heard: rows as long, which the model is told were written before; None: those written.
        """

    @abstractmethod
    def written_logits(self, prompts: Any, tokens: MotionTokens, lengths: Tensor) -> Tensor:
        """(B, N + 1, V) before each code of B rows and before what ends them, with gradient; teacher forcing.

        Args:
            lengths: (B,) frames that were asked for, as `writer` was told.
        """

    @abstractmethod
    def writer(self, prompts: Any, lengths: Tensor) -> Writer:
        """Begin to write B motions; `lengths` (B,) frames are those asked for."""

    def null_prompts(self, count: int) -> Any:
        """The null prompt `count` times; raises `NotImplementedError` for a family that knows no guidance."""
        raise NotImplementedError(f"{self.family} knows no guidance")

    @abstractmethod
    def read_ids(self, ids: Sequence[int]) -> tuple[list[int], bool]:
        """Codes of a text written without a mask, and whether it is a motion."""

    @property
    def stride(self) -> int:
        """Frames of a token."""
        return self.vq.stride

    def sampling(
        self,
        temperature: float | None = None,
        top_k: int | None = None,
        guidance: float | None = None,
        masked: bool | None = None,
        ending: Ending | None = None,
    ) -> TokenSampling:
        """What motions are sampled with; None stands for what it was tuned with, else for the family's own choice.

        Raises:
            UserError: an unmasked motion of a given length is asked for, or guidance of a family that knows none.
        """
        usual = self.tuned_with or self.usual
        if masked is False and ending is None and usual.ending == "asked":
            ending = "cut"
        if guidance not in (None, 1) and not self.knows_guidance:
            raise UserError(f"{self.family} knows no guidance, but guidance is {guidance:g}: leave it out.")
        asked = {
            "temperature": temperature,
            "top_k": top_k,
            "guidance": guidance,
            "masked": masked,
            "ending": ending,
        }
        given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
        return replace(usual, **given, fps=self.fps).checked(self.family)

    @classmethod
    def read_sampling(cls, values: dict[str, Any], origin: str) -> TokenSampling:
        return TokenSampling.of(values, origin)

    @torch.no_grad()
    def encode(self, motion: Tensor, lengths: Tensor) -> MotionTokens:
        """Motion (B, T, D), de-normalised, to tokens; frames behind the last whole token are left out.

        Each clip is encoded alone: the convolutions would see its padding.

        Raises:
            UserError: a motion is shorter than a token.
        """
        if int(lengths.min()) < self.stride:
            raise UserError(f"a motion of {int(lengths.min())} frames: a token is {self.stride} frames.")
        rows = []
        for clip, frames in zip(motion.to(self.device), lengths.tolist(), strict=True):
            whole = clip[: frames - frames % self.stride]  # (T', D)
            rows.append(self.vq.encode(((whole - self.mean) / self.std)[None])[0])  # (N,)
        return MotionTokens.of([row.cpu() for row in rows])

    @torch.no_grad()
    def decode(self, tokens: MotionTokens, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Tokens to motion: (B, T, D) de-normalised, zero beyond each length, and (B,) lengths on the CPU.

        Rows of like counts are decoded together, so that none sees another's padding.

        Args:
            lengths: (B,) frames to cut to; None keeps all frames of every row.
        """
        whole = tokens.counts.cpu() * self.stride
        lengths = whole if lengths is None else torch.minimum(lengths.cpu(), whole)
        motion = self.mean.new_zeros(len(tokens), int(lengths.max()), len(self.mean))  # (B, T, D)
        for count in sorted(set(tokens.counts.tolist())):
            items = (tokens.counts.cpu() == count).nonzero().flatten()
            codes = tokens.codes[items.to(tokens.codes.device), :count].to(self.device)
            frames = min(int(lengths[items].max()), count * self.stride)
            made = self.vq.decode(codes)[:, :frames] * self.std + self.mean  # (b, T', D)
            valid = length_mask(lengths[items], frames).to(self.device)[..., None]
            motion[items.to(self.device), :frames] = torch.where(valid, made, 0.0)
        return motion, lengths

    @torch.no_grad()
    def generate(
        self, prompts: Prompts, lengths: Tensor, seeds: Sequence[int], sampling: TokenSampling
    ) -> Written:
        """Write the tokens of B motions; an item's depend on its own prompt, length and seed alone.

        Args:
            prompts: on the generator's device. lengths: (B,) frames asked for, on the CPU.
        """
        writer, draws = self._begun(prompts, lengths, sampling.guidance), TokenDraws(seeds, self.device)
        if not sampling.masked:
            return self._written_freely(writer, draws, sampling, len(seeds))
        least, most = self._counts(lengths, sampling.ending)
        first, codes, v = self.vocabulary.first, self.vocabulary.codes, self.vocabulary
        start = None if v.start is None else torch.full((len(seeds),), v.start, device=self.device)
        logits = writer.logits(None) if start is None else (writer.logits(None), writer.logits(start))[1]
        rows: list[Tensor] = []
        counts = torch.zeros_like(most)  # (B,)
        writing = torch.ones_like(most, dtype=torch.bool)
        for place in range(int(most.max()) + 1):
            drawn = self._drawn(logits, draws, sampling, place < least, place >= most)  # (B,) in 0…K, K ends
            ends = drawn == codes
            writing = writing & ~ends
            if not bool(writing.any()):
                break
            counts += writing
            rows.append(drawn.where(writing, 0))
            logits = writer.logits((drawn + first).where(~ends, v.end))
        tokens = MotionTokens(torch.stack(rows, 1), counts.cpu())
        return Written(tokens, torch.ones(len(seeds), dtype=torch.bool))

    def _begun(self, prompts: Prompts, lengths: Tensor, guidance: float) -> Writer:
        writer = self.writer(prompts, lengths)
        if guidance == 1:
            return writer
        return Guided(writer, self.writer(self.null_prompts(len(prompts)), lengths), guidance)

    def _drawn(
        self, logits: Tensor, draws: TokenDraws, sampling: TokenSampling, early: Tensor, late: Tensor
    ) -> Tensor:
        """Codes (B,), K where the motion ends: never where it is too `early`, always where it is too `late`."""
        return draws.draw(self._possible(logits, early), sampling).where(~late, self.vocabulary.codes)

    def _possible(self, logits: Tensor, early: Tensor) -> Tensor:
        """(..., K + 1) of logits (..., V): what a motion can have, codes and an end, which never comes too `early`."""
        v = self.vocabulary
        end = logits[..., v.end].masked_fill(early, float("-inf"))
        return torch.cat([logits[..., v.first : v.first + v.codes], end[..., None]], dim=-1).float()

    def drawn_log_prob(
        self, prompts: Prompts, tokens: MotionTokens, lengths: Tensor, sampling: TokenSampling
    ) -> TokenScores:
        """Log-probability of each token under the distribution that `generate` draws it from, with gradient.

        Guidance, mask, temperature and top-k act. An end that the length alone brings was not drawn and does not count.

        Args:
            prompts: B, on the generator's device. tokens: B rows, as written. lengths: (B,) frames asked for.

        Raises:
            UserError: unmasked, or at temperature 0, where nothing is drawn.
        """
        if not sampling.masked or sampling.temperature == 0:
            raise UserError(f"{self.family}: {sampling.title} gives no probabilities to learn from.")
        logits = self.written_logits(prompts, tokens, lengths)  # (B, N + 1, V)
        if sampling.guidance != 1:
            null = self.written_logits(self.null_prompts(len(tokens)), tokens, lengths)
            logits = null + sampling.guidance * (logits - null)
        counts = tokens.counts.to(self.device)[:, None]  # (B, 1)
        least, most = (each[:, None] for each in self._counts(lengths, sampling.ending))  # (B, 1)
        places = torch.arange(logits.shape[1], device=self.device)  # (N + 1,)
        possible = self._possible(logits, places < least)
        kept = allowed_logits(possible.flatten(0, 1), sampling.temperature, sampling.top_k)
        codes = torch.nn.functional.pad(tokens.codes.to(self.device), (0, 1))
        targets = torch.where(places < counts, codes, self.vocabulary.codes)  # (B, N + 1)
        each = kept.log_softmax(-1).view_as(possible).gather(-1, targets[..., None])[..., 0]
        mask = (places <= counts) & (places < most)
        return TokenScores(torch.where(mask, each, 0.0), mask)

    def _counts(self, lengths: Tensor, ending: Ending) -> tuple[Tensor, Tensor]:
        """Fewest and most tokens (B,) of each motion, on the device."""
        if ending == "asked":
            counts = ((lengths + self.stride - 1) // self.stride).to(self.device)
            return counts, counts
        least = max(1, self.min_frames // self.stride)
        ones = torch.ones_like(lengths, device=self.device)
        return ones * least, ones * (self.max_frames // self.stride)

    def _written_freely(
        self, writer: Writer, draws: TokenDraws, sampling: TokenSampling, batch: int
    ) -> Written:
        """Without a mask: any id, until the stop or the longest text; read as the family reads texts."""
        texts: list[list[int]] = [[] for _ in range(batch)]
        logits, stopped = writer.logits(None), [False] * batch
        for _ in range(self.most_ids):
            ids = draws.draw(logits.float(), sampling)
            for row, drawn in enumerate(ids.tolist()):
                stopped[row] = stopped[row] or drawn == self.vocabulary.stop
                if not stopped[row]:
                    texts[row].append(drawn)
            if all(stopped):
                break
            logits = writer.logits(ids)
        read = [self.read_ids(text) for text in texts]
        return Written(
            MotionTokens.of([codes for codes, _ in read]), torch.tensor([usable for _, usable in read])
        )

    @torch.no_grad()
    def draw(
        self,
        prompts: Prompts,
        lengths: Tensor,
        seeds: Sequence[int],
        sampling: TokenSampling,
        precision: torch.dtype | None = None,
    ) -> Sampled:
        """As every generator; what is no motion becomes the mean pose for all the frames asked for, as published."""
        with torch.autocast(self.device.type, precision, enabled=precision is not None):
            written = self.generate(prompts, lengths, seeds, sampling)
        tokens, usable = written.tokens, written.usable
        motion, own = self.decode(tokens, None if sampling.ending == "own" else lengths)
        own = torch.where(usable, own, lengths)
        frames = int(own.max())
        motion = torch.nn.functional.pad(motion, (0, 0, 0, frames - motion.shape[1]))[:, :frames]
        lost = ~usable
        if bool(lost.any()):
            valid = length_mask(own[lost], frames).to(self.device)[..., None]
            motion[lost.to(self.device)] = torch.where(valid, self.mean.expand(frames, -1), 0.0)
        return Sampled(motion, own, usable, tokens)
