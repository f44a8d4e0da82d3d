"""Guo et al.'s evaluator beyond the golden cases: padding, words, the joints version."""

import pytest
import torch
from torch.testing import assert_close

from motionrft.data.captions import Caption
from motionrft.errors import UserError
from motionrft.evaluation.evaluators.guo import GuoEvaluator, GuoNetwork, GuoSize, joint_features
from motionrft.evaluation.evaluators.words import MAX_TOKENS, TAGS, WordVectorizer
from motionrft.representations.statistics import Statistics

WORDS = ("sos", "eos", "unk", "a", "person", "walk", "left")
SMALL = {
    "words": 6,
    "movement_hidden": 8,
    "movement": 7,
    "motion_hidden": 9,
    "text_hidden": 5,
    "embedding": 4,
}


def _words() -> WordVectorizer:
    vectors = torch.randn(len(WORDS), 6, generator=torch.Generator().manual_seed(0))
    return WordVectorizer({word: row for row, word in enumerate(WORDS)}, vectors)


def _evaluator(width: int = 259, **options) -> GuoEvaluator:
    torch.manual_seed(0)
    features = 263 if width == 259 else width
    statistics = Statistics(torch.zeros(features), torch.ones(features))
    return GuoEvaluator(
        GuoNetwork(GuoSize(motion=width, **SMALL)), statistics, _words(), "toy", **options
    ).eval()


def test_an_embedding_depends_on_no_padding_and_on_no_neighbour():
    evaluator = _evaluator()
    motion = torch.randn(3, 60, 263, generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([60, 45, 4])
    together = evaluator.embed_motion(motion, lengths)
    for row, frames in enumerate(lengths.tolist()):
        alone = evaluator.embed_motion(motion[row : row + 1, :frames], lengths[row : row + 1])
        assert_close(together[row : row + 1], alone, rtol=1e-5, atol=1e-6)


def test_captions_are_framed_cut_and_filled():
    words, tags, lengths = _words().batch([["walk/VERB"] * 30, ["a/DET", "left/NOUN", "zorp/VERB"]])
    assert words.shape == (2, MAX_TOKENS + 2, 6) and lengths.tolist() == [22, 5]
    names = [TAGS[i] for i in tags[1, :6].argmax(dim=1).tolist()]
    assert names == ["OTHER", "DET", "Loc_VIP", "OTHER", "OTHER", "OTHER"]
    assert_close(words[1, 3], _words().vectors[2])


def test_a_caption_without_tags_is_refused_by_name():
    with pytest.raises(UserError, match="'a person walks' has no word/TAG tokens"):
        _evaluator().embed_text([Caption("a person walks")])
    text = _evaluator().embed_text([Caption("a person walks", ("a/DET", "person/NOUN", "walk/VERB"))])
    assert text.shape == (1, 4)


def test_longer_motions_than_the_window_are_refused():
    with pytest.raises(UserError, match="197 frames"):
        _evaluator().embed_motion(torch.zeros(1, 197, 263), torch.tensor([197]))


@pytest.mark.parametrize("padding", ["official", "clean"])
def test_joint_features_are_a_frame_shorter_and_blind_to_the_batch(padding):
    joints = torch.randn(2, 30, 22, 3, generator=torch.Generator().manual_seed(2)) * 0.3
    lengths = torch.tensor([30, 20])
    features, frames = joint_features(joints, lengths, padding)
    assert features.shape[2] == 67 and frames.tolist() == [29, 19]
    alone, _ = joint_features(joints[1:, :20], lengths[1:], padding)
    assert_close(features[1, :19], alone[0, :19])


def test_the_joints_version_reads_joints():
    evaluator = _evaluator(67, representation="joints", features=joint_features)
    joints = torch.randn(1, 30, 22, 3, generator=torch.Generator().manual_seed(2))
    assert evaluator.embed_motion(joints, torch.tensor([30])).shape == (1, 4)
