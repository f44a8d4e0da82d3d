"""One table a kind: what can be asked for by name, where it is, and one line of help. Free of torch.

Everything that lists, completes, validates or loads a name asks a table here. An entry is imported when it is used.
Installed packages add to a table through an entry point of its group, `name = "module:attribute"`; a notebook adds an
object with `Kind.add`. A name from a file (a model folder, a preset) only ever finds what a table holds: nothing
here imports a module because a file names it.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from motionrft.errors import UserError


@dataclass(frozen=True)
class Entry:
    """place: `module:attribute`. help: one line, as lists and completions show it.

    writes: of a file format, the words that ask for a file of it; so that they are known without importing it.
    """

    place: str
    help: str
    writes: tuple[str, ...] = ()


@dataclass
class Kind:
    """One table.

    noun: what one of its things is called in messages. group: entry points of other packages, or None where a
    thing of this kind is only ours. table: our own, name to `Entry`.
    """

    noun: str
    group: str | None
    table: Mapping[str, Entry]
    added: dict[str, tuple[Any, str]] = field(default_factory=dict)
    """Objects of this process alone, with their help; they go before all others."""

    def names(self) -> list[str]:
        """Every name: ours in the table's order, then those of installed packages and of this process."""
        return list(dict.fromkeys([*self.table, *self._brought(), *self.added]))

    def __contains__(self, name: object) -> bool:
        return name in self.added or name in self.table or name in self._brought()

    def help_of(self, name: str) -> str:
        """One line about a name; for another package's, which package it is.

        Raises:
            UserError: nobody has that name.
        """
        if name in self.added:
            return self.added[name][1]
        if name in self.table:
            return self.table[name].help
        self.check(name)
        return "; ".join(f"from the package {_package(point)}" for point in self._brought()[name])

    def check(self, name: str) -> None:
        """Refuse a name that nobody has; the message lists all and offers the nearest.

        Raises:
            UserError: as said.
        """
        known = self.names()
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise UserError(f"no {self.noun} is called {name!r}; there are {', '.join(known)}.{hint}")

    def load(self, name: str) -> Any:
        """The thing itself, imported now.

        Raises:
            UserError: nobody has that name, two packages do, or another package's does not import.
        """
        if name in self.added:
            return self.added[name][0]
        if name in self.table:
            return load_place(self.table[name].place)
        self.check(name)
        points = self._brought()[name]
        if len(points) > 1:
            packages = " and ".join(_package(point) for point in points)
            raise UserError(
                f"{self.noun} {name}: the packages {packages} both bring it; uninstall one of them."
            )
        try:
            return points[0].load()
        except Exception as error:
            raise UserError(
                f"{self.noun} {name}: {points[0].value} of the package {_package(points[0])} cannot be imported: "
                f"{type(error).__name__}: {error}"
            ) from error

    def add(self, name: str, thing: Any, help: str = "added by this program") -> None:
        """Bring a thing of one's own into this process, a notebook's for example. It replaces a like-named one."""
        self.added[name] = (thing, help)

    def _brought(self) -> dict[str, list[EntryPoint]]:
        """Entry points of installed packages by name. Our own names stay ours."""
        brought: dict[str, list[EntryPoint]] = {}
        for point in _entry_points(self.group, tuple(sys.path)) if self.group else ():
            if point.name not in self.table:
                brought.setdefault(point.name, []).append(point)
        return brought


@cache
def _entry_points(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """The entry points of a group; reading them takes milliseconds, so once for a search path."""
    return tuple(sorted(entry_points(group=group), key=lambda point: (point.name, point.value)))


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.module


def load_place(place: str) -> Any:
    """What stands at `module:attribute`.

    Only for places in this file and for those that a person names in code or on the command line.
    """
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)


GENERATORS = Kind(
    "generator family",
    "motionrft.generators",
    {
        "mld": Entry("motionrft.generators.mld:Mld", "MLD, MLD++ and MotionLCM: latent diffusion"),
        "mdm": Entry("motionrft.generators.mdm:Mdm", "MDM: diffusion of frames, transformer"),
        "motiondiffuse": Entry(
            "motionrft.generators.motiondiffuse:MotionDiffuse",
            "MotionDiffuse: diffusion of frames, long chains",
        ),
        "acmdm": Entry("motionrft.generators.acmdm:Acmdm", "ACMDM: flow over latents of absolute joints"),
        "hymotion": Entry("motionrft.generators.hymotion:HyMotion", "HY-Motion: flow over joint rotations"),
        "kimodo": Entry(
            "motionrft.generators.kimodo:Kimodo", "Kimodo: two-stage diffusion of SOMA, G1, SMPL-X"
        ),
        "stablemofusion": Entry(
            "motionrft.generators.stablemofusion:StableMoFusion", "StableMoFusion: diffusion of frames, U-Net"
        ),
        "motiongpt": Entry(
            "motionrft.generators.motiongpt:MotionGpt", "MotionGPT: a T5 that writes motion tokens"
        ),
        "token-decoder": Entry(
            "motionrft.generators.token_decoder:TokenDecoderGenerator",
            "a small language model of motion tokens",
        ),
    },
)
"""Subclasses of `motionrft.generators.base.Generator` (diffusion) or `….token_generator.TokenGenerator`."""

METHODS = Kind(
    "method",
    "motionrft.methods",
    {
        "easytune": Entry("motionrft.finetuning.methods.easytune:METHOD", "one update a denoising step"),
        "easytune-chain": Entry(
            "motionrft.finetuning.methods.easytune_chain:METHOD",
            "EasyTune, with a fixed policy in a trajectory",
        ),
        "refl": Entry("motionrft.finetuning.methods.refl:METHOD", "ReFL: one random late step"),
        "draft": Entry("motionrft.finetuning.methods.draft:METHOD", "DRaFT-K, DRaFT-LV: the last steps"),
        "alignprop": Entry(
            "motionrft.finetuning.methods.alignprop:METHOD", "AlignProp: a random tail of steps"
        ),
        "drtune": Entry("motionrft.finetuning.methods.drtune:METHOD", "DRTune: some steps, inputs detached"),
        "ddpo": Entry(
            "motionrft.finetuning.methods.ddpo:METHOD", "DDPO: policy gradient, no gradient of rewards"
        ),
        "grpo": Entry("motionrft.finetuning.methods.grpo:METHOD", "GRPO: policy gradient within groups"),
        "sopo": Entry("motionrft.finetuning.methods.sopo:METHOD", "SoPo: semi-online preference pairs"),
        "dpo": Entry("motionrft.finetuning.methods.dpo:METHOD", "Diffusion-DPO on ranked samples of its own"),
        "sft": Entry("motionrft.finetuning.methods.sft:METHOD", "supervised tuning on recorded motions"),
    },
)
"""`motionrft.finetuning.methods.base.Method`: settings, plan, objective; free of torch."""

REWARDS = Kind(
    "reward",
    "motionrft.rewards",
    {
        "motionreward": Entry(
            "motionrft.reward.folder:MOTIONREWARD", "MotionReward: one network, three representations"
        ),
        "tmr": Entry("motionrft.reward.folder:TMR", "TMR: texts and motions in one space"),
        "motioncritic": Entry("motionrft.reward.folder:MOTIONCRITIC", "MotionCritic: human preference"),
    },
)
"""`motionrft.reward.base.RewardFamily` for folders; or a reward itself: a function of joints, or a `Reward` class."""

EVALUATORS = Kind(
    "evaluator",
    "motionrft.evaluators",
    {
        "mini": Entry("motionrft.evaluation.evaluators.loading:load_mini", "the small built-in kind"),
        "guo": Entry(
            "motionrft.evaluation.evaluators.loading:load_guo", "Guo et al. 2022, the field's usual one"
        ),
        "towers": Entry("motionrft.evaluation.evaluators.loading:load_towers", "a reward with two towers"),
    },
)
"""Functions (folder, representation or None) that read an evaluator."""

TEXT_ENCODERS = Kind(
    "text encoder",
    "motionrft.text_encoders",
    {
        "minilm": Entry("motionrft.text.minilm:MiniLM", "all-MiniLM-L6-v2, states and mean"),
        "clip-b32": Entry("motionrft.text.pretrained:clip_b32", "CLIP ViT-B/32, pooled"),
        "clip-b32-short": Entry("motionrft.text.pretrained:clip_b32_short", "CLIP ViT-B/32, 22 tokens"),
        "clip-b32-states": Entry("motionrft.text.pretrained:clip_b32_states", "CLIP ViT-B/32, token states"),
        "clip-l14": Entry("motionrft.text.pretrained:clip_l14", "CLIP ViT-L/14, pooled"),
        "sentence-t5-large": Entry("motionrft.text.pretrained:SentenceT5", "sentence-T5 large"),
        "distilbert": Entry("motionrft.text.pretrained:DistilBert", "DistilBERT, token states"),
        "hymotion": Entry("motionrft.text.hymotion:HyMotionText", "HY-Motion's Qwen and CLIP"),
        "llm2vec": Entry("motionrft.text.llm2vec:llm2vec", "LLM2Vec on Llama 3 8B, bfloat16 (Kimodo)"),
        "llm2vec-fp32": Entry("motionrft.text.llm2vec:llm2vec_fp32", "LLM2Vec in float32 (Kimodo v1.1)"),
    },
)
"""Functions or classes (folder or None, device) that give a `motionrft.text.base.TextEncoder`."""

SAMPLERS = Kind(
    "sampler",
    None,
    {
        "ddpm": Entry("motionrft.diffusion.ancestral:SAMPLER", "ancestral sampling, all training times"),
        "ddim": Entry("motionrft.diffusion.ddim:SAMPLER", "any subset of the times, eta its noise"),
        "lcm": Entry("motionrft.diffusion.lcm:SAMPLER", "jumps of a distilled network"),
        "dpm-sde": Entry("motionrft.diffusion.dpm:SDE", "DPM-Solver++ with noise, Karras levels"),
        "dpm": Entry("motionrft.diffusion.dpm:ODE", "DPM-Solver++ without noise, Karras levels"),
        "dpm-sde-linspace": Entry(
            "motionrft.diffusion.dpm:SDE_LINSPACE", "DPM-Solver++ with noise, even times"
        ),
        "dpm-linspace": Entry(
            "motionrft.diffusion.dpm:ODE_LINSPACE", "DPM-Solver++ without noise, even times"
        ),
        "euler": Entry("motionrft.diffusion.flow:EULER", "Euler steps of a flow, eta adds noise"),
        "heun": Entry("motionrft.diffusion.flow:HEUN", "Heun steps, two network calls each"),
        "flow-sde": Entry("motionrft.diffusion.flow:FLOW_SDE", "Euler with Flow-GRPO's noise"),
        "dance-sde": Entry("motionrft.diffusion.flow:DANCE_SDE", "Euler with DanceGRPO's constant noise"),
        "dopri5": Entry("motionrft.diffusion.dopri5:SAMPLER", "adaptive Dormand-Prince; for sampling alone"),
    },
)
"""`motionrft.diffusion.sampler.Sampler`, in the order in which families list those that suit them."""

FORMATS = Kind(
    "motion format",
    "motionrft.formats",
    {
        "bvh": Entry("motionrft.files.formats.bvh:BvhFormat", "BVH of any human skeleton", ("bvh",)),
        "shard": Entry("motionrft.files.formats.shard:ShardFormat", "clips of a data set in shards"),
        "glb": Entry(
            "motionrft.files.formats.glb:GlbFormat", "animated body for Blender and game engines", ("glb",)
        ),
        "kimodo": Entry(
            "motionrft.files.formats.kimodo_npz:KimodoFormat",
            "Kimodo's npz: SOMA, Unitree G1, SMPL-X",
            ("kimodo",),
        ),
        "amass": Entry(
            "motionrft.files.formats.smpl_parameters:SmplFormat",
            "SMPL parameters: AMASS, HY-Motion, AIST++, estimators",
            ("amass",),
        ),
        "g1-csv": Entry(
            "motionrft.files.formats.g1_csv:G1CsvFormat", "MuJoCo rows of the Unitree G1", ("g1-csv",)
        ),
        "arrays": Entry(
            "motionrft.files.formats.bare_arrays:ArrayFormat",
            "arrays: npy, npz, safetensors, pkl",
            ("npy", "npz", "safetensors"),
        ),
    },
)
"""Subclasses of `motionrft.files.formats.base.MotionFormat`, asked in this order; other packages' before `arrays`."""

KINDS = {
    "generators": GENERATORS,
    "methods": METHODS,
    "rewards": REWARDS,
    "evaluators": EVALUATORS,
    "text_encoders": TEXT_ENCODERS,
    "samplers": SAMPLERS,
    "formats": FORMATS,
}
