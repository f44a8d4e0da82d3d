"""Builders from the metadata of the golden cases `tokens`."""

from typing import Any

import torch
from torch import Tensor

from motionrft.generators.motiongpt import MotionGpt, MotionGptSettings
from motionrft.generators.motiongpt_t5 import build_t5
from motionrft.generators.motiongpt_vq import MotionVq
from motionrft.official.motiongpt import merged
from tests.parity.golden import Case

VALUE: dict[str, float] = {"rtol": 0, "atol": 2e-5}
SUM: dict[str, float] = {"rtol": 0, "atol": 5e-5}
_REPEATED = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
_T5 = (
    *(
        "vocab_size",
        "d_model",
        "d_kv",
        "d_ff",
        "num_layers",
        "num_decoder_layers",
        "num_heads",
        "dropout_rate",
    ),
    *("relative_attention_num_buckets", "relative_attention_max_distance"),
)


def t5_of(config: dict[str, Any], state: dict[str, Tensor]) -> Any:
    """The language model of a case, in evaluation mode."""
    assert config["feed_forward_proj"] == "gated-gelu" and not config["tie_word_embeddings"]
    model = build_t5({name: config[name] for name in _T5})
    model.load_state_dict(state | dict.fromkeys(_REPEATED, state["shared.weight"]))
    return model.eval()


def vq_of(config: dict[str, Any]) -> MotionVq:
    """The VQ-VAE of a case, without weights."""
    assert config["norm"] is None and config["activation"] == "relu" and config["stride_t"] == 2
    return MotionVq(
        features=config["nfeats"],
        codes=config["code_num"],
        code_width=config["code_dim"],
        width=config["width"],
        down=config["down_t"],
        depth=config["depth"],
        growth=config["dilation_growth_rate"],
    )


def adapted_state(case: Case) -> dict[str, Tensor]:
    """The published names of a tuned state, adapters merged."""
    prefix = "base_model.model."
    state = case.group("state/")
    state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return merged(state, case.info["config"]["lora"]["alpha"])


def motiongpt_of(config: dict[str, Any], state: dict[str, Tensor]) -> MotionGpt:
    """Both networks of a case under the checkpoint's key names."""
    lm, vae = config["lm"], config["vae"]
    sizes = {name: lm[name] for name in _T5 if name != "vocab_size"}
    generator = MotionGpt(
        MotionGptSettings(
            features=vae["nfeats"],
            codes=vae["code_num"],
            code_width=vae["code_dim"],
            vq_width=vae["width"],
            vq_depth=vae["depth"],
            down=vae["down_t"],
            text_vocab=lm["text_vocab"],
            sentinels=0,
            max_frames=10_000,
            **sizes,
        )
    ).eval()
    names = {"lm.language_model.": "language_model.", "vae.": "vq."}
    ours = {
        mine + name.removeprefix(theirs): tensor
        for name, tensor in state.items()
        for theirs, mine in names.items()
        if name.startswith(theirs)
    }
    shared = ours["language_model.shared.weight"]
    ours |= {f"language_model.{name}": shared for name in _REPEATED}
    own = {"mean": torch.zeros(vae["nfeats"]), "std": torch.ones(vae["nfeats"])}
    generator.load_state_dict(ours | own)
    return generator
