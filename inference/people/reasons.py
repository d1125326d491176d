"""Sentences about who was found and who was not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import trust
from .left_out import TOO_MANY, TOO_SHORT, TOO_SMALL, TOO_UNCERTAIN, LeftOut
from .tracker import MIN_DURATION, MIN_SIZE

_WHY = {TOO_UNCERTAIN: "may not be a person", TOO_MANY: "is one more person than are made at a time"}


def nobody(left_out: Sequence[LeftOut], size: Sequence[int], path: Path | str) -> str:
    """Why there is nobody in a video, in a sentence.

    Args:
        left_out: who was seen, by screen presence.
        size: the video's width and height in pixels.
        path: the video.
    """
    # Who was followed came nearest; of those who were not, who was merely too small.
    one = min(left_out, key=lambda one: (one.frames == 1, one.frames == 1 and one.reason != TOO_SMALL), default=None)
    if one is None:
        return (
            f"Nobody was found in {path}: nothing in it looks like a person, who should be seen from head to foot for"
            " at least half a second."
        )
    if one.reason == TOO_SHORT:
        return (
            f"Nobody was found for long enough in {path}: the person at {_times(one)} is followed for"
            f" {one.seconds:.2f} s, and at least {MIN_DURATION:g} s are needed, so choose a longer part of the video."
        )
    if one.reason == TOO_SMALL:
        return (
            f"Nobody was found in {path} who is large enough: the person at {_times(one)} is {one.box[3]:.0f} pixels"
            f" high, and about {MIN_SIZE * min(size):.0f} are needed, so film from nearer, or cut the picture down to"
            " them."
        )
    return (
        f"Nobody was found for certain in {path}: what was seen at {_times(one)} may not be a person (score"
        f" {one.mean_score:.2f}, trust {one.trust:.2f}), who should be seen whole, sharp and in good light."
    )


def warnings(trusts: dict[int, float], left_out: Sequence[LeftOut], where: str = "") -> list[str]:
    """What a user should look at: people who may be none, and who was left out although they may be people.

    Args:
        trusts: in the people who have a motion, by number.
        left_out: who else was seen, by screen presence.
        where: what follows a person's number, to tell people of several shots apart.
    """
    sentences = [
        f"Person {number}{where} may not be a person: second looks at the same pictures often disagree (trust"
        f" {value:.2f}), so check the result."
        for number, value in trusts.items()
        if value < trust.SURE_TRUST
    ]
    likely = [
        one
        for one in left_out
        if one.reason in _WHY and one.seconds >= MIN_DURATION and one.mean_score >= trust.HIGH_SCORE
    ]
    if likely:
        one = likely[0]
        more = f" Reports name {len(likely) - 1} more." if len(likely) > 1 else ""
        sentences.append(
            f"Who or what was followed at {_times(one)} is left out, as it {_WHY[one.reason]} (score"
            f" {one.mean_score:.2f}, trust {one.trust:.2f})." + more
        )
    return sentences


def _times(one: LeftOut) -> str:
    return f"{one.start:.1f} s" if one.frames == 1 else f"{one.start:.1f} to {one.end:.1f} s"
