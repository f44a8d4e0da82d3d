"""Kimodo: two-stage diffusion on the features of SOMA, the Unitree G1 or SMPL-X, 30 frames a second (NVIDIA 2026).

Motions are read from the rotations, by forward kinematics: that is what is exported, so that is what rewards
have to judge.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

from motionrft.diffusion.process import Process
from motionrft.diffusion.schedule import Schedule, cosine
from motionrft.errors import UserError
from motionrft.generators.base import Condition
from motionrft.generators.constraints import Constraints
from motionrft.generators.family import FrameFamily
from motionrft.generators.frames import TextPart, from_motion, read_texts, to_motion
from motionrft.generators.guidance import without_states
from motionrft.generators.kimodo_asking import Asking, asked_for, checked, shown_in_training
from motionrft.generators.kimodo_chain import chained
from motionrft.generators.kimodo_network import KimodoNetwork
from motionrft.generators.kimodo_statistics import (
    LOCAL,
    KimodoStatistics,
    PartStatistics,
    evened,
    local_root,
    turned_any_way,
)
from motionrft.generators.sampling_settings import SamplingSettings, offered
from motionrft.generators.text_to_motion import Sampled, Whole
from motionrft.representations.convert import convert
from motionrft.representations.kimodo.features import ROOT, rest_of, skeleton_of_features
from motionrft.representations.kimodo.ours import (
    check_people,
    kimodo_to_joints,
    kimodo_to_rotation,
    people_to_robot,
    rotation_to_smplx,
)
from motionrft.representations.kimodo.skeletons import G1, SMPLX22
from motionrft.representations.names import JOINTS, KIMODO, ROTATION
from motionrft.representations.statistics import Statistics
from motionrft.text.base import TextFeatures

_OPEN = "NVIDIA Open Model License: commercial use is allowed."
_INTERNAL = (
    "NVIDIA's SMPL-X: internal research alone, no production; a model tuned of it may not be passed on."
)
Passes = Literal["separated", "regular", "nocfg"]
FEWEST = 2
"""Frames that the bridge can take differences of."""


@dataclass(frozen=True)
class KimodoConfig:
    """What builds a Kimodo again; JSON values only.

    denoiser: arguments of `KimodoNetwork`; `joints` (30, 34, 22) tells the skeleton.
    representation: `joints` or `rotation`, both by forward kinematics.
    passes: of guidance. separated: text and constraints each against neither; regular: both together; nocfg: none.
    constraint_guidance: scale of the constraints where passes are separated.
    published: `config.yaml` of the folder that it was read from, whole; written back beside tuned weights.
    """

    denoiser: dict[str, Any] = field(default_factory=dict)
    representation: str = JOINTS
    fps: float = 30.0
    text: str = "llm2vec"
    text_features: TextPart = "pooled"
    train_times: int = 1000
    steps: int = 100
    passes: Passes = "separated"
    guidance: float = 2.0
    constraint_guidance: float = 2.0
    min_frames: int = 20
    max_frames: int = 300
    published: str = ""


class Kimodo(FrameFamily[KimodoConfig]):
    """A diffusion on normalised features (B, T, 12 J + 9). The null condition is text features of zeros."""

    family, settings = "kimodo", KimodoConfig
    parametrisation = "x0"
    schedule: Schedule
    denoiser: KimodoNetwork
    local_mean: Tensor
    local_std: Tensor
    rest_joints: Tensor
    asking: Asking = Asking()
    rest_spread: float | None = None
    """Metres by which frames differ in the bones, where the rest joints were solved from a motion of its own."""

    def __init__(self, config: KimodoConfig):
        super().__init__(config)
        if config.representation not in (JOINTS, ROTATION):
            raise ValueError(f"representation is {config.representation!r}; kimodo makes joints or rotation")
        self.denoiser = KimodoNetwork(**config.denoiser)
        self.features = self.denoiser.features
        self.text_tokens, self.text_width = self.denoiser.text_tokens, self.denoiser.text_width
        self.skeleton = skeleton_of_features(self.features)
        if self.skeleton is G1 and config.representation == ROTATION:
            raise ValueError("the robot has no rotations of people; representation has to be joints")
        self.representation = config.representation
        self.guidance = 1.0 if config.passes == "nocfg" else config.guidance
        self.schedule = cosine(config.train_times)
        self.samplers = offered("diffusion", "ddim", config.steps, config.train_times)
        self.sampler_options = {"ddim": {"spacing": "linspace", "offset": 0, "land_on_clean": True}}
        self.register_statistics(self.features)
        self.register_statistics(LOCAL, "local_")
        unknown = self.skeleton.numbers is None
        rest = torch.zeros(self.skeleton.joints, 3) if unknown else self.skeleton.rest_joints.float()
        self.register_buffer("rest_joints", rest)

    @property
    def warning(self) -> str:
        said = [_INTERNAL] if self.config.published and self.skeleton is SMPLX22 else []
        if self.rest_spread is not None:
            spread = f"{1000 * self.rest_spread:.1f} mm"
            said.append(
                f"Its rest joints were solved from a motion of its own, whose frames differ by {spread}; "
                "joints.p of your Kimodo (kimodo/assets/skeletons/smplx22) beside the weights is exact."
            )
        return " ".join(said)

    @property
    def licence(self) -> str:
        """What NVIDIA's weights of this skeleton may be used for; nothing of weights that are not NVIDIA's."""
        if not self.config.published:
            return ""
        return _INTERNAL if self.skeleton is SMPLX22 else _OPEN

    @property
    def trained_on(self) -> str:
        return KIMODO

    @property
    def lora_targets(self) -> list[str]:
        return ["linear1", "linear2", "out_proj"]

    @property
    def lora_parameters(self) -> list[str]:
        return ["in_proj_weight"]

    @property
    def statistics(self) -> KimodoStatistics:
        """What features are normalised with, on the model's device."""
        root, body = (
            PartStatistics(self.mean[part], self.std[part]) for part in (slice(ROOT), slice(ROOT, None))
        )
        return KimodoStatistics(root, PartStatistics(self.local_mean, self.local_std), body)

    def process_with(self, sampling: SamplingSettings) -> Process:
        if sampling.sampler == "ddim" and sampling.steps == 1:
            raise UserError(
                "one step of ddim gives noise here: its only time is the clean end. Set steps to 2 or more."
            )
        return super().process_with(sampling)

    def encode_text(self, texts: Sequence[str]) -> Condition:
        """An empty text is the null condition."""
        said = [text for text in texts if text.strip()]
        width, tokens = self.text_width, torch.zeros(0, 1, self.text_width, device=self.device)
        if said:
            tokens = read_texts(self.text_encoder, said, self.config.text_features, self.device).tokens
        if tokens.shape[-1] != width:
            raise UserError(
                f"this generator reads text features of {width} numbers; {self.text_encoder_name} gives "
                f"{tokens.shape[-1]}."
            )
        if tokens.shape[1] > self.text_tokens:
            raise UserError(
                f"a text of {tokens.shape[1]} tokens; this generator reads at most {self.text_tokens}."
            )
        rows = tokens.new_zeros(len(texts), *tokens.shape[1:])
        rows[[place for place, text in enumerate(texts) if text.strip()]] = tokens
        visible = torch.ones(rows.shape[:2], dtype=torch.bool, device=self.device)
        null = TextFeatures(rows.new_zeros(1, 1, width), visible.new_ones(1, 1))
        return Condition(TextFeatures(rows, visible), null, wished=self.asking.places(texts))

    def encode_for_training(self, texts: Sequence[str], dropped: Tensor | None = None) -> Condition:
        return without_states(self.encode_text(texts), dropped)

    def ask(self, wishes: Any = None, heading: float | None = None, origin: str = "constraints") -> None:
        """wishes: what a `constraints.json` holds, or `ByPrompt`. A heading that they wish for in the first frame is
        also told.
        """
        self.asking = Asking(wishes, heading, origin)

    def check_asked(self, texts: Sequence[str], lengths: Tensor) -> str:
        return checked(self, texts, lengths, self.asking)

    def draw_chain(
        self,
        texts: Sequence[str],
        frames: Sequence[int],
        seeds: Sequence[int],
        sampling: Any,
        precision: torch.dtype | None = None,
    ) -> Sampled:
        return chained(self, texts, frames, seeds, sampling, precision)

    def told(self, condition: Condition, lengths: Tensor) -> Condition:
        if self.asking == Asking() or condition.constraints is not None:
            return condition
        return replace(
            condition, constraints=asked_for(self, lengths, self.asking, condition.wished), wished=None
        )

    def passes(self, guidance: float) -> int:
        """Two are exact without constraints; the published code runs three."""
        if guidance == 1:
            return 1
        return 3 if self.asking.wishes is not None and self.config.passes == "separated" else 2

    def augmented(
        self,
        x0: Tensor,
        lengths: Tensor,
        condition: Condition,
        draws: torch.Generator,
        rows: slice = slice(None),
    ) -> tuple[Tensor, Condition]:
        """Turned to a random heading, which is told, and half of them with some of their own values wished for."""
        turned, asked = shown_in_training(self, x0, lengths, draws, rows)
        return turned, replace(condition, constraints=asked)

    def learn_statistics(self, statistics: Statistics, clips: Iterable[Tensor]) -> None:
        """The local root's own as well, both of motions that face anywhere, as training motions do."""
        super().learn_statistics(Statistics(*turned_any_way(statistics.mean, statistics.std)), ())
        local = (local_root(clip[None, :, :ROOT], torch.tensor([len(clip)]))[0] for clip in clips)
        found = Statistics.of_clips(local, KIMODO)
        mean, std = evened(found.mean, found.std, ((1, 2),))
        self.local_mean.copy_(mean)
        self.local_std.copy_(std)

    def predict(self, x: Tensor, t: Tensor, condition: Condition, lengths: Tensor, guidance: float) -> Tensor:
        """Guided by two passes without constraints, which is exact: the third would be the null one again."""
        if x.shape[1] < FEWEST:
            raise UserError(f"{x.shape[1]} frame: Kimodo's velocities need at least {FEWEST}.")
        asked = condition.constraints or Constraints(x.new_zeros(len(x)))
        asked = asked.fitted(x.shape[1])
        fixed = asked.mask is not None
        if guidance == 1:
            return self._pass(x, t, condition.text.tokens, asked, lengths, ((True, fixed),))[0]
        if not fixed or self.config.passes == "regular":
            both, null = self._pass(
                x, t, condition.text.tokens, asked, lengths, ((True, fixed), (False, False))
            )
            return null + guidance * (both - null)
        passes = ((True, False), (False, True), (False, False))
        text, held, null = self._pass(x, t, condition.text.tokens, asked, lengths, passes)
        return null + guidance * (text - null) + self.config.constraint_guidance * (held - null)

    def _pass(
        self,
        x: Tensor,
        t: Tensor,
        text: Tensor,
        asked: Constraints,
        lengths: Tensor,
        passes: Sequence[tuple[bool, bool]],
    ) -> Sequence[Tensor]:
        """The network's answer to each pass, all in one batch. passes: whether it is told the text, the constraints."""
        count = len(passes)
        texts = torch.cat([text if told else torch.zeros_like(text) for told, _ in passes])
        heading = torch.stack((asked.heading.cos(), asked.heading.sin()), dim=-1).repeat(count, 1)
        observed = mask = None
        if asked.mask is not None and asked.observed is not None:
            mask = torch.cat([asked.mask if held else torch.zeros_like(asked.mask) for _, held in passes])
            observed = asked.observed.repeat(count, 1, 1)
        answer = self.denoiser(
            x.repeat(count, 1, 1),
            t if t.dim() == 0 else t.repeat(count),
            texts,
            lengths.repeat(count),
            heading,
            self.statistics.local_root_of,
            observed,
            mask,
        )
        return answer.chunk(count)

    def decode(self, x: Tensor, lengths: Tensor, frames: int | None = None) -> Tensor:
        features = self.denormalised(x, lengths, frames)
        if self.representation == KIMODO:
            return features
        with torch.autocast(x.device.type, enabled=False):
            if self.representation == ROTATION:
                return kimodo_to_rotation(features, lengths, self.rest_joints)
            return kimodo_to_joints(features, lengths, self.rest_joints).flatten(2)

    @property
    def size(self) -> float:
        return people_to_robot() if self.skeleton is G1 else 1.0

    @property
    def feature_rest(self) -> Tensor | None:
        """SMPL-X', which come with its weights."""
        return self.known_rest if self.skeleton is SMPLX22 else None

    @property
    def feature_costs(self) -> tuple[str, ...]:
        return ("consistency", "hinge_limits", "off_hinge") if self.skeleton is G1 else ("consistency",)

    def decode_features(self) -> None:
        self.representation = KIMODO

    def whole(self, x: Tensor, lengths: Tensor, frames: int | None = None) -> Whole:
        """The de-normalised features: joints that are not ours, the smooth path and the contacts are in them."""
        rest = self.rest_joints if self.skeleton is SMPLX22 else None
        return Whole(self.denormalised(x, lengths, frames), KIMODO, rest)

    def denormalised(self, x: Tensor, lengths: Tensor, frames: int | None = None) -> Tensor:
        """Features (B, T, 12 J + 9) of a state, zero beyond each length."""
        return to_motion(x, self.mean, self.statistics.whole.scale, lengths, frames)

    def encode(self, motion: Tensor, lengths: Tensor) -> Tensor:
        features = motion
        if motion.shape[-1] != self.features:
            check_people(self.features)
            name = ROTATION if motion.shape[-1] == 135 else JOINTS
            rotation = convert(motion, name, ROTATION, lengths)
            smplx = self.skeleton is SMPLX22
            features = (
                rotation_to_smplx(rotation, self.known_rest, lengths)
                if smplx
                else convert(rotation, ROTATION, KIMODO, lengths)
            )
        return from_motion(features, self.mean, self.statistics.whole.scale, lengths)

    @property
    def known_rest(self) -> Tensor:
        """(J, 3) the skeleton's rest joints.

        Raises:
            UserError: they are SMPL-X', and nobody gave them.
        """
        return rest_of(self.skeleton, self.rest_joints if bool(self.rest_joints.any()) else None)
