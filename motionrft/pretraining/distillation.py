"""Consistency distillation of a latent generator: MotionLCM from an MLD (Dai et al. 2024, after Luo et al. 2023)."""

import copy
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from motionrft.diffusion.lcm import boundary
from motionrft.diffusion.parametrisation import clean_coefficients, predicted_noise
from motionrft.diffusion.schedule import broadcast
from motionrft.errors import UserError
from motionrft.generators.base import Condition, Generator
from motionrft.generators.guidance import both_halves, doubled, guided
from motionrft.generators.mld import Mld
from motionrft.moving import moved
from motionrft.pretraining.objective import Objective, masked_mean, shared_mean
from motionrft.text.base import TextFeatures
from motionrft.training.distribution import ALONE, Distribution


class DistillationSettings(Protocol):
    """What the objective reads from a preset's `distillation` group."""

    @property
    def times(self) -> int: ...
    @property
    def guidance_from(self) -> float: ...
    @property
    def guidance_to(self) -> float: ...
    @property
    def ema(self) -> float: ...
    @property
    def huber(self) -> float: ...


class ConsistencyDistillation(Objective):
    """Make one jump from time t agree with a jump from where the teacher's guided DDIM step leads.

    With f(x, t) = c_skip(t) x + c_out(t) x0(x, t) (the boundary condition of `motionrft.diffusion.lcm`), the loss is
    huber(f_student(x_t, t) - f_target(x_s, s)), where x_s is one DDIM step of the guided teacher from x_t over
    1000 / times training times, the target's weights follow the student's by a moving average, and the guidance scale
    is drawn and told to the student.

    Args:
        student: its denoiser has a guidance embedding and is trained; it starts at the teacher's weights.
        teacher: an MLD with a null prompt, frozen.
    """

    def __init__(
        self,
        student: Mld,
        teacher: Mld,
        settings: DistillationSettings,
        dtype: torch.dtype = torch.float32,
    ):
        self.student, self.teacher, self.settings, self.dtype = student, teacher, settings, dtype
        self.target = copy.deepcopy(student.denoiser).eval().requires_grad_(False)
        self.skip = student.schedule.times // settings.times
        null = teacher.encode_text([""]).null
        assert null is not None
        self.null: TextFeatures = null
        every = boundary(torch.arange(student.schedule.times))
        self.boundary = [table.float().to(student.device) for table in every]
        """c_skip and c_out of every time, (times,) each."""

    def loss(
        self,
        x0: Tensor,
        lengths: Tensor,
        condition: Condition,
        draws: torch.Generator,
        company: Distribution = ALONE,
    ) -> Tensor:
        count = len(lengths)
        rows = company.rows(count)
        index = torch.randint(self.settings.times, (count,), generator=draws)[rows]  # (b,)
        t = moved((index + 1) * self.skip - 1, x0.device)  # (b,)
        noise = moved(torch.randn(count, *x0.shape[1:], generator=draws)[rows], x0.device)  # (b, n, d_z)
        scale = moved(self._draw_scale(count, draws)[rows], x0.device)  # (b,)
        state, own = self.student.schedule.add_noise(x0, noise, t), lengths[rows]  # (b, n, d_z), (b,)
        online = self._jump(self.student.denoiser, state, t, condition, own, scale)  # (b, n, d_z)
        with torch.no_grad():
            earlier = self._earlier(t)  # (b,)
            reached = self._teacher_step(state, t, earlier, condition, own, scale)  # (b, n, d_z)
            target = self._jump(self.target, reached, earlier, condition, own, scale)  # (b, n, d_z)
        return shared_mean(self._huber(online - target), self.student, lengths, company)

    def validation_loss(
        self, x0: Tensor, lengths: Tensor, condition: Condition, draws: torch.Generator
    ) -> Tensor:
        """The student's one jump from the noisiest time against the end of the teacher's whole DDIM trajectory."""
        t = torch.full((len(x0),), self.settings.times * self.skip - 1, device=x0.device)  # (B,)
        noise = torch.randn(x0.shape, generator=draws).to(x0.device)  # (B, n, d_z)
        scale = self._draw_scale(len(x0), draws).to(x0.device)
        state = self.student.schedule.add_noise(x0, noise, t)
        jumped = self._jump(self.student.denoiser, state, t, condition, lengths, scale)  # (B, n, d_z)
        walked = state
        for _ in range(self.settings.times):
            earlier = self._earlier(t)
            walked, t = self._teacher_step(walked, t, earlier, condition, lengths, scale), earlier
        return masked_mean(self._huber(jumped - walked), self.student.state_mask(state, lengths))

    @torch.no_grad()
    def stepped(self) -> None:
        weights = [parameter.detach() for parameter in self.student.denoiser.parameters()]
        torch._foreach_lerp_(list(self.target.parameters()), weights, 1.0 - self.settings.ema)

    def state_dict(self) -> dict[str, Any]:
        return {"target": self.target.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.target.load_state_dict(state["target"])

    def _draw_scale(self, batch: int, draws: torch.Generator) -> Tensor:
        low, high = self.settings.guidance_from, self.settings.guidance_to
        return low + (high - low) * torch.rand(batch, generator=draws)  # (B,)

    def _earlier(self, t: Tensor) -> Tensor:
        """The teacher's next time; the last step ends at time 0, whose signal is alpha_bar[0] and not 1."""
        return (t - self.skip).clamp(min=0)  # (B,)

    def _jump(
        self, network: nn.Module, x: Tensor, t: Tensor, condition: Condition, lengths: Tensor, scale: Tensor
    ) -> Tensor:
        """f(x, t): the clean end, and x itself at time 0."""
        mask = _token_mask(self.student, x, lengths)  # (B, n)
        with torch.autocast(x.device.type, self.dtype, enabled=self.dtype != torch.float32):
            prediction = network(x, t, condition.text, mask, scale).float()  # (B, n, d_z)
        c_skip, c_out = (broadcast(table[t], x) for table in self.boundary)  # (B, 1, 1) each
        return c_skip * x + c_out * self._clean(x, t, prediction)  # (B, n, d_z)

    def _teacher_step(
        self, x: Tensor, t: Tensor, to: Tensor, condition: Condition, lengths: Tensor, scale: Tensor
    ) -> Tensor:
        """One deterministic DDIM step of the guided teacher, (Song et al. 2021, Eq. 12) with eta 0."""
        mask = _token_mask(self.teacher, x, lengths)
        texts = both_halves(Condition(condition.text, self.null))  # (2B, L, D) tokens
        with torch.autocast(x.device.type, self.dtype, enabled=self.dtype != torch.float32):
            both = self.teacher.denoiser(
                doubled(x), doubled(t), texts, None if mask is None else doubled(mask)
            )
        x0 = self._clean(x, t, guided(both.float(), broadcast(scale, x)))  # (B, n, d_z)
        alpha, sigma = self._levels(t, x)  # (B, 1, 1) each
        next_alpha, next_sigma = self._levels(to, x)
        return next_alpha * x0 + next_sigma * predicted_noise(x, x0, alpha, sigma)  # (B, n, d_z)

    def _clean(self, x: Tensor, t: Tensor, prediction: Tensor) -> Tensor:
        p, q = clean_coefficients(self.student.parametrisation, *self._levels(t, x))  # (B, 1, 1) each
        return p * x + q * prediction

    def _levels(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        alpha, sigma = self.student.schedule.levels(t)
        return broadcast(alpha, like), broadcast(sigma, like)  # (B, 1, 1) each

    def _huber(self, error: Tensor) -> Tensor:
        """Pseudo-Huber, sqrt(e^2 + c^2) - c."""
        return (error**2 + self.settings.huber**2).sqrt() - self.settings.huber


def student_config(teacher: Generator, changes: dict[str, Any]) -> dict[str, Any]:
    """The teacher's configuration with the student's own settings laid over it, group by group.

    Sizes need not be said again, and what weights do not tell (heads, the text path) cannot differ by mistake.

    Raises:
        UserError: one of the two is of the wrong kind.
    """
    if not isinstance(teacher, Mld) or changes.get("family") != Mld.family:
        raise UserError(
            f"only the family mld is distilled: {changes.get('family')} from {teacher.family} is not."
        )
    if teacher.config.sampler == "lcm":
        raise UserError("the teacher is itself a consistency model: name the MLD that it came from.")
    config: dict[str, Any] = {"family": teacher.family, **teacher.to_config()}
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(config.get(key), dict)
        config[key] = config[key] | value if both else value
    if config["sampler"] != "lcm" or config["denoiser"].get("guidance_width") is None:
        raise UserError(
            "a distilled generator needs generator.sampler lcm and generator.denoiser.guidance_width."
        )
    return config


def start_from_teacher(student: Mld, teacher: Mld) -> None:
    """Give the student all that the teacher has; only the guidance embedding is its own, and starts by ignoring it.

    Raises:
        UserError: their sizes differ.
    """
    ours, theirs = student.state_dict(), teacher.state_dict()
    own = {name for name in ours if name.startswith("denoiser.time_embedding.cond_proj.")}
    unlike = sorted(
        name
        for name in (ours.keys() - own) | theirs.keys()
        if name not in ours or name not in theirs or ours[name].shape != theirs[name].shape
    )
    if unlike:
        raise UserError(
            f"student and teacher differ in {len(unlike)} weights, {unlike[0]} first: leave the sizes out of preset "
            "field generator, they are the teacher's."
        )
    student.load_state_dict(ours | theirs)


def _token_mask(generator: Mld, x: Tensor, lengths: Tensor) -> Tensor | None:
    mask = generator.state_mask(x, lengths)
    return None if mask is None else mask[..., 0]  # (B, n)
