"""MotionGPT's language model: a T5 whose head is its own (Raffel et al. 2020; flan-T5: Chung et al. 2022).

transformers 5 ties T5's head to its embedding whatever the configuration says, without a word: logits of published
weights are then wrong by ten. Here the flag is set on the object, and looked after.
"""

from inspect import signature
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from motionrft.errors import RunError
from motionrft.generators.motion_tokens import TokenScores

if TYPE_CHECKING:
    from transformers import T5ForConditionalGeneration

PAD, EOS = 0, 1
IGNORED = -100
"""Of labels: where there is no target."""


def build_t5(sizes: dict[str, Any]) -> "T5ForConditionalGeneration":
    """A T5 with fresh weights, one embedding for both stacks, and a head of its own.

    Args:
        sizes: of `transformers.T5Config`.

    Raises:
        RunError: the installed transformers tied the head all the same.
    """
    from transformers import T5Config, T5ForConditionalGeneration

    fixed: dict[str, Any] = {
        "feed_forward_proj": "gated-gelu",
        "layer_norm_epsilon": 1e-6,
        "pad_token_id": PAD,
        "eos_token_id": EOS,
        "decoder_start_token_id": PAD,
        "tie_word_embeddings": False,
        "scale_decoder_outputs": False,
    }
    config = T5Config(**fixed, **sizes)
    config.tie_word_embeddings = False  # what the constructor is told is overruled in transformers 5
    model = T5ForConditionalGeneration(config)
    for stack in (model.encoder, model.decoder):  # which the same flag sets apart
        stack.embed_tokens = model.shared
    if model.lm_head.weight is model.shared.weight:
        raise RunError(
            "this version of transformers ties T5's head to its embedding, which MotionGPT's is not: install another "
            "one (5.24 works)."
        )
    return model


def teacher_forced(
    model: Any, ids: Tensor, mask: Tensor, labels: Tensor, heard: Tensor | None = None
) -> Tensor:
    """Logits (B, M, V) of each label after those before, with gradient.

    Args:
        ids, mask: (B, L) of the prompt. labels: (B, M), `IGNORED` where padded.
        heard: (B, M) labels that are read in place of these.
    """
    told = labels if heard is None else heard
    shifted = torch.nn.functional.pad(told[:, :-1], (1, 0), value=PAD)
    shifted = shifted.masked_fill(shifted == IGNORED, PAD)
    found: Tensor = model(
        input_ids=ids, attention_mask=mask, decoder_input_ids=shifted, use_cache=False
    ).logits
    return found


def scores_of(logits: Tensor, labels: Tensor) -> TokenScores:
    """Log-probabilities of labels (B, M) over the whole vocabulary; start, end and eos count as targets."""
    mask = labels != IGNORED
    found = logits.float().log_softmax(-1).gather(-1, labels.masked_fill(~mask, 0)[..., None])[..., 0]
    return TokenScores(found.masked_fill(~mask, 0.0), mask)


class T5Writer:
    """A T5 writing a batch: the prompt is read once, keys and values of what is written are kept."""

    def __init__(self, model: Any, ids: Tensor, mask: Tensor):
        self.model, self.mask = model, mask
        self.read = model.get_encoder()(input_ids=ids, attention_mask=mask)
        self.past: Any = None
        # Its name in transformers from 5.24 on, and before.
        self.kept = "cache" if "cache" in signature(model.forward).parameters else "past_key_values"

    def logits(self, ids: Tensor | None) -> Tensor:
        """(B, V) of the next id after (B,) the last ones; None at the beginning."""
        if ids is None:
            ids = torch.full((len(self.mask),), PAD, device=self.mask.device)
        found = self.model(
            encoder_outputs=self.read,
            attention_mask=self.mask,
            decoder_input_ids=ids[:, None],
            use_cache=True,
            **{self.kept: self.past},
        )
        self.past = found[self.kept]
        last: Tensor = found.logits[:, -1]
        return last
