"""Published containers at tiny random sizes: what people download, for HumanML3D (263) and KIT-ML (251)."""

import pickle
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from motionrft.evaluation.evaluators.guo import GuoNetwork, GuoSize
from motionrft.generators import build_generator
from motionrft.official.generators import save_official
from motionrft.official.motionreward import collect
from motionrft.official.pickles import write_checkpoint
from motionrft.official.spm import _RENAMED
from motionrft.representations.convert import convert
from motionrft.representations.statistics import Statistics
from motionrft.reward.motionreward.encoder import MotionRewardNetwork
from motionrft.reward.motionreward.sizes import RewardSize
from motionrft.reward.tmr import TMRNetwork, TMRSize
from tests.abroad.layouts import WORDS, Layout
from tests.generators.families import TEXT_WIDTH, TINY

CONTACTS = 4
_CLIPS = 40


def write_generator(name: str, data: Path, layout: Layout, folder: Path) -> Path:
    """`mld`, `mdm` or `hymotion` with the data's statistics, under the published file name."""
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    generator = build_generator(_sized(name, layout.skeleton.features)).eval()
    spread(generator)
    statistics = clip_statistics(data, generator.trained_on)
    generator.mean.copy_(statistics.mean)
    generator.std.copy_(statistics.std)
    path = folder / {"mld": "mld_humanml_v1.ckpt", "mdm": "model000050000.pt"}.get(name, "latest.ckpt")
    save_official(generator, path)
    return path


def write_motionreward(data: Path, layout: Layout, folder: Path) -> Path:
    """A backbone over every representation that the data set has, statistics beside it."""
    names = ("kinematic", "joints", "rotation") if layout.skeleton.joints == 22 else ("kinematic",)
    return _write_towers(
        data, folder, names, layout, "stage1_retrieval_backbone_tiny.pth", latent=8, layers=3
    )


def write_spm(data: Path, layout: Layout, folder: Path) -> Path:
    """EasyTune's reward: one representation, its mode in its name."""
    path = _write_towers(data, folder, ("kinematic",), layout, "spm_M1T0.pth", latent=16, layers=1)
    torch_names = {ours: theirs for theirs, ours in _RENAMED.items()}
    state = {}
    for name, value in torch.load(path, weights_only=True)["state_dict"].items():
        if renamed := _spm_name(name, torch_names):
            state[renamed] = value
    write_checkpoint(path, {"state_dict": state})
    return path


def write_tmr(data: Path, folder: Path) -> Path:
    """TMR's `last.ckpt` over 263 features."""
    folder.mkdir(parents=True)
    torch.manual_seed(3)
    network = TMRNetwork(TMRSize(263, TEXT_WIDTH, 16, 32, 1, 4)).eval()
    spread(network)
    clip_statistics(data, "kinematic").save(folder)
    write_checkpoint(folder / "last.ckpt", {"state_dict": network.state_dict()})
    return folder / "last.ckpt"


def write_evaluator(data: Path, layout: Layout, folder: Path) -> Path:
    """Guo et al.'s `checkpoints/t2m` or `checkpoints/kit`, with `glove/` beside it; returns that folder."""
    torch.manual_seed(4)
    size = GuoSize(layout.skeleton.features - CONTACTS, 6, 8, 8, 8, 8, 8)
    network = GuoNetwork(size).eval()
    spread(network)
    place = folder / ("t2m" if layout.skeleton.joints == 22 else "kit")
    groups: dict[str, dict[str, Tensor]] = {}
    for name, value in network.state_dict().items():
        group, _, rest = name.partition(".")
        groups.setdefault(group, {})[_guo_name(rest)] = value
    (place / "text_mot_match/model").mkdir(parents=True)
    write_checkpoint(place / "text_mot_match/model/finest.tar", {**groups, "epoch": 1})
    meta = place / ("Comp_v6_KLD01/meta" if layout.skeleton.joints == 22 else "Comp_v6_KLD005/meta")
    meta.mkdir(parents=True)
    for name in ("Mean", "Std"):
        np.save(meta / f"{name.lower()}.npy", np.load(data / f"{name}.npy"))
    _write_words(folder / "glove")
    return place


def clip_statistics(data: Path, representation: str) -> Statistics:
    """Of the first training clips, converted where the folder does not hold the representation."""
    if representation == "kinematic":
        return Statistics.load(data)
    names = (data / "train.txt").read_text().split()[:_CLIPS]
    clips = [torch.from_numpy(np.load(data / "new_joint_vecs" / f"{name}.npy")) for name in names]
    converted = [convert(clip[None], "kinematic", representation)[0] for clip in clips]
    return Statistics.of_clips(converted, representation)


def spread(module: nn.Module) -> None:
    """Move weights away from initial zeros, which would hide what flows through them."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))


def _sized(name: str, features: int) -> dict:
    config = TINY[{"mld": "mld", "mdm": "mdm-masked"}.get(name, name)]
    if name == "mld":
        return config | {"autoencoder": config["autoencoder"] | {"features": features}}
    return (
        config if name == "hymotion" else config | {"denoiser": config["denoiser"] | {"features": features}}
    )


def _write_towers(
    data: Path, folder: Path, names: tuple[str, ...], layout: Layout, file: str, latent: int, layers: int
) -> Path:
    folder.mkdir(parents=True)
    torch.manual_seed(1)
    spm = file.startswith("spm")
    size = RewardSize(
        **dict.fromkeys(("feedforward", "text_feedforward", "projection_hidden"), 16),
        latent=latent,
        width=16,
        layers=layers,
        text_layers=layers,
        heads=4,
        text_heads=4,
        projection_layers=1 if spm else 2,
        text_width=TEXT_WIDTH,
        representations=names,
        widths=tuple(
            {"kinematic": layout.skeleton.features, "joints": 66, "rotation": 135}[n] for n in names
        ),
    )
    network = MotionRewardNetwork(size).eval()
    spread(network)
    for name in names:
        clip_statistics(data, name).save(folder, name)
    heads = {"encoder_num_heads": 4, "text_num_heads": 4}
    state = network.state_dict() if spm else collect(network.state_dict())
    write_checkpoint(folder / file, {"state_dict": state} | ({} if spm else {"model_config": heads}))
    return folder / file


def _spm_name(ours: str, names: dict[str, str]) -> str | None:
    """The published name of a tensor of ours; the time embedding stands once for both towers."""
    tower, part, *rest = ours.split(".")
    if part == "time_embedding":
        return ".".join(["time_embedding", *rest])
    if part == "time_embedding_text":
        return None
    if part == "proj_263":
        return ".".join(["skel_embedding", *rest[1:]])
    if part == "final_layer_263":
        return ".".join(["final_layer", *rest])
    return ".".join([names[f"{tower}.{part}"], *rest])


def _guo_name(ours: str) -> str:
    if ours == "gru.start":
        return "hidden"
    if ours.startswith("gru.back."):
        return f"gru.{ours.removeprefix('gru.back.')}_reverse"
    return f"gru.{ours.removeprefix('gru.ahead.')}" if ours.startswith("gru.") else ours


def _write_words(folder: Path) -> None:
    folder.mkdir(parents=True)
    words = [*WORDS, "sos", "eos", "unk"]
    draws = np.random.default_rng(5)
    np.save(folder / "our_vab_data.npy", draws.normal(size=(len(words), 6)).astype(np.float32))
    (folder / "our_vab_words.pkl").write_bytes(pickle.dumps(words))
    (folder / "our_vab_idx.pkl").write_bytes(pickle.dumps({word: row for row, word in enumerate(words)}))
