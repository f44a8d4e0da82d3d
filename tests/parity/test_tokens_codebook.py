"""A training step of MotionGPT's VQ-VAE against the golden data: losses, gradients, and the codebook after it."""

import pytest
import torch

from motionrft.pretraining.codebook import RunningCodebook, quantised
from motionrft.pretraining.preset import CodebookPart
from motionrft.pretraining.token_stage import feature_loss
from motionrft.training.weights import load_state
from tests.parity.golden import Case, cases
from tests.parity.tokens import VALUE, vq_of


@pytest.mark.parametrize("case", cases("tokens", op="vq_training_step"))
def test_a_training_step(case: Case) -> None:
    vq = vq_of(case.info["config"]).train()
    state = case.group("state/")
    state.setdefault("quantizer.codebook", torch.zeros_like(vq.quantizer.codebook))
    load_state(vq, state, str(case))
    settings = CodebookPart(decay=case.info["mu"], dead=1.0, replace="rows")
    running = RunningCodebook(vq.quantizer, settings)
    if case.info["codebook_initialised"]:
        found = case.group("state_quantizer/")
        running.load_state_dict({"sums": found["code_sum"], "counts": found["code_count"]})
    noises = iter([case[f"in/{name}"] for name in sorted(case.group("in/")) if name.startswith("noise")])
    features = case["in/features"]
    mask = torch.ones(len(features), features.shape[1] // vq.stride, dtype=torch.bool)
    step = quantised(vq, running, features, mask, lambda shape: next(noises))
    if "out/codes" in case:
        assert torch.equal(step.codes, case["out/codes"])
    torch.testing.assert_close(step.latent.transpose(1, 2), case["out/encoder_out"], **VALUE)
    torch.testing.assert_close(step.made, case["out/reconstruction"], **VALUE)
    terms = feature_loss(step.made, features, torch.ones(features.shape[:2], dtype=torch.bool))
    weights = case.info["loss_weights"]
    assert (weights["feature"], weights["velocity"]) == (1.0, 0.5), "the published weights are ours"
    loss = terms["loss"] + weights["commit"] * step.commit
    found = {
        "loss": loss,
        "loss_feature": terms["loss/features"],
        "loss_velocity": terms["loss/positions"],
        "commit": step.commit,
        "perplexity": step.perplexity,
    }
    for name, value in found.items():
        torch.testing.assert_close(value, case[f"out/{name}"].squeeze(), rtol=1e-5, atol=2e-5, msg=name)
    loss.backward()
    parameters = dict(vq.named_parameters())
    for name, expected in case.group("out/grad/").items():
        atol = 1e-4 * float(expected.abs().max())
        torch.testing.assert_close(parameters[name].grad, expected, rtol=0, atol=atol, msg=name)
    after = {"codebook": vq.quantizer.codebook, "code_sum": running.sums, "code_count": running.counts}
    for name, value in after.items():
        torch.testing.assert_close(value, case[f"out/{name}"], **VALUE)
