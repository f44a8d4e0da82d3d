"""Published evaluator folders: read whole, or refused with the file's name."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from motionrft.data.captions import Caption
from motionrft.errors import UserError
from motionrft.evaluation.evaluators import load_evaluator
from motionrft.evaluation.evaluators.guo import GuoNetwork, GuoSize

WORDS = ["sos", "eos", "unk", "walk"]


def _published(state: dict[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    """Our names back to those of finest.tar."""
    groups: dict[str, dict[str, torch.Tensor]] = {}
    for name, value in state.items():
        group, key = name.split(".", 1)
        if key == "gru.start":
            key = "hidden"
        elif key.startswith("gru.back."):
            key = f"gru.{key.removeprefix('gru.back.')}_reverse"
        groups.setdefault(group, {})[key.replace("gru.ahead.", "gru.")] = value
    return groups


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    root = tmp_path / "t2m"
    size = GuoSize(259, 6, movement_hidden=8, movement=7, motion_hidden=9, text_hidden=5, embedding=4)
    (root / "text_mot_match" / "model").mkdir(parents=True)
    content = {**_published(GuoNetwork(size).state_dict()), "epoch": 3, "opt_text_encoder": {"state": {}}}
    torch.save(content, root / "text_mot_match" / "model" / "finest.tar")
    (root / "Comp_v6_KLD01" / "meta").mkdir(parents=True)
    np.save(root / "Comp_v6_KLD01" / "meta" / "mean.npy", np.zeros(263, np.float32))
    np.save(root / "Comp_v6_KLD01" / "meta" / "std.npy", np.ones(263, np.float32))
    glove = tmp_path / "glove"
    glove.mkdir()
    np.save(glove / "our_vab_data.npy", np.random.default_rng(0).normal(size=(4, 6)))
    (glove / "our_vab_words.pkl").write_bytes(pickle.dumps(WORDS))
    (glove / "our_vab_idx.pkl").write_bytes(pickle.dumps({word: row for row, word in enumerate(WORDS)}))
    return root


def test_a_whole_folder_becomes_an_evaluator(folder):
    evaluator = load_evaluator(folder)
    assert evaluator.comparable and evaluator.fps == 20 and evaluator.representation == "kinematic"
    assert evaluator.embed_motion(torch.zeros(2, 24, 263), torch.tensor([24, 20])).shape == (2, 4)
    assert evaluator.embed_text([Caption("walks", ("walk/VERB",))]).shape == (1, 4)
    assert load_evaluator(folder).identity == evaluator.identity


@pytest.mark.parametrize(
    "missing", ["../glove/our_vab_idx.pkl", "Comp_v6_KLD01/meta/std.npy", "../glove/our_vab_data.npy"]
)
def test_a_missing_file_is_named(folder, missing):
    (folder / missing).unlink()
    with pytest.raises(UserError, match=Path(missing).name):
        load_evaluator(folder)


def test_missing_words_are_named(folder):
    (folder / "../glove").resolve().rename(folder.parent / "elsewhere")
    with pytest.raises(UserError, match="glove"):
        load_evaluator(folder)


def test_a_pickle_that_would_run_code_is_refused(folder):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (folder / "exploded",))

    (folder / "../glove/our_vab_words.pkl").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(UserError, match="refused"):
        load_evaluator(folder)
    assert not (folder / "exploded").exists()


def test_a_web_page_named_like_a_checkpoint_is_refused(folder):
    (folder / "text_mot_match/model/finest.tar").write_text("<html>not found</html>")
    with pytest.raises(UserError, match="finest"):
        load_evaluator(folder)


def test_a_checkpoint_of_something_else_is_refused(folder):
    torch.save({"state_dict": {}}, folder / "text_mot_match/model/finest.tar")
    with pytest.raises(UserError, match="movement_encoder, motion_encoder, text_encoder missing"):
        load_evaluator(folder)


def test_the_folder_above_says_which_to_name(folder):
    with pytest.raises(UserError, match="name one of them: t2m"):
        load_evaluator(folder.parent)


def test_an_empty_folder_says_what_is_needed(tmp_path):
    with pytest.raises(UserError, match="evaluator-mini"):
        load_evaluator(tmp_path)
