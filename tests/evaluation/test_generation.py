"""Evaluating generators and folders: same seed, same numbers; batch and order do not matter; mistakes are told."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from motionrft.errors import UserError
from motionrft.evaluation.folder import FolderSource
from motionrft.evaluation.generation import GenerationProtocol, evaluate_generator
from motionrft.evaluation.items import FixedItems
from motionrft.evaluation.numbers import few_kinds, generation_numbers
from motionrft.evaluation.report import Gallery
from motionrft.evaluation.result import compare
from tests.evaluation.toys import toy_evaluator
from tests.generators.families import tiny
from tests.generators.token_families import tiny_tokens


@pytest.fixture(scope="module")
def items(dataset, evaluator):
    return FixedItems.of_dataset(dataset, evaluator)


@pytest.fixture(scope="module")
def generator():
    generator = tiny("built-in")
    generator.std.fill_(0.02)
    return generator.requires_grad_(False)


def _run(generator, evaluator, items, **options):
    return evaluate_generator(
        generator,
        None,
        evaluator,
        items,
        seeds=[0, 1],
        sampling=generator.sampling(steps=3, guidance=1.0),
        **options,
    )


def test_the_same_seed_gives_the_same_document(generator, evaluator, items):
    first, second = (_run(generator, evaluator, items).plain() for _ in range(2))
    assert json.dumps(first) == json.dumps(second)
    assert first["protocol"] == {
        "selection": "fixed",
        "candidates": 32,
        "sampler": "ddim",
        "eta": 0.0,
        "steps": 3,
        "guidance": 1.0,
        "fps": 20.0,
        "shift": 1.0,
    }
    assert first["judge"]["identity"] == evaluator.identity and first["seeds"] == [0, 1]


@pytest.mark.parametrize(
    "other",
    [{"sampler": "lcm"}, {"eta": 1.0}, {"steps": 2}, {"guidance": 2.0}],
    ids=lambda one: next(iter(one)),
)
def test_each_part_of_the_sampling_changes_numbers_and_identity(generator, evaluator, items, other):
    usual = {"sampler": "ddim", "eta": 0.0, "steps": 4, "guidance": 1.0}
    one, two = (
        evaluate_generator(generator, None, evaluator, items, [0], generator.sampling(**values))
        for values in (usual, usual | other)
    )
    assert one.identity != two.identity
    assert one.metrics["mm_dist"] != two.metrics["mm_dist"]
    assert compare(one, two), "two ways of sampling are judged in the same way, so they can be compared"


def test_batches_of_8_and_32_agree(generator, evaluator, items):
    small, large = (_run(generator, evaluator, items, batch=batch) for batch in (8, 32))
    for name, values in small.metrics.items():
        np.testing.assert_allclose(values, large.metrics[name], rtol=1e-4, atol=1e-4, err_msg=name)


def test_every_metric_that_people_expect_is_there(generator, evaluator, items):
    result = _run(generator, evaluator, items)
    wanted = {f"{p}_r{k}" for p in ("raw", "bound", "label", "distinct") for k in (1, 2, 3)}
    wanted |= {"mm_dist", "fid", "diversity", "jitter", "skating_ratio", "motion_energy"}
    wanted |= {"hand_as_told", "turn_as_told", "penetration", "floating"}
    assert wanted == set(result.metrics) == set(result.real)
    assert all(len(values) == 2 for values in result.metrics.values())
    assert any("Distinct R-Precision ranks 6 candidates" in note for note in result.notes)


def test_distinct_recall_among_few_kinds_is_said_and_left_out_where_it_is_sure(dataset, evaluator, items):
    drawn = items.draw(0)
    text = torch.randn(len(drawn.keys), 6)
    for kinds, wanted in ((1, set()), (2, {1}), (3, {1, 2}), (5, {1, 2, 3})):
        few = replace(drawn, labels=torch.arange(len(drawn.keys)) % kinds)
        found = generation_numbers(few, text, drawn.real, 0)
        assert {int(name[-1]) for name in found if name.startswith("distinct")} == wanted
        assert few_kinds(few.labels)
    assert few_kinds(torch.arange(32)) is None


def test_real_motions_in_a_folder_score_as_real_ones(dataset, evaluator, items, tmp_path):
    for row, item in enumerate(dataset.items):
        np.save(tmp_path / f"{item.key}.npy", dataset.motion(row).numpy())
    result = GenerationProtocol(evaluator, items, [0]).run(FolderSource(tmp_path))
    for name in ("label_r1", "raw_r3", "mm_dist", "jitter", "motion_energy"):
        assert result.metrics[name] == pytest.approx(result.real[name], rel=1e-5), name
    assert result.metrics["fid"][0] == pytest.approx(0, abs=1e-5)


def test_items_without_a_motion_are_left_out_and_told(dataset, evaluator, items, tmp_path):
    for row, item in enumerate(dataset.items[:34]):
        np.save(tmp_path / f"{item.key}_0.npy", dataset.motion(row).numpy())
        (tmp_path / f"{item.key}_0.txt").write_text("a person jumps\n")
    gallery = Gallery()
    result = GenerationProtocol(evaluator, items, [0], watch=gallery.keep).run(FolderSource(tmp_path))
    assert result.protocol["left_out"] == 6 and result.data["items"] == 34
    assert "6 items have no motion" in " ".join(result.notes)
    assert set(gallery.captions.values()) == {"a person jumps"}


def test_samples_are_found_by_the_caption_beside_them(dataset, evaluator, items, tmp_path):
    for row, item in enumerate(dataset.items[:36]):
        np.save(tmp_path / f"{row:02d}-a-sample.npy", dataset.motion(row).numpy())
        (tmp_path / f"{row:02d}-a-sample.txt").write_text(item.captions[1].text + "\n")
    captions = {item.key: item.captions for item in items.items}
    source = FolderSource(tmp_path, captions=captions)
    drawn = source.available(items.draw(0))
    assert len(drawn.keys) == 36
    for key, caption in zip(drawn.keys, drawn.captions, strict=True):
        assert caption == captions[key][1]
    assert len({path for key in drawn.keys for path in source.files[key]}) == 36


def test_a_file_belongs_to_one_item_and_holds_one_motion(dataset, evaluator, items, tmp_path):
    captions = {"walk": (), "walk_1": ()}
    for name in ("walk", "walk_1", "walk_2", *map(str, range(30))):
        np.save(tmp_path / f"{name}.npy", dataset.motion(0).numpy())
    files = FolderSource(tmp_path, captions=captions).files
    assert [path.stem for path in files["walk"]] == ["walk", "walk_2"]
    for item in dataset.items:
        np.save(tmp_path / f"{item.key}.npy", np.stack([dataset.motion(0).numpy()] * 2))
    with pytest.raises(UserError, match=r"holds 2 motions, and an item has one a file"):
        GenerationProtocol(evaluator, items, [0]).run(FolderSource(tmp_path))


def test_a_folder_of_ten_motions_is_too_small(tmp_path):
    for row in range(10):
        np.save(tmp_path / f"{row}.npy", np.zeros((30, 263), np.float32))
    with pytest.raises(UserError, match="10 motions are too few"):
        FolderSource(tmp_path)


def test_motions_named_after_nothing_are_told_how_to_be_named(items, evaluator, tmp_path):
    for row in range(33):
        np.save(tmp_path / f"sample{row}.npy", np.zeros((30, 263), np.float32))
    with pytest.raises(UserError, match="as in clip-000, clip-001"):
        GenerationProtocol(evaluator, items, [0]).run(FolderSource(tmp_path))


def test_another_evaluator_than_the_items_was_embedded_by_is_refused(generator, items):
    with pytest.raises(UserError, match="another evaluator"):
        _run(generator, toy_evaluator(3), items)


def test_motions_at_another_rate_are_brought_to_the_evaluators(dataset, evaluator, items):
    from motionrft.evaluation.measure import converted
    from motionrft.evaluation.sources import Made

    motion, lengths = dataset.motion(30)[None], torch.tensor([dataset.items[30].length])
    joints, _ = converted(motion, lengths, "kinematic", "joints")
    fast = Made(joints.repeat_interleave(2, dim=1), 2 * lengths, "joints", 40.0).at(20.0)
    assert fast.lengths.tolist() == lengths.tolist() and fast.fps == 20.0
    assert torch.allclose(fast.motion, joints, atol=1e-5)
    same = Made(motion, lengths, "kinematic", 20.0)
    assert same.at(20.0) is same


def test_items_lengths_become_frames_of_the_generator(generator, items):
    from motionrft.evaluation.generation import GeneratorSource

    drawn = replace(items.draw(0).index(torch.tensor([5])), fps=generator.fps / 2)
    made = GeneratorSource(generator, sampling=generator.sampling(steps=1, guidance=1.0)).make(drawn, 0)
    assert made.lengths.tolist() == [2 * int(drawn.lengths[0])]


def test_bare_prompts_are_judged_without_real_motion(generator, evaluator):
    items = FixedItems.of_prompts([f"a person walks {n}" for n in range(40)], seconds=[1.2] * 40)
    result = _run(generator, evaluator, items)
    assert result.real == {} and "fid" not in result.metrics and "distinct_r3" in result.metrics


def test_multimodality_is_measured_where_it_is_asked_for(generator, evaluator, items):
    from motionrft.evaluation.generation import GeneratorSource

    protocol = GenerationProtocol(evaluator, items, [0], multimodality=3, multimodality_repeats=12)
    result = protocol.run(GeneratorSource(generator, sampling=generator.sampling(steps=2, guidance=1.0)))
    assert result.metrics["multimodality"][0] > 0 and result.protocol["multimodality"] == [3, 12]


def test_watching_shows_rewards_item_by_item(generator, evaluator, items):
    from motionrft.reward.base import Reward, RewardCondition

    class Height(Reward):
        representation = "kinematic"

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(()))

        def prepare(self, texts, references=None, lengths=None):
            return RewardCondition()

        def forward(self, motion, lengths, condition, t=0):
            height = motion[:, :, 3].sum(1) / lengths
            return 2 * height, {"height": height}

    seen = []
    result = evaluate_generator(
        generator,
        Height(),
        evaluator,
        items,
        [4],
        generator.sampling(steps=2, guidance=1.0),
        watch=seen.append,
    )
    rewards = seen[0].rewards
    assert result.metrics["reward"][0] == pytest.approx(rewards["reward"].double().mean().item())
    assert torch.allclose(rewards["reward"], 2 * rewards["reward/height"])


def test_a_generator_in_training_is_judged_without_dropout_and_left_as_it_was(generator, evaluator, items):
    expected = _run(generator, evaluator, items).metrics
    generator.denoiser.train()
    modes = [part.training for part in generator.modules()]
    again = _run(generator, evaluator, items).metrics
    assert modes == [part.training for part in generator.modules()] and any(modes)
    generator.eval()
    assert again == expected


def test_the_share_that_is_no_motion_is_told_where_some_may_be(evaluator, items):
    """A hot, unmasked language model often ends at once: a mean pose is judged in the place of what it wrote."""
    generator = tiny_tokens("token-decoder").requires_grad_(False)
    hot = generator.sampling(masked=False, temperature=5.0)
    shown = [
        evaluate_generator(generator, None, evaluator, items, [0, 1], sampling)
        for sampling in (hot, generator.sampling())
    ]
    assert len(shown[0].metrics["unusable"]) == 2 and 0 < shown[0].mean("unusable") < 1
    assert "unusable" not in shown[1].metrics
    assert "no motion" in {row.metric for row in compare(shown[0], shown[0])}
