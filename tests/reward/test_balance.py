"""Weights in units of a term's spread on real motions."""

import pytest
import torch

from motionrft.data import MotionDataset, pad
from motionrft.errors import UserError
from motionrft.finetuning.preset import FinetunePreset
from motionrft.reward.balance import balanced
from motionrft.reward.loading import weighted
from motionrft.reward.motionreward.adapters import Critic
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft.settings.layers import resolve


def test_a_reward_s_own_table_gives_the_spreads(reward: MotionReward) -> None:
    even = torch.linspace(0, 1, 101)
    reward.critics["preference"] = Critic(reward.network.motion, 1)
    tables = {"semantic": even.tolist(), "preference": (10 * even).tolist(), "jitter": (100 * even).tolist()}
    reward.about = {"held_out": {"clips": 9, "split": "val", "quantiles": tables}}
    unified = weighted(reward, {"semantic": 2.0, "similarity": 1.0, "preference": 1.0, "jitter": 3.0})
    found = balanced(unified, None)
    assert found == pytest.approx({"semantic": 2.0, "similarity": 1.0, "preference": 0.1, "jitter": 0.03})
    assert unified.term_weights == found


def test_without_a_table_real_motions_are_measured(reward: MotionReward, dataset: MotionDataset) -> None:
    reward.critics["preference"] = Critic(reward.network.motion, 1)
    reward.eval().weigh({"semantic": 1.0, "preference": 1.0})
    with pytest.raises(UserError, match=r"semantic on real motions is not known.*--data"):
        balanced(reward, None)
    motion, lengths = pad([dataset.motion(item) for item in range(len(dataset))])
    condition = reward.prepare([item.captions[0].text for item in dataset.items])
    with torch.no_grad():
        terms = reward(motion, lengths, condition)[1]
    acting = balanced(reward, dataset)
    expected = float(terms["semantic"].std() / terms["preference"].std())
    assert acting == pytest.approx({"semantic": 1.0, "preference": expected}, rel=1e-3)


def test_a_contrast_is_measured_on_captions_that_tell_something(
    reward: MotionReward, dataset: MotionDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    reward.eval().weigh({"semantic": 1.0, "contrast": 1.0})
    with pytest.raises(UserError, match=r"contrast on real motions is not known.*the data does not tell it"):
        balanced(reward, dataset)
    told = [f"a person bows {number}" for number in ("twice", "once", "thrice", "deeply", "low")]
    monkeypatch.setattr(dataset.items, "text", lambda item: told[item % len(told)])
    motion, lengths = pad([dataset.motion(item) for item in range(len(dataset))])
    texts = [told[item % len(told)] for item in range(len(dataset))]
    with torch.no_grad():
        terms = reward(motion, lengths, reward.prepare(texts))[1]
    telling = torch.tensor([item % len(told) < 3 for item in range(len(dataset))])
    expected = float(terms["semantic"].std() / terms["contrast"][telling].std())
    assert balanced(reward, dataset)["contrast"] == pytest.approx(expected, rel=1e-3)


def test_balanced_is_short_for_all_four_terms_of_the_paper() -> None:
    for preset in (
        FinetunePreset.of({"weights": "balanced"}),
        resolve(FinetunePreset, None, ["weights=balanced"]),
    ):
        assert preset.balance and set(preset.weights.values()) == {1.0} and len(preset.weights) == 4
        assert FinetunePreset.of(preset.plain()) == preset
