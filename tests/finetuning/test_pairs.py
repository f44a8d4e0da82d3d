"""DPO on given pairs: the file that `train-reward` reads, with the prompts that the motions were made for."""

import json

import numpy as np
import pytest
import torch

from motionrft.errors import UserError
from motionrft.finetuning.pairs import read_pair_prompts
from motionrft.finetuning.prepared_prompts import PreparedPrompts
from motionrft.finetuning.preset import FinetunePreset
from motionrft.reward.motionreward.pairs import read_pairs
from tests.finetuning.small import TEXTS, small_generator, small_preset, small_trainer


@pytest.fixture
def pairs(tmp_path):
    """Six pairs: the better ones are still, the worse ones noise; lengths differ within a pair."""
    rng, lines = np.random.default_rng(0), []
    for number, text in enumerate(TEXTS):
        for side, frames, scale in (("better", 40, 0.0), ("worse", 28 + 4 * number, 1.0)):
            motion = scale * rng.standard_normal((frames, 263), dtype=np.float32)
            np.save(tmp_path / f"{side}{number}.npy", motion)
        better, worse = f"better{number}.npy", f"worse{number}.npy"
        lines.append({"prompt": text, "better": better, "worse": worse, "kind": "integrity", "margin": 0.4})
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_pairs_are_cut_to_the_shorter_motion_and_keep_their_prompt(pairs):
    prompts = read_pair_prompts(pairs, small_generator())
    assert prompts.texts == TEXTS and prompts.lengths.tolist() == [28, 32, 36, 40, 40, 40]
    assert prompts.motions(torch.tensor([0, 1]), "kinematic", 20.0).shape == (2, 32, 263)
    assert prompts.worse_motions(torch.tensor([0])).std() > 0.5 > prompts.better[0].std()
    assert len(read_pairs(pairs, ["kinematic"])) == 6, "the same file trains a reward"


def test_a_motion_that_is_none_by_itself_or_of_an_unsaid_rate_is_refused(pairs, monkeypatch):
    generator = small_generator()
    monkeypatch.setattr(generator, "fps", 30.0)
    with pytest.raises(
        UserError, match=r"better0.npy: does not say its rate, which may be 20 or .* 30 frames"
    ):
        read_pair_prompts(pairs, generator)
    np.save(pairs.parent / "better0.npy", np.zeros((2, 40, 263), np.float32))
    with pytest.raises(UserError, match=r"better0.npy: holds 2 motions"):
        read_pair_prompts(pairs, small_generator())


def test_dpo_learns_from_given_pairs_without_sampling_or_judging(pairs):
    preset = small_preset(method={"method": "dpo", "beta": 100.0}, pairs=str(pairs))
    trainer = small_trainer(preset)
    assert preset.needs == {"motion"}
    prompts = read_pair_prompts(pairs, trainer.context.generator)
    trainer.prepared = PreparedPrompts(
        trainer.context.generator, None, prompts, 0, torch.device("cpu"), None, None, motions=True
    )
    trainer.optimiser.settings = preset.optimiser.model_copy(update={"lr": 3e-3})
    lines = [trainer.update(step)[0] for step in range(12)]
    assert lines[0]["loss"] == pytest.approx(np.log(2)) and "reward" not in lines[0]
    assert sum(line["loss"] for line in lines[-3:]) / 3 < np.log(2) and lines[-1]["accuracy"] > 0.5


def test_pairs_are_for_dpo_alone():
    with pytest.raises(ValueError, match="pairs are what dpo learns from, not easytune"):
        FinetunePreset.of({"pairs": "pairs.jsonl"})
    with pytest.raises(ValueError, match="prompts and pairs are both given"):
        FinetunePreset.of({"method": {"method": "dpo"}, "pairs": "pairs.jsonl", "prompts": "p.txt"})


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"better": "better0.npy", "worse": "worse0.npy"}', "text"),
        ('{"prompt": "walks", "better": "better0.npy"}', "worse"),
        ('{"prompt": "walks", "better": "better0.npy", "worse": "short.npy"}', "at least"),
    ],
)
def test_a_line_that_is_no_pair_is_named(pairs, line, words):
    np.save(pairs.parent / "short.npy", np.zeros((3, 263), np.float32))
    pairs.write_text(line)
    with pytest.raises(UserError, match=f"pairs.jsonl: line 1.*{words}"):
        read_pair_prompts(pairs, small_generator())


def test_published_stacks_say_no_prompt(tmp_path):
    with pytest.raises(UserError, match="needs the prompt of each pair"):
        read_pair_prompts(tmp_path / "critic_263.pth", small_generator())


def test_motions_of_another_skeleton_are_named_before_anything_is_tuned(pairs):
    generator = small_generator()
    generator.mean = torch.zeros(251)  # as one of KIT-ML has it
    with pytest.raises(UserError, match=r"line 1.*263 features a frame, and this generator makes 251"):
        read_pair_prompts(pairs, generator)
