"""Composed captions and groups: words, orders, numbers, held-out pairs."""

from dataclasses import replace
from itertools import combinations

import pytest
import torch

from motionrft.files.composed_clips import liveliest
from motionrft.files.composed_texts import clause_of
from motionrft.files.composition import Composed, CompositionRecipe, Source, compositions, is_held_out
from motionrft.files.even_groups import even_compositions
from motionrft.reward.opposites import order_told


@pytest.mark.parametrize(
    "caption, subject, phrase",
    [
        ("a person bows deeply", "a person", "bows deeply"),
        (
            "An energetic person quickly raises the left hand.",
            "an energetic person",
            "quickly raises the left hand",
        ),
        ("someone very tired walks ahead", "someone very tired", "walks ahead"),
        ("One person kicks twice", "one person", "kicks twice"),
        ("he jumps up.", "he", "jumps up"),
        ("the stick figure sways", "the stick figure", "sways"),
        ("Subject walks ahead", "subject", "walks ahead"),
        ("a human subject sprints", "a human subject", "sprints"),
        ("this character goes left", "this character", "goes left"),
        ("somebody turns around", "somebody", "turns around"),
    ],
)
def test_a_caption_is_who_and_what(caption: str, subject: str, phrase: str) -> None:
    clause = clause_of(caption)
    assert clause is not None and (clause.subject, clause.phrase) == (subject, phrase)


@pytest.mark.parametrize(
    "caption",
    [
        "a person is laughing",
        "climbing a ladder",
        "a jump straight up",
        "",
        "someone across the room",
        "a human tennis match",
        "the left arm of the man swings",
        "a person backwards with both arms up",
        "a person sideways and back",
    ],
)
def test_captions_of_another_build_are_left_out(caption: str) -> None:
    assert clause_of(caption) is None


KINDS = ("walk", "bow", "wave", "kick", "jump", "sit")


def sources(split: str) -> list[Source]:
    return [
        Source(f"{split}-{kind}-{n}", kind, split, 50 + n, (f"a person {kind}s", f"someone {kind}s again"))
        for kind in KINDS
        for n in range(4)
    ]


RECIPE = CompositionRecipe({"train": 60, "test": 60}, {"train": 6}, held_out=0.3)


def test_a_pair_comes_in_both_orders_with_words_to_match() -> None:
    made = [c for c in compositions(sources("train"), RECIPE) if ">" in c.label]
    one, other = made[0], made[1]
    assert one.group == other.group and one.parts == other.parts[::-1]
    assert one.label == ">".join(reversed(other.label.split(">")))
    first, second = one.label.split(">")
    assert all(text.index(first) < text.index(second) for text in one.captions)


def test_the_last_caption_of_a_pair_names_both_and_says_no_order() -> None:
    pairs = [c for c in compositions(sources("train"), RECIPE) if ">" in c.label]
    assert pairs and all(order_told(c.captions[-1]) is None and " and " in c.captions[-1] for c in pairs)
    assert all(order_told(text) is not None for c in pairs for text in c.captions[:-1])


THREES = CompositionRecipe({}, {}, threes={"train": 60, "test": 60}, held_out=0.3)


def test_three_events_come_in_two_orders_and_are_told_in_them() -> None:
    made = list(compositions(sources("train"), THREES))
    assert len(made) > 40 and len(made) % 2 == 0
    for one, other in zip(made[::2], made[1::2], strict=True):
        assert one.group == other.group and one.parts != other.parts
        assert sorted(one.parts) == sorted(other.parts)
        for composed in (one, other):
            kinds = composed.label.split(">")
            assert len(set(kinds)) == 3 and composed.frames(THREES.blend) < THREES.max_frames
            for text in composed.captions:
                places = [text.index(f"{kind}s") for kind in kinds]
                assert places == sorted(places)
            assert [order_told(text) is not None for text in composed.captions] == [True, True, False]


def test_three_events_of_which_two_are_held_out_do_not_meet_in_training() -> None:
    for composed in compositions(sources("train"), THREES):
        kinds = composed.label.split(">")
        assert not any(is_held_out(*pair, THREES.held_out) for pair in combinations(kinds, 2))


PEOPLE = ("a person", "one person", "the woman")


def told(recipe: CompositionRecipe) -> list[str]:
    made = [*compositions(sources("train"), recipe), *even_compositions(sources("train"), recipe)]
    return [text.removeprefix("first ").removeprefix("after ") for each in made for text in each.captions]


def test_anyone_of_those_named_does_what_a_person_does() -> None:
    recipe = replace(RECIPE, threes={"train": 9}, even={"train": 9}, subjects=PEOPLE)
    assert all(text.startswith(PEOPLE) for text in told(recipe))
    assert {who for who in PEOPLE for text in told(recipe) if text.startswith(who)} == set(PEOPLE)


def test_a_person_is_who_was_told_of_where_nobody_is_named() -> None:
    recipe = replace(RECIPE, threes={"train": 9}, even={"train": 9})
    assert all(text.startswith(("a person ", "someone ")) for text in told(recipe))


def test_whose_manner_or_sex_is_told_stays_who_it_is() -> None:
    for who in ("a tired person", "an old man", "a girl"):
        waves = [Source("w", "wave", "train", 40, (f"{who} waves",))]
        made = compositions(waves, CompositionRecipe({}, {"train": 3}, subjects=PEOPLE))
        assert all(text.startswith(f"{who} waves") for each in made for text in each.captions)


def test_counts_say_how_often() -> None:
    made = [c for c in compositions(sources("train"), RECIPE) if "*" in c.label]
    for composed in made:
        times = int(composed.label.split("*")[1])
        assert len(composed.parts) == times
        words = {1: ("once", "one time"), 2: ("twice", "two times"), 3: ("three times", "thrice")}[times]
        assert all(text.endswith(words) for text in composed.captions)


def test_who_stays_in_place_rests_between_repetitions() -> None:
    for stays, seam in ((True, 8), (False, -8)):
        source = Source("w", "wave", "train", 40, ("a person waves",), stands=stays)
        made = {c.label: c for c in compositions([source], CompositionRecipe({}, {"train": 1}))}
        assert [made[f"wave*{n}"].frames(8) for n in (1, 2, 3)] == [39, 79 + seam, 119 + 2 * seam]


def test_what_has_no_end_has_no_number() -> None:
    endless = CompositionRecipe({}, {"train": 60}, cut=frozenset({"walk", "sit"}))
    counted = {composed.label.split("*")[0] for composed in compositions(sources("train"), endless)}
    assert counted == {"bow", "wave", "kick", "jump"}


def test_the_part_of_a_clip_that_is_taken_is_the_one_that_moves() -> None:
    joints = torch.zeros(60, 22, 3)
    joints[30:50, 20, 1] = torch.linspace(0, 1, 20)
    joints[50:, 20, 1] = 1.0
    torch.testing.assert_close(liveliest(joints, 21), joints[29:50])
    assert len(liveliest(joints, 60)) == 60


def test_two_gestures_lie_over_the_same_body() -> None:
    recipe = CompositionRecipe(
        {}, {}, together={"train": 8}, bodies=frozenset({"walk"}), gestures=frozenset({"wave", "kick", "bow"})
    )
    made = list(compositions(sources("train"), recipe))
    one, other = made[0], made[1]
    assert len(made) == 16 and one.together and one.group == other.group and one.parts[0] == other.parts[0]
    assert one.label.startswith("walk+") and one.label != other.label
    assert all("walks" in text and ("while" in text or "same time" in text) for text in one.captions)
    assert one.frames(8) == one.parts[0][1] - 1


def test_a_gesture_that_is_made_standing_is_not_said_of_a_walk() -> None:
    still = Source("still", "wave", "train", 50, ("a person stands still and waves",))
    recipe = CompositionRecipe(
        {}, {}, together={"train": 8}, bodies=frozenset({"walk"}), gestures=frozenset({"wave", "kick", "bow"})
    )
    made = compositions([source for source in sources("train") if source.kind != "wave"] + [still], recipe)
    assert not any("still" in text for composed in made for text in composed.captions)


def test_held_out_pairs_of_kinds_meet_in_the_test_split_alone() -> None:
    def met(split: str) -> set[tuple[str, ...]]:
        made = compositions(sources(split), RECIPE)
        return {tuple(sorted(c.label.split(">"))) for c in made if ">" in c.label}

    held = {pair for pair in met("test") if is_held_out(*pair, RECIPE.held_out)}
    assert held and not any(is_held_out(*pair, RECIPE.held_out) for pair in met("train"))


def test_the_same_seed_composes_the_same() -> None:
    assert list(compositions(sources("train"), RECIPE)) == list(compositions(sources("train"), RECIPE))


def test_no_composed_motion_is_longer_than_allowed() -> None:
    for composed in compositions(sources("train"), RECIPE):
        assert composed.frames(RECIPE.blend) < RECIPE.max_frames


EVEN = CompositionRecipe({}, {}, cut=frozenset({"walk"}), held_out=0.3, even={"train": 20, "test": 20})


def even_groups(split: str) -> list[list[Composed]]:
    groups: dict[str, list[Composed]] = {}
    for made in even_compositions(sources(split), EVEN):
        groups.setdefault(made.group, []).append(made)
    return list(groups.values())


def test_the_motions_of_an_even_group_are_equally_long() -> None:
    groups = even_groups("train")
    assert len(groups) == 40
    for group in groups:
        assert len({made.length for made in group}) == 1
        assert all(made.frames(EVEN.blend) == (made.length or 0) - 1 < EVEN.max_frames for made in group)


def test_an_even_number_is_of_what_can_be_counted() -> None:
    numbers = [group for group in even_groups("train") if "number" in group[0].group]
    for group in numbers:
        assert [made.label.split("*")[1] for made in group] == ["1", "2", "3"]
        assert not group[0].label.startswith("walk")


def test_an_even_order_has_each_event_alone_beside_both_orders() -> None:
    orders = [group for group in even_groups("train") if "order" in group[0].group]
    for both, turned, first, second in orders:
        assert both.label == f"{first.label}>{second.label}"
        assert turned.label == f"{second.label}>{first.label}"
        assert len(first.parts) == len(second.parts) == 1
        kind = first.label
        assert first.captions[0] in (f"a person {kind}s", f"someone {kind}s again")


def mannered(kind: str, style: str) -> Source:
    return Source(kind + style, kind, "train", 50, (f"an {style} person {kind}s {style}ly",), style)


@pytest.mark.parametrize(
    "recipe",
    [
        CompositionRecipe({"train": 12}, {}, held_out=0.0),
        CompositionRecipe({}, {}, held_out=0.0, even={"train": 12}),
        CompositionRecipe(
            {}, {}, together={"train": 12}, bodies=frozenset({"walk"}), gestures=frozenset({"wave", "nod"})
        ),
    ],
    ids=["pairs", "even", "together"],
)
def test_the_subject_is_of_a_manner_only_where_both_parts_are(recipe: CompositionRecipe) -> None:
    parts = [
        mannered(*each) for each in (("walk", "angry"), ("wave", "idle"), ("nod", "angry"), ("nod", "idle"))
    ]
    styles, seen = {part.clip: part.style for part in parts}, set()
    for made in [*compositions(parts, recipe), *even_compositions(parts, recipe)]:
        manners = {styles[clip] for clip, _ in made.parts}
        for text in made.captions:
            if len(made.parts) > 1 and "*" not in made.label:
                seen.add(len(manners))
                assert (f"an {next(iter(manners))} person" in text) == (len(manners) == 1)
    assert 2 in seen


def test_what_is_said_to_happen_several_times_is_not_counted() -> None:
    told = (
        "a person waves",
        "a person waves twice",
        "a person waves again and again",
        "a person waves 3 times",
    )
    waves = [Source("w", "wave", "train", 40, told), Source("n", "nod", "train", 40, told[1:])]
    recipe = CompositionRecipe({}, {"train": 9}, even={"train": 9})
    made = [*compositions(waves, recipe), *even_compositions(waves, recipe)]
    counted = [each for each in made if "*" in each.label]
    assert len(counted) == 2 * 9 * 3
    assert {each.label.partition("*")[0] for each in counted} == {"wave"}
    assert all(len(text.split()) <= 5 for each in counted for text in each.captions)


def test_a_number_is_of_all_that_is_done() -> None:
    both = [Source("w", "wave", "train", 40, ("a person raises a hand and lowers it",))]
    made = list(compositions(both, CompositionRecipe({}, {"train": 4})))
    assert made and all("lowers it, " in text for each in made for text in each.captions)


def test_even_groups_respect_held_out_pairs() -> None:
    labels = [made.label for group in even_groups("train") for made in group if ">" in made.label]
    assert labels and not any(is_held_out(*label.split(">"), EVEN.held_out) for label in labels)
