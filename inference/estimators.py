"""What finds people and estimates motion; needs nothing installed, so that the command line can offer it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Estimator(NamedTuple):
    """What users choose.

    Attributes:
        what: it is, in words.
        weights: files that it needs: its network for windows, one for frames if it looks at local maps.
    """

    what: str
    weights: tuple[str, ...] = ()


ESTIMATORS: Mapping[str, Estimator] = {
    "cosegmentation": Estimator("two-stage co-segmentation network", ("cosegmentation",)),
    "tar": Estimator("Temporal-Aware Refining Network", ("tar",)),
    "part_dynamics": Estimator("uncertainty-aware part-dynamics network", ("part_dynamics",)),
    "multi_roi": Estimator("multi-RoI network", ("multi_roi",)),
    "landmarks": Estimator("fit to BlazePose's landmarks, without a network"),
}
"""The first one is the default, because it measures best.

Those with weights can be trained, each by the module of its name in `networks`.
"""

NETWORKS: Mapping[str, tuple[str, ...]] = {name: one.weights for name, one in ESTIMATORS.items()}

TRAINABLE: Mapping[str, str] = {name: one.what for name, one in ESTIMATORS.items() if one.weights}

DEFAULT = next(iter(ESTIMATORS))

BLAZEPOSE = ("blazepose_detector", "blazepose_landmark_full")
"""What finds people, in the registry."""
