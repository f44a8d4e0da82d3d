"""What one look of the watch measures: held-out metrics, and how far the motions are from where they started."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from statistics import stdev

from torch import Tensor

from motionrft.evaluation.generation import Repetition
from motionrft.evaluation.measure import mean_distance
from motionrft.evaluation.result import EvaluationResult
from motionrft.finetuning.watch import Seen

Evaluate = Callable[[str, Sequence[int], Callable[[Repetition], None]], EvaluationResult]
"""Samples the watch's items as `watch`, or as `before` inside the frozen context; shows each repetition."""


class Looking:
    """Looks at the generator as it is.

    Args:
        evaluate: of the generator as it is.
        frozen: inside this context the generator is the untuned one.
        seeds: sampling seeds of the first look, at least two; later ones take the first of them.
    """

    def __init__(self, evaluate: Evaluate, frozen: Callable[[], AbstractContextManager[None]], seeds: int):
        self.evaluate, self.frozen, self.seeds = evaluate, frozen, seeds
        self._start: list[Tensor] | None = None
        """Joints (T, J, 3) that the untuned generator makes of the items, once they are known."""

    def __call__(self, first: bool) -> Seen:
        """Means of the metrics under one seed; at the first look also how far they spread over several."""
        metrics, joints = self._sampled("watch", range(self.seeds) if first else [0])
        values = {name: numbers[0] for name, numbers in metrics.items()}
        if first:
            self._start = joints[0]
            spread = {name: stdev(numbers) for name, numbers in metrics.items()}
            # The measure of how far is far: what another noise makes of the same prompts.
            return Seen(values | {"distance": 0.0}, spread | {"distance": mean_distance(*joints[:2])})
        if self._start is None:  # a resumed run has not seen its start
            with self.frozen():
                self._start = self._sampled("before", [0])[1][0]
        return Seen(values | {"distance": mean_distance(self._start, joints[0])})

    def _sampled(self, name: str, seeds: Sequence[int]) -> tuple[dict[str, list[float]], list[list[Tensor]]]:
        """Metrics, and the joints (T, 22, 3) of every motion, a list a seed."""
        joints: list[list[Tensor]] = []

        def keep(repetition: Repetition) -> None:
            joints.append(repetition.made.clips())

        return self.evaluate(name, seeds, keep).metrics, joints
