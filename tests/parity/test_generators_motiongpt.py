"""MotionGPT's motion tokens against the golden data: equal codes, equal reconstructions."""

import pytest
import torch

from motionrft.generators.motiongpt_vq import MotionVq
from motionrft.training.weights import load_state
from tests.parity.golden import Case, cases

VALUE = {"rtol": 0, "atol": 2e-5}


@pytest.mark.parametrize("case", cases("generators", op="VQVae"))
def test_motion_tokens(case: Case) -> None:
    config = case.info["config"]
    assert config["norm"] is None and config["activation"] == "relu" and config["stride_t"] == 2
    vq = MotionVq(
        features=config["nfeats"],
        codes=config["code_num"],
        code_width=config["code_dim"],
        width=config["width"],
        down=config["down_t"],
        depth=config["depth"],
        growth=config["dilation_growth_rate"],
    ).eval()
    load_state(vq, case.group("state_dict."), str(case))
    latent = vq.latent(case["features"])
    torch.testing.assert_close(latent.transpose(1, 2), case["encoder_out"], **VALUE)
    codes = vq.encode(case["features"])
    assert torch.equal(codes, case["codes"].long())
    torch.testing.assert_close(vq.decode(codes), case["reconstruction"], **VALUE)
    alone = torch.cat([vq.decode(item[None]) for item in codes])
    torch.testing.assert_close(alone, case["decoded_codes"], **VALUE)
