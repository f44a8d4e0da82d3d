"""Rows 11 to 14, 26, 28 and 33: weights, where they come from, and what they run on."""

import argparse
import json
import shutil
import struct
from pathlib import Path

import numpy as np
import torch

from motionrft import builtin
from motionrft.generators.folder import save_generator
from motionrft.official.generators import save_official
from motionrft.training.weights import write_manifest
from tests.fuzz import seeds
from tests.generators.families import TEXT_WIDTH, tiny
from tests.official.test_pickles import Payload
from tests.reliability.arrays import joints
from tests.reliability.scene import Ended, Scene, row
from tests.text.test_pretrained import write_tiny_clip


def copied(scene: Scene, name: str, model: str = "generator") -> Path:
    """A built-in model, the user's own now."""
    folder = scene.place / name
    shutil.copytree(builtin.path(model), folder)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def sampled(scene: Scene, generator: Path, **environment: str) -> Ended:
    words = ("sample", "a person waves", "--generator", generator, "--seconds", "1", "--steps", "2")
    return scene.run(*words, "--out", f"{generator.name}-out", "--overwrite", **environment)


@row(11)
def malicious_checkpoint(scene: Scene) -> None:
    """Malicious pickle checkpoint."""
    for name in ("evil.ckpt", "evil.pt", "evil.tar"):
        torch.save({"state_dict": Payload(scene.place / "ran"), "opt": 1}, scene.place / name)
    calls = (
        ("convert", "evil.ckpt", "--to", "motionrft", "--out", "out"),
        ("sample", "a person waves", "--generator", "evil.pt", "--out", "out"),
        ("score", "a.npy", "--reward", "evil.tar", "--terms", "semantic", "--text", "a person waves"),
    )
    np.save(scene.place / "a.npy", joints())
    for words in calls:
        ended = scene.refused(scene.run(*words), "evil", "mkdir")
        scene.want("weights_only" not in ended.err, "suggests weights_only=False")
    scene.want(not (scene.place / "ran").exists(), "the payload ran")


@row(12)
def benign_checkpoint(scene: Scene) -> None:
    """Benign `.ckpt` with Namespace or numpy scalars."""
    save_official(tiny("mld"), scene.place / "mld_humanml_v1.ckpt")
    content = torch.load(scene.place / "mld_humanml_v1.ckpt", weights_only=True)
    content |= {"opt": argparse.Namespace(layers=8), "score": np.float64(0.5), "epoch": np.int64(3)}
    torch.save(content, scene.place / "mld_humanml_v1.ckpt")
    scene.done(scene.run("convert", "mld_humanml_v1.ckpt", "--to", "motionrft", "--out", "out"))
    scene.want((scene.place / "out" / "model.safetensors").is_file(), "no weights were written")


@row(13)
def damaged_weights(scene: Scene) -> None:
    """Safetensors truncated, trailing junk, huge header; one flipped bit."""
    folder = copied(scene, "generator")
    whole = (folder / "model.safetensors").read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    damages = {
        "truncated": (whole[: len(whole) // 2], (f"{len(whole) // 2:,}", "byte")),
        "trailing junk": (whole + b"junk", ("byte",)),
        "huge header": (struct.pack("<Q", 1 << 60) + whole[8:], ("header",)),
        "flipped bit": (bytes(flipped), ("SHA-256",)),
    }
    for name, (content, said) in damages.items():
        (folder / "model.safetensors").write_bytes(content)
        scene.refused(sampled(scene, folder), "model.safetensors", "damaged" if name == "flipped bit" else "")
        if name != "flipped bit":  # a folder of an older hand, without a manifest
            manifest = (folder / "manifest.json").read_bytes()
            (folder / "manifest.json").unlink()
            scene.refused(sampled(scene, folder), "model.safetensors", "damaged", *said)
            (folder / "manifest.json").write_bytes(manifest)


@row(14)
def another_architecture(scene: Scene) -> None:
    """Checkpoint of another architecture; LoRA for another base."""
    for name, change in (("deeper", {"layers": 7}), ("wider", {"hidden": 384})):
        folder = copied(scene, name)
        config = json.loads((folder / "config.json").read_text())
        config["denoiser"] |= change
        (folder / "config.json").write_text(json.dumps(config))
        write_manifest(folder)
        scene.refused(sampled(scene, folder), "denoiser.")
    save_generator(tiny("mdm"), scene.place / "mdm")
    small = (
        "--updates",
        "1",
        "--batch",
        "2",
        "--steps",
        "2",
        "--set",
        "method.k=1",
        "--set",
        "evaluation.prompts=0",
    )
    unwatched = ("--set", "watch.every=0", "--lora", "--set", "lora.rank=2")
    scene.done(scene.run("finetune", *small, *unwatched, "--out", "run"))
    # An adapter folder is for other programs (peft); as a generator it is told to be none.
    scene.refused(sampled(scene, scene.place / "run" / "adapters"), "adapters")
    seeds.REWARDS["motionreward"](scene.place)
    backbone = next(scene.place.glob("*.pth"))
    base = "critic_input_block_0_attn.lora_q"
    foreign = {f"{base}.lora_A": torch.zeros(2, 999), f"{base}.lora_B": torch.zeros(999, 2)}
    torch.save({"lora_state_dict": foreign, "lora_alpha": 4.0}, scene.place / "stage2_critic_lora.pth")
    np.save(scene.place / "a.npy", joints())
    judged = ("--terms", "preference", "--text", "a person walks")
    scene.refused(scene.run("score", "a.npy", "--reward", backbone, *judged), "critic_lora.pth")
    ended = scene.run("convert", backbone, "--to", "motionrft", "--out", "out")
    scene.refused(ended, "critic_lora.pth")
    scene.want(not (scene.place / "out").exists(), "half of it was written")


@row(26)
def offline(scene: Scene) -> None:
    """Offline with an empty cache."""
    generator = tiny("mld")
    save_generator(generator, scene.place / "clip")
    config = json.loads((scene.place / "clip" / "config.json").read_text())
    config["text"] = "clip-l14"
    (scene.place / "clip" / "config.json").write_text(json.dumps(config))
    write_manifest(scene.place / "clip")
    nothing = {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(scene.place / "hf"),
        "MOTIONRFT_CACHE": str(scene.place / "cache"),
    }
    usual = scene.done(scene.run("sample", "--help"))
    ended = scene.refused(sampled(scene, scene.place / "clip", **nothing), "clip", "ownload", "HF_HOME")
    scene.want(ended.processor < usual.processor + 6, f"{ended.processor:.1f} s of the processor")
    scene.want(not (scene.place / "clip-out").exists(), "something was written")


@row(28)
def no_such_device(scene: Scene) -> None:
    """No CUDA, `--device cuda:9`."""
    np.save(scene.place / "a.npy", joints())
    scene.refused(scene.run("score", "a.npy", "--device", "cuda:9"), "cuda:9", "auto, cpu")
    scene.refused(scene.run("finetune", "--device", "cuda:9", "--out", "run"), "cuda:9", "auto, cpu")
    small = (
        "--updates",
        "12",
        "--batch",
        "2",
        "--steps",
        "6",
        "--set",
        "method.k=3",
        "--set",
        "watch.every=0",
    )
    ended = scene.done(scene.run("finetune", *small, "--set", "evaluation.prompts=0", "--out", "out"))
    scene.want(torch.cuda.is_available() or "no GPU found" in ended.err, f"auto says nothing: {ended.err}")


@row(33)
def another_encoder(scene: Scene) -> None:
    """Text embeddings cached under another encoder."""
    generator = tiny("mld")
    save_generator(generator, scene.place / "model")
    config = json.loads((scene.place / "model" / "config.json").read_text())
    config["text"] = "clip-b32"
    (scene.place / "model" / "config.json").write_text(json.dumps(config))
    write_manifest(scene.place / "model")
    made = []
    for number, cache in ((0, "shared"), (1, "shared"), (1, "alone")):
        folder = scene.place / f"{number}-{cache}" / "clip-b32"
        folder.mkdir(parents=True)
        torch.manual_seed(number)
        write_tiny_clip(folder, TEXT_WIDTH, TEXT_WIDTH)
        places = {"MOTIONRFT_TEXT_ENCODERS": str(folder.parent), "MOTIONRFT_CACHE": str(scene.place / cache)}
        scene.done(sampled(scene, scene.place / "model", **places))
        found = sorted((scene.place / "model-out").glob("*.npy"))
        made.append(np.load(found[0]) if found else np.zeros(1))
    scene.want(np.array_equal(made[1], made[2]), "features of the other encoder were used")
    scene.want(not np.array_equal(made[0], made[1]), "the encoder makes no difference: the row shows nothing")
