"""Supervised tuning of a language model of motion tokens on the motions of a data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from motionrft.data.folder import MotionDataset
from motionrft.data.motions import Motions
from motionrft.errors import UserError
from motionrft.finetuning.methods.sft import SftPreset
from motionrft.finetuning.token_trainer import TokenTrainer
from motionrft.generators.motion_tokens import MotionTokens
from motionrft.generators.token_generator import TokenGenerator
from motionrft.training.cursor import StreamCursor
from motionrft.training.seeds import generator_for


class RecordedTokens:
    """Clips of a data set as a generator's tokens, encoded by its frozen VQ-VAE when first asked for.

    Raises:
        UserError: another skeleton than the generator's, or a clip shorter than a token.
    """

    def __init__(self, dataset: MotionDataset, generator: TokenGenerator):
        self.dataset, self.generator = dataset, generator
        width, made = dataset.width("kinematic"), generator.motion_width
        if made is not None and width != made:
            raise UserError(
                f"{dataset.folder}: its motions have {width} features a frame, and {generator.family} makes {made}."
            )
        frames = (dataset.lengths / dataset.fps * generator.fps).long()  # (N,)
        if int(frames.min()) < generator.stride:
            name = dataset.items[int(frames.argmin())].key
            raise UserError(
                f"{dataset.folder}: {name} is shorter than a token ({generator.stride} frames): leave it out."
            )
        self.motions = Motions(dataset, generator.trained_on, generator.fps, generator.max_frames)
        self._rows: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self.dataset)

    def codes(self, item: int) -> Tensor:
        """(n,) of a clip, the longest motion's at most."""
        if item not in self._rows:
            motion = self.motions.motion(item)  # (T, D)
            self._rows[item] = self.generator.encode(motion[None], torch.tensor([len(motion)])).rows()[0]
        return self._rows[item]

    def text(self, item: int, visit: int) -> str:
        """A clip's captions in turn; clips begin with different ones."""
        captions = self.dataset.items[item].captions
        return captions[(item + visit) % len(captions)].text


@dataclass(frozen=True)
class Lesson:
    """A prompt, and the codes (n,) that should be written for it."""

    text: str
    codes: Tensor


class SupervisedTrainer(TokenTrainer[Lesson]):
    """Cross-entropy of start, codes and end, the tokens before them given; a mean over the batch's tokens.

    Args:
        recorded: what is learnt. common: as `TokenTrainer` takes.
    """

    learnt_from = "motions"

    def __init__(self, *common: Any, recorded: RecordedTokens, **further: Any):
        super().__init__(*common, **further)
        method, preset = self.preset.method, self.preset
        assert isinstance(method, SftPreset)
        self.recorded = recorded
        self.drop = method.drop_text if self.generator.knows_guidance else 0.0
        dataset = recorded.dataset
        self.stream = StreamCursor(
            len(recorded), self.at_once, preset.seed, identity=dataset.identity, lengths=dataset.lengths
        )

    @property
    def size(self) -> int:
        return len(self.recorded)

    @property
    def texts(self) -> list[str]:
        return [*self.recorded.dataset.texts, *([""] if self.drop else [])]

    def batch(self, step: int) -> list[Lesson]:
        items, visits = (each.tolist() for each in self.stream.visit())
        drops = torch.rand(len(items), generator=generator_for(self.preset.seed, "dropped texts", step))
        texts = [
            "" if drop < self.drop else self.recorded.text(item, visit)
            for item, visit, drop in zip(items, visits, drops.tolist(), strict=True)
        ]
        return [Lesson(text, self.recorded.codes(item)) for text, item in zip(texts, items, strict=True)]

    def weight(self, items: Sequence[Lesson]) -> float:
        """Tokens, what opens and ends a motion among them."""
        return sum(len(lesson.codes) + self.generator.vocabulary.around for lesson in items)

    def loss(self, items: Sequence[Lesson]) -> tuple[Tensor, dict[str, Tensor]]:
        device = self.generator.device
        tokens = MotionTokens.of([lesson.codes for lesson in items]).to(device)
        with torch.no_grad():
            prompts = self.generator.encode_text([lesson.text for lesson in items]).to(device)
        with self.autocast():
            scores = self.generator.log_prob(prompts, tokens)  # (B,) sums and counts
        loss = -scores.sums.sum() / scores.counts.sum()  # nats a token
        return loss, {"loss": loss.detach().float()}

    def place(self) -> dict[str, Any]:
        return {"stream": self.stream.state_dict()}

    def go_to(self, place: dict[str, Any]) -> None:
        self.stream.load_state_dict(place["stream"])


def check_dropping(method: SftPreset, generator: TokenGenerator) -> None:
    """Refuse to leave prompts out for a model that has no null prompt; what nobody set stands for none there.

    Raises:
        UserError: as said.
    """
    usual = SftPreset.model_fields["drop_text"].default
    if not generator.knows_guidance and method.drop_text not in (0, usual):
        raise UserError(
            f"method.drop_text does not act on {generator.family}, which has no null prompt: leave it out."
        )
