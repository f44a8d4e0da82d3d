"""The reward as others use it: cosines of means, one preparation a prompt, whole or no loading."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from motionrft.data import MotionDataset, pad
from motionrft.errors import UserError
from motionrft.loading import load_reward
from motionrft.reward.folder import load_motionreward, save_reward
from motionrft.reward.motionreward.adapters import Critic
from motionrft.reward.motionreward.encoder import MotionRewardNetwork
from motionrft.reward.motionreward.motionreward import MotionReward

TEXTS = ["a person walks", "a person waves", "a person sits"]


def batch(dataset: MotionDataset, representation: str = "kinematic") -> tuple[torch.Tensor, torch.Tensor]:
    return pad([dataset.motion(number, representation) for number in range(3)])


def test_semantic_is_the_cosine_of_the_means(reward: MotionReward, dataset: MotionDataset) -> None:
    motion, lengths = batch(dataset)
    total, terms = reward(motion, lengths, reward.prepare(TEXTS))
    expected = torch.cosine_similarity(reward.encode(motion, lengths).mean, reward.embed_text(TEXTS))
    torch.testing.assert_close(terms["semantic"], expected)
    torch.testing.assert_close(total, expected)
    again, _ = reward(motion, lengths, reward.prepare(TEXTS))
    assert torch.equal(total, again)


def test_a_motion_is_its_own_best_reference(reward: MotionReward, dataset: MotionDataset) -> None:
    motion, lengths = batch(dataset)
    reward.weights = {"semantic": 0.5, "similarity": 2.0}
    condition = reward.prepare(TEXTS, motion, lengths)
    total, terms = reward(motion, lengths, condition)
    torch.testing.assert_close(terms["similarity"], torch.ones(3))
    torch.testing.assert_close(total, 0.5 * terms["semantic"] + 2.0)
    chosen = reward(motion[[2]], lengths[[2]], condition.index(torch.tensor([2])))[0]
    torch.testing.assert_close(chosen, total[[2]], atol=1e-6, rtol=1e-5)


def test_contrast_is_the_text_minus_what_it_did_not_say(reward: MotionReward, dataset: MotionDataset) -> None:
    motion, lengths = batch(dataset)
    told, others = "a person sits twice", ["a person sits once", "a person sits three times"]
    reward.weigh({"semantic": 1.0, "contrast": 2.0})
    condition = reward.prepare(["a person walks", told, told])
    total, terms = reward(motion, lengths, condition.index(torch.tensor([0, 2, 1])))
    own = torch.nn.functional.normalize(reward.encode(motion, lengths).mean, dim=-1)
    expected = own @ (reward.embed_text([told])[0] - reward.embed_text(others).mean(0))
    torch.testing.assert_close(terms["contrast"], torch.cat((torch.zeros(1), expected[1:])))
    torch.testing.assert_close(total, terms["semantic"] + 2 * terms["contrast"])


def test_contrast_is_given_only_where_it_is_asked_for(reward: MotionReward) -> None:
    assert "contrast" not in reward.terms and reward.prepare(["a person sits twice"]).contrast is None
    with pytest.raises(UserError, match=r"no term 'contrasts'; it has .*contrast"):
        reward.weigh({"contrasts": 1.0})


def test_contrast_is_judged_in_the_pass_of_the_other_cosines(
    reward: MotionReward, dataset: MotionDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    motion, lengths = batch(dataset)
    reward.weigh({"semantic": 1.0, "contrast": 1.0})
    condition, passes = reward.prepare(["a person sits twice"] * 3), []
    encode = reward.network.encode_motion
    monkeypatch.setattr(reward.network, "encode_motion", lambda *given: (passes.append(1), encode(*given))[1])
    reward(motion, lengths, condition)
    assert len(passes) == 1


def test_a_reference_alone_needs_no_text(reward: MotionReward, dataset: MotionDataset) -> None:
    motion, lengths = batch(dataset)
    reward.weights = {"similarity": 1.0}
    condition = reward.prepare([], motion, lengths)
    assert condition.text is None and condition.reference is not None


def test_gradient_reaches_valid_frames_only(reward: MotionReward, dataset: MotionDataset) -> None:
    motion, lengths = batch(dataset)
    motion.requires_grad_()
    reward(motion, lengths, reward.prepare(TEXTS))[0].sum().backward()
    assert motion.grad is not None
    assert motion.grad[0, : int(lengths[0])].abs().sum() > 0
    assert motion.grad[0, int(lengths[0]) :].abs().sum() == 0


def test_every_representation_can_be_judged(reward: MotionReward, dataset: MotionDataset) -> None:
    for name in ("kinematic", "joints", "rotation"):
        reward.representation = name
        motion, lengths = batch(dataset, name)
        assert torch.isfinite(reward(motion, lengths, reward.prepare(TEXTS))[0]).all()


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_saved_and_loaded_it_says_the_same(
    reward: MotionReward, dataset: MotionDataset, tmp_path: Path, precision: str
) -> None:
    reward.critics["preference"] = Critic(reward.network.motion, 1, rank=4, alpha=8)
    reward.eval().weights = {"semantic": 1.0, "preference": 0.5}
    reward.about = {"stages": ["semantic"], "fps": 20.0}
    save_reward(tmp_path / "reward", reward, precision=precision)
    loaded = load_motionreward(tmp_path / "reward")
    motion, lengths = batch(dataset)
    tolerance = 2e-4 if precision == "fp32" else 2e-2  # the text cache keeps half precision
    for name, value in reward(motion, lengths, reward.prepare(TEXTS))[1].items():
        torch.testing.assert_close(
            loaded(motion, lengths, loaded.prepare(TEXTS))[1][name], value, atol=tolerance, rtol=tolerance
        )
    assert loaded.about == reward.about and loaded.weights == reward.weights


def test_a_folder_remembers_which_build_of_the_text_encoder_it_learnt_from(
    reward: MotionReward, tmp_path: Path
) -> None:
    folder = tmp_path / "reward"
    save_reward(folder, reward)
    encoder = load_motionreward(folder).text_encoder
    assert getattr(encoder, "learnt_with", None) == (reward.text_encoder.identity, str(folder))


def test_damaged_and_foreign_folders_are_refused(reward: MotionReward, tmp_path: Path) -> None:
    folder = tmp_path / "reward"
    save_reward(folder, reward)
    with pytest.raises(UserError, match="no term 'taste'"):
        load_motionreward(folder, {"taste": 1.0})
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    weights.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        load_reward(folder)
    with pytest.raises(UserError, match="no such reward"):
        load_reward(tmp_path / "nowhere")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text(json.dumps({"family": "mld"}))
    with pytest.raises(UserError, match="mld model, which is no reward"):
        load_reward(tmp_path / "other")


def test_physics_terms_join_by_name(reward: MotionReward, dataset: MotionDataset, tmp_path: Path) -> None:
    save_reward(tmp_path / "reward", reward)
    unified = load_reward(
        tmp_path / "reward", {"semantic": 1.0, "similarity": 1.0, "jitter": 0.01, "floating": 0}
    )
    motion, lengths = batch(dataset)
    total, terms = unified(motion, lengths, unified.prepare(TEXTS, motion, lengths))
    assert set(terms) == {"semantic", "similarity", "jitter"}
    torch.testing.assert_close(total, terms["semantic"] + terms["similarity"] - 0.01 * terms["jitter"])
    assert load_reward("nowhere at all", {"jitter": 1.0}).prepare(TEXTS).text is None
    with pytest.raises(UserError, match="at least one term"):
        load_reward(tmp_path / "reward", {"semantic": 0.0})


def test_a_joint_that_never_turned_may_turn(reward: MotionReward, dataset: MotionDataset) -> None:
    reward.expect("rotation")
    normaliser = reward.normalisers["rotation"]
    normaliser.get_buffer("std")[40:45] = 2e-6  # rounding noise is all that the data has there
    motion, lengths = batch(dataset, "rotation")
    motion[:, :, 40:45] += 0.5
    motion.requires_grad_()
    reward(motion, lengths, reward.prepare(TEXTS))[0].sum().backward()
    assert motion.grad is not None and torch.isfinite(motion.grad).all()
    assert reward.normalise(motion, lengths, "rotation").abs().max() < 1e3


@pytest.mark.parametrize("mode", ["M0T0", "M1T0", "M0T1", "M1T1"])
def test_both_towers_are_read_at_the_level_they_were_trained_at(
    reward: MotionReward, dataset: MotionDataset, mode: str
) -> None:
    timed = MotionReward(
        MotionRewardNetwork(replace(reward.network.size, mode=mode)),
        {name: dataset.statistics(name) for name in reward.network.size.representations},
        reward.text_encoder,
    )
    timed.noise_steps = 500
    motion, lengths = batch(dataset)
    features = timed.text_encoder.encode(TEXTS)
    condition = timed.prepare(TEXTS).index(torch.tensor([0, 1, 2]))
    for told, level in ((0, 0), (torch.tensor([20, 300, 450]), torch.tensor([20, 300, 450])), (980, 499)):
        expected = torch.cosine_similarity(
            timed.network.encode_motion(
                timed.normalise(motion, lengths, "kinematic"), lengths, "kinematic", level
            ).mean,
            timed.network.encode_text(features.tokens, features.mask, level).mean,
        )
        torch.testing.assert_close(timed(motion, lengths, condition, told)[1]["semantic"], expected)
