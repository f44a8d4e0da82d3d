"""Charts: points land where the axes say, noise is smoothed in sight, gaps stay gaps."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from motionrft.report.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, line_chart, path, running_mean
from motionrft.report.content import Series


def svg_of(html):
    return ElementTree.fromstring(re.search(r"<svg.*</svg>", html, re.S).group())


def test_the_line_spans_the_axes():
    html, hover = line_chart([Series("Reward", "train", [0, 5, 10], [0.0, 1.0, 0.5])])
    line = hover["lines"][0]
    assert line["px"][0] == LEFT and line["px"][-1] == WIDTH - RIGHT
    assert TOP < line["py"][1] < line["py"][2] < line["py"][0] < HEIGHT - BOTTOM
    assert "Reward" in html


def test_a_line_alone_is_named_by_the_heading_and_several_by_a_legend():
    train, held_out = (Series("Reward", name, [0, 1], [0.0, 1.0]) for name in ("training", "held-out"))
    assert "legend" not in line_chart([train])[0]
    assert all(name in line_chart([train, held_out])[0] for name in ("training", "held-out"))


def test_it_is_valid_xml_whatever_the_names():
    series = Series(
        'A <b> & "c"', "x < y & z", range(100), np.random.default_rng(0).normal(size=100), unit="<m>"
    )
    assert svg_of(line_chart([series])[0]).tag == "svg"


def test_noise_is_drawn_pale_under_its_mean_and_says_so():
    html, _ = line_chart([Series("Reward", "train", range(200), np.random.default_rng(0).normal(size=200))])
    assert 'class="raw' in html and "mean over 8 points" in html
    assert 'class="raw' not in line_chart([Series("Reward", "train", range(20), range(20))])[0]


def test_running_mean_is_a_mean_that_keeps_gaps():
    values = np.array([1.0, 2.0, 3.0, np.nan, 5.0, 7.0])
    np.testing.assert_allclose(running_mean(values, 3), [1.5, 2.0, 2.5, np.nan, 6.0, 6.0])
    assert running_mean(values, 1) is values


def test_missing_points_lift_the_pen():
    assert path(np.arange(4.0), np.array([0, 1, np.nan, 3])) == "M0.0 0.0L1.0 1.0M3.0 3.0"


def test_long_series_are_thinned():
    _, hover = line_chart([Series("Reward", "train", np.arange(50_000), np.arange(50_000.0))])
    assert len(hover["lines"][0]["x"]) <= 400
    assert hover["lines"][0]["x"][-1] == 49_999


def test_memory_starts_at_zero_so_that_a_flat_line_looks_flat():
    _, hover = line_chart(
        [Series("Bytes", "graph", [0, 1, 2], [211.0, 212.0, 211.5], unit="MiB", from_zero=True)]
    )
    heights = hover["lines"][0]["py"]
    assert max(heights) - min(heights) < 2 and max(heights) < (HEIGHT - BOTTOM) / 3


@pytest.mark.parametrize("y", [[1.0], [3.0, 3.0], [np.nan, np.nan], [0.0, 0.0], [-1e9, 1e9]])
def test_degenerate_series_still_draw(y):
    html, _ = line_chart([Series("x", "y", range(len(y)), y)])
    assert "nan" not in html.lower().replace("finance", "")
    svg_of(html)


def test_unequal_lengths_are_our_mistake_and_said():
    with pytest.raises(ValueError, match="must be equal"):
        line_chart([Series("x", "y", [1, 2], [1])])
