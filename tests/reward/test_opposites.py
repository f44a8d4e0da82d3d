"""What a prompt did not say: orders, numbers, each event alone; nothing where none is told."""

import pytest

from motionrft.reward.opposites import opposites, parts, telling, unsaid


@pytest.mark.parametrize(
    "text, other",
    [
        ("a person bows, then jumps up", "a person jumps up, then bows"),
        ("A person bows, Then Jumps up.", "a person jumps up, then bows"),
        ("a person bows and then slowly jumps up", "a person slowly jumps up and then bows"),
        ("A person bows. Then the person jumps up.", "a person jumps up. then the person bows"),
        ("a person bows. After that, he jumps up", "a person jumps up. after that, he bows"),
        ("first a person bows, then a person jumps up", "first a person jumps up, then a person bows"),
        ("after a person bows, he jumps up", "after a person jumps up, he bows"),
        ("after a person nods, the man rubs arms, legs", "after a person rubs arms, legs, the man nods"),
        ("a person bows before the person jumps up", "a person jumps up before the person bows"),
        (
            "a person raises a hand, then lowers it, then bows",
            "a person bows, then raises a hand, then lowers it",
        ),
        (
            "first he raises a hand, then lowers it, then bows",
            "first he bows, then raises a hand, then lowers it",
        ),
    ],
)
def test_an_order_is_told_the_other_way_round(text: str, other: str) -> None:
    assert opposites(text) == [other]


@pytest.mark.parametrize("times", ["twice", "two times", "2 times", "Twice in a row", "twice."])
def test_a_number_is_told_otherwise_in_whatever_form(times: str) -> None:
    assert opposites(f"A person bows {times}") == ["a person bows once", "a person bows three times"]


@pytest.mark.parametrize(
    "text, others",
    [
        ("someone kicks thrice", ["someone kicks once", "someone kicks twice"]),
        ("someone kicks just once", ["someone kicks twice", "someone kicks three times"]),
        ("someone kicks 4 times", ["someone kicks once", "someone kicks twice", "someone kicks three times"]),
        ("someone kicks, and then does it again", ["someone kicks once", "someone kicks three times"]),
        ("he kicks twice on one leg", ["he kicks once on one leg", "he kicks three times on one leg"]),
    ],
)  # fmt: skip
def test_another_number_stands_where_the_number_stood(text: str, others: list[str]) -> None:
    assert opposites(text) == others


def test_an_order_with_a_number_has_the_opposites_of_both() -> None:
    assert opposites("a person waves twice, then walks") == [
        "a person waves once, then walks",
        "a person waves three times, then walks",
        "a person walks, then waves twice",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a person",
        "a person walks",
        "a person raises a hand and waves it, then lowers it",
        "a person stops at once",
        "a person jumps once again",
        "a person waves, then waves",
        "a person walks before a wall",
        "a person walks next to a chair",
        "they bow, then they walk",
        "after bowing, a person walks",
        "eine Person verbeugt sich zweimal, dann springt sie",
        "a person raises the elbows and sidekicks",
    ],
)
def test_nothing_is_made_up_of_what_tells_neither(text: str) -> None:
    assert unsaid(text) == []


def test_events_are_found_as_words_in_their_order() -> None:
    assert parts("One person Kicks and bows") == ["a person kicks", "a person bows"]
    assert parts("a person raises the elbows and kicks") == []


def test_prompts_that_tell_something_are_counted() -> None:
    assert telling(["a person walks", "a person bows twice", "a person bows, then walks"]) == 2
