"""Whether what a run reads fits together: skeleton, frame rate, gradient, noise, and prompts that a term can read."""

from random import Random

from motionrft.data.folder import MotionDataset
from motionrft.errors import UserError
from motionrft.finetuning.methods.base import plan_of, usable_methods
from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.prompts import PromptSet
from motionrft.generators.base import Generator
from motionrft.reward.base import Reward
from motionrft.reward.motionreward.motionreward import CONTRAST, MotionReward
from motionrft.reward.opposites import telling
from motionrft.reward.resampled import SAME_RATE, Resampled


def check_skeleton(preset: FinetunePreset, generator: Generator, reward: Reward) -> None:
    """Refuse a reward or a data set of another skeleton than the generator's."""
    made, judged = generator.motion_width, reward.kinematic_width
    if made is not None and judged is not None and made != judged:
        raise UserError(
            f"{preset.reward} judges motions of {judged} features a frame, and {preset.generator} makes {made}. "
            "Name a reward of the same data (263 is HumanML3D, 251 KIT-ML)."
        )
    if preset.data is not None and made is not None:
        width = MotionDataset(preset.data, preset.split).width("kinematic")
        if width != made:
            raise UserError(
                f"{preset.data}: its motions have {width} features a frame, and {preset.generator} makes {made} "
                "(263 is HumanML3D, 251 KIT-ML)."
            )


def other_rate(reward: Reward, fps: float) -> str | None:
    """What to say of a reward that learnt motions at another rate than `fps`; None where it did not, or does not know."""
    for part in reward.modules():
        if isinstance(part, Resampled):
            return f"learnt motions at {part.learnt:g} frames a second: clean ones are resampled from {fps:g} for it."
        about = getattr(part, "about", None)
        learnt = about.get("fps") if isinstance(about, dict) else None
        if learnt and abs(learnt - fps) > SAME_RATE:
            return (
                f"learnt motions at {learnt:g} frames a second and judges them at {fps:g}: to it they are "
                f"{learnt / fps:.2g} times as fast."
            )
    return None


def check_gradient(preset: FinetunePreset, reward: Reward) -> None:
    """Refuse a method that differentiates a reward which gives no gradient."""
    if reward.differentiable or "gradient" not in preset.method.needs:
        return
    others = [
        name
        for name, method in usable_methods().items()
        if "reward" in method.preset.needs and "gradient" not in method.preset.needs
    ]
    raise UserError(
        f"{preset.method.method} follows the reward's gradient, and this reward gives none: use a method that needs "
        f"none ({', '.join(others)})."
    )


def check_perception(preset: FinetunePreset, reward: Reward) -> None:
    """Refuse to show noisy states to a reward that only ever learnt clean motions: its gradient would mean nothing.

    Raises:
        UserError: as said.
    """
    anew = [part for part in reward.modules() if isinstance(part, MotionReward) and part.reads_anew]
    plans = [plan_of(preset.method, preset.steps, progress, Random(0)) for progress in (0.0, 0.5, 1.0)]
    # The state after the last step is clean, whatever it is called.
    noisy = any(step.reward == "next" for plan in plans for step in plan[: preset.steps - 1])
    if noisy and anew and reward.term_weights.get(CONTRAST):
        raise UserError(
            f"{CONTRAST}: {preset.reward} reads a text anew at each noise level ({anew[0].network.size.mode}), and what "
            "a text did not say is read once. Judge clean predictions with --set method.judge=x0, or leave the term out."
        )
    if not noisy or "reward" not in preset.method.needs or reward.learnt_noise:
        return
    if any(part.learnt_noise for part in reward.modules() if isinstance(part, Reward)):
        why, cure = "physics terms measure the noise of a noisy state", "leave the physics terms out"
    else:
        why = f"{preset.reward} was never trained on noisy motions"
        cure = "name a noise-aware one (a published M1T0 backbone, or `motionrft train-reward --preset tiny`)"
    raise UserError(
        f"{preset.method.method} judges noisy states at their own level (method.judge next), and {why}: {cure}, "
        "or judge clean predictions with --set method.judge=x0."
    )


def check_contrast(reward: Reward, prompts: PromptSet) -> str | None:
    """What to say of prompts of which the term `contrast`, where it has a weight, knows nothing.

    Raises:
        UserError: it knows nothing of any.
    """
    if not reward.term_weights.get(CONTRAST):
        return None
    texts = sorted({text for texts in prompts.captions or [tuple(prompts.texts)] for text in texts})
    if not (told := telling(texts)):
        raise UserError(
            f"{CONTRAST}: none of the {len(texts)} prompts tells an order, a number or several events (`a person bows, "
            f"then walks`, `waves twice`), so this term would be 0 throughout: leave it out "
            f"(weights.{CONTRAST}=0), or name prompts that do."
        )
    return (
        f"{CONTRAST}: {told} of {len(texts)} prompts tell an order, a number or several events; of the others it is 0."
        if told < len(texts)
        else None
    )
