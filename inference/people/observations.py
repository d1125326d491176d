"""What a video shows before anybody's motion is estimated: the people in it and how its camera moved."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields

import numpy as np

from .track import RoiViews, Track

_LOOKS = "looks."


@dataclass
class Observations:
    """People and camera of a video of M frames, trimmed.

    Attributes:
        size: width and height in pixels.
        frame_rate: hertz, the mean rate that the file declares.
        frames: (M,) frame numbers.
        timestamps: (M,) seconds.
        tracks: the people.
        turns: (M, 3, 3) see `CameraMotion.turns`.
        homographies: (M, 3, 3) see `CameraMotion.homographies`; identity where nobody asked for them.
        warnings: one sentence each.
    """

    size: tuple[int, int]
    frame_rate: float
    frames: np.ndarray
    timestamps: np.ndarray
    tracks: list[Track]
    turns: np.ndarray
    homographies: np.ndarray
    warnings: list[str] = field(default_factory=list)

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything as named arrays; the tracks' local maps are not among them."""
        told = {"size": self.size, "frame_rate": self.frame_rate, "warnings": self.warnings}
        told["people"] = [track.number for track in self.tracks]
        named = {
            "told": np.str_(json.dumps(told)),
            "frames": self.frames,
            "timestamps": self.timestamps,
            "turns": self.turns,
            "homographies": self.homographies,
        }
        for track in self.tracks:
            parts = {item.name: getattr(track, item.name) for item in fields(Track)}
            looks = parts.pop("looks")
            del parts["number"]
            if looks is not None:
                parts |= {f"{_LOOKS}{item.name}": getattr(looks, item.name) for item in fields(RoiViews)}
            named |= {f"{track.number}.{name}": values for name, values in parts.items()}
        return {name: np.asarray(values) for name, values in named.items()}

    @classmethod
    def of_arrays(cls, arrays: dict[str, np.ndarray]) -> Observations:
        """What `arrays` gave, made whole again.

        Raises:
            KeyError, TypeError, ValueError: they are others.
        """
        told = json.loads(str(arrays["told"]))
        tracks = []
        for number in told["people"]:
            prefix = f"{number}."
            own = {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}
            looks = {name.removeprefix(_LOOKS): own.pop(name) for name in list(own) if name.startswith(_LOOKS)}
            tracks.append(Track(number=number, looks=RoiViews(**looks) if looks else None, **own))
        return cls(
            size=tuple(told["size"]),
            frame_rate=told["frame_rate"],
            tracks=tracks,
            warnings=told["warnings"],
            **{name: arrays[name] for name in ("frames", "timestamps", "turns", "homographies")},
        )
