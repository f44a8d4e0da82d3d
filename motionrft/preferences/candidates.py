"""Candidates: several motions of each prompt, from any generator, each with its seed; one file a prompt."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from motionrft.data.batches import pad
from motionrft.generators.motion_tokens import MotionTokens
from motionrft.generators.sampling import sample_batches
from motionrft.generators.text_to_motion import Sampling, TextToMotion
from motionrft.generators.token_generator import TokenGenerator
from motionrft.parsing import parsing
from motionrft.preferences.prompts import EventPrompt
from motionrft.representations.convert import convert
from motionrft.representations.names import JOINTS
from motionrft.training.atomic import atomic_file
from motionrft.training.distribution import ALONE, Distribution
from motionrft.training.seeds import item_seed

_TEXTS_AT_ONCE = 64


@dataclass(frozen=True)
class Candidates:
    """The motions of one prompt.

    motions: (n, T, D) float32 in `representation`, de-normalised. joints: (n, T, 22, 3) metres.
    seeds: (n,) of each. fps: frames a second. lengths: (n,) frames of each. usable: (n,) bool, False for no motion.
    tokens: those that a language model wrote, or None; codebook: what they are of.
    """

    motions: np.ndarray
    joints: np.ndarray
    seeds: np.ndarray
    representation: str
    fps: float
    lengths: np.ndarray
    usable: np.ndarray
    tokens: MotionTokens | None = None
    codebook: str = ""


@dataclass(frozen=True)
class Candidate:
    """One motion (T, D) as it was made; see `motionrft.generators.text_to_motion.Sampled`."""

    motion: torch.Tensor
    tokens: torch.Tensor | None
    usable: bool


def make_candidates(
    generator: TextToMotion,
    prompts: Sequence[EventPrompt],
    folder: Path,
    number: int,
    sampling: Sampling | None = None,
    seed: int = 0,
    batch: int = 32,
    done: Callable[[int], None] = lambda count: None,
    company: Distribution = ALONE,
) -> None:
    """Sample what `folder` lacks: `number` motions a prompt, each from the seed of (run seed, prompt, place).

    Args:
        done: told how many motions more are there; in the first process.
        company: whose processes share the prompts, as many at once as one would take, so that they make what one makes.
    """

    def lacking() -> list[EventPrompt]:
        folder.mkdir(parents=True, exist_ok=True)
        return [prompt for prompt in prompts if not candidates_file(folder, prompt.id).exists()]

    missing = company.known(lacking)
    done((len(prompts) - len(missing)) * number)
    texts = [prompt.text for prompt in missing]
    company.first(lambda: generator.remember(texts))  # the others find them in the cache
    generator.remember(texts)
    for more in company.rounds(_made(generator, missing, folder, number, sampling, seed, batch, company), 1):
        done(more)


def _made(
    generator: TextToMotion,
    missing: Sequence[EventPrompt],
    folder: Path,
    number: int,
    sampling: Sampling | None,
    seed: int,
    batch: int,
    company: Distribution,
) -> Iterator[int]:
    """Sample and write this process's share of the prompts; how many motions more there are, batch by batch."""
    starts = range(0, len(missing), _TEXTS_AT_ONCE)[company.place :: company.processes]
    for start in starts:
        part = missing[start : start + _TEXTS_AT_ONCE]
        condition = generator.encode_text([prompt.text for prompt in part])
        lengths = generator.frames(torch.tensor([prompt.seconds for prompt in part]))  # (P,)
        repeated = torch.arange(len(part)).repeat_interleave(number)
        seeds = [item_seed(seed, prompt.id, place) for prompt in part for place in range(number)]
        made: dict[int, Candidate] = {}
        device = condition.device
        walk = sample_batches(
            generator, condition.index(repeated.to(device)), lengths[repeated], seeds, sampling, batch
        )
        for items, sampled in walk:
            rows = [None] * len(items) if sampled.tokens is None else sampled.tokens.rows()
            each = zip(items.tolist(), sampled.clips(), rows, sampled.usable.tolist(), strict=True)
            made |= {item: Candidate(clip.cpu(), row, usable) for item, clip, row, usable in each}
            yield len(items)
        for row, prompt in enumerate(part):
            places = range(row * number, (row + 1) * number)
            its = [made[place] for place in places]
            _save(folder, prompt.id, generator, its, [seeds[place] for place in places])


def read_candidates(folder: Path, prompt: str) -> Candidates:
    """The motions of a prompt.

    Raises:
        UserError: there are none, or the file is damaged.
    """
    path = candidates_file(folder, prompt)
    with parsing(path, "a file of candidates"), np.load(path, allow_pickle=False) as held:
        arrays = {name: held[name] for name in held.files}
        tokens = None
        if "tokens" in arrays:
            tokens = MotionTokens(
                torch.from_numpy(arrays["tokens"]), torch.from_numpy(arrays["token_counts"])
            )
        return Candidates(
            arrays["motions"],
            arrays["joints"],
            arrays["seeds"],
            str(arrays["representation"]),
            float(arrays["fps"]),
            arrays["lengths"],
            arrays["usable"],
            tokens,
            str(arrays.get("codebook", "")),
        )


def read_usable(folder: Path, prompt: str) -> np.ndarray:
    """(n,) bool, which of a prompt's candidates are motions; nothing else of the file is read.

    Raises: as `read_candidates`.
    """
    path = candidates_file(folder, prompt)
    with parsing(path, "a file of candidates"), np.load(path, allow_pickle=False) as held:
        usable: np.ndarray = held["usable"]
    return usable


def candidates_file(folder: Path, prompt: str) -> Path:
    """Where the motions of a prompt lie."""
    return folder / f"{prompt}.npz"


def codebook_identity(generator: TokenGenerator) -> str:
    """A hash of what its tokens mean: two models of one codebook read each other's."""
    codebook = generator.vq.quantizer.codebook.detach().cpu().float()
    return hashlib.sha256(codebook.numpy().tobytes()).hexdigest()[:16]


def _save(
    folder: Path, prompt: str, generator: TextToMotion, made: Sequence[Candidate], seeds: list[int]
) -> None:
    motions, lengths = pad([each.motion for each in made])  # (n, T, D), (n,)
    joints = convert(motions, generator.representation, JOINTS)
    arrays = {
        "motions": motions.float().numpy(),
        "joints": joints.reshape(*joints.shape[:2], -1, 3).float().numpy(),
        "seeds": np.array(seeds, dtype=np.uint64),
        "fps": np.array(generator.fps),
        "representation": np.array(generator.representation),
        "lengths": lengths.numpy(),
        "usable": np.array([each.usable for each in made]),
    }
    written = [each.tokens for each in made if each.tokens is not None]
    if written:
        tokens = MotionTokens.of(written)
        arrays |= {"tokens": tokens.codes.numpy(), "token_counts": tokens.counts.numpy()}
        assert isinstance(generator, TokenGenerator), "who writes tokens has a codebook"
        arrays["codebook"] = np.array(codebook_identity(generator))
    with atomic_file(candidates_file(folder, prompt)) as path, open(path, "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
