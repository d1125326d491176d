"""What a conversion runs on: the networks and the body, loaded once per process from the registry's files."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from . import estimators, registry
from .body.smpl import Body
from .cache import hash_of_content
from .faces.landmarker import FaceLandmarker
from .faces.search import FaceModels
from .hands.landmarker import HandLandmarker, PalmDetector
from .hands.search import HandModels
from .motion.footing import Footing
from .options import Options
from .people.blazepose import BlazePose, LandmarkModel, PoseModel
from .people.detector import Detector
from .people.face_network import FaceNetwork
from .people.landmarker import Landmarker
from .pose.temporal import TemporalNetwork, kind_of
from .runtime.session import NetworkError


@dataclass(frozen=True)
class Models:
    """The networks and the body of a conversion. A script may bring its own.

    Attributes:
        people: finds people and reads their 2D poses.
        network: estimates the motion of a person; None to fit the body to landmarks alone.
        body: the body that is animated.
        footing: judges which feet stand.
        body_path: its file, None if it has none.
        people_key: identifies the weights of `people`, so that results can be cached; empty for no caching.
        network_key: the same for `network`.
        hands: find and read hands; None to leave fingers relaxed.
        faces: read faces; None to leave them at rest.
        second_pass: reads the poses again in a second pass over the footage; None for a single pass.
        device: where the networks run, see `Session.device`.
        notice: why they run on another device than requested, in a sentence; None if they don't.
        load_seconds: how long it took to load them.
    """

    people: PoseModel
    network: TemporalNetwork | None
    body: Body
    footing: Footing
    body_path: Path | None = None
    people_key: str = ""
    network_key: str = ""
    hands: HandModels | None = None
    faces: FaceModels | None = None
    second_pass: LandmarkModel | None = None
    device: str = "cpu"
    notice: str | None = None
    load_seconds: float = 0.0


def load_models(options: Options, fetch: bool = True) -> Models:
    """Return the models that the options ask for. Networks stay loaded for further videos of the same process.

    Args:
        options: `network`, `weights`, `quality`, `device`, `hands`, `face` and `smpl` are used.
        fetch: whether files that are missing may be fetched.

    Raises:
        RegistryError: a weight file is missing and can't be fetched.
        BodyError: the body file of the options is not one.
        NetworkError: a network can't run on the device of the options, or the user's own can't be used.
    """
    began = time.perf_counter()
    body_path = options.smpl or registry.body_path(fetch=fetch)
    body = Body.load(body_path)
    # Networks of details load beside the others.
    with ThreadPoolExecutor(1) as executor:
        # A body without fingers can't show them.
        hands = executor.submit(load_hands, options.device, fetch) if options.hands and body.fingers else None
        faces = executor.submit(load_faces, options.device, fetch) if options.face else None
        people, second_pass = load_people(options.quality, options.device, fetch)
        network, network_key = load_network(options, fetch)
    if network is not None and network.licensed and body.figures is not None:
        raise NetworkError(
            f"{options.weights} was trained with a licensed body: give that one, too, by --smpl FILE or in the"
            " preferences."
        )
    return Models(
        people=people,
        network=network,
        body=body,
        footing=Footing.load(registry.path(estimators.FOOTING, fetch=fetch)),
        body_path=body_path,
        people_key=_key(estimators.people_items(options.quality)),
        network_key=network_key,
        hands=None if hands is None else hands.result(),
        faces=None if faces is None else faces.result(),
        second_pass=second_pass,
        device=people.landmarker.device,
        notice=people.landmarker.notice,
        load_seconds=time.perf_counter() - began,
    )


def load_network(options: Options, fetch: bool = True) -> tuple[TemporalNetwork | None, str]:
    """Return the network that estimates the motion, if the options ask for one, and what identifies its weights.

    Raises:
        RegistryError, NetworkError: as `load_models`.
    """
    files, key = _network_files(options, fetch)
    return (_temporal_network(files, options.device, key) if files else None), key


def load_people(quality: str, device: str = "auto", fetch: bool = True) -> tuple[BlazePose, Landmarker | None]:
    """Return what finds people and reads their poses at a quality, and what does so in a second pass if there is one.

    Raises:
        RegistryError, NetworkError: as `load_models`.
    """
    detector = _detector(registry.path(estimators.DETECTOR, fetch=fetch), device)
    first, *second = (
        _landmarker(registry.path(landmarks, fetch=fetch), registry.path(outline, fetch=fetch), device)
        for landmarks, outline in estimators.LANDMARKS[quality].passes
    )
    faces = _face_network(registry.path(estimators.FACE_LANDMARKS, fetch=fetch), device)
    return BlazePose(detector, first, faces), second[0] if second else None


def load_hands(device: str = "auto", fetch: bool = True) -> HandModels:
    """Return what finds and reads hands.

    Raises:
        RegistryError, NetworkError: as `load_models`.
    """
    palms, hands = (registry.path(item, fetch=fetch) for item in estimators.HANDS)
    return HandModels(_palm_detector(palms, device), _hand_landmarker(hands, device), _key(estimators.HANDS))


def load_faces(device: str = "auto", fetch: bool = True) -> FaceModels:
    """Return what reads faces.

    Raises:
        RegistryError, NetworkError: as `load_models`.
    """
    landmarks, coefficients = (registry.path(item, fetch=fetch) for item in estimators.FACES)
    network = _face_network(landmarks, device)
    return FaceModels(_face_landmarker(network, coefficients, device), _key(estimators.FACES))


def check_own(options: Options) -> None:
    """Check that the user's own weights, if there are any, are of the network of the options.

    Raises:
        NetworkError: they are not.
    """
    if options.weights is None:
        return
    if not estimators.NETWORKS[options.network]:
        raise NetworkError(
            f"{options.weights} can't be used by {options.network}, which is no network: choose the one that was"
            " trained."
        )
    kind = kind_of(options.weights)
    if kind != options.network:
        raise NetworkError(f"{options.weights} holds {kind}, not {options.network}: choose {kind}, or other weights.")


def _network_files(options: Options, fetch: bool) -> tuple[tuple[Path, ...], str]:
    """The lifter and the network that uses it, if there is one, and what identifies their content."""
    items = estimators.NETWORKS[options.network]
    own = options.weights
    if own is None:
        return tuple(registry.path(item, fetch=fetch) for item in items), _key(items)
    check_own(options)
    lifter = estimators.beside(own, "lifter")
    files = (lifter if lifter.exists() else registry.path(estimators.LIFTER, fetch=fetch), own)
    return files, " ".join(map(hash_of_content, (files[0], *estimators.own_files(own))))


def _key(items: tuple[str, ...]) -> str:
    return " ".join(registry.items()[item].sha256 for item in items)


# A process that converts many videos loads its networks once: they hold no state of a video.
@lru_cache(maxsize=1)
def _detector(path: Path, device: str) -> Detector:
    return Detector(path, device)


@lru_cache(maxsize=2)
def _landmarker(path: Path, outline_path: Path, device: str) -> Landmarker:
    return Landmarker(path, outline_path, device)


@lru_cache(maxsize=1)
def _palm_detector(path: Path, device: str) -> PalmDetector:
    return PalmDetector(path, device)


@lru_cache(maxsize=1)
def _hand_landmarker(path: Path, device: str) -> HandLandmarker:
    return HandLandmarker(path, device)


@lru_cache(maxsize=1)
def _face_network(path: Path, device: str) -> FaceNetwork:
    return FaceNetwork(path, device)


@lru_cache(maxsize=1)
def _face_landmarker(landmarks: FaceNetwork, coefficients: Path, device: str) -> FaceLandmarker:
    return FaceLandmarker(landmarks, coefficients, device)


@lru_cache(maxsize=1)
def _temporal_network(files: tuple[Path, ...], device: str, key: str) -> TemporalNetwork:
    # The key because a user's files may have another content by now.
    return TemporalNetwork(*files, device=device)
