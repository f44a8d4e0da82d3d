"""A planted exploitable reward is stopped by what it does not optimise, and the result is not the last checkpoint."""

from dataclasses import replace

import pytest
import torch

from motionrft.finetuning.preset import WatchPart
from motionrft.finetuning.watch import Looks, Seen, read_looks, watch_for
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
        looks = Looks(settings, trainer.watch, lambda _: Seen(sampled_numbers(trainer)), folder.path)
        looks.begin()
        outcome = train(trainer, folder, updates=400, watch=looks, keep_start=True)
        rewards = [line["reward"] for line in folder.read_metrics()]
        assert outcome.reason.startswith("the watch stopped the run") and outcome.step < 400
        assert rewards[-1] > rewards[3], "the reward itself was content"
        assert folder.best() is not None and folder.best() < outcome.step
        assert [look["update"] for look in read_looks(folder.path)][:2] == [0, 8]


def steady(**changes):
    """Held-out numbers of a generator that does not change, but for what is told."""
    return {"mm_dist": 1.0, "jitter": 10.0, "skating_ratio": 0.1, "motion_energy": 1.0, **changes}


@pytest.mark.parametrize("updates", [3, 10, 299, 2000])
def test_a_run_is_looked_at_three_times_and_at_its_end(tmp_path, updates):
    settings = WatchPart(every=300)
    looks = Looks(
        settings, watch_for(settings), lambda _: Seen(steady()), tmp_path, lambda step: step / updates
    )
    looks.begin()
    for step in range(1, updates + 1):
        looks(step)
    looks.at_end(updates)
    seen = [look["update"] for look in read_looks(tmp_path)]
    assert seen[0] == 0 and seen[-1] == updates and len(seen) - 1 >= 3
    assert len(seen) == len(set(seen)), "the end is not looked at twice"


def test_a_run_that_ends_beyond_a_tolerance_hands_out_its_best(tmp_path):
    settings = WatchPart(every=300)
    numbers = iter([steady(), steady(mm_dist=0.9), steady(mm_dist=0.8), steady(mm_dist=0.5, jitter=14.0)])
    looks = Looks(
        settings, watch_for(settings), lambda _: Seen(next(numbers)), tmp_path, lambda step: step / 9
    )
    looks.begin()
    assert looks(3).best and looks(6).best
    found = looks.at_end(9)
    assert "ended beyond a tolerance: jitter" in found.stop and "best was update 6" in found.stop


def test_what_chance_does_is_no_drift(tmp_path):
    settings = WatchPart(every=300)
    first = Seen(steady(), {"mm_dist": 0.1, "jitter": 5.0})
    seen = iter([first, Seen(steady(mm_dist=1.25, jitter=20.0)), Seen(steady(mm_dist=1.35))])
    looks = Looks(settings, watch_for(settings), lambda _: next(seen), tmp_path, lambda step: step / 9)
    looks.begin()
    assert looks(3).warnings == ()
    assert "mm_dist" in looks(6).warnings[0]
    again = watch_for(settings)
    Looks(settings, again, lambda _: 1 / 0, tmp_path).begin()
    assert again.spread == looks.watch.spread, "a resumed run knows what chance does"


def test_without_an_evaluator_the_held_out_reward_and_the_distance_are_watched(tmp_path):
    settings = WatchPart(every=300)
    start = Seen(steady(reward=0.5, distance=0.0), {"reward": 0.01, "distance": 0.2})
    later = [steady(reward=0.6, distance=0.1), steady(reward=0.7, distance=0.7)]
    seen = iter([start, *map(Seen, later)])
    watch = watch_for(settings, judged=False)
    looks = Looks(settings, watch, lambda _: next(seen), tmp_path, lambda step: step / 9)
    looks.begin()
    assert looks(3).best
    assert "distance went from 0 to 0.7" in looks(6).stop
