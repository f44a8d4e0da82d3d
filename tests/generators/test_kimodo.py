"""Kimodo: what it is asked for beside text, how many passes that takes, what pre-training shows it, its files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.files.formats.base import WritingOptions
from motionrft.files.formats.kimodo_npz import KimodoFormat
from motionrft.files.motions import read_motions
from motionrft.files.recording import Motion
from motionrft.generators.base import Condition
from motionrft.generators.kimodo import Kimodo
from motionrft.generators.sampling import sample
from motionrft.generators.wishes import ByPrompt
from motionrft.representations.convert import convert
from motionrft.representations.kimodo.features import KimodoFeatures, canonical
from motionrft.representations.kimodo.ours import kimodo_to_joints, rotation_to_kimodo
from motionrft.representations.mirror import mirror
from motionrft.representations.resample import resample
from motionrft.representations.statistics import Statistics
from tests.generators.families import tiny
from tests.representations.people import rotations

PATH = [{"type": "root2d", "frame_indices": [0, 9], "smooth_root_2d": [[0, 0], [1, 2]]}]
LENGTHS = torch.tensor([24, 40])


@pytest.fixture(scope="module")
def walk() -> Tensor:
    """(T, 369) SOMA's features of one of the tests' people."""
    return rotation_to_kimodo(rotations(45, seed=3).float())[0]


@pytest.fixture
def generator() -> Kimodo:
    made = tiny("kimodo")
    assert isinstance(made, Kimodo)
    return made


class Passes:
    """What a denoiser was told in each pass, in place of the denoiser."""

    def __init__(self) -> None:
        self.rows: list[tuple[bool, bool]] = []

    def __call__(self, x, t, text, lengths, heading, bridge, observed=None, mask=None) -> Tensor:
        told = torch.zeros_like(x) if mask is None else mask
        self.rows = [(bool(a.any()), bool(b.any())) for a, b in zip(text, told, strict=True)]
        return torch.where(told > 0, observed, x) if observed is not None else x


def told(generator: Kimodo) -> Condition:
    return generator.told(generator.encode_text(["a person walks"] * 2), LENGTHS)


def predicted(generator: Kimodo, guidance: float) -> list[tuple[bool, bool]]:
    passes = Passes()
    object.__setattr__(generator, "_modules", {**generator._modules, "denoiser": None})
    generator.__dict__["denoiser"] = passes
    generator.predict(torch.zeros(2, 40, 369), torch.tensor(5), told(generator), LENGTHS, guidance)
    return passes.rows


def test_two_passes_guide_and_constraints_take_a_third(generator: Kimodo) -> None:
    assert generator.passes(1.0) == 1 and generator.passes(2.0) == 2
    assert predicted(generator, 2.0) == [(True, False)] * 2 + [(False, False)] * 2
    generator.ask(PATH)
    assert generator.passes(1.0) == 1 and generator.passes(2.0) == 3
    assert predicted(generator, 2.0) == [(True, False)] * 2 + [(False, True)] * 2 + [(False, False)] * 2
    assert predicted(generator, 1.0) == [(True, True)] * 2


def test_what_is_asked_for_is_what_the_network_is_told(generator: Kimodo) -> None:
    generator.ask(PATH, heading=0.5)
    asked = told(generator).constraints
    assert asked is not None and asked.mask is not None and asked.observed is not None
    assert torch.allclose(asked.heading, torch.tensor([0.5, 0.5]))
    assert asked.mask.nonzero().tolist() == [[i, f, c] for i in (0, 1) for f in (0, 9) for c in (0, 2)]
    plain = generator.statistics.denormalise(asked.observed)
    torch.testing.assert_close(plain[:, 9, [0, 2]], torch.tensor([[1.0, 2.0]]).expand(2, 2))


def test_a_heading_and_constraints_change_what_is_sampled(generator: Kimodo) -> None:
    condition, settings = generator.encode_text(["a person walks"] * 2), generator.sampling(steps=3)

    def made() -> Tensor:
        return sample(generator, condition, LENGTHS, [1, 2], settings).motion

    free = made()
    generator.ask(None, 1.0)
    turned = made()
    generator.ask(PATH)
    held = made()
    assert not torch.allclose(free, turned) and not torch.allclose(free, held)
    generator.ask()
    assert torch.equal(made(), free)


def test_a_first_heading_that_is_wished_for_is_also_told(generator: Kimodo) -> None:
    generator.ask([{**PATH[0], "global_root_heading": [[0.0, 1.0], [1.0, 0.0]]}])
    constraints = told(generator).constraints
    assert constraints is not None
    torch.testing.assert_close(constraints.heading, torch.full((2,), torch.pi / 2))


WRONG = {
    "no list": ({"type": "root2d"}, "are a list"),
    "unknown": ([{"type": "tail"}], "type is 'tail'"),
    "beyond the end": ([{**PATH[0], "frame_indices": [0, 30]}], "frame 30 is outside the motion's 24"),
    "three numbers": ([{**PATH[0], "smooth_root_2d": [[0, 0, 0], [1, 1, 1]]}], "smooth_root_2d"),
    "no pose": ([{"type": "fullbody", "frame_indices": [0]}], "root_positions is missing"),
    "no joints named": (
        [
            {
                "type": "end-effector",
                "frame_indices": [0],
                "root_positions": [[0, 1, 0]],
                "local_joints_rot": [[[0, 0, 0]] * 30],
            }
        ],
        "joint_names is None",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_constraints_are_named(generator: Kimodo, wrong: str) -> None:
    wishes, said = WRONG[wrong]
    generator.ask(wishes, origin="walk.json")
    with pytest.raises(UserError, match=rf"walk\.json: .*{said}"):
        generator.check_asked(["a person walks"], torch.tensor([24]))


def test_a_prompt_may_have_constraints_of_its_own(generator: Kimodo) -> None:
    asked = ByPrompt()
    asked.add("A person walks.", PATH, "line 1")
    asked.add("somebody sits", [], "line 2")
    generator.ask(asked, origin="all.jsonl")
    texts, frames = ["a person  walks", "a person waves"], torch.tensor([24, 24])
    condition = generator.told(generator.encode_text(texts).index(torch.tensor([1, 0])), frames)
    constraints = condition.constraints
    assert constraints is not None and constraints.mask is not None
    assert constraints.mask.flatten(1).any(1).tolist() == [False, True]
    generator.ask(PATH)
    alone = generator.told(generator.encode_text(texts[:1]), frames[:1]).constraints
    assert alone is not None and alone.observed is not None and constraints.observed is not None
    assert torch.equal(constraints.observed[1], alone.observed[0])


def test_constraints_of_prompts_are_checked_before_anything_is_made(generator: Kimodo) -> None:
    asked = ByPrompt()
    asked.add(
        "a person walks", [{"type": "root2d", "frame_indices": [20], "smooth_root_2d": [[1, 2]]}], "line 7"
    )
    asked.add("somebody sits", [], "line 8")
    generator.ask(asked, origin="all.jsonl")
    texts = ["a person walks", "a person waves"]
    said = generator.check_asked(texts, torch.tensor([24, 20]))
    assert said == "all.jsonl: constraints for 1 of 2 prompts; 1 of its prompts are not among these."
    with pytest.raises(UserError, match=r"line 7: .*frame 20 is outside"):
        generator.check_asked(texts, torch.tensor([20, 24]))
    with pytest.raises(UserError, match="none of its prompts is one of these"):
        generator.check_asked(texts[1:], torch.tensor([24]))


def test_other_families_refuse_constraints_and_a_heading() -> None:
    with pytest.raises(UserError, match="family mdm takes neither"):
        tiny("mdm").ask(PATH)


def test_pre_training_shows_motions_facing_anywhere(generator: Kimodo, walk: Tensor) -> None:
    frames = torch.tensor([len(walk)] * 8)
    generator.learn_statistics(Statistics.of_clips([walk], "kimodo"), [walk])
    x0 = generator.encode(walk.expand(8, -1, -1), frames)
    condition = generator.encode_text(["a person walks"] * 8)
    shown, told = generator.augmented(x0, frames, condition, torch.Generator().manual_seed(1))
    features = KimodoFeatures(generator.statistics.denormalise(shown))
    asked = told.constraints
    assert asked is not None and asked.mask is not None and asked.observed is not None
    apart = features.heading_angle[:, 0] - asked.heading
    torch.testing.assert_close(torch.cos(apart), torch.ones(8))
    assert float(asked.heading.std()) > 0.5
    torch.testing.assert_close(canonical(features.values)[0], walk, rtol=0, atol=1e-4)
    wished = asked.mask.flatten(1).any(1)
    assert 0 < int(wished.sum()) < 8
    assert torch.equal(asked.observed, shown * asked.mask)
    again = torch.Generator().manual_seed(1)
    part, told = generator.augmented(x0[5:], frames, condition, again, slice(5, 8))  # another process's rows
    torch.testing.assert_close(part, shown[5:])
    assert told.constraints is not None and torch.equal(told.constraints.mask, asked.mask[5:])


def test_a_mirrored_motion_is_its_mirror_image(walk: Tensor) -> None:
    mirrored = mirror(walk, "kimodo")
    assert torch.equal(mirror(mirrored, "kimodo"), walk)
    expected = mirror(kimodo_to_joints(walk[None])[0], "joints")
    torch.testing.assert_close(kimodo_to_joints(mirrored[None])[0], expected, rtol=0, atol=0.005)


def test_features_at_another_rate_are_the_same_motion(walk: Tensor) -> None:
    there = resample(resample(walk, "kimodo", 30, 60), "kimodo", 60, 30)
    apart = kimodo_to_joints(there[None]) - kimodo_to_joints(walk[None])
    assert float(apart.abs().max()) < 1e-3


def test_rotations_stand_on_our_skeleton_where_the_body_stood(walk: Tensor) -> None:
    played = convert(walk[None], "kimodo", "rotation")
    ours, theirs = convert(played, "rotation", "joints")[0], kimodo_to_joints(walk[None])[0]
    assert float((ours[..., 1].amin() - theirs[..., 1].amin()).abs()) < 0.02
    steps = [joints[:, 0, [0, 2]].diff(dim=0).norm(dim=-1).sum() for joints in (ours, theirs)]
    assert 0.9 < float(steps[0] / steps[1]) < 1.1


def test_the_whole_motion_is_written_with_all_its_joints(walk: Tensor, tmp_path: Path) -> None:
    motion = Motion(walk.numpy(), "kimodo", 30.0, Path("walk"))
    KimodoFormat().write(tmp_path / "walk.npz", motion, WritingOptions())
    with np.load(tmp_path / "walk.npz") as members:
        assert members["posed_joints"].shape == (45, 77, 3) and members["foot_contacts"].dtype == bool
        np.testing.assert_allclose(members["smooth_root_pos"], walk[:, :3], atol=1e-6)
    (again,) = read_motions(tmp_path / "walk.npz")
    expected = convert(walk[None], "kimodo", "joints")[0]
    torch.testing.assert_close(torch.from_numpy(again.array), expected, rtol=0, atol=1e-5)


def test_stages_and_the_bridge_between_them_are_exact_under_autocast(generator: Kimodo) -> None:
    x, condition = torch.randn(2, 40, 369), generator.encode_text(["a person walks"] * 2)
    plain = generator.predict(x, torch.tensor(500), condition, LENGTHS, 1.0)
    plain = plain.detach()
    with torch.autocast("cpu", torch.bfloat16):
        found = generator.predict(x, torch.tensor(500), condition, LENGTHS, 1.0)
        bridged = generator.statistics.local_root_of(plain[..., :5], LENGTHS)
    assert found.dtype == torch.float32 and bridged.dtype == torch.float32
    assert torch.equal(bridged, generator.statistics.local_root_of(plain[..., :5], LENGTHS))
    torch.testing.assert_close(found, plain, rtol=0, atol=0.1 * float(plain.abs().max()))


def test_a_reward_of_positions_would_never_reach_the_rotations_that_are_exported(walk: Tensor) -> None:
    reached = {}
    for way in ("positions", "kinematics"):
        values = walk[None].clone().requires_grad_()
        features = KimodoFeatures(values)
        joints = features.joints_of_positions() if way == "positions" else kimodo_to_joints(values)
        joints[..., 1].square().sum().backward()
        assert values.grad is not None
        gradient = KimodoFeatures(values.grad)
        reached[way] = (bool(gradient.sixd.any()), bool(gradient.positions[..., 1:, :].any()))
    assert reached == {"positions": (False, True), "kinematics": (True, False)}
