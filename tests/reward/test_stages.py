"""Stages 2 and 3: pairs, fakes of equal lengths, and what the critics learn."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from motionrft.data import MotionDataset
from motionrft.errors import UserError
from motionrft.loading import load_reward
from motionrft.reward.folder import save_reward
from motionrft.reward.motionreward import stages
from motionrft.reward.motionreward.clips import clips_of
from motionrft.reward.motionreward.fakes import GENERATED, REAL, length_baseline, matched, published_fakes
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft.reward.motionreward.pairs import perturbed_pairs, published_pairs, read_pairs
from motionrft.reward.motionreward.perturbations import PERTURBATIONS
from motionrft.reward.motionreward.preset import TrainRewardPreset
from motionrft.reward.motionreward.reward_session import RewardSession
from motionrft.reward.motionreward.training import train_reward
from motionrft.training.progress import Silent
from tests.reward.conftest import motions_of, person

ALL = ("kinematic", "joints", "rotation")
SMALL = {
    "preference": {
        "rank": 4,
        "updates": 30,
        "batch": 8,
        "count": 24,
        "validation": 12,
        "optimiser": {"lr": 3e-3},
    },
    "authenticity": {"rank": 4, "updates": 30, "batch": 8, "optimiser": {"lr": 3e-3}},
}


def draws() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_strength_zero_changes_nothing_and_more_changes_more(kind: str) -> None:
    joints = person(40, 0.8, 0.4)
    change = [
        (PERTURBATIONS[kind](joints, strength, draws()) - joints).norm(dim=-1).mean().item()
        for strength in (0.0, 0.3, 1.0)
    ]
    assert change[0] == pytest.approx(0.0, abs=1e-5)
    assert 0 < change[1] < change[2]


def test_pairs_are_graded_faults_in_every_representation(dataset: MotionDataset) -> None:
    pairs = perturbed_pairs(dataset, 12, ["jitter", "floating"], ALL, seed=0)
    assert [pair.kind for pair in pairs[:2]] == ["jitter", "floating"]
    for pair in pairs:
        assert set(pair.better) == set(ALL)
        assert len(pair.better["joints"]) == len(pair.worse["joints"]) == len(pair.better["kinematic"]) + 1
    again = perturbed_pairs(dataset, 12, ["jitter", "floating"], ALL, seed=0)
    assert torch.equal(pairs[3].worse["kinematic"], again[3].worse["kinematic"])
    with pytest.raises(UserError, match="no perturbation is called 'tickling'"):
        perturbed_pairs(dataset, 2, ["tickling"], ALL, seed=0)


def test_pairs_of_a_user_are_read_and_converted(tmp_path: Path) -> None:
    for name, number in (("a", 0), ("b", 1)):
        np.save(tmp_path / f"{name}.npy", motions_of(number)["joints"].numpy())
    (tmp_path / "pairs.jsonl").write_text('{"better": "a.npy", "worse": "b.npy", "kind": "mine"}\n\n')
    (pair,) = read_pairs(tmp_path / "pairs.jsonl", ALL)
    assert pair.kind == "mine" and set(pair.better) == set(ALL)
    (slow,) = read_pairs(tmp_path / "pairs.jsonl", ALL, fps=10.0)
    assert len(slow.better["joints"]) == (len(pair.better["joints"]) + 1) // 2
    np.save(tmp_path / "batch.npy", np.stack([motions_of(0)["joints"].numpy()] * 2))
    (tmp_path / "two.jsonl").write_text('{"better": "a.npy", "worse": "batch.npy"}\n')
    with pytest.raises(UserError, match=r"batch\.npy: holds 2 motions"):
        read_pairs(tmp_path / "two.jsonl", ALL)
    (tmp_path / "pairs.jsonl").write_text('{"better": "a.npy"}\n')
    with pytest.raises(UserError, match=r"pairs\.jsonl: line 1"):
        read_pairs(tmp_path / "pairs.jsonl", ALL)


def test_published_pairs_in_their_four_shapes() -> None:
    flat, joints = torch.randn(60, 263), torch.randn(60, 22, 3)
    for motion, width in ((flat, 263), (flat[None], 263), (joints, 66), (joints[None], 66)):
        content = [{"motion_better": motion, "motion_worse": motion + 1}]
        (pair,) = published_pairs(content, Path("critic.pth"), "any")
        assert pair.better["any"].shape == (60, width)
    stacks = {"motion_better": torch.zeros(5, 60, 263), "motion_worse": torch.ones(5, 60, 263)}
    assert len(published_pairs(stacks, Path("critic.pth"), "kinematic")) == 5
    with pytest.raises(UserError, match="not a list of pairs"):
        published_pairs([{"better": flat}], Path("critic.pth"), "kinematic")


def test_published_fakes_have_their_true_lengths() -> None:
    content = {"263": {"motions": torch.ones(2, 196, 263), "lengths": torch.tensor([40, 77])}}
    clips = published_fakes(content, Path("ai.pth"), "kinematic", "263")
    assert [len(clip["kinematic"]) for clip in clips] == [40, 77]
    with pytest.raises(UserError, match="no motions of 135"):
        published_fakes(content, Path("ai.pth"), "rotation", "135")


def test_lengths_alone_tell_nothing(dataset: MotionDataset) -> None:
    fakes = clips_of([person(20 + 2 * n, 0.0, 0.0) for n in range(10)], "joints", ALL)
    clips = matched(dataset, fakes, seed=0)
    lengths = {
        label: sorted(len(c.clip["joints"]) for c in clips if c.label == label) for label in (REAL, GENERATED)
    }
    assert lengths[REAL] == lengths[GENERATED]
    for name in ALL:
        assert length_baseline(clips[:10], clips[10:], name) == pytest.approx(0.5)
        assert length_baseline(clips, clips, name) == pytest.approx(0.5)


def test_a_length_classifier_would_see_the_published_leak(dataset: MotionDataset) -> None:
    fakes = clips_of([person(20 + 2 * n, 0.0, 0.0) for n in range(10)], "joints", ("joints",))
    clips = matched(dataset, fakes, seed=0)
    window = [c if c.label == GENERATED else type(c)({"joints": torch.zeros(196, 66)}, REAL) for c in clips]
    assert length_baseline(window, window, "joints") == 1.0


def settings(data: Path, stage: str, fakes: Path | None = None) -> TrainRewardPreset:
    authenticity = {**SMALL["authenticity"], "fakes": str(fakes)} if fakes else SMALL["authenticity"]
    values = {**SMALL, "authenticity": authenticity, "data": str(data), "stage": stage}
    return TrainRewardPreset.of(values)


def session(out: Path, **options: bool) -> RewardSession:
    return RewardSession(out, torch.device("cpu"), torch.float32, lambda stage: Silent(), **options)  # type: ignore[arg-type]


def test_all_later_stages_from_a_base(
    reward: MotionReward, data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fakes = tmp_path / "fakes"
    fakes.mkdir()
    for number in range(15):
        trembling = PERTURBATIONS["jitter"](person(24 + number, 0.5, 0.2), 0.8, draws())
        np.save(fakes / f"{number:02d}.npy", trembling.numpy())
    reward.about = {"stages": ["semantic"], "fps": 20.0, "recall": {}}
    save_reward(tmp_path / "run" / "reward", reward)
    before = {name: value.clone() for name, value in reward.network.state_dict().items()}

    train_reward(settings(data_folder, "preference"), session(tmp_path / "run", resume=True))
    both = train_reward(settings(data_folder, "authenticity", fakes), session(tmp_path / "run", resume=True))
    assert both.about["stages"] == ["semantic", "preference", "authenticity"]
    assert all(torch.equal(value, before[name]) for name, value in both.network.state_dict().items())
    assert set(both.about["preference"]) == set(ALL)
    assert both.about["preference"]["kinematic"]["acc"] > 0.5
    assert both.about["authenticity"]["joints"]["length_only"] == pytest.approx(0.5)
    lines = (tmp_path / "run" / "preference" / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert sum(losses[-6:]) < sum(losses[:6])

    loaded = load_reward(tmp_path / "run", {"semantic": 1.0, "preference": 0.1, "authenticity": 1.0})
    motion = person(30, 0.5, 0.2)[None]
    loaded.expect("joints")  # type: ignore[attr-defined]
    _, terms = loaded(motion, torch.tensor([30]), loaded.prepare(["a person walks"]))
    assert set(terms) == {"semantic", "preference", "authenticity"}
    assert 0 <= terms["authenticity"].item() <= 1


def test_a_later_stage_needs_a_first_one(data_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="trained on a finished first stage"):
        train_reward(settings(data_folder, "preference"), session(tmp_path / "run"))


def test_held_out_kinds_are_looked_at_and_not_trained_on(
    reward: MotionReward, data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_reward(tmp_path / "base", reward)
    trained: list[str] = []
    made = stages.perturbed_pairs

    def spy(data: MotionDataset, count: int, kinds: list[str], names: tuple[str, ...], seed: int) -> list:
        trained.append(",".join(kinds))
        return made(data, count, kinds, names, seed)

    monkeypatch.setattr(stages, "perturbed_pairs", spy)
    part = {**SMALL["preference"], "updates": 2, "kinds": ["jitter", "floating"], "held_out": ["floating"]}
    preset = TrainRewardPreset.of(
        {"data": str(data_folder), "stage": "preference", "base": str(tmp_path / "base"), "preference": part}
    )
    result = train_reward(preset, session(tmp_path / "run"))
    assert trained == ["jitter", "jitter,floating"]
    assert "acc/floating" in result.about["preference"]["joints"]


def test_a_first_stage_trained_further_begins_with_its_base(
    reward: MotionReward, data_folder: Path, tmp_path: Path
) -> None:
    reward.about = {"stages": ["semantic"], "fps": 20.0, "recall": {}}
    save_reward(tmp_path / "base", reward)
    before = {name: value.clone() for name, value in reward.network.state_dict().items()}
    semantic = {"updates": 2, "batch": 4, "optimiser": {"lr": 1e-6, "warmup": 0}}
    values = {"data": str(data_folder), "stage": "semantic", "base": str(tmp_path / "base")}
    run = session(tmp_path / "run")
    further = train_reward(TrainRewardPreset.of({**values, "semantic": semantic}), run)
    moved = [(value - before[name]).abs().max() for name, value in further.network.state_dict().items()]
    assert 0 < max(moved) < 1e-4
    assert (tmp_path / "run" / "reward" / "config.json").is_file()
    hashes = json.loads((tmp_path / "run" / "semantic" / "env.json").read_text())["hashes"]
    assert "base" in hashes


@pytest.mark.parametrize(
    "fault, said",
    [
        ("rate", "learnt motions at 30 frames a second, and"),
        ("representation", "judges rotation too, and"),
        ("width", "kinematic motions of 263 values a frame, and"),
    ],
)
def test_a_base_of_other_data_is_refused(
    fault: str,
    said: str,
    reward: MotionReward,
    data_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reward.about = {"fps": 30.0 if fault == "rate" else 20.0}
    save_reward(tmp_path / "base", reward)
    if fault == "representation":
        monkeypatch.setattr(MotionDataset, "representations", ("kinematic", "joints"))
    if fault == "width":
        monkeypatch.setattr(MotionDataset, "width", lambda self, name: 251)
    values = {"data": str(data_folder), "stage": "semantic", "base": str(tmp_path / "base")}
    with pytest.raises(UserError, match=said):
        train_reward(TrainRewardPreset.of(values), session(tmp_path / "run"))
    assert not (tmp_path / "run" / "semantic").exists()


def test_representations_brought_to_a_reward_leave_everything_else_as_it_was(
    reward: MotionReward, data_folder: Path, tmp_path: Path
) -> None:
    reward.noise_steps = 300
    save_reward(tmp_path / "base", reward)
    before = {name: value.clone() for name, value in reward.network.state_dict().items()}
    semantic = {
        "updates": 3,
        "batch": 4,
        "only": ["joints", "rotation"],
        "optimiser": {"lr": 1e-3, "warmup": 0},
    }
    values = {
        "data": str(data_folder),
        "stage": "semantic",
        "base": str(tmp_path / "base"),
        "semantic": semantic,
    }
    brought = train_reward(TrainRewardPreset.of(values), session(tmp_path / "run"))
    assert brought.noise_steps == 300
    moved = {
        name for name, value in brought.network.state_dict().items() if not torch.equal(value, before[name])
    }
    assert {name.split(".")[1] for name in moved} >= {"proj_22x3", "proj_135"}
    assert all(name.split(".")[1].endswith(("_22x3", "_135")) for name in moved)


@pytest.mark.parametrize("values", [{"stage": "semantic"}, {"stage": "all", "base": "builtin"}])
def test_bringing_representations_needs_a_base_and_the_first_stage_alone(values: dict[str, str]) -> None:
    with pytest.raises(UserError, match=r"semantic\.only .* needs base, and stage semantic"):
        TrainRewardPreset.of({"semantic": {"only": ["joints"]}, **values})
