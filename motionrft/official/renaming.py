"""Prefixes of parameter names, there and back."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Renaming:
    """Published prefix -> ours; every other published name goes below `others`."""

    prefixes: Mapping[str, str]
    others: str

    def ours(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Published names to ours."""
        return {self._swap(name, self.prefixes.items(), self.others + name): v for name, v in tensors.items()}

    def theirs(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Our names to the published ones; buffers of the generator itself, without a dot, stay behind."""
        back = [(mine, published) for published, mine in self.prefixes.items()]
        return {
            self._swap(name, back, name.removeprefix(self.others)): value
            for name, value in tensors.items()
            if "." in name
        }

    @staticmethod
    def _swap(name: str, pairs, otherwise: str) -> str:  # type: ignore[no-untyped-def]
        for old, new in pairs:
            if name.startswith(old):
                return new + name.removeprefix(old)
        return otherwise
