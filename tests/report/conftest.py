"""The reports show the pictures' person, in the pictures' browser."""

from tests.pictures.conftest import browser, chromium, walk

__all__ = ["browser", "chromium", "walk"]
