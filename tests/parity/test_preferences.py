"""Parity with the published preference losses on tokens and with the published label file."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor

from motionrft.finetuning.methods.dpo import DpoPreset
from motionrft.finetuning.pair_values import PairValues
from motionrft.finetuning.token_losses import pair_scores, token_loss
from motionrft.generators.motion_tokens import TokenScores
from motionrft.generators.motiongpt_t5 import scores_of, teacher_forced
from motionrft.preferences.labels import read_labels
from tests.parity.golden import Case, cases
from tests.parity.tokens import t5_of

TOLERANCE = {"ipo": 1e-5}
"""Relative, of losses that are near 1 / (4 beta^2)."""


def close(found: Tensor, wanted: Tensor, name: str, rtol: float = 0.0) -> None:
    torch.testing.assert_close(
        found.detach().reshape(wanted.shape), wanted, rtol=rtol, atol=2e-5, msg=lambda m: f"{name}: {m}"
    )


@pytest.mark.parametrize("case", cases("tokens", op="preference_loss"), ids=str)
def test_preference_losses(case: Case) -> None:
    names = ("policy_chosen", "policy_rejected", "reference_chosen", "reference_rejected")
    for place, setting in enumerate(case.info["settings"]):
        given = [case[f"in/{name}"].clone().requires_grad_() for name in names]
        scores, beta = PairValues(*given), setting["beta"]
        smoothing = torch.tensor(setting.get("smoothing_per_item", setting.get("smoothing", 0.0)))
        losses = token_loss(setting["loss"], scores, beta, smoothing)
        where = f"{setting['loss']} {place}"
        close(losses, case[f"out/{place}/losses"], where, TOLERANCE.get(setting["loss"], 0.0))
        close(beta * scores.won_drift, case[f"out/{place}/rewards_chosen"], where)
        close(beta * scores.lost_drift, case[f"out/{place}/rewards_rejected"], where)
        losses.mean().backward()
        for name, leaf in zip(("chosen", "rejected"), given, strict=False):
            wanted = case[f"out/{place}/grad_{name}"]
            assert leaf.grad is not None
            allowed = 1e-4 * wanted.abs().max().item()
            torch.testing.assert_close(leaf.grad, wanted, rtol=0, atol=allowed)


def text(codes: Tensor, size: int) -> str:
    """A motion as the published code writes it."""
    return "".join(f"<motion_id_{code}>" for code in [size, *codes.tolist(), size + 1])


@pytest.mark.parametrize("case", cases("tokens", op="preference_file"), ids=str)
def test_preference_file(case: Case, tmp_path: Path) -> None:
    labels = tmp_path / "preference_labels.jsonl"
    labels.write_text("".join(json.dumps(line) + "\n" for line in case.info["lines"]))
    for name, array in case.group("file/").items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / name, array.numpy())
    codes = case.info["config"]["codes"]
    for result in case.info["results"]:
        setting = result["settings"]
        pairs = read_labels(
            labels, setting["preference_type"], setting["add_unsure"], setting["label_smoothing"]
        )
        found = [
            {
                "id": pair.id,
                "prompt": pair.prompt,
                "chosen": text(pair.better, codes),
                "rejected": text(pair.worse, codes),
                "label_smoothing": pair.smoothing,
            }
            for pair in pairs
        ]
        assert found == result["pairs"], setting


@pytest.mark.parametrize("case", cases("tokens", op="preference_step"), ids=str)
def test_a_whole_step_with_adapters(case: Case) -> None:
    lora = case.info["config"]["lora"]
    config = LoraConfig(r=lora["r"], lora_alpha=lora["alpha"], target_modules=lora["targets"], bias="none")
    model = get_peft_model(t5_of(case.info["config"], case.group("state/")), config).eval()
    parameters = {name: p for name, p in model.named_parameters() if "lora_" in name}
    for name, value in case.group("adapter/").items():
        parameters[name].data.copy_(value)

    def scores(side: str) -> TokenScores:
        given = (case["in/input_ids"], case["in/attention_mask"], case[f"in/{side}"])
        return scores_of(teacher_forced(model.base_model.model, *given), case[f"in/{side}"])

    with torch.no_grad(), model.disable_adapter():
        before = [scores(side) for side in ("chosen", "rejected")]
    for place, setting in enumerate(case.info["settings"]):
        model.zero_grad()
        all_scores = [scores(side) for side in ("chosen", "rejected")] + before
        method = DpoPreset(loss=setting["loss"], beta=setting["beta"])
        pairs = pair_scores(*all_scores, averages=method.averages)
        losses = token_loss(method.loss, pairs, method.strength("tokens"))
        where, out = f"{setting['loss']} {place}", f"out/{place}"
        names = ("policy_chosen", "policy_rejected", "reference_chosen", "reference_rejected")
        found = (pairs.won, pairs.lost, pairs.won_reference, pairs.lost_reference)
        for name, value in zip(names, found, strict=True):
            torch.testing.assert_close(
                value.detach(), case[f"{out}/{name}"], rtol=0, atol=5e-5, msg=f"{where} {name}"
            )
        close(losses, case[f"{out}/losses"], where, TOLERANCE.get(setting["loss"], 0.0))
        close((pairs.gap > 0).float().mean(), case[f"{out}/accuracy"], where)
        close(setting["beta"] * pairs.gap.mean(), case[f"{out}/margin"], where)
        losses.mean().backward()
        for name, wanted in case.group(f"{out}/grad/").items():
            gradient = parameters[name].grad
            assert gradient is not None
            allowed = 1e-4 * wanted.abs().max().item()
            torch.testing.assert_close(gradient, wanted, rtol=0, atol=allowed, msg=f"{where} {name}")
