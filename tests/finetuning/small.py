"""A small latent generator and a small reward of the real kinds, with random weights and no text encoder to
load.
"""

from collections.abc import Sequence
from contextlib import nullcontext

import torch

from motionrft.finetuning.adapters import prepare_training
from motionrft.finetuning.frozen import FrozenTwin
from motionrft.finetuning.methods.base import method_named
from motionrft.finetuning.objective import TuningContext
from motionrft.finetuning.prepared_prompts import PreparedPrompts
from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.prompts import PromptSet
from motionrft.finetuning.references import References
from motionrft.finetuning.trainer import FinetuneTrainer
from motionrft.generators.mld import Mld, MldConfig
from motionrft.representations.statistics import Statistics
from motionrft.reward.base import Learnt
from motionrft.reward.motionreward.encoder import MotionRewardNetwork
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft.reward.motionreward.sizes import RewardSize
from motionrft.reward.tmr import TMRNetwork, TMRReward, TMRSize
from motionrft.text.base import TextEncoder, TextFeatures
from motionrft.training.memory import GraphBytes
from motionrft.training.seeds import generator_for

TEXTS = ["walks", "waves", "turns left", "turns right", "jumps", "sits down"]


class HashedText(TextEncoder):
    """Random token states, the same for the same text."""

    name, identity, width, pooled_width = "hashed", "hashed", 12, None

    def encode(self, texts: Sequence[str]) -> TextFeatures:
        tokens = torch.stack([torch.randn(5, 12, generator=generator_for(0, text)) for text in texts])
        return TextFeatures(tokens, torch.ones(len(texts), 5, dtype=torch.bool))


def small_generator(seed: int = 0) -> Mld:
    torch.manual_seed(seed)
    generator = Mld(
        MldConfig(
            autoencoder={"kind": "convolutional", "width": 6, "hidden": 16},
            denoiser={
                "latent_width": 6,
                "hidden": 16,
                "project": True,
                "layers": 3,
                "heads": 2,
                "feedforward": 32,
                "text_width": 12,
                "text_path": "queries",
                "context_first": True,
            },
            text="hashed",
            text_features="tokens",
            guidance=2.5,
            steps=12,
        )
    )
    generator.use_text_encoder(HashedText())
    return generator.eval()


def small_reward(seed: int = 1) -> MotionReward:
    torch.manual_seed(seed)
    size = RewardSize(
        latent=8, width=16, layers=3, heads=2, feedforward=32, text_layers=3, text_heads=2,
        text_feedforward=32, projection_hidden=16, text_width=12, representations=("kinematic",),
        widths=(263,),
        stack=4,
    )  # fmt: skip
    statistics = {"kinematic": Statistics(torch.zeros(263), torch.ones(263))}
    return MotionReward(
        MotionRewardNetwork(size), statistics, HashedText(), {"semantic": 1.0, "similarity": 1.0}
    )


def small_preset(**values) -> FinetunePreset:
    base = {"steps": 12, "batch": 3, "updates": 8, "guidance": 1.0}
    base["method"] = {"method": "easytune", "k": 4}
    base["optimiser"] = {"lr": 1e-3}
    return FinetunePreset.of({**base, **values})


def small_prompts() -> PromptSet:
    return PromptSet(TEXTS, torch.tensor([40, 24, 32, 20, 40, 36]))


def small_tmr(seed: int = 2) -> TMRReward:
    """TMR's network at a small size, whose score is on [0, 1]."""
    torch.manual_seed(seed)
    size = TMRSize(text_width=12, latent=8, feedforward=16, layers=1, heads=2)
    statistics = Statistics(torch.zeros(263), torch.ones(263))
    return TMRReward(TMRNetwork(size), statistics, HashedText(), {"semantic": 1.0, "similarity": 1.0})


def small_trainer(preset: FinetunePreset, reward: Learnt | None = None, **options) -> FinetuneTrainer:
    """A trainer as `motionrft.finetuning.run` would assemble it."""
    generator, reward = small_generator(), reward or small_reward()
    parameters = prepare_training(generator, preset.lora, preset.freeze)
    frozen = FrozenTwin(generator)
    process = generator.process(preset.steps, preset.sampler, preset.eta)
    guidance = preset.guidance or generator.guidance
    noises = preset.reference.noises if method_named(preset.method.method).follows_plan else None
    references = References(
        generator, process, reward, preset.reference.guidance or guidance, frozen,
        keep=noises is not None,
    )  # fmt: skip
    prepared = PreparedPrompts(
        generator,
        reward,
        small_prompts(),
        preset.seed,
        torch.device("cpu"),
        references,
        noises,
    )
    meter = GraphBytes([generator, reward])
    context = TuningContext(generator, process, reward, guidance, preset.method, frozen, nullcontext, meter,
        ranges=reward.ranges)  # fmt: skip
    return FinetuneTrainer(preset, context, prepared, parameters, **options)
