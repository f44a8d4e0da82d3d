"""A local vision-language model as a judge: a tiny random one, made here and asked through its own chat template."""

from pathlib import Path

import pytest

from motionrft.errors import UserError
from motionrft.preferences.judges.base import Item
from motionrft.preferences.judges.questions import answer_in
from motionrft.preferences.judges.transformers import TransformersJudge
from motionrft.preferences.prompts import EventPrompt
from tests.preferences.acting import stand

PROMPT = EventPrompt("frequency-0", "frequency", "a person bows twice", ("bow",), 2.0, 2)
ITEMS = [Item(PROMPT, place, stand(40), 20.0) for place in range(3)]
TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}: {% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}{% endif %}{% endfor %} {% endfor %}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )

    words = {word: place for place, word in enumerate(["<pad>", "<unk>", "</s>", "<image>", *"abcdefgh"])}
    inner = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", unk_token="<unk>", eos_token="</s>",
        additional_special_tokens=["<image>"],
    )  # fmt: skip
    size = {"height": 16, "width": 16}
    pictures = CLIPImageProcessor(size=size, crop_size=size)
    processor = LlavaProcessor(
        image_processor=pictures, tokenizer=tokenizer, patch_size=8, vision_feature_select_strategy="default",
        chat_template=TEMPLATE, num_additional_image_tokens=1,
    )  # fmt: skip
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(image_size=16, patch_size=8, **small),
        text_config=LlamaConfig(
            vocab_size=len(words), num_key_value_heads=2, pad_token_id=0, eos_token_id=2, **small
        ),
        image_token_index=3,
        vision_feature_layer=-1,
    )
    out = tmp_path_factory.mktemp("vlm")
    LlavaForConditionalGeneration(config).save_pretrained(out)
    processor.save_pretrained(out)
    return out


def test_what_cannot_be_used_is_asked_for_once_more_and_then_left_out(folder: Path) -> None:
    judge, asked = TransformersJudge(str(folder), batch=2), list[int]()
    answers = judge._answers
    judge._answers = lambda talks: (asked.append(len(talks)), answers(talks))[1]  # type: ignore[method-assign]
    found = dict(judge.judge(ITEMS))
    assert sorted(found) == [0, 1, 2] and asked == [2, 2, 1, 1]
    assert all(each.score is None and each.error for each in found.values())


def test_an_answer_is_scored_whatever_stands_around_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = TransformersJudge(str(folder), batch=3)
    said = 'Sure: {"repetitions": [[0, 5], [20, 30]]} as asked.'
    monkeypatch.setattr(judge, "_answers", lambda talks: [said] * len(talks))
    assert [judgement.score for _, judgement in judge.judge(ITEMS)] == [1.0] * 3


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"judge\.model"):
        TransformersJudge(str(tmp_path))


@pytest.mark.parametrize("said", ["nothing", "{", "} {"])
def test_words_without_an_object_are_no_answer(said: str) -> None:
    with pytest.raises(ValueError, match="JSON"):
        answer_in(said)
