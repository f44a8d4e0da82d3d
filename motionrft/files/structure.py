"""Legs and arms by the shape of the tree alone, for skeletons whose names say nothing: a guess, with its confidence.

A body is a tree with two pairs of like branches: the legs, and further from the root the arms. Along a limb the joint in
the middle is where two bones of like length meet. Left and right are told by the names, else by where the toes point.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from motionrft.files.joint_words import spoken
from motionrft.files.skeleton_tree import SkeletonTree

_LIKE = 0.15
"""Two branches are a pair if their lengths differ by less than this part."""
_SHORTEST = 0.3
"""A limb is at least this part of the longest one: fingers and ears are pairs as well."""


_MOST_BRANCHES = 16


@dataclass(frozen=True)
class GuessedLimbs:
    """Indices into the tree, left first.

    legs: hip, knee, ankle, toe or None. arms: collar or None, shoulder, elbow, wrist.
    """

    legs: tuple[tuple[int | None, ...], tuple[int | None, ...]]
    arms: tuple[tuple[int | None, ...], tuple[int | None, ...]]
    confidence: float


@dataclass(frozen=True)
class _Pair:
    """Two like branches below one joint: their joints down to the farthest tip, and how alike they are (1: equal)."""

    root: int
    first: tuple[int, ...]
    second: tuple[int, ...]
    length: float
    likeness: float


def guess_limbs(tree: SkeletonTree) -> GuessedLimbs | None:
    """The limbs of a tree that looks like a body; None where it does not."""
    pairs = _pairs(tree)
    chosen = _legs_and_arms(tree, pairs)
    if chosen is None:
        return None
    legs, arms = chosen
    middle = [_middle(tree, way) for way in (legs.first, legs.second, arms.first, arms.second)]
    if None in middle:
        return None
    leg_limbs = [
        _leg(tree, way, place) for way, place in zip((legs.first, legs.second), middle[:2], strict=True)
    ]
    arm_limbs = [_arm(way, place) for way, place in zip((arms.first, arms.second), middle[2:], strict=True)]
    swap_legs, sure_legs = _sides(tree, legs, leg_limbs, leg_limbs)
    swap_arms, sure_arms = _sides(tree, arms, arm_limbs, leg_limbs)
    if swap_legs:
        leg_limbs.reverse()
    if swap_arms:
        arm_limbs.reverse()
    shape = legs.likeness * arms.likeness * (1.0 if tree.between(legs.root, arms.root) else 0.7)
    confidence = round(0.95 * shape * min(sure_legs, sure_arms), 2)
    return GuessedLimbs((leg_limbs[0], leg_limbs[1]), (arm_limbs[0], arm_limbs[1]), confidence)


def _pairs(tree: SkeletonTree) -> list[_Pair]:
    """All pairs of like branches, the longest first."""
    ahead, lengths = _longest_ways(tree)
    found = []
    for root, children in enumerate(tree.children):
        for one, other in combinations(children[:_MOST_BRANCHES], 2):
            long, longer = lengths[one], lengths[other]
            ratio = min(long, longer) / max(long, longer, 1e-12)
            if ratio > 1 - _LIKE:
                first, second = _way(ahead, one), _way(ahead, other)
                if min(len(first), len(second)) >= 3:
                    found.append(_Pair(root, first, second, (long + longer) / 2, ratio))
    return sorted(found, key=lambda pair: -pair.length)


def _longest_ways(tree: SkeletonTree) -> tuple[list[int], list[float]]:
    """For every joint the child on the way to the tip that is farthest from it (-1 at a tip), and how far that is."""
    ahead, lengths = [-1] * len(tree.names), [0.0] * len(tree.names)
    for joint in range(len(tree.names) - 1, 0, -1):
        parent, far = tree.parents[joint], lengths[joint] + float(tree.lengths[joint])
        if ahead[parent] < 0 or far >= lengths[parent]:
            ahead[parent], lengths[parent] = joint, far
    return ahead, lengths


def _way(ahead: Sequence[int], start: int) -> tuple[int, ...]:
    way = [start]
    while ahead[way[-1]] >= 0:
        way.append(ahead[way[-1]])
    return tuple(way)


def _legs_and_arms(tree: SkeletonTree, pairs: Sequence[_Pair]) -> tuple[_Pair, _Pair] | None:
    """The two longest pairs that do not hold each other's joints; the one nearer to the root are the legs."""
    for one, other in combinations(pairs[:12], 2):
        if other.length < _SHORTEST * one.length or {*one.first, *one.second} & {*other.first, *other.second}:
            continue
        if one.root != other.root and one.root not in tree.to_root(other.root):
            if other.root not in tree.to_root(one.root):
                continue
            one, other = other, one
        if other.root in (*one.first, *one.second):
            continue
        return one, other
    return None


def _middle(tree: SkeletonTree, way: Sequence[int]) -> tuple[int, int, int] | None:
    """Places on a limb of hip, knee and ankle (shoulder, elbow, wrist): two like bones, and a fifth of it beyond them.

    Where a limb parts into fingers, there the wrist is.
    """
    at = np.cumsum([0.0, *(tree.lengths[joint] for joint in way[1:])])
    best, chosen = math.inf, None
    hand = next(
        (place for place, joint in enumerate(way) if place > 1 and len(tree.children[joint]) > 2), None
    )
    for start, bend, end in combinations(range(len(way)), 3):
        if hand is not None and end != hand:
            continue
        upper, lower = at[bend] - at[start], at[end] - at[bend]
        if min(upper, lower) <= 0.1 * at[-1]:
            continue
        beyond = (at[-1] - at[end]) / at[-1]
        cost = (
            abs(math.log(upper / lower))
            + abs(math.log((upper + lower) / (0.75 * at[-1])))
            + 2 * abs(beyond - 0.2)
        )
        if cost < best:
            best, chosen = cost, (start, bend, end)
    return chosen


def _leg(
    tree: SkeletonTree, way: Sequence[int], places: tuple[int, int, int] | None
) -> tuple[int | None, ...]:
    assert places is not None
    joints = tuple(way[place] for place in places)
    beyond = [joint for joint in way[places[2] + 1 :] if tree.apart(joint)]
    return (*joints, beyond[-2] if len(beyond) > 1 else beyond[0] if beyond else None)


def _arm(way: Sequence[int], places: tuple[int, int, int] | None) -> tuple[int | None, ...]:
    assert places is not None
    collar = way[places[0] - 1] if places[0] > 0 else None
    return (collar, *(way[place] for place in places))


def _sides(
    tree: SkeletonTree,
    pair: _Pair,
    limbs: Sequence[Sequence[int | None]],
    legs: Sequence[Sequence[int | None]],
) -> tuple[bool, float]:
    """Whether the first limb is the right one, and how sure that is."""
    said = [_said_side(tree, way) for way in (pair.first, pair.second)]
    if {"left", "right"} == set(said):
        return said[0] == "right", 1.0
    places = tree.rest_places
    up = places[pair.root] - np.mean([places[leg[2]] for leg in legs], axis=0)
    toes = [places[leg[3]] - places[leg[2]] for leg in legs if leg[3] is not None]
    if not toes or not np.any(up):
        return False, 0.4
    left = np.cross(up, np.mean(toes, axis=0))
    apart = places[limbs[0][1]] - places[limbs[1][1]]
    size = np.linalg.norm(left) * np.linalg.norm(apart)
    cosine = float(left @ apart / size) if size > 0 else 0.0
    return cosine < 0, 0.4 + 0.5 * abs(cosine)


def _said_side(tree: SkeletonTree, way: Sequence[int]) -> str:
    return next((side for joint in way if (side := spoken(tree.names[joint]).side)), "")
