"""Pages: nothing in the data can break out of them, and motions survive their packing."""

import base64
import json

import numpy as np
import pytest

from motionrft.pictures.body import figure_points
from motionrft.pictures.page import clip_data, embed, fill, page


def test_text_cannot_end_the_script_element():
    text = embed({"caption": "</script><script>alert(1)</script> \u2028 <!--"})
    assert "<" not in text and "\u2028" not in text
    assert json.loads(text)["caption"].startswith("</script>")


def test_not_a_number_is_refused_rather_than_written_as_broken_json():
    with pytest.raises(ValueError):
        embed({"gain": float("nan")})


def test_filled_parts_may_hold_braces():
    assert fill("<{{a}}|{{b}}>", a="{{b}}", b="x") == "<{{b}}|x>"


def test_titles_are_escaped_and_the_network_is_forbidden():
    text = page("<b>", "", {}, (), ())
    assert "<title>&lt;b&gt;</title>" in text and "default-src 'none'" in text


def test_packed_motion_is_within_a_millimetre(walk):
    motion = walk(30, speed=3.0)
    clip = clip_data(motion, 20.0)
    steps = np.frombuffer(base64.b64decode(clip["data"]), "<i2").reshape(clip["frames"], clip["points"], 3)
    unpacked = steps * clip["scale"] + clip["offset"]
    assert np.abs(unpacked - figure_points(motion)).max() < 1e-3
