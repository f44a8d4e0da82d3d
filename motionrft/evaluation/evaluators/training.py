"""Training of the built-in evaluator: contrast in batches of distinct kinds of motion."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from motionrft.data import DistinctBatches, MotionDataset, collate
from motionrft.errors import RunError
from motionrft.evaluation.evaluators.mini import MiniEvaluatorNetwork, MiniSize, mini_config
from motionrft.text.base import TextEncoder, TextFeatures, stack
from motionrft.training.seeds import generator_for
from motionrft.training.weights import save_weights


@dataclass(frozen=True)
class EvaluatorTraining:
    """Settings of a training run.

    batch: clips a step, all of different content and style: no text of a batch fits a second motion.
    feature_noise: standard deviation added to the normalised features.
    """

    steps: int = 840
    batch: int = 64
    lr: float = 1e-3
    weight_decay: float = 1e-2
    label_smoothing: float = 0.05
    feature_noise: float = 0.15
    seed: int = 1


Report = Callable[[int, dict[str, float]], None]
"""Told (step, {"loss", "accuracy"}) after each step."""


def train_evaluator(
    dataset: MotionDataset,
    text_encoder: TextEncoder,
    out: Path,
    settings: EvaluatorTraining | None = None,
    size: MiniSize | None = None,
    device: torch.device | str = "cpu",
    report: Report | None = None,
    card: str | None = None,
) -> MiniEvaluatorNetwork:
    """Train on every item of `dataset` and save a model folder at `out`.

    The same data, settings and device give the same weights, bit for bit on the CPU.

    Raises:
        UserError: `out` cannot be written, or holds something that is no model.
        RunError: the loss became NaN or infinite.
    """
    settings = settings or EvaluatorTraining()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = MiniEvaluatorNetwork(size or MiniSize(text=text_encoder.width))
    network.to(device).train()
    statistics = dataset.statistics("kinematic")
    mean, std = statistics.mean.to(device), statistics.std.to(device)
    texts = _CaptionFeatures(text_encoder, dataset.texts, device)
    batches = DistinctBatches(dataset, settings.batch, settings.seed)
    optimiser = torch.optim.AdamW(network.parameters(), settings.lr, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.steps)
    for step in range(settings.steps):
        batch = collate(dataset, batches[step], settings.seed, step)
        noise = torch.randn(batch.motion.shape, generator=generator_for(settings.seed, "noise", step))
        motion = (batch.motion.to(device) - mean) / std + settings.feature_noise * noise.to(device)
        lengths = batch.lengths.to(device)
        logits = network.logits(network.text(texts[batch.texts]), network.motion(motion, lengths))
        loss = contrastive_loss(logits, settings.label_smoothing)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        if report is not None:
            report(step, _numbers(loss, logits))
    if not all(bool(torch.isfinite(parameter).all()) for parameter in network.parameters()):
        raise RunError(
            "training the evaluator diverged: its weights are not finite. Lower the learning rate."
        )
    config = mini_config(network, text_encoder, dataset.fps)
    config["training"] = asdict(settings) | {"data": dataset.identity, "split": dataset.split}
    save_weights(out, network.state_dict() | {"mean": mean, "std": std}, config, card)
    return network.eval()


def contrastive_loss(logits: Tensor, smoothing: float) -> Tensor:
    """InfoNCE both ways with the diagonal as target, () the mean of the two."""
    target = torch.arange(logits.shape[0], device=logits.device)
    rows = torch.nn.functional.cross_entropy(logits, target, label_smoothing=smoothing)
    return (rows + torch.nn.functional.cross_entropy(logits.T, target, label_smoothing=smoothing)) / 2


class _CaptionFeatures:
    """Token states of every caption of the data, computed once."""

    def __init__(self, encoder: TextEncoder, texts: list[str], device: torch.device | str):
        chunks = [encoder.encode(texts[start : start + 256]) for start in range(0, len(texts), 256)]
        self._features = stack(chunks).to(device, torch.float32)
        self._row = {text: row for row, text in enumerate(texts)}

    def __getitem__(self, texts: list[str]) -> TextFeatures:
        return self._features.index(torch.tensor([self._row[text] for text in texts]))


def _numbers(loss: Tensor, logits: Tensor) -> dict[str, float]:
    hits = logits.argmax(dim=1) == torch.arange(logits.shape[0], device=logits.device)
    values = torch.stack((loss.detach(), hits.float().mean())).tolist()
    return {"loss": values[0], "accuracy": values[1]}
