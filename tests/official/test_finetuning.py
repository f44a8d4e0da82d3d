"""EasyTune by every family's preset, from its official checkpoint at tiny size: finite rewards, flat memory."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.run import finetune
from motionrft.finetuning.session import FinetuneSession
from motionrft.loading import load_generator
from motionrft.official.generators import save_official
from motionrft.registry import TEXT_ENCODERS
from motionrft.representations.statistics import Statistics
from motionrft.reward.folder import save_reward
from motionrft.reward.motionreward.encoder import MotionRewardNetwork
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft.reward.motionreward.sizes import RewardSize
from motionrft.settings.layers import resolve
from tests.generators.families import WordEncoder, encoder_for, tiny

PRESETS = {
    "mld": "mld",
    "mld++": "mldpp",
    "motionlcm": "motionlcm",
    "mdm-decoder": "mdm",
    "motiondiffuse": "motiondiffuse",
    "stablemofusion": "stablemofusion",
    "acmdm": "acmdm",
    "hymotion": "hymotion",
}
"""Tiny variant of each family to its fine-tuning preset, NAME-easytune."""

WIDTHS = {"kinematic": 263, "joints": 66, "rotation": 135}
TINY: dict[str, Any] = {
    "guidance": 1.0,
    "batch": 2,
    "updates": 3,
    "frames": 24,
    "weights": {"semantic": 1.0},
    "optimiser": {"lr": 1e-3, "warmup": 0},
    "watch": {"every": 0},
    "evaluation": {"prompts": 0},
    "checkpoint_every": 0,
}


@pytest.fixture
def reward(tmp_path: Path) -> Path:
    """A tiny reward that judges all three representations."""
    torch.manual_seed(1)
    size = RewardSize.from_dict(
        {
            **dict.fromkeys(("latent", "width", "feedforward", "text_feedforward", "projection_hidden"), 16),
            **dict.fromkeys(("layers", "text_layers"), 3),
            **dict.fromkeys(("heads", "text_heads"), 2),
            "text_width": WordEncoder().width,
            "representations": tuple(WIDTHS),
            "widths": tuple(WIDTHS.values()),
        }
    )
    ones = {name: Statistics(torch.zeros(width), torch.ones(width)) for name, width in WIDTHS.items()}
    judge = MotionReward(MotionRewardNetwork(size), ones, WordEncoder(), {"semantic": 1.0})
    judge.noise_steps = 500  # the paper's own judgement is of noisy states
    save_reward(tmp_path / "reward", judge)
    return tmp_path / "reward"


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_makes_three_updates_from_an_official_checkpoint(
    name: str, reward: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for encoder in [*TEXT_ENCODERS.names(), "words"]:
        given = WordEncoder() if encoder == "words" else encoder_for(name)
        monkeypatch.setitem(TEXT_ENCODERS.added, encoder, (lambda path, device, given=given: given, "a test"))
    (tmp_path / "model").mkdir()
    save_official(tiny(name), tmp_path / "model" / "model.ckpt")
    (tmp_path / "prompts.txt").write_text("walks\nwaves\nturns left\n")
    paths = {
        "generator": tmp_path / "model" / "model.ckpt",
        "reward": reward,
        "prompts": tmp_path / "prompts.txt",
    }
    graph_bytes = []
    for k in (1, 3):
        published = resolve(FinetunePreset, f"{PRESETS[name]}-easytune").plain()
        method = published["method"] | {"k": k}
        changed = {key: str(path) for key, path in paths.items()} | {
            "data": None,
            "steps": 4,
            "method": method,
        }
        preset = FinetunePreset.of(published | TINY | changed)
        run = tmp_path / f"run-{k}"
        finetune(preset, FinetuneSession(run, torch.device("cpu")))
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        assert len(lines) == 3 and all(torch.isfinite(torch.tensor(line["reward"])) for line in lines)
        graph_bytes.append(max(line["graph_bytes"] for line in lines))
    assert graph_bytes[1] <= 1.05 * graph_bytes[0]
    before, after = load_generator(paths["generator"]), load_generator(tmp_path / "run-3" / "generator")
    moved = [not torch.equal(a, b) for a, b in zip(before.denoiser.parameters(), after.denoiser.parameters())]
    assert any(moved)
    frozen = {name: value for name, value in before.state_dict().items() if not name.startswith("denoiser.")}
    assert all(torch.equal(value, after.state_dict()[name]) for name, value in frozen.items())
