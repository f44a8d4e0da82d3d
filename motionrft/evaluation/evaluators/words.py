"""Words as Guo et al.'s text encoder reads them: GloVe vectors and part-of-speech one-hots with five lists of
key words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

TAGS = (
    *("VERB", "NOUN", "DET", "ADP", "NUM", "AUX", "PRON", "ADJ", "ADV"),
    *("Loc_VIP", "Body_VIP", "Obj_VIP", "Act_VIP", "Desc_VIP", "OTHER"),
)
"""Order of the one-hot."""
KEY_WORDS = {
    "Loc_VIP": "left right clockwise counterclockwise anticlockwise forward back backward up down "
    "straight curve",
    "Body_VIP": "arm chin foot feet face hand mouth leg waist eye knee shoulder thigh",
    "Obj_VIP": "stair dumbbell chair window floor car ball handrail baseball basketball",
    "Act_VIP": "walk run swing pick bring kick put squat throw hop dance jump turn stumble stop sit lift "
    "lower raise wash stand kneel stroll rub bend balance flap jog shuffle lean rotate spin spread climb",
    "Desc_VIP": "slowly carefully fast careful slow quickly happy angry sad happily angrily sadly",
}
"""A word of these lists has the list's tag instead of its own; the lists are searched in this order."""
MAX_TOKENS = 20
_TAG_OF = {word: tag for tag, words in reversed(KEY_WORDS.items()) for word in words.split()}


@dataclass(frozen=True)
class WordVectorizer:
    """Vectors of a vocabulary.

    rows: word to row of `vectors` (V, W); `unk`, `sos` and `eos` are among the words.
    """

    rows: Mapping[str, int]
    vectors: Tensor  # (V, W)

    def __call__(self, tokens: Sequence[str]) -> tuple[Tensor, Tensor]:
        """(L, W) vectors and (L, 15) one-hots of `word/TAG` tokens, matched exactly (lower case,
        lemmatised)."""
        pairs = [token.rsplit("/", 1) if "/" in token else (token, "OTHER") for token in tokens]
        rows = [self.rows.get(word, self.rows["unk"]) for word, _ in pairs]
        tags = [_tag(word, tag) if word in self.rows else "OTHER" for word, tag in pairs]
        one_hot = torch.zeros(len(pairs), len(TAGS))  # (L, 15)
        one_hot[torch.arange(len(pairs)), torch.tensor([TAGS.index(tag) for tag in tags])] = 1
        return self.vectors[torch.tensor(rows)].float(), one_hot

    def batch(self, captions: Sequence[Sequence[str]]) -> tuple[Tensor, Tensor, Tensor]:
        """Captions as the text encoder takes them.

        Args:
            captions: B lists of `word/TAG` tokens; at most 20 of each are read.

        Returns:
            (B, 22, W) vectors, (B, 22, 15) one-hots, (B,) caption lengths with `sos` and `eos`.
        """
        framed = [["sos/OTHER", *tokens[:MAX_TOKENS], "eos/OTHER"] for tokens in captions]
        filled = [tokens + ["unk/OTHER"] * (MAX_TOKENS + 2 - len(tokens)) for tokens in framed]
        words, tags = zip(*(self(tokens) for tokens in filled), strict=True)
        return torch.stack(words), torch.stack(tags), torch.tensor([len(tokens) for tokens in framed])


def _tag(word: str, tag: str) -> str:
    chosen = _TAG_OF.get(word, tag)
    return chosen if chosen in TAGS else "OTHER"
