"""The user study: blind, complete, and read back to the right system."""

import json

import numpy as np
import pytest

from motionrft.errors import UserError
from motionrft.report.study import ASPECTS, StudyPair, read_ratings, write_study


@pytest.fixture
def study(walk, tmp_path):
    """A study of eight pairs in which the second system walks faster."""
    pairs = [
        StudyPair(f"prompt {i}", walk(6, speed=0.2 + i / 50), walk(6, speed=2.0 + i / 50)) for i in range(8)
    ]
    return write_study(tmp_path / "study.html", pairs, systems=("base", "tuned"), seed=4)


def rating(key_path, rater, choose):
    """A rater's file; `choose(left system)` gives the answer."""
    key = json.loads(key_path.read_text())
    answers = [{"pair": pair, **dict.fromkeys(ASPECTS, choose(left))} for pair, left in key["left"].items()]
    path = key_path.with_name(f"{rater}.json")
    path.write_text(json.dumps({"study": key["study"], "rater": rater, "answers": answers}))
    return path


def second_wins(left):
    return "left" if left == "second" else "right"


def test_the_page_keeps_the_secret(study):
    page, key = study
    data = page.read_text().split('id="data">')[1].split("</script>")[0]
    assert not any(word in data for word in ("first", "second", 'base"', "tuned", "seed"))
    sides = set(json.loads(key.read_text())["left"].values())
    assert sides == {"first", "second"}


def test_sides_and_order_come_from_the_seed(walk, tmp_path):
    pairs = [StudyPair(f"prompt {i}", walk(3), walk(3, speed=0.1)) for i in range(12)]
    keys = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        _, key = write_study(tmp_path / f"{name}.html", pairs, seed=seed)
        keys.append(json.loads(key.read_text()))
    assert keys[0] == keys[1]
    assert list(keys[0]["texts"].values()) != list(keys[2]["texts"].values())


def test_ratings_are_counted_for_the_system_not_the_side(study):
    _, key = study
    result = read_ratings([rating(key, "anna", second_wins), rating(key, "ben", second_wins)], key)
    assert (result.raters, result.pairs) == (2, 8)
    for aspect in result.aspects:
        assert (aspect.wins, aspect.ties, aspect.losses) == (16, 0, 0)
        assert aspect.preference.mean == 1.0 and aspect.preference.low > 0.6
        assert aspect.agreement == 1.0
    assert "| adherence | 16 | 0 | 0 |" in result.markdown()


def test_a_rater_who_always_says_left_prefers_nobody_much(study):
    _, key = study
    aspect = read_ratings([rating(key, "anna", lambda left: "left")], key).aspects[0]
    seconds = list(json.loads(key.read_text())["left"].values()).count("second")
    assert (aspect.wins, aspect.losses) == (seconds, 8 - seconds)
    assert aspect.preference.low < 0.5 < aspect.preference.high and aspect.agreement is None


def test_wrong_files_are_named(study, tmp_path):
    _, key = study
    good = rating(key, "anna", second_wins)
    broken = json.loads(good.read_text())

    def write(**changes):
        path = tmp_path / "bad.json"
        path.write_text(json.dumps({**broken, **changes}))
        return path

    with pytest.raises(UserError, match="study 000"):
        read_ratings([write(study="000")], key)
    with pytest.raises(UserError, match="'anna' was already read"):
        read_ratings([good, good], key)
    with pytest.raises(UserError, match="'both' is no answer"):
        read_ratings([write(answers=[{**broken["answers"][0], "realism": "both"}])], key)
    with pytest.raises(UserError, match="which the key does not know"):
        read_ratings([write(answers=[{"pair": "x"}])], key)
    with pytest.raises(UserError, match="no answers"):
        read_ratings([write(answers=[])], key)
    with pytest.raises(UserError, match="no valid JSON"):
        (tmp_path / "bad.json").write_text("<html>")
        read_ratings([tmp_path / "bad.json"], key)
    with pytest.raises(UserError, match="holds a list"):
        (tmp_path / "bad.json").write_text("[]")
        read_ratings([tmp_path / "bad.json"], key)
    with pytest.raises(UserError, match="cannot be read"):
        read_ratings([tmp_path / "nowhere.json"], key)
    with pytest.raises(UserError, match="no ratings"):
        read_ratings([], key)
    with pytest.raises(UserError, match="at least one pair"):
        write_study(tmp_path / "empty.html", [])


@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
def test_a_rater_goes_through_the_page_and_the_table_comes_out(study, browser, phone):
    page_path, key_path = study
    browser.open(page_path, width=390 if phone else 1200, phone=phone)
    rater = "anna on a phone" if phone else "anna"
    browser.evaluate(f"document.querySelector('[name=rater]').value = '{rater}'")
    browser.click(".start button")
    left = json.loads(key_path.read_text())["left"]
    for place in range(8):
        assert browser.evaluate("document.querySelector('.progress').textContent") == f"Pair {place + 1} of 8"
        assert browser.evaluate("document.querySelector('.next').disabled")
        pair = browser.evaluate("page.pairs[study.at].id")
        for aspect in ASPECTS:
            browser.click(f"[name={aspect}][value={second_wins(left[pair])}]")
        browser.click(".next")
    saved = page_path.with_name("anna.json")
    saved.write_text(browser.evaluate("document.querySelector('.text').value"))
    assert browser.evaluate("document.querySelector('.save').href").startswith("blob:")
    assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
    result = read_ratings([saved], key_path)
    assert [aspect.wins for aspect in result.aspects] == [8, 8, 8]
    assert browser.complaints == [] and all(url.startswith(("file:", "blob:")) for url in browser.requests)


def test_a_rater_who_comes_back_finds_the_answers(study, browser):
    page_path, _ = study
    for expected in ("Pair 1 of 8", "Pair 2 of 8"):
        browser.open(page_path)
        browser.evaluate("document.querySelector('[name=rater]').value = 'carl'")
        browser.click(".start button")
        assert browser.evaluate("document.querySelector('.progress').textContent") == expected
        for aspect in ASPECTS:
            browser.click(f"[name={aspect}][value=same]")


def test_both_sides_are_seen_from_one_point(walk, tmp_path, study):
    text = study[0].read_text()
    pairs = json.loads(text.split('id="data">')[1].split("</script>")[0])["pairs"]
    assert all(np.isfinite(list(pair["scene"].values())).all() and len(pair["clips"]) == 2 for pair in pairs)
