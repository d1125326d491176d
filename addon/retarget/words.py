"""What a bone's name says by itself, whatever family its rig is of."""

from __future__ import annotations

import re
from functools import cache

from .bones import CENTRAL, FINGERS, SIDES

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

_TRUNK = frozenset(CENTRAL)

# What the name is searched for, without separators; the first that is found decides. A space before or after stands
# for a word's end. Numbered spines may be anything from the hips to the
# head; SMPL names bones by joints, so that a hip may be a thigh and a foot its ball.
_SAID: tuple[tuple[str, frozenset[str]], ...] = (
    (r"( ik | fk | pole | target | ctrl | control | helper | twist )", frozenset()),
    (r"( eye| ears? | jaw | hair| brow| lip | tongue| teeth | breast| tail | wing | skirt | weapon )", frozenset()),
    (r"thumb", frozenset({"thumb"})),
    (r"index", frozenset({"index"})),
    (r" ring ", frozenset({"ring"})),
    (r"pinky|pinkie| little ", frozenset({"pinky"})),
    (r" (middle|mid) ", frozenset({"middle", *_TRUNK})),
    (r" toes? |toe base|toebase| ball ", frozenset({"toe"})),
    (r"ankle", frozenset({"foot"})),
    (r" foot ", frozenset({"foot", "toe"})),
    (r"shin|calf|low(er)? ?leg|leg ?lower|knee", frozenset({"shin"})),
    (r"thigh|up(per)? ?leg|leg ?upper", frozenset({"thigh"})),
    (r"( leg | leg)", frozenset({"thigh", "shin"})),
    (r"fore ?arm|low(er)? ?arm|arm ?lower|elbow", frozenset({"forearm"})),
    (r"up(per)? ?arm|arm ?upper|shldr", frozenset({"upper_arm"})),
    (r" hand |wrist|palm|fist", frozenset({"hand"})),
    (r"clavicle|collar", frozenset({"clavicle"})),
    (r"shoulder", frozenset({"clavicle", "upper_arm"})),
    (r" arm ", frozenset({"upper_arm", "forearm"})),
    (r" head ", frozenset({"head"})),
    (r" neck ", frozenset({"neck", "spine"})),
    (r"spine|chest|abdomen|torso|waist", _TRUNK),
    (r" hips? |pelvis", frozenset({"hips", "thigh"})),
)
_PATTERNS = tuple((re.compile(pattern), parts) for pattern, parts in _SAID)
_SIDES = {"l": "left", "r": "right", "left": "left", "right": "right"}


@cache
def said_parts(name: str) -> frozenset[str] | None:
    """The parts, such as ``thigh``, that a bone may be by its name; empty for none, None where it says nothing."""
    words = " " + " ".join(_words(name)) + " "
    return next((parts for pattern, parts in _PATTERNS if pattern.search(words)), None)


@cache
def said_side(name: str) -> str:
    """The side that a bone's name says, empty where it says none or both."""
    sides = {_SIDES[word] for word in _words(name, sides=True) if word in _SIDES}
    return sides.pop() if len(sides) == 1 else ""


def said_finger(name: str) -> str:
    """The finger that a bone's name says, empty where it says none."""
    parts = (said_parts(name) or frozenset()) & frozenset(FINGERS)
    return next(iter(parts)) if len(parts) == 1 else ""


def contradicts(name: str, slot: str) -> bool:
    """Whether a bone's name says that it is not what a slot is for."""
    side, _, part = slot.partition("_") if slot.startswith(SIDES) else ("", "", slot)
    parts, own = said_parts(name), said_side(name)
    return (parts is not None and part not in parts) or bool(side and own and own != side)


def _words(name: str, sides: bool = False) -> list[str]:
    """The words of a name in lower case, with or without those for sides."""
    found = []
    for word in (one.group().lower() for one in _WORD.finditer(name)):
        # Sides are also written in one word with a part.
        side = next((one for one in SIDES if word.startswith(one) and word != one), "")
        found += [side, word[len(side) :]] if side else [word]
    return [word for word in found if (word in _SIDES) == sides]
