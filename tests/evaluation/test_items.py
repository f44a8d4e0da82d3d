"""Which items are judged: seeds decide, nothing else does; reference sets survive the disk."""

import pytest
import torch

from motionrft.data import MotionDataset
from motionrft.errors import UserError
from motionrft.evaluation.items import FixedItems, OfficialItems
from tests.evaluation.toys import toy_evaluator


@pytest.fixture(scope="module")
def items(dataset, evaluator):
    return FixedItems.of_dataset(dataset, evaluator)


def test_fixed_items_draw_captions_by_seed_and_item(items):
    first, again, other = items.draw(0), items.draw(0), items.draw(1)
    assert first.captions == again.captions != other.captions
    assert first.keys == other.keys and first.real is other.real
    assert all(c in item.captions for c, item in zip(first.captions, items.items, strict=True))


def test_a_smaller_set_keeps_the_captions_of_the_larger(items):
    small = items.subset(7)
    captions = dict(zip(items.draw(3).keys, items.draw(3).captions, strict=True))
    drawn = small.draw(3)
    assert len(drawn.keys) == 7 and [captions[key] for key in drawn.keys] == list(drawn.captions)


def test_a_cap_leaves_so_many_of_each_kind(dataset, evaluator):
    items = FixedItems.of_dataset(dataset, evaluator, per_label=2)
    assert torch.bincount(items.labels).tolist() == [2] * 6


def test_a_reference_set_is_the_same_after_the_disk_and_knows_its_evaluator(items, evaluator, tmp_path):
    items.save(tmp_path / "set")
    again = FixedItems.load(tmp_path / "set")
    assert again.identity == items.identity and again.items == items.items
    assert torch.equal(again.real.embeddings, items.real.embeddings)
    assert all(torch.equal(again.real.physics[name], value) for name, value in items.real.physics.items())
    again.check_evaluator(evaluator)
    with pytest.raises(UserError, match="another evaluator"):
        again.check_evaluator(toy_evaluator(1))


def test_a_model_folder_is_no_reference_set(tmp_path):
    from motionrft.training.weights import save_weights

    save_weights(tmp_path / "model", {"x": torch.zeros(1)}, {"family": "mini"})
    with pytest.raises(UserError, match="no set of evaluation items"):
        FixedItems.load(tmp_path / "model")


def test_official_items_follow_the_published_rules(folder, evaluator):
    dataset = MotionDataset(folder, "test", max_frames=10**9)
    items = OfficialItems(dataset, evaluator, min_frames=24)
    drawn, again = items.draw(5), items.draw(5)
    lengths = {item.key: item.length for item in dataset.items}
    full = torch.tensor([lengths[key] for key in drawn.keys])
    assert drawn.choices() == again.choices() != items.draw(6).choices()
    assert len(drawn.keys) == sum(24 <= n < 200 for n in lengths.values())
    assert (drawn.lengths % 4 == 0).all() and (full - drawn.lengths < 8).all()
    assert (drawn.starts >= 0).all() and (drawn.starts + drawn.lengths <= full).all()
    short = (full // 4 * 4 > drawn.lengths).float().mean().item()
    assert 0.1 < short < 0.6


def test_prompts_of_equal_text_are_of_one_kind():
    drawn = FixedItems.of_prompts(["a", "b", "a"], [2.0] * 3).draw(0)
    assert drawn.labels.tolist() == [0, 1, 0] and drawn.real is None
