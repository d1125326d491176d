"""Observations of a video, from which motion is estimated: the people in it and its camera's motion."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from .left_out import LeftOut
from .track import ROI_PREFIX, RoiViews, Track

_ARRAYS = ("frames", "timestamps", "camera_rotations", "camera_positions", "camera_lines", "homographies")


@dataclass
class Observations:
    """People and camera of a shot of M frames of a video.

    Attributes:
        size: width and height in pixels.
        frame_rate: hertz, the mean rate that the file declares.
        frames: (M,) frame numbers.
        timestamps: (M,) seconds.
        tracks: the people.
        focal: of the camera, pixels.
        camera_rotations: (M, 3, 3) see `CameraMotion.rotations`.
        camera_positions: (M, 3) see `CameraMotion.positions`.
        camera_lines: (L, 4) see `CameraMotion.lines`.
        homographies: (M, 3, 3) see `CameraMotion.homographies`; identity where not measured.
        trusts: how far each of the people is trusted to be one (`people/trust.py`), by number.
        left_out: who else was seen, by screen presence.
        warnings: one sentence each.
        shot: its number in the video, from 1; a cut begins the next.
    """

    size: tuple[int, int]
    frame_rate: float
    frames: np.ndarray
    timestamps: np.ndarray
    tracks: list[Track]
    focal: float
    camera_rotations: np.ndarray
    camera_positions: np.ndarray
    camera_lines: np.ndarray
    homographies: np.ndarray
    trusts: dict[int, float] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    shot: int = 1

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything as named arrays; the tracks' local maps are not among them."""
        header = {
            "size": self.size,
            "frame_rate": self.frame_rate,
            "focal": self.focal,
            "warnings": self.warnings,
            "shot": self.shot,
            "people": [track.number for track in self.tracks],
            "trusts": list(self.trusts.items()),
            "left_out": [one.to_json() for one in self.left_out],
        }
        named = {
            "header": np.str_(json.dumps(header)),
            **{name: getattr(self, name) for name in _ARRAYS},
        }
        for track in self.tracks:
            parts = {item.name: getattr(track, item.name) for item in fields(Track)}
            roi_views = parts.pop("roi_views")
            del parts["number"]
            if parts["body_crops"] is None:
                del parts["body_crops"]
            if roi_views is not None:
                parts |= {f"{ROI_PREFIX}{item.name}": getattr(roi_views, item.name) for item in fields(RoiViews)}
            named |= {f"{track.number}.{name}": values for name, values in parts.items()}
        return {name: np.asarray(values) for name, values in named.items()}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Observations:
        """The inverse of `arrays`.

        Raises:
            KeyError, TypeError, ValueError: they are something else.
        """
        header = json.loads(str(arrays["header"]))
        tracks = []
        for number in header["people"]:
            prefix = f"{number}."
            own = {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}
            roi_views = RoiViews.from_columns(own)
            own = {name: values for name, values in own.items() if not name.startswith(ROI_PREFIX)}
            tracks.append(Track(number=number, roi_views=roi_views, **own))
        return cls(
            size=tuple(header["size"]),
            frame_rate=header["frame_rate"],
            focal=header["focal"],
            tracks=tracks,
            trusts={int(number): trust for number, trust in header["trusts"]},
            left_out=[LeftOut.from_json(one) for one in header["left_out"]],
            warnings=header["warnings"],
            shot=header["shot"],
            **{name: arrays[name] for name in _ARRAYS},
        )


def shots_as_arrays(shots: Sequence[Observations]) -> dict[str, np.ndarray]:
    """The arrays of the shots of a video, together."""
    return {f"{number}:{name}": values for number, one in enumerate(shots) for name, values in one.arrays().items()}


def shots_from_arrays(arrays: Mapping[str, np.ndarray]) -> list[Observations]:
    """The inverse of `shots_as_arrays`. Raises as `Observations.from_arrays` does."""
    shots: dict[str, dict[str, np.ndarray]] = {}
    for name, values in arrays.items():
        number, _, own = name.partition(":")
        shots.setdefault(number, {})[own] = values
    return [Observations.from_arrays(own) for own in shots.values()]
