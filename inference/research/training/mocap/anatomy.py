"""Finds a person in any skeleton by its structure, and brings the motion into the form of `Recording`.

Names, axes, units and rest poses differ from file to file, and the pose of zero angles often means nothing. So none of
these is used: hips are where two legs and a spine part, the chest is where two arms part, limbs are the longest pairs
of bones on the way to the tips. Toes and bent knees show where the front is, and so which side is left; names do not
count. What a joint's own axes mean is learnt from all motions of a skeleton together:

- Trunk and head are upright on average while people stand.
- Bent knees and elbows show the axes about which they bend; shins and forearms turn about these only. If
  the pose of zero angles is upright and they are nearly straight in it, they count as straight then: in figures the
  centres of joints are often off the line.
- Soles are level while people stand, toes point ahead of them.
- The hand is on average about as pronated as in CMU's motions.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ....body import rotations
from .bvh_format import BvhMotion, Hierarchy
from .recording import HEAD_LIFT, SOURCE_HINGE, Recording

_UNITS = (1.0, 0.01, 0.001, 0.0254, 0.0254 / 0.45)
"""Metres in metres, centimetres, millimetres, inches, and CMU's units."""

_LEG = 0.8
_UP, _FRONT, _LEFT = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0])
# A branch is a limb if it is this long, compared to the longest.
_LIMB = 0.25
# Of a limb's length.
_SAME_PLACE = 0.12
_UPRIGHT = np.cos(np.radians(15.0))
_STRAIGHT = np.cos(np.radians(25.0))
_NEARLY_STRAIGHT = np.cos(np.radians(20.0))
_HANGING = np.cos(np.radians(35.0))
# How much the average axis counts beside that of a limb bent by 90°.
_STRAIGHT_SHARE = 0.3
# Of the frames; a limb that is rarely bent does not tell its axis.
_OFTEN = 0.02
_BENT = np.sin(np.radians(20.0))
# Where the thumb of a forearm at rest points on average, 10° above the front, in CMU's motions.
_THUMB = rotations.axis_angle_to_matrix(np.radians([-10.0, 0.0, 0.0])) @ _FRONT
_STILL = 0.15
_LOW = 0.04
_ENOUGH = 5


class NoPersonError(Exception):
    """A skeleton isn't that of a person; the message is why, as part of a sentence."""


@dataclass(frozen=True)
class _Limb:
    """Joints of an arm or leg; a bone rotates with the parent of the joint at its end."""

    root: int
    middle: int
    end: int
    tip: int | None


@dataclass(frozen=True)
class _Anatomy:
    hips: int
    spine: tuple[int, ...]
    head: int
    legs: tuple[_Limb, _Limb]
    arms: tuple[_Limb, _Limb]


def find_person(motion: BvhMotion) -> _Anatomy:
    """Find hips, spine, head, legs and arms; which ones are left is not known yet.

    Raises:
        NoPersonError: the skeleton lacks some.
    """
    tree = _Tree(motion)
    for hips in range(len(tree.parents)):
        limbs = tree.limbs(hips)
        # The spine is the branch that parts again, into arms.
        partings = [(branch, chest) for branch in limbs if (chest := tree.parting(branch)) is not None]
        if len(limbs) < 3 or not partings:
            continue
        spine, chest = partings[0]
        legs = tree.pair([branch for branch in limbs if branch != spine])
        arms = tree.pair(tree.limbs(chest))
        necks = [branch for branch in tree.children[chest] if branch not in arms and tree.reach(branch) > 0]
        if not necks:
            break
        head = tree.last(max(necks, key=tree.reach))
        return _Anatomy(hips, tuple(tree.between(hips, chest)), head, tree.two(legs), tree.two(arms))
    raise NoPersonError("it isn't a whole person with legs, arms and a head")


class _Tree:
    def __init__(self, motion: BvhMotion):
        self.parents = motion.hierarchy.parents
        self._moves = [bool(channels) for channels in motion.hierarchy.channels]
        self._places = motion.positions
        self.lengths = np.array([_length(self._places, *bone) for bone in enumerate(self.parents)])
        self.lengths[0] = 0.0
        self.children: list[list[int]] = [[] for _ in self.parents]
        for joint, parent in enumerate(self.parents):
            if parent >= 0:
                self.children[parent].append(joint)
        self._reach = np.zeros(len(self.parents))
        for joint in reversed(range(1, len(self.parents))):
            parent = self.parents[joint]
            self._reach[parent] = max(self._reach[parent], self.reach(joint))

    def reach(self, branch: int) -> float:
        """Length of a branch from where it parts to its farthest tip."""
        return float(self.lengths[branch] + self._reach[branch])

    def limbs(self, joint: int) -> list[int]:
        """The long branches at a joint."""
        longest = max(map(self.reach, self.children[joint]), default=0.0)
        return [branch for branch in self.children[joint] if self.reach(branch) > _LIMB * longest]

    def parting(self, joint: int) -> int | None:
        """Where a branch first parts into several long ones."""
        while len(limbs := self.limbs(joint)) == 1:
            joint = limbs[0]
        return joint if limbs else None

    def last(self, joint: int) -> int:
        """The last joint that moves before a branch parts or ends."""
        while len(below := self.children[joint]) == 1 and self._moves[below[0]]:
            joint = below[0]
        return joint

    def pair(self, branches: list[int]) -> tuple[int, int]:
        """The two branches that are the most alike, of the three longest."""
        longest = sorted(branches, key=self.reach, reverse=True)[:3]
        pairs = [(a, b) for number, a in enumerate(longest) for b in longest[number + 1 :]]
        return min(pairs, key=lambda pair: self.reach(pair[0]) / self.reach(pair[1]))

    def between(self, above: int, below: int) -> list[int]:
        """Joints on the way, from below one down to the other."""
        way = [below]
        while self.parents[way[-1]] != above:
            way.append(self.parents[way[-1]])
        return way[::-1]

    def bones(self, branch: int) -> list[int]:
        """Ends of the bones of a branch on the way to its farthest tip, without those of no length."""
        way = [branch]
        while self.children[way[-1]]:
            way.append(max(self.children[way[-1]], key=self.reach))
        shortest = 1e-3 * self.reach(branch)
        return [joint for joint in way if self.lengths[joint] > shortest]

    def two(self, branches: tuple[int, int]) -> tuple[_Limb, _Limb]:
        """The limbs on both sides."""
        first, second = (self.bones(branch) for branch in branches)
        apart = _length(self._places, first[0], second[0])
        # One bone leads from where they part to each; after one to the same place come two collar bones.
        skipped = 2 if apart < _SAME_PLACE * self.reach(branches[0]) else 1
        return self._limb(first[skipped:]), self._limb(second[skipped:])

    def _limb(self, bones: list[int]) -> _Limb:
        if len(bones) < 2:
            raise NoPersonError("it has limbs of one bone")
        sums = [self.lengths[upper] + self.lengths[lower] for upper, lower in itertools.pairwise(bones)]
        first = int(np.argmax(sums))
        middle, end, *tips = bones[first:]
        return _Limb(self.parents[middle], middle, end, tips[0] if tips else None)


def recordings(motions: Sequence[tuple[str, str, BvhMotion]]) -> Iterator[Recording]:
    """Bring all motions of one skeleton into our form.

    Args:
        motions: name, group and motion, all with the same joints and bones.

    Raises:
        NoPersonError: the skeleton isn't a person's, or nobody stands in the motions.
    """
    hierarchy = motions[0][2].hierarchy
    anatomy = find_person(motions[0][2])
    person = _Person(hierarchy, anatomy, [motion for _, _, motion in motions])
    if person.standing.sum() < _ENOUGH:
        raise NoPersonError("nobody stands in it, from which to learn the skeleton")
    names, parents, turned, placed = person.canonical()
    offsets = np.zeros((len(names), 3))
    for joint, parent in enumerate(parents[1:], start=1):
        bone = (placed[:, joint] - placed[:, parent])[person.standing]
        offsets[joint] = _seen(turned[person.standing, parent], bone)
    start = 0
    for name, group, motion in motions:
        span = slice(start, start + len(motion.positions))
        yield Recording(name, group, motion.frame_rate, names, parents, offsets, turned[span], placed[span])
        start = span.stop


class _Person:
    """All motions of a skeleton, one after the other: F frames of J joints, y up, metres."""

    def __init__(self, hierarchy: Hierarchy, anatomy: _Anatomy, motions: Sequence[BvhMotion]):
        self._parents, self._offsets = hierarchy.parents, hierarchy.offsets
        self._moves = [bool(channels) for channels in hierarchy.channels]
        self._spine, self._hips, self._head = anatomy.spine, anatomy.hips, anatomy.head
        legs, arms = anatomy.legs, anatomy.arms
        places = np.concatenate([motion.positions for motion in motions])
        turns = np.concatenate([motion.rotations for motion in motions])
        bones = [bone for leg in legs for bone in ((leg.root, leg.middle), (leg.middle, leg.end))]
        length = sum(_length(places, *bone) for bone in bones) / 2
        unit = min(_UNITS, key=lambda unit: abs(np.log(unit * length / _LEG)))
        tall = (_middle(places, *(arm.root for arm in arms)) - _middle(places, *(leg.end for leg in legs))).mean(axis=0)
        axis = int(np.abs(tall).argmax())
        upright = rotations.between(np.sign(tall[axis]) * np.eye(3)[axis], _UP)
        self.places, self.turns = unit * places @ upright.T, upright @ turns
        self.still = np.concatenate([self._still(motion, unit, legs) for motion in motions])

        trunk = _direction(self._trunk(self.places, arms, legs))
        rest = np.zeros((1, len(self._parents), 3))
        for joint, parent in enumerate(self._parents[1:], start=1):
            rest[:, joint] = rest[:, parent] + upright @ self._offsets[joint]
        self._rest_is_upright = bool(_direction(self._trunk(rest, arms, legs))[0] @ _UP > _UPRIGHT)
        down = [self._bone(*bone) @ -_UP for bone in bones]
        self.standing = (trunk @ _UP > _UPRIGHT) & (np.min(down, axis=0) > _STRAIGHT)

        self.legs = legs if self._left_first(legs) else legs[::-1]
        hips = self._bone(self.legs[1].root, self.legs[0].root)
        shoulders = self._bone(arms[1].root, arms[0].root)
        same = np.sum((hips * shoulders)[self.standing]) > 0
        self.arms = arms if same else arms[::-1]
        left = (hips + (1.0 if same else -1.0) * shoulders) * (1.0, 0.0, 1.0)
        self.heading = rotations.sixd_to_matrix(np.concatenate([left, np.broadcast_to(_UP, left.shape)], axis=1))

    def canonical(self) -> tuple[tuple[str, ...], tuple[int, ...], np.ndarray, np.ndarray]:
        """Joints as `Recording` has them: names, parents, rotations (F, K, 3, 3) and positions (F, K, 3)."""
        names: list[str] = []
        parents: list[int] = []
        turned: list[np.ndarray] = []
        placed: list[np.ndarray] = []

        def add(name: str, parent: str, rotation: np.ndarray, place: np.ndarray) -> None:
            parents.append(names.index(parent) if parent else -1)
            names.append(name)
            turned.append(rotation)
            placed.append(place)

        column = np.stack([self._upright(joint) for joint in (self._hips, *self._spine)], axis=1)
        at = self.places[:, [self._hips, *self._spine]]
        add("root", "", column[:, 0], at[:, 0])
        for third, name in enumerate(("lowerback", "upperback", "thorax"), start=1):
            add(name, names[-1], *_between(column, at, third / 3 * len(self._spine)))
        head = self._upright(self._head) @ HEAD_LIFT.T
        add("head", "thorax", head, self.places[:, self._head])
        for letter, side, leg, arm in (("l", 1.0, self.legs[0], self.arms[0]), ("r", -1.0, self.legs[1], self.arms[1])):
            femur, tibia, foot, toes = self._leg(leg)
            ankle = self._straightened(leg)
            toe = ankle + (foot @ (0.15 * _FRONT) if leg.tip is None else self._line(leg.end, leg.tip))
            add(f"{letter}femur", "root", femur, self.places[:, leg.root])
            add(f"{letter}tibia", names[-1], tibia, self.places[:, leg.middle])
            add(f"{letter}foot", names[-1], foot, ankle)
            add(f"{letter}toes", names[-1], toes, toe)
            humerus, radius, hand = self._arm(arm, side)
            wrist = self._straightened(arm)
            fingers = wrist + (hand @ (0.1 * side * _LEFT) if arm.tip is None else self._line(arm.end, arm.tip))
            collar = self._carrier(arm.root)
            add(f"{letter}clavicle", "thorax", self._upright(collar), self.places[:, collar])
            add(f"{letter}humerus", names[-1], humerus, self.places[:, arm.root])
            add(f"{letter}radius", names[-1], radius, self.places[:, arm.middle])
            add(f"{letter}wrist", names[-1], radius, wrist)
            add(f"{letter}hand", names[-1], hand, wrist)
            add(f"{letter}fingers", names[-1], hand, fingers)
        return tuple(names), tuple(parents), np.stack(turned, axis=1), np.stack(placed, axis=1)

    def _leg(self, leg: _Limb) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Rotations of thigh, shin, foot and toes."""
        thigh, shin = self._bones(leg)
        hinge = self._hinge(self._parents[leg.middle], thigh, shin, self.heading[..., 0], self.standing)
        femur = _frame(thigh, hinge) @ _frame(-_UP, _LEFT).T
        tibia = rotations.between(thigh, shin) @ femur
        if leg.tip is None:
            return femur, tibia, tibia, tibia
        height = self.places[:, leg.end, 1]
        flat = self.standing & self.still[:, self.legs.index(leg)]
        if flat.any():
            flat &= height < np.percentile(height[flat], 10) + _LOW
        flat = flat if flat.sum() >= _ENOUGH else self.standing
        ankle = self._parents[leg.tip]
        sole = _seen(self.turns[flat, ankle], np.broadcast_to(_UP, (int(flat.sum()), 3)))
        toe = _seen(self.turns[flat, ankle], self._bone(leg.end, leg.tip)[flat])
        foot = self.turns[:, ankle] @ _frame(sole, toe) @ _frame(_UP, _FRONT).T
        return femur, tibia, foot, self._follows(leg.tip, foot, flat) if self._moves[leg.tip] else foot

    def _arm(self, arm: _Limb, side: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rotations of upper arm, forearm and hand; side is 1 for the left arm and −1 for the right one."""
        upper, lower = self._bones(arm)
        hanging = self.standing & (upper @ -_UP > _HANGING)
        hanging = hanging if hanging.sum() >= _ENOUGH else self.standing
        hinge = self._hinge(self._parents[arm.middle], upper, lower, -self.heading[..., 0], hanging)
        humerus = _frame(upper, hinge) @ _frame(side * _LEFT, side * SOURCE_HINGE).T
        radius = rotations.between(upper, lower) @ humerus
        if arm.tip is not None:
            hand, palm = self._parents[arm.tip], self._bone(arm.end, arm.tip)
        else:
            hand = arm.end if self._moves[arm.end] else self._parents[arm.end]
            palm = self.turns[:, hand] @ _seen(self.turns[:, hand], lower)
        thumb = self.turns[:, hand] @ _seen(self.turns[:, hand], radius @ _THUMB)
        return humerus, radius, _frame(palm, thumb) @ _frame(side * _LEFT, _FRONT).T

    def _upright(self, joint: int) -> np.ndarray:
        """Rotations (F, 3, 3) of a joint of the trunk, from how it is on average while people stand."""
        seen = np.swapaxes(self.turns[self.standing, joint], -1, -2) @ self.heading[self.standing]
        return self.turns[:, joint] @ rotations.project(seen.mean(axis=0))

    def _follows(self, joint: int, other: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """Rotations (F, 3, 3) of a joint, from how it is on average where it is as the other, (F, 3, 3)."""
        seen = np.swapaxes(self.turns[frames, joint], -1, -2) @ other[frames]
        return self.turns[:, joint] @ rotations.project(seen.mean(axis=0))

    def _hinge(
        self, joint: int, first: np.ndarray, second: np.ndarray, across: np.ndarray, usual: np.ndarray
    ) -> np.ndarray:
        """Axes (F, 3) about which a limb bends.

        They are where it bends, and where it is straight, where the joint has them on average; if it never bends, where
        ``across`` (F, 3) is in the ``usual`` frames (F,).
        """
        axes = np.cross(first, second)
        bent = np.linalg.norm(axes, axis=1) > _BENT
        if bent.sum() < max(_ENOUGH, _OFTEN * len(bent)):
            return self.turns[:, joint] @ _seen(self.turns[usual, joint], across[usual])
        average = _seen(self.turns[bent, joint], axes[bent])
        average *= _STRAIGHT_SHARE / np.linalg.norm(average)
        return axes * np.linalg.norm(axes, axis=1, keepdims=True) + self.turns[:, joint] @ average

    def _left_first(self, legs: tuple[_Limb, _Limb]) -> bool:
        """Whether the first leg is the left one: toes point to the front, and so do bent knees."""
        front = np.zeros_like(self.places[:, 0])
        for leg in legs:
            front += self._bone(leg.root, leg.middle) - self._bone(leg.middle, leg.end)
            if leg.tip is not None:
                front += self._bone(leg.end, leg.tip)
        across = self._bone(legs[1].root, legs[0].root)
        return float(np.sum((np.cross(_UP, front) * across)[self.standing])) > 0

    def _still(self, motion: BvhMotion, unit: float, legs: tuple[_Limb, _Limb]) -> np.ndarray:
        feet = unit * motion.positions[:, [leg.end for leg in legs]]
        if len(feet) < 2:
            return np.zeros(feet.shape[:2], dtype=bool)
        return np.linalg.norm(np.gradient(feet, axis=0), axis=-1) * motion.frame_rate < _STILL

    def _carrier(self, joint: int) -> int:
        """The joint that a joint is carried around by: the parent of the last bone that leads to it."""
        while np.allclose(self.places[0, joint], self.places[0, self._parents[joint]], atol=1e-4):
            joint = self._parents[joint]
        return self._parents[joint]

    @staticmethod
    def _trunk(places: np.ndarray, arms: tuple[_Limb, _Limb], legs: tuple[_Limb, _Limb]) -> np.ndarray:
        return _middle(places, *(arm.root for arm in arms)) - _middle(places, *(leg.root for leg in legs))

    def _bones(self, limb: _Limb) -> tuple[np.ndarray, np.ndarray]:
        """Directions (F, 3) of a limb's bones; if nearly straight in an upright pose of zero angles, straight there."""
        upper, lower = _direction(self._offsets[limb.middle]), _direction(self._offsets[limb.end])
        straight = self._rest_is_upright and upper @ lower > _NEARLY_STRAIGHT
        beyond = self.turns[:, self._parents[limb.end]] @ upper if straight else self._bone(limb.middle, limb.end)
        return self._bone(limb.root, limb.middle), beyond

    def _straightened(self, limb: _Limb) -> np.ndarray:
        """Places (F, 3) of a limb's end."""
        length = np.linalg.norm(self._line(limb.middle, limb.end), axis=1, keepdims=True)
        return self.places[:, limb.middle] + length * self._bones(limb)[1]

    def _bone(self, start: int, end: int) -> np.ndarray:
        return _direction(self._line(start, end))

    def _line(self, start: int, end: int) -> np.ndarray:
        return self.places[:, end] - self.places[:, start]


def _between(column: np.ndarray, places: np.ndarray, at: float) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (F, 3, 3) and places (F, 3) at a fractional number of a column's joints (F, K, …)."""
    below = min(int(at + 1e-6), column.shape[1] - 1)
    above = min(below + 1, column.shape[1] - 1)
    share = at - below
    if share < 1e-6:
        return column[:, below], places[:, below]
    ends = rotations.matrix_to_quaternion(column[:, [below, above]])
    turned = rotations.slerp(ends[:, 0], ends[:, 1], np.full(len(ends), share))
    return rotations.quaternion_to_matrix(turned), (1 - share) * places[:, below] + share * places[:, above]


def _seen(turns: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The mean (3,) of vectors (n, 3) as seen from joints with rotations (n, 3, 3)."""
    return np.einsum("nji,nj->i", turns, vectors) / len(vectors)


def _frame(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return rotations.sixd_to_matrix(np.concatenate([first, second], axis=-1))


def _direction(line: np.ndarray) -> np.ndarray:
    return line / np.linalg.norm(line, axis=-1, keepdims=True)


def _middle(places: np.ndarray, first: int, second: int) -> np.ndarray:
    return (places[:, first] + places[:, second]) / 2


def _length(places: np.ndarray, start: int, end: int) -> float:
    return float(np.median(np.linalg.norm(places[:, end] - places[:, start], axis=-1)))
