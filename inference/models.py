"""What a conversion runs on: the networks and the body, loaded once per process from the registry's files."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from . import estimators, registry
from .body.smpl import Body
from .options import Options
from .people.blazepose import BlazePose, PoseModel
from .pose.temporal import TemporalNetwork


@dataclass(frozen=True)
class Models:
    """The networks and the body of a conversion. A script may bring its own.

    Attributes:
        people: finds people and reads their 2D poses.
        network: estimates the motion of a person; None to fit the body to landmarks alone.
        body: the body that is animated.
        body_path: its file, None if it has none.
        people_key: identifies the weights of `people`, so that results can be cached; empty for no caching.
        network_key: the same for `network`.
        load_seconds: how long it took to load them.
    """

    people: PoseModel
    network: TemporalNetwork | None
    body: Body
    body_path: Path | None = None
    people_key: str = ""
    network_key: str = ""
    load_seconds: float = 0.0


def load_models(options: Options, fetch: bool = True) -> Models:
    """Return the models that the options ask for. Networks stay loaded for further videos of the same process.

    Args:
        options: `network`, `device` and `smpl` are used.
        fetch: whether files that are missing may be fetched.

    Raises:
        RegistryError: a weight file is missing and can't be fetched.
        BodyError: the body file of the options is not one.
        NetworkError: a network can't run on the device of the options.
    """
    began = time.perf_counter()
    detector, landmarker = (registry.path(item, fetch=fetch) for item in estimators.BLAZEPOSE)
    weights = estimators.NETWORKS[options.network]
    files = tuple(registry.path(item, fetch=fetch) for item in weights)
    body_path = options.smpl or registry.body_path(fetch=fetch)
    people = _blazepose(detector, landmarker)
    network = _temporal_network(files, options.device) if files else None
    body = Body.load(body_path)
    return Models(
        people=people,
        network=network,
        body=body,
        body_path=body_path,
        people_key=_key(estimators.BLAZEPOSE),
        network_key=_key(weights),
        load_seconds=time.perf_counter() - began,
    )


def _key(items: tuple[str, ...]) -> str:
    return " ".join(registry.items()[item].sha256 for item in items)


# A process that converts many videos loads its networks once: they hold no state of a video.
@lru_cache(maxsize=1)
def _blazepose(detector: Path, landmarker: Path) -> BlazePose:
    return BlazePose(detector, landmarker)


@lru_cache(maxsize=1)
def _temporal_network(files: tuple[Path, ...], device: str) -> TemporalNetwork:
    return TemporalNetwork(*files, device=device)
