"""What a joint's name says: its side, and which part of a limb it is, whoever named it.

Names differ by prefix (`mixamorig:`, `CC_Base_`, `Bip01 `, `DEF-`), by where the side stands (`LeftArm`, `arm_l`, `lArm`,
`upper_arm.L`) and by word; order along the limb tells the words apart that are used twice: `LeftLeg` is a shin in
Mixamo, below `LeftUpLeg`, and a thigh in SOMA, above `LeftShin`.
"""

import re
from dataclasses import dataclass
from functools import cache

_TOKEN = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|左|右")
_SIDES = {"left": "left", "l": "left", "左": "left", "right": "right", "r": "right", "右": "right"}

LEG = frozenset(
    (
        *("upleg", "upperleg", "thigh", "thighbend", "hip", "femur", "uleg"),
        *("leg", "lowerleg", "lowleg", "loleg", "shin", "shank", "calf", "knee", "tibia"),
        *("foot", "ankle", "toe", "toes", "toebase", "toe0", "ball"),
    )
)
"""Words for the joints of a leg, from hip to toe; their order on the limb says which is which."""
ARM = frozenset(
    (
        *("clavicle", "collar", "collarbone", "shoulder", "shldr", "shldrbend", "arm", "upperarm", "uparm"),
        *(
            "humerus",
            "uarm",
            "forearm",
            "forearmbend",
            "lowerarm",
            "lowarm",
            "loarm",
            "larm",
            "farm",
            "radius",
        ),
        *("elbow", "wrist", "hand"),
    )
)
"""Words for the joints of an arm, from collar to wrist."""
COLLAR = frozenset(("clavicle", "collar", "collarbone"))
UPPER_ARM = frozenset(("arm", "upperarm", "uparm", "humerus", "uarm", "shldr", "shldrbend"))
"""What follows a collar that is called shoulder."""
THIGH = frozenset(("upleg", "upperleg", "thigh", "thighbend", "femur", "uleg"))
"""What follows a hip that is only a hinge of the pelvis."""
_KNOWN = LEG | ARM
_TAILS = frozenset(("jnt", "joint", "jt", "bone", "bind", "skel", "01"))
"""What names end in that says nothing: `l_arm_JNT`, `upperleg01.L`, of which `upperleg02.L` is only the other half."""


@dataclass(frozen=True)
class Spoken:
    """side: left, right, or "" in the middle. word: a word of `LEG` or `ARM`, or "" where the name holds none.

    whole: the name in small letters, without namespace, side and separators.
    """

    side: str
    word: str
    whole: str


@cache
def spoken(name: str) -> Spoken:
    """Read a joint's name: `mixamorig:LeftUpLeg`, `thigh_l` and `lThighBend` are a left hip."""
    tokens = [token.lower() for token in _TOKEN.findall(re.split(r"[:|]", name)[-1])]
    sides = [_SIDES[token] for token in tokens if token in _SIDES]
    words = [token for token in tokens if token not in _SIDES]
    while len(words) > 1 and words[-1] in _TAILS:
        words.pop()
    whole = "".join(words)
    if not sides and whole[:1] in ("l", "r") and whole[1:] in _KNOWN:
        return Spoken(_SIDES[whole[0]], whole[1:], whole[1:])
    endings = ("".join(words[start:]) for start in range(len(words)))
    word = next((ending for ending in endings if ending in _KNOWN), "")
    return Spoken(sides[-1] if sides else "", word, whole)
