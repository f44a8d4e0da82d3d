"""The stages of pre-training in one output folder: run folders of the stages, and `generator/`.

Stages are `autoencoder`, where the family has one, then `denoiser`, or `language-model` of motion tokens.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from motionrft.data.folder import MotionDataset
from motionrft.data.motions import Motions
from motionrft.errors import UserError
from motionrft.generators.base import Generator, diffusion
from motionrft.generators.folder import build_generator, read_generator, save_generator
from motionrft.generators.mld import Mld
from motionrft.generators.text_to_motion import TextToMotion
from motionrft.generators.token_generator import TokenGenerator
from motionrft.loading import generator_identity, load_generator, loaded_for
from motionrft.pretraining.autoencoder import AutoencoderTrainer
from motionrft.pretraining.biased import biased
from motionrft.pretraining.denoiser import DenoiserTrainer
from motionrft.pretraining.distillation import (
    ConsistencyDistillation,
    start_from_teacher,
    student_config,
)
from motionrft.pretraining.first_stage import FirstStage
from motionrft.pretraining.fitting import fitted
from motionrft.pretraining.language import LanguageTrainer
from motionrft.pretraining.objective import Objective, Regression
from motionrft.pretraining.preset import PretrainPreset
from motionrft.pretraining.row_store import RowStore
from motionrft.pretraining.stages import first_stage, states_of
from motionrft.pretraining.token_rows import ClipRows, training_rows
from motionrft.pretraining.token_stage import TokenStage
from motionrft.pretraining.windows import Windows
from motionrft.representations.statistics import Statistics
from motionrft.training.described import without_storage
from motionrft.training.distribution import ALONE, Distribution
from motionrft.training.environment import environment
from motionrft.training.fingerprints import path_hash
from motionrft.training.loop import Trainer, train
from motionrft.training.progress import Progress
from motionrft.training.run import RunFolder
from motionrft.training.seeds import seed_everything
from motionrft.training.stages import open_stage
from motionrft.training.timed import RatedTrainer, timed

_ORIGIN = "preset field generator"


@dataclass(frozen=True)
class Pretraining:
    """A pre-training on its way: preset, folders, data of two splits."""

    preset: PretrainPreset
    config: dict[str, Any]
    """Of the generator: the base's, or the preset's, laid over the teacher's where there is one."""
    teacher: Generator | None
    base: TextToMotion | None
    """Whose weights and statistics the stages begin with."""
    out: Path
    train: Motions
    validation: Motions
    stages: tuple[str, ...]
    """What the preset asks for and the family has, in order: `autoencoder`, then `denoiser` or `language-model`."""
    device: torch.device
    progress: Callable[[str], Progress]
    """Gives the progress display of a stage."""
    dtype: torch.dtype = torch.float32
    """Number format of the denoiser's arithmetic; weights stay float32."""
    resume: bool = False
    overwrite: bool = False
    allow_changed: Sequence[str] = ()
    """Dotted preset keys that may differ on resume."""
    company: Distribution = ALONE
    """The processes that train together; the first of them writes."""

    @classmethod
    def prepare(
        cls,
        preset: PretrainPreset,
        out: Path,
        device: torch.device,
        progress: Callable[[str], Progress],
        dtype: torch.dtype = torch.float32,
        resume: bool = False,
        overwrite: bool = False,
        allow_changed: Sequence[str] = (),
        company: Distribution = ALONE,
    ) -> "Pretraining":
        """Read the data set's index and check the generator before anything is trained.

        Raises:
            UserError: no data set, no generator, a stage that the family does not have, or a teacher that does not fit.
        """
        if preset.data is None:
            raise UserError("no data set: name a folder in HumanML3D's layout with --data.")
        datasets = [
            MotionDataset(preset.data, split, preset.min_frames, preset.max_frames)
            for split in (preset.split, preset.validation_split)
        ]
        teacher = base = None
        if preset.teacher is not None:
            loaded = load_generator(preset.teacher, str(device))
            teacher = diffusion(loaded, preset.teacher, "distillation is for")
            config = student_config(teacher, preset.generator)
        elif preset.base is not None:
            base = load_generator(preset.base)
            config = {"family": base.family, **base.to_config()}
        else:
            config = fitted(preset.generator, datasets[0])
        with without_storage():
            described = build_generator(config, _ORIGIN)
        stages = _stages(preset, described)
        train_set, validation = (
            Motions(dataset, described.trained_on, described.fps, described.max_frames)
            for dataset in datasets
        )
        company.first(lambda: train_set.statistics)  # the others find them kept
        running = (progress, dtype, resume, overwrite, allow_changed, company)
        pretraining = cls(preset, config, teacher, base, out, train_set, validation, stages, device, *running)
        pretraining.statistics(described)
        return pretraining

    def statistics(self, generator: TextToMotion) -> Statistics:
        """What the generator's motions are normalised with: the base's own, or the data set's.

        Raises:
            UserError: the data set has none, or its motions are as wide as another generator's.
        """
        found = biased(self.train.statistics, self.train.representation, self.preset.feature_bias)
        if found.mean.shape != generator.mean.shape:
            raise UserError(
                f"{self.train.dataset.folder}: {self.train.representation} statistics of {len(found.mean)} values; "
                f"this generator has {len(generator.mean)}."
            )
        return found if self.base is None else Statistics(self.base.mean.cpu(), self.base.std.cpu())

    def build(self) -> TextToMotion:
        """The preset's generator with fresh weights and the data set's statistics, or as the base is."""
        seed_everything(self.preset.seed)
        generator = build_generator(self.config, _ORIGIN)
        if self.base is not None:
            generator.load_state_dict(self.base.state_dict())
            return loaded_for(self.preset, generator).to(self.device)
        clips = (self.train.motion(item) for item in range(len(self.train)))
        generator.learn_statistics(self.statistics(generator), clips)
        return loaded_for(self.preset, generator).to(self.device)

    def train_autoencoder(self) -> dict[str, float]:
        """Stage 1; writes `autoencoder/model/` and returns the reconstruction's quality on the validation split."""
        generator, settings = self.build(), self.preset.autoencoder
        stage = _first_stage(generator)
        statistics = Statistics(generator.mean.cpu(), generator.std.cpu())
        seed, mirror = self.preset.seed, self.preset.mirror
        with self._folder("autoencoder") as folder:
            size = (settings.batch, settings.window)
            windows = Windows(self.train, statistics, *size, seed, mirror, self.company)
            trainer = AutoencoderTrainer(stage, windows, settings, seed, self.device)
            train(
                self._timed(trainer, settings.updates),
                folder,
                updates=settings.updates,
                progress=self.progress("autoencoder"),
                **self._saving(),
            )
            if not (settings.settle and isinstance(stage, TokenStage)):
                return self._autoencoder_done(stage, generator)
        with self._folder("settling") as folder:
            stage.keep_encoder()
            windows = Windows(self.train, statistics, *size, seed + 1, mirror, self.company)
            shorter = settings.model_copy(update={"updates": settings.settle})
            trainer = AutoencoderTrainer(stage, windows, shorter, seed, self.device)
            train(
                self._timed(trainer, settings.settle),
                folder,
                updates=settings.settle,
                progress=self.progress("decoder of settled codes"),
                **self._saving(),
            )
            return self._autoencoder_done(stage, generator)

    def _autoencoder_done(self, stage: FirstStage, generator: TextToMotion) -> dict[str, float]:
        """Save stage 1's result; its quality on the validation split."""
        quality = stage.quality(self.validation)
        self.company.first(lambda: save_generator(generator, self._autoencoder))
        return quality

    def train_denoiser(self) -> dict[str, float]:
        """Stage 2, or a distillation; writes `generator/` and returns the best validation loss and its update.

        Raises:
            UserError: stage 1 has not been trained.
        """
        settings = self.preset.denoiser
        generator, objective = self._begun()
        with self._folder("denoiser") as folder, self._store("denoiser", "latents") as store:
            mirror, anew = self.preset.mirror, self.teacher is None and self.base is None
            states = states_of(generator, self.train, self.validation, mirror, store, anew)
            datasets = (self.train.dataset, self.validation.dataset)
            trainer = DenoiserTrainer(
                generator, objective, states, *datasets, settings, self.preset.seed, self.company
            )
            train(
                self._timed(trainer, settings.updates),
                folder,
                updates=settings.updates,
                progress=self.progress("denoiser"),
                watch=trainer.ended,
                **self._saving(),
            )
            trainer.use_best()
            self.company.first(lambda: save_generator(generator, self.out / "generator"))
        return {"validation_loss": trainer.averaged.loss, "update": trainer.averaged.step}

    def train_language_model(self) -> dict[str, float]:
        """Stage 2 of motion tokens; writes `generator/` and returns the best validation loss and its update.

        Raises:
            UserError: stage 1 has not been trained.
        """
        settings, seed = self.preset.language_model, self.preset.seed
        generator = self.build()
        assert isinstance(generator, TokenGenerator), "the stages say so"
        with self._folder("language-model") as folder, self._store("language-model", "tokens") as store:
            self._take_autoencoder(generator)
            rows = training_rows(
                generator,
                self.train,
                store,
                self.preset.mirror,
                settings.composed if settings.composed_share else 0,
                settings.composed_share,
                seed,
            )
            looked_at = ClipRows.of(generator, self.validation, store)
            trainer = LanguageTrainer(generator, rows, looked_at, settings, seed, self.company)
            train(
                self._timed(trainer, settings.updates),
                folder,
                updates=settings.updates,
                progress=self.progress("language model"),
                **self._saving(),
            )
            trainer.use_best()
            self.company.first(lambda: save_generator(generator, self.out / "generator"))
        return {"validation_loss": trainer.averaged.loss, "update": trainer.averaged.step}

    def _take_autoencoder(self, generator: TextToMotion) -> None:
        """Put stage 1's result, or the base's own, into the generator; it is not trained further."""
        autoencoder = _first_stage(generator).autoencoder
        autoencoder.requires_grad_(False)
        if not self._autoencoder.is_dir():
            if self.base is not None:
                return
            raise UserError(
                f"{self._autoencoder}: missing. Train the first stage: --stage autoencoder, or all."
            )
        trained = _first_stage(read_generator(self._autoencoder)).autoencoder
        autoencoder.load_state_dict(trained.state_dict())

    def _begun(self) -> tuple[Generator, Objective]:
        """The generator as stage 2 finds it, and what stage 2 minimises."""
        generator = diffusion(self.build(), _ORIGIN, "a denoiser is for")
        if self.teacher is not None:
            return generator, self._distillation(generator, self.teacher)
        if first_stage(generator) is not None:
            self._take_autoencoder(generator)
        return generator, Regression(generator, self.preset.denoiser.loss_weight_cap, self.dtype)

    def _distillation(self, student: Generator, teacher: Generator) -> Objective:
        assert isinstance(student, Mld) and isinstance(teacher, Mld)
        start_from_teacher(student, teacher)
        teacher.use_text_encoder(student.text_encoder)
        for frozen in (teacher, student.vae):
            frozen.requires_grad_(False)
        return ConsistencyDistillation(student, teacher, self.preset.distillation, self.dtype)

    @property
    def _autoencoder(self) -> Path:
        return self.out / "autoencoder" / "model"

    def _folder(self, stage: str) -> AbstractContextManager[RunFolder | None]:
        """The stage's run folder, in the first process."""
        second = ("denoiser", "language_model", "distillation", "teacher")
        others = second if stage in ("autoencoder", "settling") else ()
        fields = self.preset.result_fields()
        fields = {key: value for key, value in fields.items() if key not in ("stage", "time_limit", *others)}
        identity = {"data": self.train.dataset.identity, "validation": self.validation.dataset.identity}
        if self.preset.teacher is not None:
            identity["teacher"] = path_hash(self.preset.teacher)
        if self.preset.base is not None:
            identity["base"] = generator_identity(self.preset.base)
        opened = self.company.first(
            lambda: open_stage(
                self.out,
                stage,
                self.preset.to_yaml(),
                fields,
                environment(str(self.device)),
                resume=self.resume,
                overwrite=self.overwrite,
                allow_changed=self.allow_changed,
                identity=identity,
            )
        )
        self.company.own_chance(self.preset.seed)
        return opened or nullcontext()

    def _store(self, stage: str, name: str) -> RowStore:
        """Where a stage keeps what it makes of every clip."""
        return RowStore(self.out / stage / name, self.company)

    def _timed(self, trainer: RatedTrainer, updates: int) -> Trainer:
        return timed(trainer, self.preset.time_limit, updates)

    def _saving(self) -> dict[str, Any]:
        preset = self.preset
        return {
            "checkpoint_every": preset.checkpoint_every,
            "time_limit": preset.time_limit,
            "distribution": self.company,
        }


def _stages(preset: PretrainPreset, generator: TextToMotion) -> tuple[str, ...]:
    """What there is to train: a teacher brings its autoencoder along, and some families have none."""
    if preset.teacher is None and isinstance(generator, Mld) and generator.config.sampler == "lcm":
        raise UserError("a consistency model is distilled: name the MLD that is its teacher with --teacher.")
    alone = preset.teacher is not None or first_stage(generator) is None
    second = "language-model" if isinstance(generator, TokenGenerator) else "denoiser"
    stages = (second,) if alone else ("autoencoder", second)
    if preset.stage == "all":
        return stages
    if preset.stage not in stages:
        what = preset.stage.replace("-", " ")
        raise UserError(
            f"{generator.family}: there is no {what} to train; --stage {', '.join(stages)} or all."
        )
    return (preset.stage,)


def _first_stage(generator: TextToMotion) -> FirstStage:
    stage = first_stage(generator)
    assert stage is not None
    return stage
