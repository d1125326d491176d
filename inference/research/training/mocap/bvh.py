"""Reader of ``.bvh`` motion of whatever skeleton."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath

from .anatomy import NoPersonError, recordings
from .bvh_format import BvhMotion, parse_bvh
from .recording import MocapError, Recording

_MIN_FRAME_RATE = 10.0
# Who is in which file of known data sets, by path.
_GROUPS = (
    (r"(^|/)Female1_", "accad female1"),
    (r"(^|/)Male1_", "accad male1"),
    (r"(^|/)Male2_|MartialArts_BVH/", "accad male2"),
    (r"(?P<subject>\d+)_(acted|genuine)$", "reactidle {subject}"),
    (r"train_data_bvh/(?P<subject>\w+)/", "{subject}"),
    (r"(?P<subject>\d+)_\d+$", "{subject}"),
)
_STRETCHED = re.compile(r"Training/Model\d+/bvh/")


def read_bvh(texts: Mapping[PurePosixPath, str], tell: Callable[[str], object]) -> Iterator[Recording]:
    """Read all motions among the texts of a source.

    Files with the same joints and bones are one skeleton, whose axes are learnt from all of them together. The group is
    the person where the data set is known, else the folder. Files that can't be read, show no whole person, or have
    fewer than ten frames a second are left out, as are ACCAD's motions that somebody stretched to one length: people
    fall at 3 to 30 m/s² in them.

    Args:
        texts: by path within the source.
        tell: is called with a sentence about each file that is left out.
    """
    skeletons: dict[tuple, list[tuple[str, str, BvhMotion]]] = {}
    for file in sorted(file for file in texts if file.suffix.lower() == ".bvh"):
        try:
            motion = parse_bvh(texts[file], file.name)
        except MocapError as error:
            tell(f"{error} It is left out.")
            continue
        if motion.frame_rate < _MIN_FRAME_RATE:
            tell(f"{file.name} is left out: it has only {motion.frame_rate:.3g} frames a second.")
        elif _STRETCHED.search(str(file)):
            tell(f"{file.name} is left out: it is stretched in time.")
        else:
            hierarchy = motion.hierarchy
            bones = tuple(hierarchy.offsets[1:].round(1).ravel())
            same = skeletons.setdefault((hierarchy.names, hierarchy.parents, bones), [])
            same.append((file.stem, _group(file), motion))
    for motions in skeletons.values():
        try:
            yield from recordings(motions)
        except NoPersonError as error:
            for name, _, _ in motions:
                tell(f"{name}.bvh is left out: {error}.")


def _group(file: PurePosixPath) -> str:
    for pattern, group in _GROUPS:
        match = re.search(pattern, str(file.with_suffix("")))
        if match:
            return group.format(**match.groupdict())
    return file.parent.name
