"""The 3D page in a real browser: it draws, turns, plays, compares, needs nobody, and complains about nothing."""

import numpy as np
import pytest

from motionrft.errors import UserError
from motionrft.pictures.viewer import viewer_html
from tests.pictures.conftest import STANDING

# A motion's colours on a canvas: pixels whose red and blue differ strongly.
COLOURED = """(() => [...document.querySelectorAll('canvas')].map(canvas => {
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let warm = 0, cold = 0;
  for (let i = 0; i < data.length; i += 4) {
    if (data[i] > data[i + 2] + 60) warm++;
    if (data[i + 2] > data[i] + 60) cold++;
  }
  return [warm, cold];
}))()"""


@pytest.fixture
def opened(browser, walk, tmp_path):
    def open_page(motions=None, captions=("before", "after"), **window):
        path = tmp_path / "view.html"
        path.write_text(viewer_html(motions or [walk(40), walk(30, speed=0.5)], captions), encoding="utf-8")
        browser.open(path, **window)
        return browser

    return open_page


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
def test_every_motion_is_drawn_on_every_screen_without_complaint_or_request(opened, dark, phone):
    page = opened(width=390 if phone else 1200, dark=dark, phone=phone)
    for warm, cold in page.evaluate(COLOURED):
        assert warm > 100 and cold > 100
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.complaints == []
    assert len(page.requests) == 1  # the page itself


def test_dragging_turns_every_motion_and_double_click_turns_back(opened):
    page = opened()
    before = page.evaluate("player.stages.map(stage => [stage.view.yaw, stage.view.pitch])")
    x, y = page.centre("canvas")
    page.drag((x, y), (x + 120, y + 40))
    after = page.evaluate("player.stages.map(stage => [stage.view.yaw, stage.view.pitch])")
    assert after[0] == after[1]
    assert after[0][0] < before[0][0] - 0.5 and after[0][1] > before[0][1] + 0.1
    page.evaluate("document.querySelector('canvas').dispatchEvent(new Event('dblclick'))")
    assert page.evaluate("player.stages.map(stage => [stage.view.yaw, stage.view.pitch])") == before


def test_the_wheel_zooms_and_shift_drag_moves(opened):
    page = opened()
    spot = page.centre("canvas")
    page.wheel(spot, -300)
    page.wait("player.stages[0].view.zoom > 1.2")
    page.drag(spot, (spot[0] + 80, spot[1] + 10), modifiers=8)
    assert page.evaluate("player.stages[0].view.panX") > 0.1


def test_two_fingers_zoom(opened):
    page = opened(width=390, phone=True)
    x, y = page.centre("canvas")
    fingers = lambda gap: [{"x": x - gap, "y": y, "id": 0}, {"x": x + gap, "y": y, "id": 1}]  # noqa: E731
    page.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=fingers(30))
    for gap in (45, 60, 75):
        page.call("Input.dispatchTouchEvent", type="touchMove", touchPoints=fingers(gap))
    page.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    assert page.evaluate("player.stages[0].view.zoom") > 1.5


def test_it_plays_pauses_and_scrubs(opened):
    page = opened()
    start = page.evaluate("player.time")
    page.wait(f"player.time > {start + 0.1}")
    page.press(" ", 32)
    assert page.evaluate("player.playing") is False
    stopped = page.evaluate("player.time")
    page.evaluate("new Promise(done => setTimeout(() => done(true), 120))")
    assert page.evaluate("player.time") == stopped
    page.evaluate(
        "(() => { const s = document.querySelector('.scrub'); s.value = 500; s.dispatchEvent(new Event('input')); })()"
    )
    assert page.evaluate("player.time") == pytest.approx(39 / 20 / 2, abs=0.01)
    page.press("ArrowRight", 39)
    assert page.evaluate("player.time") == pytest.approx(39 / 20 / 2 + 0.05, abs=0.01)
    page.click(".play")
    assert page.evaluate("player.playing") is True


def test_speed_changes_the_clock(opened):
    page = opened()
    page.evaluate("player.playing = false")
    moved = page.evaluate(
        "(() => { const s = document.querySelector('.speed'); s.value = '0.25'; s.dispatchEvent(new Event('change'));"
        "player.time = 0; player.advance(0.4); return player.time; })()"
    )
    assert moved == pytest.approx(0.1)


def test_the_theme_button_turns_the_page_and_the_floor(opened):
    page = opened(dark=False)
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    page.click(".theme")
    assert page.evaluate(colour) != light
    assert page.evaluate("themeName()") == "dark"


def test_a_page_draws_a_pose_where_the_still_picture_does(opened, walk):
    """The script's camera and ours put the same joint on the same pixel."""
    from motionrft.pictures.camera import framing

    motion = np.repeat(STANDING[None], 4, axis=0)
    page = opened([motion], ["standing"])
    spot = page.evaluate(
        "(() => { const s = player.stages[0]; const e = new Eye(s.view.scene, s.view, 400, 500, trackAt(s.clip, 0));"
        "const p = poseAt(s.clip, 0); return e.spot(p[60], p[61], p[62]); })()"
    )
    camera = framing([motion], [motion[:, 0] * [1, 0, 1]]).camera(400, 500, motion[0, 0])
    pixels, depth, scale = camera.project(motion[0, 20])
    np.testing.assert_allclose(spot, [*pixels, depth, scale], atol=0.1)


def test_captions_are_text_not_markup(opened, walk):
    page = opened([walk(3)], ["</script><img src=x onerror=alert(1)>"])
    assert page.evaluate("document.querySelector('figcaption').textContent").startswith("</script>")
    assert page.complaints == []


def test_one_frame_is_enough(opened, walk):
    page = opened([walk(1)], ["one frame"])
    assert page.evaluate(COLOURED)[0][0] > 100 and page.complaints == []


def test_a_motion_that_cannot_be_drawn_is_named(walk):
    with pytest.raises(UserError, match="broken"):
        viewer_html([np.zeros((3, 5, 3))], ["broken"])
