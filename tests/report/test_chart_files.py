"""Charts as files: valid SVG that stands alone."""

import xml.etree.ElementTree as ElementTree

import numpy as np

from motionrft.report.chart_files import write_chart
from motionrft.report.content import Series


def test_a_chart_file_is_valid_svg_with_title_legend_and_a_line_a_series(tmp_path):
    series = [
        Series("Reward & terms", f"term <{i}>", range(30), np.sin(np.arange(30) + i), unit="nats")
        for i in range(7)
    ]
    write_chart(tmp_path / "reward.svg", series)
    root = ElementTree.parse(tmp_path / "reward.svg").getroot()
    texts = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert "Reward & terms (nats)" in texts and {f"term <{i}>" for i in range(7)} <= texts
    lines = [
        element for element in root.iter("{http://www.w3.org/2000/svg}path") if "line" in element.get("class")
    ]
    assert len(lines) == 7
    assert "url(" not in (tmp_path / "reward.svg").read_text()
