"""Parity with the published preference losses on tokens and with the published label file."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from motionrft.finetuning.token_losses import PairScores, token_loss
from motionrft.preferences.labels import read_labels
from tests.parity.golden import Case, cases

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
        scores, beta = PairScores(*given), setting["beta"]
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
