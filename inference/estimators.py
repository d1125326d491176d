"""Estimators of people and motion. Standard library only, so that the command line can list them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Estimator(NamedTuple):
    """An estimator that users can choose.

    Attributes:
        what: a description in words.
        weights: registry items it needs.
    """

    what: str
    weights: tuple[str, ...] = ()


class Quality(NamedTuple):
    """How people are seen.

    Attributes:
        what: a description in words.
        passes: for each pass over the footage the registry's items that read landmarks and draw outlines.
    """

    what: str
    passes: tuple[tuple[str, str], ...]


LIFTER = "lifter"
"""The network that describes frames for the others, in the registry."""

ESTIMATORS: Mapping[str, Estimator] = {
    "cosegmentation": Estimator("two-stage co-segmentation network", (LIFTER, "cosegmentation")),
    "tar": Estimator("Temporal-Aware Refining Network", (LIFTER, "tar")),
    "part_dynamics": Estimator("uncertainty-aware part-dynamics network", (LIFTER, "part_dynamics")),
    "multi_roi": Estimator("multi-RoI network", (LIFTER, "multi_roi")),
    "landmarks": Estimator("fit to BlazePose's landmarks, without a network"),
}
"""The first one is the default: the most accurate.

Those with weights can be trained, each by the module of its name in `networks`.
"""

NETWORKS: Mapping[str, tuple[str, ...]] = {name: estimator.weights for name, estimator in ESTIMATORS.items()}

TRAINABLE: Mapping[str, str] = {LIFTER: "network that lifts landmarks and describes frames for the others"} | {
    name: estimator.what for name, estimator in ESTIMATORS.items() if estimator.weights
}

DEFAULT = next(iter(ESTIMATORS))

DETECTOR = "blazepose_detector"
"""What finds people, in the registry."""

FOOTING = "footing"
"""What says which feet stand, in the registry."""

HANDS = ("palm_detector", "hand_landmark")
"""What finds and reads hands, in the registry."""

FACE_LANDMARKS = "face_landmark"
"""What reads a face's landmarks, and says whether a face is seen, in the registry."""

FACES = (FACE_LANDMARKS, "face_blendshapes")
"""What reads faces, in the registry."""

_LIGHT = ("blazepose_landmark_full", "blazepose_outline_full")
_ACCURATE = ("blazepose_landmark_heavy", "blazepose_outline_heavy")

LANDMARKS: Mapping[str, Quality] = {
    "fast": Quality("everyone is seen once", (_LIGHT,)),
    "best": Quality(
        "everyone is seen a second time, by a more accurate network; finding people takes about three times as long",
        (_LIGHT, _ACCURATE),
    ),
}
"""What reads their landmarks, by quality.

The second is the default: on four calibrated cameras that film one man its joints are a third nearer to the true ones.
"""

DEFAULT_QUALITY = "best"


_PARTS = ("encoder", "local", "lifter")


def beside(window: Path, part: str) -> Path:
    """Where a part of a network is, one of `_PARTS`, that is used with its file for windows."""
    return window.with_name(f"{window.name.removesuffix('.onnx')}.{part}.onnx")


def own_files(window: Path) -> list[Path]:
    """The files of a network that a user trained, the one for windows first."""
    return [window, *(file for part in _PARTS if (file := beside(window, part)).exists())]


def people_items(quality: str) -> tuple[str, ...]:
    """The registry's items that find and read people at a quality."""
    return (DETECTOR, FACE_LANDMARKS, *(item for items in LANDMARKS[quality].passes for item in items))
