"""What every judge is asked, and what it answers."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from motionrft.preferences.prompts import EventPrompt


@dataclass(frozen=True)
class Item:
    """One motion to be judged. candidate: its place among those of the prompt. joints: (T, 22, 3) metres, Y up."""

    prompt: EventPrompt
    candidate: int
    joints: np.ndarray
    fps: float


@dataclass(frozen=True)
class Judgement:
    """One answer.

    score: in [0, 1], or None where there is none and `error` says why.
    raw: what the judge saw or said. tokens_in, tokens_out, cost, calls: of a judge that is paid.
    """

    score: float | None
    raw: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    error: str | None = None
    calls: int = 0


class Judge(ABC):
    """A judge of events."""

    name: str
    """What records and tables call it."""
    at_once: int = 32
    """Motions that are asked about together, where several processes share the questions."""

    @property
    @abstractmethod
    def identity(self) -> str:
        """Changes whenever its answers may: part of the key under which an answer is kept."""

    @abstractmethod
    def judge(self, items: Sequence[Item]) -> Iterator[tuple[int, Judgement]]:
        """Answers as they come, each with its place among the items.

        Raises:
            UserError: the judge cannot work at all: no key, no server, a budget that is spent.
        """
