"""Several processes train one reward: stopped, resumed, and in the end as one process trains it."""

import copy
import os
import signal
from dataclasses import replace

import pytest
import torch

from motionrft.errors import Interrupted
from motionrft.loading import load_reward
from motionrft.reward.motionreward import semantic
from motionrft.reward.motionreward.adapters import Critic, ranking_loss
from motionrft.reward.motionreward.critic_training import PreferenceTrainer
from motionrft.reward.motionreward.pairs import perturbed_pairs
from motionrft.reward.motionreward.reward_session import REWARD, open_splits
from motionrft.reward.motionreward.training import new_reward, train_reward
from motionrft.reward.spl.refinement import Refiner
from motionrft.reward.spl.spl_preset import RefineSplPreset
from motionrft.training.distribution import ALONE, Distribution
from tests.processes import together, without_dropout
from tests.reward.test_training import TINY, preset, session

CPU = torch.device("cpu")
UPDATES = 6


@pytest.fixture
def settings(data_folder, monkeypatch):
    without_dropout(monkeypatch)
    part = {**TINY["semantic"], "updates": UPDATES, "batch": 5, "batches": "balanced", "validate_every": 3}
    return preset(data_folder, semantic=part, checkpoint_every=2)


def test_two_processes_train_as_one_and_resume(settings, tmp_path, monkeypatch):
    """Five clips a batch are three and two; each representation leads twice, and aligns with the others."""
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    train_reward(settings, session(alone))
    update = semantic.SemanticTrainer.update

    def stopped(self, step):
        if step == 3 and self.company.rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return update(self, step)

    def act(resume):
        def run(rank):
            if not resume:
                semantic.SemanticTrainer.update = stopped
            with Distribution.join(CPU, timeout=60) as company:
                try:
                    train_reward(settings, replace(session(shared, resume=resume), company=company))
                except Interrupted as end:
                    return end.exit_code
            return 0

        return run

    assert together(act(resume=False)) == [75, 75]
    assert together(act(resume=True)) == [0, 0]
    start = new_reward(settings, open_splits(settings.data, 16, 196).train).state_dict()
    whole, parts = (load_reward(out / REWARD).state_dict() for out in (alone, shared))
    moved = max((whole[name] - start[name]).abs().max() for name in whole)
    apart = max((whole[name] - parts[name]).abs().max() for name in whole)
    assert apart < 0.02 * moved, (apart, moved)  # AdamW turns rounding of tiny gradients into steps
    assert len((shared / "semantic" / "metrics.jsonl").read_text().splitlines()) == UPDATES


def test_a_critic_learns_from_every_process_s_pairs(settings, tmp_path):
    data = open_splits(settings.data, 16, 196).train
    reward = new_reward(settings, data)
    pairs = perturbed_pairs(data, 3, ["jitter"], ["kinematic"], 0)

    def gradient(company):
        torch.manual_seed(0)
        critic = Critic(reward.network.motion, 1, 2, 4.0)
        trainer = PreferenceTrainer(reward, critic, pairs, settings.preference, 0, company)
        clips = [pair.better for pair in pairs] + [pair.worse for pair in pairs]
        better, worse = trainer.answers(clips, "kinematic")[:, 0].chunk(2)
        ranking_loss(better, worse).backward()
        found = [parameter.grad for parameter in critic.parameters() if parameter.grad is not None]
        company.average(found)
        return torch.cat([each.flatten() for each in found])

    def act(rank):
        with Distribution.join(CPU, timeout=60) as company:
            torch.save(gradient(company), tmp_path / str(rank))

    assert together(act) == [0, 0]
    expected = gradient(Distribution())
    for rank in "01":
        torch.testing.assert_close(torch.load(tmp_path / rank), expected, rtol=1e-4, atol=1e-6)


def test_refining_shares_its_looks_and_its_anchor(reward, dataset, tmp_path, monkeypatch):
    """Weights after three updates of each variant, the training set looked at twice; five rows are three and two."""
    without_dropout(monkeypatch)
    asked = {"updates": 3, "batch": 5, "bank_every": 2, "top_k": 1, "optimiser": {"lr": 1e-3, "eps": 1.0}}
    start = copy.deepcopy(reward.network.state_dict())

    def refined(company):
        failed, weights = [], {}
        for variant in ("refinement", "paper", "official"):
            reward.network.load_state_dict(start)
            preset = RefineSplPreset.of({**asked, "variant": variant, "weight": 1.0})
            refiner = Refiner(reward, dataset, preset, company=company)
            failed += [refiner.update(step).get("failed") for step in range(3)]
            after = copy.deepcopy(reward.network.state_dict())
            weights |= {f"{variant} {name}": tensor for name, tensor in after.items()}
        return failed, weights

    def act(rank):
        with Distribution.join(CPU, timeout=60) as company:
            torch.save(refined(company), tmp_path / str(rank))

    assert together(act) == [0, 0]
    failed, weights = refined(ALONE)
    assert failed[0] > 0
    for rank in "01":
        found, parts = torch.load(tmp_path / rank)
        assert found == failed
        for name, tensor in weights.items():
            torch.testing.assert_close(parts[name], tensor, rtol=1e-4, atol=1e-5)
