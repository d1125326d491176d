"""Formats and options of the export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ....inference.body.smpl import Body
from ....inference.errors import VideoMotionError
from ....inference.options import ENGINES, SUFFIXES

ENDINGS = {format: Path(f"x{suffix}").suffix for format, suffix in SUFFIXES.items() if format != "blend"}
"""The last suffix of each format's files."""

ONE_EACH = ("bvh", "amass")
"""Formats that hold one character per file."""

CENTIMETRES = 100.0
"""Units of FBX and BVH per metre."""


class ExportError(VideoMotionError):
    """Characters can't be exported."""


@dataclass(frozen=True)
class ExportOptions:
    """How to export.

    Attributes:
        engine: whose conventions FBX follows, one of `ENGINES`: Unreal's has z up, Unity's y up.
        frame_range: first and last scene frame; None for the range of the characters' actions.
        mesh: whether to export skins, in formats that have them.
        shape_keys: whether to export the skins' shape keys; otherwise only those of ARKit's names that move, and the
            current values of the others are applied, except for pose correctives, which are left out.
        body: the body that the characters' motion is for; required by AMASS.
    """

    engine: str = ENGINES[0]
    frame_range: tuple[int, int] | None = None
    mesh: bool = True
    shape_keys: bool = False
    body: Body | None = None
