"""HY-Motion's text: Qwen3-8B's states of the caption in a chat, and CLIP L/14's end-of-text state.

The chat's system prompt belongs to the model and not to this project: the user's copy is read from `system_prompt.txt`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from motionrft.errors import UserError
from motionrft.linear import quicken
from motionrft.text.base import TextEncoder, TextFeatures
from motionrft.text.pretrained import CLIP_L14, Clip
from motionrft.text.sources import Source, find, quiet_transformers
from motionrft.training.fingerprints import text_hash

QWEN3_8B = Source(
    "Qwen/Qwen3-8B",
    "b968826d9c46dd6066d109eabc6255188de91218",
    ("config.json", "tokenizer.json", "tokenizer_config.json"),
)
PROMPT_FILE = "system_prompt.txt"
_MARKER = "<<caption>>"


class HyMotionText(TextEncoder):
    """Token states (B, L, 4096) of the caption and the turn's end, and the sentence vector (B, 768).

    Args:
        path: folder with `system_prompt.txt`, and with `Qwen3-8B/` and `clip-vit-large-patch14/` where those are not in
            the hub's cache. The prompt's own leading and trailing white space counts.
        max_tokens: states kept behind the system prompt.
    """

    name = "hymotion"
    width = 4096
    pooled_width = 768

    def __init__(self, path: Path | None = None, device: torch.device | str = "cpu", max_tokens: int = 128):
        if path is None or not (path / PROMPT_FILE).is_file():
            raise UserError(
                f"text encoder hymotion: its system prompt is missing. Put a folder `hymotion` with {PROMPT_FILE} (from "
                "the HY-Motion project) below MOTIONRFT_TEXT_ENCODERS."
            )
        self.device, self.max_tokens = torch.device(device), max_tokens
        self.prompt = (path / PROMPT_FILE).read_text(encoding="utf-8")
        local = {
            name: path / name if (path / name).is_dir() else None
            for name in ("Qwen3-8B", "clip-vit-large-patch14")
        }
        self.qwen_path = local["Qwen3-8B"]
        self.clip = Clip(
            "clip-l14-states",
            CLIP_L14,
            local["clip-vit-large-patch14"],
            device,
            "states",
            width=768,
            projected_width=768,
        )
        self.identity = (
            f"hymotion-{text_hash(self.prompt, QWEN3_8B.revision, self.clip.identity)[:16]}-{max_tokens}"
        )
        self._model: Any = None
        self._tokenizer: Any = None

    def release(self) -> None:
        """Drop both models from memory; the next text loads them again."""
        self._model = None
        self.clip.release()

    def check(self, texts: Sequence[str]) -> None:
        find(QWEN3_8B, self.qwen_path)
        self.clip.check(texts)

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> TextFeatures:
        self._load()
        rows = [self._states(text) for text in texts]
        tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        counts = torch.tensor([len(row) for row in rows], device=self.device)
        mask = torch.arange(tokens.shape[1], device=self.device) < counts[:, None]
        return TextFeatures(tokens, mask, self.clip.encode(texts).pooled)

    def _states(self, text: str) -> torch.Tensor:
        """(L, 4096) float32: the final states from the caption's first token on, the turn's end included."""
        ids = self._tokenizer(self._chat(text), return_tensors="pt").input_ids.to(self.device)
        states = self._model(input_ids=ids).last_hidden_state[0]
        return states[self._start : self._start + self.max_tokens].float()

    def _chat(self, caption: str) -> str:
        turns = [{"role": "system", "content": self.prompt}, {"role": "user", "content": caption}]
        return self._tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=False, enable_thinking=False
        )

    def _load(self) -> None:
        if self._model is not None:
            return
        from transformers import AutoModel, AutoTokenizer

        folder = find(QWEN3_8B, self.qwen_path)
        with quiet_transformers():
            self._tokenizer = AutoTokenizer.from_pretrained(folder)
            model = AutoModel.from_pretrained(folder, dtype=torch.bfloat16)
        self._model = quicken(model).eval().requires_grad_(False).to(self.device)
        before = self._chat(_MARKER).split(_MARKER)[0]
        self._start = len(self._tokenizer(before).input_ids)
