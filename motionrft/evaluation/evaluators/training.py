"""Training of the built-in evaluators: contrast in batches of distinct kinds of motion, or of orders and numbers too."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from motionrft.data import DistinctBatches, GroupedBatches, MotionDataset, collate
from motionrft.evaluation.evaluators.mini import MiniEvaluatorNetwork, MiniSize, mini_config
from motionrft.moving import moved
from motionrft.text.base import TextEncoder
from motionrft.training.distribution import ALONE, Distribution
from motionrft.training.loop import train
from motionrft.training.optimiser import AdamWSettings, Optimiser
from motionrft.training.progress import Progress
from motionrft.training.run import RunFolder
from motionrft.training.seeds import generator_for
from motionrft.training.weights import save_weights


@dataclass(frozen=True)
class EvaluatorTraining:
    """Settings of a training run.

    batch: clips a step, all of different content and style: no text of a batch fits a second motion.
    batches: `grouped`: half of it in groups that differ in order or number of events alone.
    feature_noise: standard deviation added to the normalised features.
    """

    steps: int = 840
    batch: int = 64
    lr: float = 1e-3
    weight_decay: float = 1e-2
    label_smoothing: float = 0.05
    feature_noise: float = 0.15
    seed: int = 1
    batches: Literal["distinct", "grouped"] = "distinct"


class EvaluatorTrainer:
    """One update at a time, for `motionrft.training.loop.train`. Same data, settings and device: same
    weights.

    Several processes read and embed some rows of a batch each; the loss is that of all of them.

    Args:
        dataset: every item of it is trained on; its statistics become the evaluator's.
        size: None takes the defaults at the text encoder's width.
        company: the processes that train together.
    """

    def __init__(
        self,
        dataset: MotionDataset,
        text_encoder: TextEncoder,
        settings: EvaluatorTraining,
        size: MiniSize | None = None,
        device: torch.device | str = "cpu",
        company: Distribution = ALONE,
    ):
        self.dataset, self.text_encoder, self.settings = dataset, text_encoder, settings
        self.device, self.company = torch.device(device), company
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.network = MiniEvaluatorNetwork(size or MiniSize(text=text_encoder.width))
        self.network.to(device).train()
        self.statistics = dataset.statistics("kinematic").to(device)
        company.first(lambda: text_encoder.remember(dataset.texts))  # the others find them in the cache
        text_encoder.remember(dataset.texts)
        batches = {"distinct": DistinctBatches, "grouped": GroupedBatches}[settings.batches]
        self.batches = batches(dataset, settings.batch, settings.seed)
        company.check_batch(len(self.batches[0]))
        adam = AdamWSettings(settings.lr, weight_decay=settings.weight_decay, clip=None)
        self.optimiser = Optimiser(self.network, adam, total=settings.steps, company=company)

    def update(self, step: int) -> dict[str, Any]:
        """Draw the step's batch, contrast it, and make one optimiser step."""
        seed, company = self.settings.seed, self.company
        items, coming = self.batches[step], self.batches[step + 1]  # (B,)
        rows, sizes = company.rows(len(items)), company.sizes(len(items))
        batch = collate(self.dataset, items, seed, step, rows=rows)  # b rows of B
        self.dataset.expect(coming[company.rows(len(coming))])
        draws = generator_for(seed, "noise", step)
        noise = torch.randn(len(items), *batch.motion.shape[1:], generator=draws)[rows]  # (b, T, D)
        clean = self.statistics.normalise(moved(batch.motion, self.device))  # (b, T, D)
        motion = clean + self.settings.feature_noise * moved(noise, self.device)  # (b, T, D)
        words = self.text_encoder.encode(batch.texts).to(self.device, torch.float32)  # (b, L, D) tokens
        text = self.network.text(words)  # (b, E)
        shown = self.network.motion(motion, moved(batch.lengths, self.device))  # (b, E)
        logits = self.network.logits(company.joined(text, sizes), company.joined(shown, sizes))  # (B, B)
        loss = contrastive_loss(logits, self.settings.label_smoothing)
        loss.backward()
        hits = (logits.argmax(dim=1) == torch.arange(len(logits), device=logits.device)).float().mean()
        return {"loss": loss.detach(), "accuracy": hits, **self.optimiser.step()}

    def state_dict(self) -> dict[str, Any]:
        """Weights and optimiser; batches and noise are functions of the step."""
        return {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])

    def save(self, folder: Path, dtype: torch.dtype = torch.float32) -> None:
        """Write the evaluator as `load_evaluator` reads it."""
        weights = {name: value.to(dtype) for name, value in self.network.state_dict().items()}
        statistics = {"mean": self.statistics.mean, "std": self.statistics.std}
        training = asdict(self.settings) | {"data": self.dataset.identity, "split": self.dataset.split}
        config = mini_config(self.network, self.text_encoder, self.dataset.fps) | {"training": training}
        save_weights(folder, weights | statistics, config, model_card(config))


def train_evaluator(
    dataset: MotionDataset,
    text_encoder: TextEncoder,
    out: Path,
    settings: EvaluatorTraining | None = None,
    size: MiniSize | None = None,
    device: torch.device | str = "cpu",
    run: RunFolder | None = None,
    progress: Progress | None = None,
    dtype: torch.dtype = torch.float32,
    company: Distribution = ALONE,
) -> None:
    """Train an evaluator and save it at `out`.

    Args:
        run: checkpoints, metrics and resume go here; None trains in one go.
        dtype: number format of the saved weights.
        company: the processes that train together; the first of them writes.

    Raises:
        UserError: `out` cannot be written, or holds something that is no model.
        RunError: the training diverged.
    """
    settings = settings or EvaluatorTraining()
    trainer = EvaluatorTrainer(dataset, text_encoder, settings, size, device, company)
    train(trainer, run, updates=settings.steps, progress=progress, distribution=company)
    company.first(lambda: trainer.save(out, dtype))


def contrastive_loss(logits: Tensor, smoothing: float) -> Tensor:
    """InfoNCE both ways with the diagonal as target, () the mean of the two."""
    target = torch.arange(logits.shape[0], device=logits.device)  # (B,)
    rows = torch.nn.functional.cross_entropy(logits, target, label_smoothing=smoothing)
    return (rows + torch.nn.functional.cross_entropy(logits.T, target, label_smoothing=smoothing)) / 2


def model_card(config: Mapping[str, Any]) -> str:
    """`README.md` of a trained evaluator."""
    training = config["training"]
    return f"""# Evaluator

Embeds motions (HumanML3D's 263 features at {config["fps"]:g} fps, contacts not read) and captions
({config["text_encoder"]["name"]}) into one space. Its numbers compare with no publication.

- Trained on split `{training["split"]}`, data identity `{training["data"][:16]}`,
  {training["steps"]} steps of {training["batch"]} distinct kinds of motion ({training["batches"]} batches),
  seed {training["seed"]}.
- Made by `motionrft train-reward --preset evaluator-mini`.
- The licence of the weights follows the motions they were trained on.
"""
