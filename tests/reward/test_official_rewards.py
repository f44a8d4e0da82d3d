"""Published reward checkpoints: rebuilt from small networks, read back strictly, refused where they must be."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from motionrft.data import MotionDataset, pad
from motionrft.errors import UserError
from motionrft.finetuning.loading import identities, load_parts
from motionrft.finetuning.preset import FinetunePreset
from motionrft.loading import load_reward, reward_identity
from motionrft.official.motionreward import collect, deal_out, size_of
from motionrft.official.rewards import (
    Beside,
    convert_reward,
    is_checkpoint,
    read_reward,
)
from motionrft.reward.motioncritic import axis_angles
from motionrft.reward.motionreward.encoder import MotionRewardNetwork
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft.reward.motionreward.sizes import PUBLISHED_SIZES, RewardSize
from motionrft_cli import main as program
from tests.reward.published import write_backbone, write_critic, write_motioncritic, write_tmr


def test_a_backbone_with_adapters_of_any_rank(
    checkpoints: Path,
    reward: MotionReward,
    dataset: MotionDataset,
) -> None:
    path = write_backbone(checkpoints, reward.network, **{"clip.weight": torch.ones(2)})
    critic = write_critic(checkpoints, reward.network)
    assert is_checkpoint(path)
    loaded = read_reward(path)
    assert isinstance(loaded, MotionReward) and loaded.terms == ("semantic", "similarity", "preference")
    loaded.weigh({"preference": 1.0})
    motion, lengths = pad([dataset.motion(number) for number in range(3)])
    score = loaded(motion, lengths, loaded.prepare([]))[0]
    expected = critic(
        reward.network.motion, reward.normalise(motion, lengths, "kinematic"), lengths, "kinematic"
    )
    torch.testing.assert_close(score, expected[:, 0])
    with pytest.raises(UserError, match="sentence-t5-large is not on this machine"):
        loaded.weigh({"semantic": 1.0})
        loaded.prepare(["a person walks"])


def test_the_identity_of_a_checkpoint_covers_the_critics_beside_it(
    checkpoints: Path, reward: MotionReward
) -> None:
    path = write_backbone(checkpoints, reward.network)
    alone = reward_identity(path)
    assert reward_identity(path) == alone
    write_critic(checkpoints, reward.network)
    assert reward_identity(path) != alone


def test_fine_tuning_names_a_checkpoint_as_its_reward(checkpoints: Path, reward: MotionReward) -> None:
    path = write_motioncritic(checkpoints)
    preset = FinetunePreset.of({"reward": str(path), "weights": {"preference": 1.0}})
    assert identities(preset)["reward"] == reward_identity(path)
    parts = load_parts(preset, torch.device("cpu"))
    motion = torch.randn(1, 60, 263) * parts.generator.get_buffer("std") + parts.generator.get_buffer("mean")
    score, _ = parts.reward(motion, torch.tensor([60]), parts.reward.prepare(["a person walks"]))
    assert torch.isfinite(score).all()


def test_names_with_injected_adapters_are_read_whole(checkpoints: Path, reward: MotionReward) -> None:
    injected = {}
    for key, value in collect(reward.network.state_dict()).items():
        key = key.replace(".linear1.", ".linear1.original_linear.")
        injected[key.replace(".self_attn.", ".self_attn.original_mha.")] = value
    config = {"encoder_num_heads": 4, "text_num_heads": 4}
    path = checkpoints / "backbone.pth"
    torch.save({"state_dict": injected, "model_config": config}, path)
    for name, value in read_reward(path).network.state_dict().items():  # type: ignore[union-attr, operator]
        assert torch.equal(value, reward.network.state_dict()[name])


def test_a_missing_tensor_is_an_error_and_nothing_is_loaded(checkpoints: Path, reward: MotionReward) -> None:
    path = write_backbone(checkpoints, reward.network)
    content = torch.load(path, weights_only=True)
    del content["state_dict"]["encoder.norm.weight"]
    torch.save(content, path)
    with pytest.raises(UserError, match=r"motion\.encoder\.norm\.weight is missing"):
        read_reward(path)
    content["state_dict"]["surprise.weight"] = torch.ones(1)
    torch.save(content, path)
    with pytest.raises(UserError, match=r"unexpected keys surprise\.weight"):
        read_reward(path)


def test_two_adapters_are_one_question(checkpoints: Path, reward: MotionReward) -> None:
    path = write_backbone(checkpoints, reward.network)
    for rank in (3, 5):
        write_critic(checkpoints, reward.network, rank, f"_number{rank}", f"_number{rank}")
    with pytest.raises(UserError, match=r"which adapters\? stage2_critic_lora_number3.pth \(rank 3\)"):
        read_reward(path)
    chosen = read_reward(path, beside=Beside(rank=5))
    assert chosen.critics["preference"].adapter.rank == 5  # type: ignore[union-attr, operator, index]
    with pytest.raises(UserError, match="no adapters of rank 16 there"):
        read_reward(path, beside=Beside(rank=16))


def test_statistics_are_never_made_up(tmp_path: Path, reward: MotionReward) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    path = write_backbone(tmp_path / "a" / "b", reward.network)
    with pytest.raises(UserError, match=r"statistics it was trained with are missing"):
        read_reward(path)


class Payload:
    """A pickle that would write a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(Payload.target), "w"))

    target = Path("unset")


def test_a_planted_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    Payload.target = tmp_path / "ran"
    path = tmp_path / "stage1_retrieval_backbone.pth"
    path.write_bytes(pickle.dumps({"state_dict": Payload()}))
    with pytest.raises(UserError, match="Nothing was run"):
        load_reward(path)
    assert not Payload.target.exists()


def test_conversion_gives_a_folder_that_judges_alike(
    checkpoints: Path,
    reward: MotionReward,
    dataset: MotionDataset,
) -> None:
    path = write_backbone(checkpoints, reward.network)
    convert_reward(path, checkpoints / "converted")
    direct, converted = load_reward(path), load_reward(checkpoints / "converted")
    motion, lengths = pad([dataset.motion(number) for number in range(2)])
    expected = direct.embed_motion(motion, lengths)  # type: ignore[operator]
    torch.testing.assert_close(converted.embed_motion(motion, lengths), expected)  # type: ignore[operator]


def test_published_sizes_tell_the_heads() -> None:
    network = MotionRewardNetwork(PUBLISHED_SIZES["small"])
    size = size_of(collect(network.state_dict()))
    assert (size.heads, size.text_heads, size.layers, size.projection_layers) == (6, 6, 5, 2)
    assert set(deal_out(collect(network.state_dict()))) == set(network.state_dict())


def test_tmr_reads_with_its_prefixes(checkpoints: Path, dataset: MotionDataset) -> None:
    loaded = load_reward(write_tmr(checkpoints), {"similarity": 1.0})
    motion, lengths = pad([dataset.motion(number) for number in range(2)])
    total, _ = loaded(motion, lengths, loaded.prepare([], motion, lengths))
    torch.testing.assert_close(total, torch.ones(2))


def test_motioncritic_reads_and_judges_without_padding(checkpoints: Path, dataset: MotionDataset) -> None:
    loaded = load_reward(write_motioncritic(checkpoints), representation="rotation")
    motion, lengths = pad([dataset.motion(number, "rotation") for number in range(3)])
    scores = loaded(motion, lengths, loaded.prepare([]))[1]["preference"]
    alone = loaded.network(axis_angles(motion[:1, : int(lengths[0])]))  # type: ignore[operator]
    torch.testing.assert_close(scores[:1], alone)


def test_axis_angles_of_known_turns() -> None:
    rotation = torch.zeros(1, 1, 135)
    quarter = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # 90 degrees about x
    still = torch.eye(3)
    sixd = torch.stack([(quarter if joint == 3 else still)[:, :2].reshape(6) for joint in range(22)])
    rotation[0, 0, 3:] = sixd.flatten()
    rotation[0, 0, :3] = torch.tensor([1.0, 2.0, 3.0])
    rotation.requires_grad_()
    angles = axis_angles(rotation)
    torch.testing.assert_close(angles[0, 0, 3], torch.tensor([torch.pi / 2, 0, 0]))
    torch.testing.assert_close(angles[0, 0, 24], torch.tensor([1.0, 2.0, 3.0]))
    assert angles[0, 0, [0, 1, 2, *range(4, 24)]].abs().max() < 1e-6
    angles.sum().backward()
    assert rotation.grad is not None and torch.isfinite(rotation.grad).all()


def test_unknown_checkpoints_say_what_is_known(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save({"weights": torch.ones(1)}, path)
    with pytest.raises(UserError, match="Known are motionreward, spm, tmr, motioncritic"):
        load_reward(path)


def test_size_is_one_of_ours(size: RewardSize) -> None:
    network = MotionRewardNetwork(size)
    config = {"encoder_num_heads": 4, "text_num_heads": 4}
    found = size_of(collect(network.state_dict()), config)
    assert (found.latent, found.width, found.positions, found.text_width) == (16, 32, 60, 24)


def test_convert_recognises_a_reward(
    checkpoints: Path, reward: MotionReward, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_backbone(checkpoints, reward.network)
    out = checkpoints / "converted"
    assert program.run(["convert", str(path), "--to", "motionrft", "--out", str(out)]) == 0
    assert "score motions/ --reward" in capfd.readouterr().err
    assert load_reward(out).width == 16  # type: ignore[attr-defined]
    assert (
        program.run(["convert", str(path), "--to", "motionrft", "--family", "tmr", "--out", str(out) + "2"])
        == 2
    )
    assert "looks like motionreward" in capfd.readouterr().err
