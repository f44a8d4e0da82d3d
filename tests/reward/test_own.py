"""Rewards of the user's own: functions and classes, with and without gradient, alone and as terms."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from motionrft.errors import RunError, UserError
from motionrft.loading import load_reward, reward_identity
from motionrft.registry import REWARDS
from motionrft.representations.convert import convert
from motionrft.reward.base import Reward, RewardCondition
from motionrft.reward.folder import save_reward
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft.reward.own import FunctionReward, load_own

LENGTHS = torch.tensor([24, 16])


def low_hands(joints: Tensor, lengths: Tensor, texts: Sequence[str], fps: float) -> Tensor:
    return -joints[:, :, 20:22, 1].mean(dim=(1, 2))


def words(joints: Tensor, lengths: Tensor, texts: Sequence[str], fps: float) -> np.ndarray:
    return np.array([len(text) for text in texts]) + 0 * joints.numpy().sum((1, 2, 3))


def column(joints: Tensor, lengths: Tensor, texts: Sequence[str], fps: float) -> Tensor:
    return joints[:, 0, 0, :1]


def broken(joints: Tensor, lengths: Tensor, texts: Sequence[str], fps: float) -> Tensor:
    raise KeyError("knees")


class Still(Reward):
    """The whole interface, on joints."""

    representation = "joints"

    def prepare(
        self, texts: Sequence[str], references: Tensor | None = None, lengths: Tensor | None = None
    ) -> RewardCondition:
        return RewardCondition(torch.ones(len(texts), 3))

    @property
    def width(self) -> int:
        return 3

    def forward(
        self, motion: Tensor, lengths: Tensor, condition: RewardCondition, t: Tensor | int = 0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        assert condition.text is not None and condition.text.shape == (len(motion), 3)
        speed = -motion.flatten(2).diff(dim=1).abs().mean(dim=(1, 2))
        return 2 * speed, {"speed": speed}


@pytest.fixture
def motion() -> Tensor:
    return torch.randn(2, 24, 22, 3, generator=torch.Generator().manual_seed(0))


def test_a_function_is_asked_with_joints_lengths_texts_and_fps(motion: Tensor) -> None:
    asked = []

    def spy(joints: Tensor, lengths: Tensor, texts: Sequence[str], fps: float) -> Tensor:
        asked.append((joints.shape, lengths.tolist(), texts, fps))
        return joints[:, 0, 0, 0]

    reward = FunctionReward(spy, "spy", "joints", fps=30.0)
    total, terms = reward(motion.flatten(2), LENGTHS, reward.prepare(["a", "b"]))
    assert asked[-1] == ((2, 24, 22, 3), [24, 16], ["a", "b"], 30.0)
    assert torch.equal(total, motion[:, 0, 0, 0]) and torch.equal(terms["spy"], total)


def test_gradient_is_found_out_or_said(motion: Tensor) -> None:
    def says_no(joints: Tensor, lengths: Tensor, texts: Sequence[str], fps: float) -> Tensor:
        return joints[:, 0, 0, 0]

    says_no.differentiable = False  # type: ignore[attr-defined]
    found = [FunctionReward(one, "one", "joints").differentiable for one in (low_hands, words, says_no)]
    assert found == [True, False, False]
    total, _ = FunctionReward(words, "words", "joints")(
        motion.requires_grad_(), LENGTHS, RewardCondition(captions=("ab", "c"))
    )
    assert total.tolist() == [2.0, 1.0] and not total.requires_grad


@pytest.mark.parametrize(
    ("function", "says"), [(column, r"shape \(2, 1\) for 2 motions"), (broken, "fails on joints.*knees")]
)
def test_a_function_that_cannot_be_used_is_told_when_it_is_loaded(function, says: str) -> None:
    with pytest.raises(UserError, match=says):
        FunctionReward(function, "mine")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("no_such_module_here:reward", "cannot be imported"),
        ("tests.reward.test_own:nothing", "no attribute 'nothing'"),
        ("tests.reward.test_own:LENGTHS", "neither a function nor a Reward"),
        ("motionrft.reward.motionreward.motionreward:MotionReward", "cannot be made without arguments"),
        ("motionrft.reward.folder:TMR", "name a folder of it"),
    ],
)
def test_what_is_no_reward_is_refused_by_name(name: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as refused:
        load_own(name)
    assert str(refused.value).startswith(name)


def test_a_function_that_falls_in_a_run_says_its_name(motion: Tensor) -> None:
    calls = []

    def falls(joints: Tensor, lengths: Tensor, texts: Sequence[str], fps: float) -> Tensor:
        calls.append(texts)
        if len(calls) > 1:
            raise MemoryError if len(calls) > 2 else KeyError("knees")
        return low_hands(joints, lengths, texts, fps)

    reward = FunctionReward(falls, "falls", "joints")
    condition = RewardCondition(captions=("walk", "wave"))
    with pytest.raises(RunError, match="reward falls: fails on 2 motions: KeyError: 'knees'"):
        reward(motion.flatten(2), LENGTHS, condition)
    with pytest.raises(MemoryError):  # the run tries again with less
        reward(motion.flatten(2), LENGTHS, condition)


def test_a_module_of_the_working_directory_is_found_and_its_file_is_its_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "rewards_of_here.py").write_text("def high(joints, *_): return joints[:, 0, 0, 1]\n")
    assert load_reward("rewards_of_here:high").differentiable
    first = reward_identity("rewards_of_here:high")
    (tmp_path / "rewards_of_here.py").write_text("def high(joints, *_): return joints[:, 0, 0, 2]\n")
    assert reward_identity("rewards_of_here:high") != first


def test_a_class_with_the_whole_interface_judges_in_its_own_representation(
    motion: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(REWARDS.added, "still", (Still, "a test"))
    rotation = convert(motion.flatten(2), "joints", "rotation", LENGTHS)
    reward = load_reward("still", {"still": 0.5}, "rotation")
    total, terms = reward(rotation, LENGTHS, reward.prepare(["a", "b"]))
    torch.testing.assert_close(total, terms["speed"])
    torch.testing.assert_close(terms["still"], 2 * terms["speed"])


def test_own_terms_join_learnt_ones_and_physics(
    reward: MotionReward, motion: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_reward(tmp_path / "reward", reward)
    for name, thing in (("hands", low_hands), ("still", Still)):
        monkeypatch.setitem(REWARDS.added, name, (thing, "a test"))
    weights = {"semantic": 1.0, "jitter": 0.001, "hands": 3.0, "still": 0.25}
    together = load_reward(tmp_path / "reward", weights, "joints")
    total, terms = together(
        motion.flatten(2), LENGTHS, together.prepare(["walk", "run"]).index(torch.tensor([1, 0]))
    )
    assert {*weights, "speed"} == set(terms)
    alone = load_reward(tmp_path / "reward", {"semantic": 1.0}, "joints")
    semantic, _ = alone(motion.flatten(2), LENGTHS, alone.prepare(["run", "walk"]))
    expected = (
        semantic - 0.001 * terms["jitter"] + 3 * low_hands(motion, LENGTHS, [], 20.0) + terms["still"] / 4
    )
    torch.testing.assert_close(total, expected)


def test_a_term_that_nobody_gives_is_answered_with_all_that_there_are(
    reward: MotionReward, tmp_path: Path
) -> None:
    save_reward(tmp_path / "reward", reward)
    with pytest.raises(
        UserError, match=r"no term is called 'semantics'; .*physics gives .*Did you mean semantic\?"
    ):
        load_reward(tmp_path / "reward", {"semantics": 1.0})


def test_a_model_folder_cannot_name_code(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"family": "os:system"}')
    with pytest.raises(UserError, match="holds a os:system model, which is no reward"):
        load_reward(tmp_path)
