"""Both stages of pre-training in one output folder: `autoencoder/`, `denoiser/` (run folders) and `generator/`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from motionrft.data.folder import MotionDataset
from motionrft.errors import UserError
from motionrft.generators.mld import Mld
from motionrft.generators.registry import build_generator, load_generator, save_generator
from motionrft.presets.pretrain import PretrainPreset
from motionrft.pretraining.autoencoder import AutoencoderTrainer, reconstruction_quality
from motionrft.pretraining.denoiser import DenoiserTrainer
from motionrft.representations.statistics import Statistics
from motionrft.training.environment import environment
from motionrft.training.loop import train
from motionrft.training.progress import Progress
from motionrft.training.run import RunFolder
from motionrft.training.seeds import seed_everything
from motionrft.training.stages import open_stage


@dataclass(frozen=True)
class Pretraining:
    """A pre-training on its way: preset, folders, data of two splits."""

    preset: PretrainPreset
    out: Path
    train: MotionDataset
    validation: MotionDataset
    device: torch.device
    progress: Callable[[str], Progress]
    """Gives the progress display of a stage."""
    dtype: torch.dtype = torch.float32
    """Number format of the denoiser's arithmetic; weights stay float32."""
    resume: bool = False
    overwrite: bool = False
    allow_changed: Sequence[str] = ()
    """Dotted preset keys that may differ on resume."""

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
    ) -> "Pretraining":
        """Read the data set's index and check the generator before anything is trained.

        Raises:
            UserError: no data set, no generator, or a generator without an autoencoder to train.
        """
        if preset.data is None:
            raise UserError("no data set: name a folder in HumanML3D's layout with --data.")
        train_set, validation = (
            MotionDataset(preset.data, split, preset.min_frames, preset.max_frames)
            for split in ("train", "val")
        )
        running = (progress, dtype, resume, overwrite, allow_changed)
        pretraining = cls(preset, out, train_set, validation, device, *running)
        pretraining.build()
        return pretraining

    def build(self) -> Mld:
        """The preset's generator with fresh weights and the data set's statistics."""
        seed_everything(self.preset.seed)
        generator = build_generator(self.preset.generator, "preset field generator")
        if not isinstance(generator, Mld):
            raise UserError(f"pretrain knows latent generators (family mld), not {generator.family}.")
        statistics = self.train.statistics(generator.representation)
        generator.mean.copy_(statistics.mean)
        generator.std.copy_(statistics.std)
        return generator.to(self.device)

    def train_autoencoder(self) -> dict[str, float]:
        """Stage 1; writes `autoencoder/model/` and returns the reconstruction's quality on the validation split."""
        generator, stage = self.build(), self.preset.autoencoder
        statistics = Statistics(generator.mean.cpu(), generator.std.cpu())
        with self._folder("autoencoder") as folder:
            seed, mirror = self.preset.seed, self.preset.mirror
            trainer = AutoencoderTrainer(
                generator.vae, self.train, statistics, stage, seed, mirror, self.device
            )
            train(
                trainer,
                folder,
                updates=stage.updates,
                progress=self.progress("autoencoder"),
                **self._saving(),
            )
            quality = reconstruction_quality(generator.vae, self.validation, statistics)
            save_generator(generator, self._autoencoder)
        return quality

    def train_denoiser(self) -> dict[str, float]:
        """Stage 2; writes `generator/` and returns the best validation loss with the update that reached it.

        Raises:
            UserError: stage 1 has not been trained.
        """
        if not self._autoencoder.is_dir():
            raise UserError(
                f"{self._autoencoder}: missing. Train the first stage: --stage autoencoder, or all."
            )
        generator, stage = self.build(), self.preset.denoiser
        trained = load_generator(self._autoencoder)
        assert isinstance(trained, Mld)
        generator.vae.load_state_dict(trained.vae.state_dict())
        generator.vae.requires_grad_(False)
        with self._folder("denoiser") as folder:
            trainer = DenoiserTrainer(
                generator,
                self.train,
                self.validation,
                stage,
                self.preset.seed,
                self.preset.mirror,
                self.dtype,
            )
            train(
                trainer,
                folder,
                updates=stage.updates,
                progress=self.progress("denoiser"),
                watch=trainer.ended,
                **self._saving(),
            )
            trainer.use_best()
            save_generator(generator, self.out / "generator")
        return {"validation_loss": trainer.best["loss"], "update": trainer.best["step"]}

    @property
    def _autoencoder(self) -> Path:
        return self.out / "autoencoder" / "model"

    def _folder(self, stage: str) -> RunFolder:
        fields = self.preset.result_fields()
        other = "denoiser" if stage == "autoencoder" else None
        fields = {key: value for key, value in fields.items() if key not in ("stage", other)}
        return open_stage(
            self.out,
            stage,
            self.preset.to_yaml(),
            fields,
            environment(str(self.device)),
            resume=self.resume,
            overwrite=self.overwrite,
            allow_changed=self.allow_changed,
            identity={"data": self.train.identity},
        )

    def _saving(self) -> dict[str, Any]:
        return {"checkpoint_every": self.preset.checkpoint_every}
