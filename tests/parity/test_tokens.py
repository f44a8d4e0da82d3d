"""MotionGPT's strings, prompts, language model and generation against the golden data."""

import pytest
import torch

from motionrft.generators.motiongpt_t5 import PAD, T5Writer, scores_of, teacher_forced
from motionrft.generators.motiongpt_text import TemplateSettings, fill, motion_string, parse_motion
from motionrft.generators.token_sampling import allowed_logits
from tests.parity.golden import Case, cases
from tests.parity.tokens import SUM, VALUE, adapted_state, motiongpt_of, t5_of


@pytest.mark.parametrize("case", cases("tokens", op="motion_strings"))
def test_motion_strings(case: Case) -> None:
    codes = case.info["config"]["codes"]
    for entry in case.info["to_string"]:
        assert motion_string(entry["tokens"][: entry["length"]], codes) == entry["string"]
    for entry in case.info["to_tokens"]:
        if "raises" in entry:
            with pytest.raises(ValueError):
                parse_motion(entry["string"], codes)
            continue
        found = parse_motion(entry["string"], codes)
        assert found.tokens == entry["tokens"], entry["string"]
        assert found.clamped(codes) == entry["clamped"]
        assert found.usable == entry["usable"] and found.text == entry["text"]


@pytest.mark.parametrize("case", cases("tokens", op="prompt_templates"))
def test_prompts(case: Case) -> None:
    config = case.info["config"]
    settings = TemplateSettings(
        config["codes"],
        config["framerate"],
        config["frames_per_token"],
        config["predict_ratio"],
        config["inbetween_ratio"],
    )
    for entry in case.info["cases"]:
        given = (entry["caption"], entry["frames"], entry["tokens"], entry["quoted"])
        assert fill(entry["template"], settings, *given) == entry["prompt"]


@pytest.mark.parametrize("case", cases("tokens", op="token_log_prob"))
def test_log_probabilities_with_an_untied_head(case: Case) -> None:
    model = t5_of(case.info["config"], case.group("state/"))
    assert model.lm_head.weight is not model.shared.weight
    labels = case["in/labels"]
    logits = teacher_forced(model, case["in/input_ids"], case["in/attention_mask"], labels)
    torch.testing.assert_close(logits, case["out/logits"], **VALUE)
    scores = scores_of(logits, labels)
    torch.testing.assert_close(scores.each, case["out/token_log_probs"], **VALUE)
    torch.testing.assert_close(scores.sums, case["out/log_prob_sum"], **SUM)
    torch.testing.assert_close(scores.means, case["out/log_prob_mean"], **VALUE)
    mean = -scores.sums.sum() / scores.counts.sum()
    torch.testing.assert_close(mean, case["out/cross_entropy"].squeeze(), **VALUE)
    scores.sums.sum().backward()
    parameters = dict(model.named_parameters())
    for name, expected in case.group("out/grad/").items():
        atol = 1e-4 * float(expected.abs().max())
        torch.testing.assert_close(parameters[name].grad, expected, rtol=0, atol=atol, msg=name)


@pytest.mark.parametrize("case", cases("tokens", op="lora_merge"))
def test_merged_adapters(case: Case) -> None:
    state = adapted_state(case)
    for name, expected in case.group("out/merged/").items():
        torch.testing.assert_close(state[name], expected, **VALUE)
    model = t5_of(case.info["config"], state)
    with torch.no_grad():
        logits = teacher_forced(model, case["in/input_ids"], case["in/attention_mask"], case["in/labels"])
    torch.testing.assert_close(logits, case["out/logits_merged"], **VALUE)
    torch.testing.assert_close(logits, case["out/logits"], **VALUE)


@pytest.mark.parametrize("case", cases("tokens", op="sampling_distribution"))
def test_what_is_sampled_from(case: Case) -> None:
    for number, setting in enumerate(case.info["settings"]):
        found = allowed_logits(case["in/logits"], setting["temperature"], setting["top_k"]).softmax(-1)
        torch.testing.assert_close(found, case[f"out/{number}/probabilities"], **VALUE)


@pytest.mark.parametrize("case", cases("tokens", op="greedy_generation"))
def test_greedy_generation_to_features(case: Case) -> None:
    generator = motiongpt_of(case.info["config"], case.group("state/"))
    ids = _greedy(T5Writer(generator.language_model, case["in/input_ids"], case["in/attention_mask"]), case)
    assert torch.equal(ids, case["out/ids"])
    frames, features, lengths = case["in/frames"], case["out/features"], case["out/lengths"]
    for row, expected, length, wanted in zip(ids, features, lengths.tolist(), frames.tolist(), strict=True):
        codes, usable = generator.read_ids([number for number in row.tolist() if number > 1])
        made = torch.zeros(wanted, features.shape[-1])
        if usable:
            with torch.no_grad():
                made = generator.vq.decode(torch.tensor([codes]))[0, :wanted]
        assert len(made) == length
        torch.testing.assert_close(made, expected[:length], **VALUE)
        assert not expected[length:].any()
    read = [generator.read_ids([number for number in row.tolist() if number > 1])[0] for row in ids]
    assert read == case.info["tokens"]


def _greedy(writer: T5Writer, case: Case) -> torch.Tensor:
    """(B, M) likeliest ids from the decoder's start on, pad after eos."""
    batch = len(case["in/input_ids"])
    rows, last, ended = [torch.full((batch,), PAD)], None, torch.zeros(batch, dtype=torch.bool)
    while len(rows) < case.info["max_length"] and not ended.all():
        with torch.no_grad():
            last = writer.logits(last).argmax(-1).where(~ended, PAD)
        ended |= last == 1
        rows.append(last)
    return torch.stack(rows, 1)
