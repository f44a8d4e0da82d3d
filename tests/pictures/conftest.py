"""A person to draw: standing, walking along +Z, or waving, made of nothing but sines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.pictures.browser import PROGRAM, Browser

# SMPL-22 standing, arms hanging, facing +Z, left at +X; metres.
STANDING = np.array(
    [
        (0, 0.92, 0), (0.1, 0.84, 0), (-0.1, 0.84, 0), (0, 1.04, 0), (0.1, 0.45, 0), (-0.1, 0.45, 0), (0, 1.18, 0),
        (0.1, 0.06, -0.02), (-0.1, 0.06, -0.02), (0, 1.28, 0), (0.1, 0.02, 0.12), (-0.1, 0.02, 0.12), (0, 1.48, 0),
        (0.08, 1.4, 0), (-0.08, 1.4, 0), (0, 1.6, 0.03), (0.19, 1.42, 0), (-0.19, 1.42, 0), (0.22, 1.15, 0),
        (-0.22, 1.15, 0), (0.23, 0.9, 0.04), (-0.23, 0.9, 0.04),
    ]
)  # fmt: skip

Walk = Callable[..., np.ndarray]


@pytest.fixture(scope="session")
def walk() -> Walk:
    """walk(frames, speed): (T, 22, 3), legs and arms swinging, the whole body moving along +Z."""

    def make(frames: int = 24, speed: float = 1.2) -> np.ndarray:
        time = np.arange(frames)[:, None] / 20.0
        joints = np.repeat(STANDING[None], frames, axis=0)
        joints[:, :, 2] += speed * time
        swing = 0.25 * np.sin(2 * np.pi * 0.9 * time)
        joints[:, [4, 7, 10, 19, 21], 2] += swing
        joints[:, [5, 8, 11, 18, 20], 2] -= swing
        return joints

    return make


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One headless Chromium for all tests of pages."""
    if PROGRAM is None:
        pytest.skip("no chromium or chrome is installed, so pages cannot be looked at")
    with Browser(Path(tmp_path_factory.mktemp("profile"))) as running:
        yield running


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """That Chromium; the page is closed after each test, for motions that play on cost a processor."""
    yield chromium
    chromium.call("Page.navigate", url="about:blank")
