"""Several processes pre-train one generator as one process does, whatever the family and its objective."""

from pathlib import Path

import torch

from motionrft.generators.folder import read_generator
from motionrft.pretraining.run import Pretraining
from motionrft.training.distribution import Distribution
from motionrft.training.progress import Silent
from tests.pretraining.test_families import people, shrunk, teacher, texts  # noqa: F401 - fixtures
from tests.processes import together, without_dropout

FAMILIES = ["mini-mld", "acmdm", "stablemofusion", "motionlcm", "mini-motiongpt"]
"""An autoencoder with posterior, one of joints, text layers that are trained, a distillation, and a codebook with a
language model."""
CPU = torch.device("cpu")
UPDATES = 3


def _trained(preset, out: Path, company: Distribution) -> None:
    pretraining = Pretraining.prepare(preset, out, CPU, lambda stage: Silent(), company=company)
    for stage in pretraining.stages:
        getattr(pretraining, f"train_{stage.replace('-', '_')}")()


def test_two_processes_train_as_one(people, teacher, tmp_path, monkeypatch):  # noqa: F811
    without_dropout(monkeypatch)
    # Plain descent: AdamW would make whole steps of the rounding of tiny gradients.
    settings = [f"{stage}.optimiser.eps=1.0" for stage in ("autoencoder", "denoiser", "language_model")]
    presets = {name: shrunk(name, people, teacher, UPDATES, *settings) for name in FAMILIES}

    def act(rank):
        with Distribution.join(CPU, timeout=60) as company:
            for name, preset in presets.items():
                _trained(preset, tmp_path / "shared" / name, company)

    assert together(act) == [0, 0]
    for name, preset in presets.items():
        _trained(preset, tmp_path / "alone" / name, Distribution())
        whole, parts = (
            read_generator(tmp_path / out / name / "generator").state_dict() for out in ("alone", "shared")
        )
        for key, tensor in whole.items():
            torch.testing.assert_close(
                parts[key], tensor, rtol=1e-4, atol=1e-5, msg=lambda m, n=(name, key): f"{n}: {m}"
            )
        second = "language-model" if name == "mini-motiongpt" else "denoiser"
        lines = (tmp_path / "shared" / name / second / "metrics.jsonl").read_text().splitlines()
        assert len(lines) == UPDATES, "one process writes"
