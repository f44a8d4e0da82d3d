"""Which joint is which, by the words in the names and by the tree: two legs, two arms, a spine between them, a head.

The trunk is told by the tree alone: the pelvis is where legs and spine meet, the chest (`spine3`) is the joint that the
collars hang on, however many vertebrae a skeleton has.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from motionrft.errors import UserError
from motionrft.files.joint_maps import CMU, CMU_MARKS, JointMap, Source, arranged, normal
from motionrft.files.joint_words import ARM, COLLAR, LEG, THIGH, UPPER_ARM, spoken
from motionrft.files.skeleton_tree import SkeletonTree
from motionrft.files.structure import guess_limbs
from motionrft.skeleton import SMPL22

LEAST_CONFIDENCE = 0.35
"""A guess by the tree below this is not taken."""
_KINDS = {
    "upleg": "mixamo",
    "leg": "soma",
    "thigh": "unreal",
    "thighbend": "daz",
    "hip": "smpl",
    "upperleg": "bandai-namco",
    "femur": "acclaim",
}
"""What a skeleton is called, by its word for a thigh: after one who names it so."""
_MAKERS = {
    "mixamorig": "mixamo",
    "cc_base": "character creator",
    "bip0": "biped",
    "valvebiped": "biped",
    "j_bip": "vrm",
    "def-": "rigify",
}
"""What it is called where the names begin with their maker."""


@dataclass(frozen=True)
class Limbs:
    """Joints of both legs and arms, as indices into the tree, hip or shoulder first.

    legs: per side hip, knee, ankle, and a toe or None. arms: per side collar or None, shoulder, elbow, wrist.
    kind: whose names they are, or "guess". confidence: 1 where names told, less where the tree did.
    """

    legs: tuple[tuple[int | None, ...], tuple[int | None, ...]]
    arms: tuple[tuple[int | None, ...], tuple[int | None, ...]]
    kind: str
    confidence: float = 1.0


@dataclass(frozen=True)
class Recognition:
    """A joint map and how sure it is: 1 for names that are known, below for a guess by the tree."""

    joint_map: JointMap
    confidence: float

    @property
    def guessed(self) -> bool:
        return self.confidence < 1


def recognise(tree: SkeletonTree, file: str) -> Recognition:
    """The joint map of a skeleton.

    Raises:
        UserError: neither the names nor the tree tell; the message says what is missing.
    """
    have = {normal(name) for name in tree.names}
    if CMU.wanted() | CMU_MARKS <= have:
        return Recognition(CMU, 1.0)
    limbs = limbs_by_name(tree)
    if limbs is None:
        guessed = guess_limbs(tree)
        if guessed is not None:
            limbs = Limbs(guessed.legs, guessed.arms, "guess", guessed.confidence)
    if limbs is None or limbs.confidence < LEAST_CONFIDENCE:
        raise UserError(f"{file}: {_missing(tree)}")
    return Recognition(JointMap(limbs.kind, trunk_and_limbs(tree, limbs, file)), limbs.confidence)


def joint_map_template(tree: SkeletonTree, file: str) -> str:
    """A joint map in YAML to edit: what was recognised, or empty places where nothing was; the file's joints below it."""
    try:
        found = recognise(tree, file)
        head = f"# {file}: {found.joint_map.name}, {found.confidence:.0%} sure"
        sources: dict[str, Source] = dict(zip(SMPL22.names, found.joint_map.sources, strict=True))
    except UserError as error:
        head, sources = f"# {error}", dict.fromkeys(SMPL22.names, "")
    lines = [head, "# SMPL joint: a joint of the file, [several for their mean], or {joint: weight, …}"]
    lines += [f"{joint}: {json.dumps(source, ensure_ascii=False)}" for joint, source in sources.items()]
    joints = (
        f"#   {name} (on {tree.names[parent]})" if parent >= 0 else f"#   {name}"
        for name, parent in zip(tree.names, tree.parents, strict=True)
    )
    return "\n".join([*lines, "# joints of the file:", *joints]) + "\n"


def limbs_by_name(tree: SkeletonTree) -> Limbs | None:
    """Legs and arms as their names tell; None where one of the four is not to be found."""
    legs = [leg for side in ("left", "right") if (leg := _leg(tree, side)) is not None]
    arms = [arm for side in ("left", "right") if (arm := _arm(tree, side)) is not None]
    if len(legs) < 2 or len(arms) < 2 or legs[0][0] is None:
        return None
    thigh = tree.names[legs[0][0]]
    word = spoken(thigh).word
    maker = next((called for start, called in _MAKERS.items() if thigh.lower().startswith(start)), None)
    return Limbs((legs[0], legs[1]), (arms[0], arms[1]), maker or _KINDS.get(word, word))


def _chain(tree: SkeletonTree, side: str, words: frozenset[str]) -> list[int]:
    """The longest way down the tree whose names are words of one limb of that side."""
    best: list[int] = []
    for leaf in tree.leaves():
        found = [joint for joint in tree.to_root(leaf)[::-1] if _belongs(tree.names[joint], side, words)]
        if len(found) > len(best):
            best = found
    return best


def _belongs(name: str, side: str, words: frozenset[str]) -> bool:
    read = spoken(name)
    return read.side == side and read.word in words


def _leg(tree: SkeletonTree, side: str) -> tuple[int | None, ...] | None:
    chain = _chain(tree, side, LEG)
    words = [spoken(tree.names[joint]).word for joint in chain]
    if len(words) > 1 and words[0] == "hip" and words[1] in THIGH:
        chain = chain[1:]
    if len(chain) < 3:
        return None
    ankle = chain[2]
    return (*chain[:3], chain[3] if len(chain) > 3 else tree.nearest_below(ankle))


def _arm(tree: SkeletonTree, side: str) -> tuple[int | None, ...] | None:
    chain = _chain(tree, side, ARM)
    words = [spoken(tree.names[joint]).word for joint in chain]
    collared = len(words) > 1 and (words[0] in COLLAR or (words[0] == "shoulder" and words[1] in UPPER_ARM))
    limb = chain[1:] if collared else chain
    if collared and words[0] in COLLAR and words[1] == "shoulder" and words[2:3] and words[2] in UPPER_ARM:
        limb = chain[2:]
    if len(limb) < 3:
        return None
    return (chain[0] if collared else None, *limb[:3])


def trunk_and_limbs(tree: SkeletonTree, limbs: Limbs, file: str) -> tuple[Source, ...]:
    """Sources of the 22 SMPL joints: the limbs as given, the trunk by the tree.

    Raises:
        UserError: a foot ends at its ankle.
    """
    names = tree.names
    starts = [next(joint for joint in arm if joint is not None) for arm in limbs.arms]
    head = _head(tree, starts)
    chest = tree.common(starts)
    if "neck" in spoken(names[chest]).whole and tree.parents[chest] >= 0:
        chest = tree.parents[chest]
    pelvis = tree.common([*(leg[0] for leg in limbs.legs if leg[0] is not None), chest])
    above = tree.parents[pelvis]
    if "spine" in spoken(names[pelvis]).whole and above >= 0 and pelvis != chest and _is_pelvis(names[above]):
        pelvis = above
    neck, skull = _neck_and_head(tree, chest, head)
    spine = _spine(tree, pelvis, chest, neck)
    legs = [
        [_named(tree, joint, f"{file}: its ankle has no toe and no End Site") for joint in leg]
        for leg in limbs.legs
    ]
    arms = [_arm_sources(tree, arm, chest) for arm in limbs.arms]
    return arranged(names[pelvis], legs, arms, (*spine, neck, skull))


def _is_pelvis(name: str) -> bool:
    return spoken(name).whole.endswith(("pelvis", "hips", "hip"))


def _named(tree: SkeletonTree, joint: int | None, complaint: str) -> str:
    if joint is None:
        raise UserError(f"{complaint}. Name a source for it with --joint-map FILE (see --show-joint-map).")
    return tree.names[joint]


def _arm_sources(tree: SkeletonTree, arm: Sequence[int | None], chest: int) -> list[Source]:
    """Collar, shoulder, elbow, wrist; a collar that a skeleton lacks lies at two fifths of the way to the shoulder."""
    collar, *limb = arm
    joints = [tree.names[joint] for joint in limb if joint is not None]
    first: Source = tree.names[collar] if collar is not None else {tree.names[chest]: 0.6, joints[0]: 0.4}
    return [first, *joints]


def _spine(tree: SkeletonTree, pelvis: int, chest: int, neck: Source) -> list[Source]:
    """Spine1, spine2 and spine3: of more vertebrae the first, the second and the one with the collars."""
    names = tree.names
    way = [joint for joint in tree.between(pelvis, chest) if tree.apart(joint)]
    if way and way[-1] != chest:
        way[-1] = chest
    if len(way) >= 3:
        return [names[way[0]], names[way[1]], names[way[-1]]]
    if len(way) == 2:
        first, last = names[way[0]], names[way[1]]
        return [first, {first: 0.5, last: 0.5}, last]
    low, high = names[pelvis], names[chest]
    if len(way) == 1:
        return [{low: 2 / 3, high: 1 / 3}, {low: 1 / 3, high: 2 / 3}, high]
    top = neck if isinstance(neck, str) else high
    return [{low: 1 - part, top: part} for part in (0.25, 0.5, 0.75)]


def _head(tree: SkeletonTree, arms: Sequence[int]) -> int | None:
    """The joint called head; else, of what else grows where the arms do, the last joint before it parts or ends."""
    called = [joint for joint, name in enumerate(tree.names) if spoken(name).whole.endswith("head")]
    if called:
        return min(called, key=lambda joint: len(tree.to_root(joint)))
    chest = tree.common(arms)
    taken = {tree.to_root(arm)[tree.to_root(arm).index(chest) - 1] for arm in arms if arm != chest}
    others = [child for child in tree.children[chest] if child not in taken]
    if not others:
        return None
    here = max(others, key=lambda child: sum(child in tree.to_root(leaf) for leaf in tree.leaves()))
    while len(tree.children[here]) == 1 and tree.children[tree.children[here][0]]:
        here = tree.children[here][0]
    return here


def _neck_and_head(tree: SkeletonTree, chest: int, head: int | None) -> tuple[Source, Source]:
    """Sources of neck and head; what a skeleton lacks of them is put between its neighbours."""
    names = tree.names
    if head is None:
        return names[chest], names[chest]
    way = [joint for joint in tree.between(chest, head) if tree.apart(joint)] or [head]
    if len(way) > 1:
        return names[way[0]], names[head]
    tip = tree.nearest_below(head)
    if tip is None:
        return {names[chest]: 0.5, names[head]: 0.5}, names[head]
    return names[head], {names[head]: 0.5, names[tip]: 0.5}


def _missing(tree: SkeletonTree) -> str:
    """Why a skeleton was not recognised, and what to do."""
    lacking = [
        f"{side} {limb}"
        for side in ("left", "right")
        for limb, found in (("leg", _leg(tree, side)), ("arm", _arm(tree, side)))
        if found is None
    ]
    shown = ", ".join(name for name in tree.names[:8])
    return (
        f"the skeleton is not recognised: no {', no '.join(lacking)} by name (joints: {shown}, …), and its tree is not "
        f"two legs, two arms and a head. Say which joint is which: convert FILE --show-joint-map > map.yaml, edit it, "
        f"--joint-map map.yaml."
    )
