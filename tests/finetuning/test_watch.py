"""A planted exploitable reward is stopped by what it does not optimise, and the result is not the last checkpoint."""

from dataclasses import replace

import torch

from motionrft.finetuning.preset import WatchPart
from motionrft.finetuning.watch import Looks, read_looks, watch_for
from motionrft.training.loop import train
from motionrft.training.run import RunFolder
from tests.finetuning.small import small_preset, small_trainer

METHOD = {"method": "easytune", "k": 4, "rho": 0}


def pays_for_high_hands(motion, lengths, condition, t=0):
    """The more the better, without end: features 60 to 66 stand for the hands."""
    height = motion[..., 60:66].sum((1, 2)) / lengths
    return height, {"hands": height}


def sampled_numbers(trainer):
    """Crude held-out numbers of the generator as it is: what a reward for hands does not see."""
    start = trainer.prepared.micro_batches(torch.tensor([3, 4, 5]), 0, None)[0].start
    context = trainer.context
    from motionrft.diffusion.rollout import sample

    with torch.no_grad():
        state = sample(context.generator, context.process, start, context.guidance)
        motion = context.generator.decode(state, start.lengths, start.frames)
    return {
        "mm_dist": 1.0,
        "jitter": float(motion.diff(n=3, dim=1).abs().mean()),
        "skating_ratio": 0.1,
        "motion_energy": float(motion.abs().mean()),
    }


def test_the_watch_stops_a_run_that_exploits_its_reward(tmp_path):
    settings = WatchPart(every=8, jitter=0.1, motion_energy=0.1)
    preset = small_preset(updates=400, batch=6, optimiser={"lr": 2e-3}, method=METHOD)
    trainer = small_trainer(preset, watch=watch_for(settings))
    trainer.context = replace(trainer.context, reward=pays_for_high_hands)
    with RunFolder.open(tmp_path / "run", {}, {}) as folder:
        looks = Looks(settings, trainer.watch, lambda: sampled_numbers(trainer), folder.path)
        looks.begin()
        outcome = train(trainer, folder, updates=400, watch=looks, keep_start=True)
        rewards = [line["reward"] for line in folder.read_metrics()]
        assert outcome.reason.startswith("the watch stopped the run") and outcome.step < 400
        assert rewards[-1] > rewards[3], "the reward itself was content"
        assert folder.best() is not None and folder.best() < outcome.step
        assert [look["update"] for look in read_looks(folder.path)][:2] == [0, 8]
