"""What every preset is: a pydantic model, documented once in its fields, validated without torch."""

from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from motionrft.errors import UserError
from motionrft.settings.messages import explain
from motionrft.settings.plain_yaml import write_yaml

Device = str
LARGEST_COUNT = 1_000_000_000
"""Of anything that a preset counts: what lies beyond is a slip of the hand, and a loop or an allocation without end."""
Precision = Literal["auto", "fp32", "tf32", "bf16", "fp16"]


class PresetPart(BaseModel):
    """A group of fields inside a preset: unknown keys are errors, values cannot change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    @field_validator("*", mode="after")
    @classmethod
    def _countable(cls, value: Any, field: ValidationInfo) -> Any:
        counted = isinstance(value, int) and field.field_name != "seed"
        if counted and abs(value) > LARGEST_COUNT:
            raise ValueError(f"more than {LARGEST_COUNT:,}, which nothing here counts to")
        return value


class Preset(PresetPart):
    """The settings of one subcommand.

    A subclass sets `command` (the subcommand's name, also the folder below presets/) and adds fields; each
    field's `description` carries its unit and feeds help texts and error messages.
    """

    command: ClassVar[str] = ""
    rivals: ClassVar[dict[str, str]] = {}
    """Field to another that a preset file's value of is meant no longer, once the user asks for the first."""

    seed: int = Field(0, ge=0, lt=2**63, description="seed of everything random")
    device: Device = Field(
        "auto", description="auto takes the fastest there is", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$"
    )
    precision: Precision = Field(
        "auto",
        description="auto: bf16 on a CUDA device that has it, else fp32; tf32: fp32 with rounded products, on CUDA",
    )

    @classmethod
    def of(cls, values: dict[str, Any], source: str = "preset") -> Self:
        """Validate plain values.

        Raises:
            UserError: names every mistake at once, with field, value and the nearest valid names.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise UserError(explain(error, cls, lambda path: source)) from None

    def plain(self) -> dict[str, Any]:
        """All fields, nested, as JSON-like values."""
        return self.model_dump(mode="json")

    def result_fields(self) -> dict[str, Any]:
        """The fields that decide a result: not the device, nor where moments lie, which may change when a run goes on."""
        fields = self.plain()
        del fields["device"]
        decides: dict[str, Any] = _without(fields, "divided")
        return decides

    def to_yaml(self) -> str:
        """The whole preset; passing it back as `--preset FILE` resolves to the same values."""
        head = f"# motionrft {self.command} --preset THIS_FILE\n"
        return head + write_yaml(self.plain())

    def write(self, path: Path) -> None:
        """Write `to_yaml` to a file that does not need to survive a power cut."""
        path.write_text(self.to_yaml(), encoding="utf-8")


def _without(value: Any, name: str) -> Any:
    """Nested values without the fields of one name."""
    if not isinstance(value, dict):
        return value
    return {key: _without(child, name) for key, child in value.items() if key != name}
