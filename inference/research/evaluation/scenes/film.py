"""Films scenes: pictures of what recipes describe, and their truth, kept in a folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from ....atomic import write_json
from ....body import rotations
from ....body.smpl import Body
from ....motion.motion import Motion
from ...training.mocap.library import Library
from ...training.synthesis import appearance, outfits
from ...training.synthesis.actor import Actor
from ...training.synthesis.filming import Shot, hand, look_at
from ...training.synthesis.renderer import Film
from ...training.synthesis.wardrobe import Wardrobe
from .. import metrics
from ..truth import boxes_around
from . import staging
from .recipes import CameraRecipe, Recipes, SceneRecipe

# Of films: change it when the same recipe gives other pictures.
_VERSION = 1
_JPEG = 95
# The picture's height holds so many metres at least, and its width so many more than people's way.
_TALL, _WIDE = 2.5, 1.2
# A lens's focal length in widths of the picture: phones have 0.75 to 0.85, other cameras longer ones.
_FOCAL = (0.75, 1.2)
# An operator follows slowly, seconds; people take so many steps a second, which sway half as often.
_LAG, _STEPS = 0.25, 1.8
# From the renderer's world, whose y points up, to the motions', whose z does.
_UPRIGHT = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


@dataclass(frozen=True)
class FilmedScene:
    """A scene as filmed by a camera.

    Attributes:
        name: of the scene.
        camera: kind of the camera.
        footage: folder of the pictures.
        frame_rate: frames per second.
        people: the true motions; their contacts (N, 2) are those of whole feet.
        soles: (N, 4) of each person, whether left heel, left toe, right heel, right toe stand.
        boxes: (b, 2, 3) lowest and highest corners in the world of what people stand or sit on.
    """

    name: str
    camera: str
    footage: Path
    frame_rate: float
    people: list[Motion]
    soles: list[np.ndarray]
    boxes: np.ndarray


def film(
    recipes: Recipes,
    data: Path,
    body: Body,
    names: list[str] | None = None,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
    kinds: Sequence[str] | None = None,
) -> Iterator[FilmedScene]:
    """All scenes by all cameras; what has been filmed before is not filmed again.

    Args:
        recipes: of the scenes.
        data: folder of training data, with `library.npz` and perhaps `looks.npz`; films are kept in its `scenes`.
        body: the free body.
        names: of the scenes wanted; None for all.
        progress: called with scene and camera, the number of frames drawn, and the total.
        kinds: of the cameras wanted; None for all.

    Raises:
        MocapError: there is no library.
        EvaluationError: the library lacks a recording.
    """
    library = Library.load(data / "library.npz")
    wardrobe = Wardrobe.load(data / "looks.npz") if (data / "looks.npz").exists() else None
    for name, scene in recipes.scenes.items():
        if names and name not in names:
            continue
        roles, boxes = staging.stage(name, scene, recipes, library, body)
        for kind, camera in recipes.cameras.items():
            if kinds and kind not in kinds:
                continue
            shot = _shot(name, scene, kind, camera, recipes, roles, body)
            folder = data / "scenes" / f"{name}-{kind}-{_digest(name, scene, recipes, roles, boxes, shot, wardrobe)}"
            if not folder.exists():
                _draw(folder, name, scene, recipes, roles, boxes, shot, body, wardrobe, progress)
            yield _read(folder, name, kind)


def _digest(
    name: str,
    scene: SceneRecipe,
    recipes: Recipes,
    roles: list[staging.Role],
    boxes: np.ndarray,
    shot: Shot,
    wardrobe: Wardrobe | None,
) -> str:
    """A name for all that decides what a film shows."""
    parts = [boxes, shot.K, shot.rotations, shot.positions]
    parts += [array for role in roles for array in (role.betas, role.rotations, role.trans)]
    kind = json.dumps([_VERSION, name, scene.place, recipes.seed, shot.size, wardrobe is not None]).encode()
    return hashlib.sha256(kind + b"".join(np.round(part, 6).tobytes() for part in parts)).hexdigest()[:10]


def _shot(
    name: str,
    scene: SceneRecipe,
    kind: str,
    camera: CameraRecipe,
    recipes: Recipes,
    roles: list[staging.Role],
    body: Body,
) -> Shot:
    """The camera's lens and way, far enough from everybody."""
    # A scene has one lens, and each of its cameras another hand.
    lens = np.random.default_rng([recipes.seed, zlib.crc32(name.encode())])
    focal = recipes.size[0] * lens.uniform(*_FOCAL)
    rng = np.random.default_rng([recipes.seed, *(zlib.crc32(text.encode()) for text in (name, kind))])
    n, rate = scene.frames, recipes.frame_rate
    joints = np.concatenate([role.joints(body) for role in roles], axis=1)
    low, high = joints.min(axis=(0, 1)), joints.max(axis=(0, 1))
    seconds = np.arange(n) / rate - (n - 1) / rate / 2
    middle = (low + high) / 2
    root = cv2.GaussianBlur(
        joints[:, ::24].mean(axis=1), (1, 0), sigmaX=1e-3, sigmaY=_LAG * rate, borderType=cv2.BORDER_REPLICATE
    )
    wide = float(np.ptp(joints[..., 0] - camera.follow * root[:, None, 0]))
    away = max(focal * _TALL / recipes.size[1], focal * (wide + _WIDE) / recipes.size[0])
    travel = np.array(camera.travel) * seconds[:, None]
    positions = np.array([middle[0], camera.height, high[2] + away]) + travel
    steps = np.pi * _STEPS * seconds
    positions += camera.bob * np.stack([0.7 * np.sin(steps), np.sin(2 * steps), 0 * steps], axis=1)
    aim = middle + camera.follow * (root - middle)
    # Nobody tilts a camera with each step.
    aim[:, 1] = middle[1] + 0.3 * camera.follow * (root[:, 1] - middle[1])
    shifts, angles = (camera.shake * part for part in hand(n, rate, rng))
    angles[:, 1] += np.radians(camera.pan) * seconds / (n / rate)
    angles[:, 2] += np.radians(camera.roll)
    turns = rotations.axis_angle_to_matrix(angles) @ look_at(positions + shifts, aim)
    width, height = recipes.size
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
    return Shot((width, height), K, turns, positions + shifts)


def _draw(
    folder: Path,
    name: str,
    scene: SceneRecipe,
    recipes: Recipes,
    roles: list[staging.Role],
    boxes: np.ndarray,
    shot: Shot,
    body: Body,
    wardrobe: Wardrobe | None,
    progress: Callable[[str, int, int], None],
) -> None:
    """Make the folder of a film; it appears only when it is complete."""
    rng = np.random.default_rng([recipes.seed, zlib.crc32(name.encode()), 1])
    actors = []
    for role in roles:
        if wardrobe is None:
            dressed = appearance.dress(body, role.betas, "validation", rng)
        else:
            dressed = outfits.dress(body, role.betas, "validation", wardrobe, rng)
        actors.append(Actor(body, role.betas, role.rotations, role.trans, dressed))
    pictures = Film(actors, shot, boxes, scene.place, rng)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    footage = temporary / folder.name
    footage.mkdir(parents=True)
    try:
        for number in range(scene.frames):
            picture = pictures.frame(number)
            file = footage / f"{number:06d}.jpg"
            cv2.imwrite(str(file), picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG])
            progress(folder.name, number + 1, scene.frames)
        contacts = [staging.contacts(role, body, boxes, recipes.frame_rate) for role in roles]
        for number, (role, soles) in enumerate(zip(roles, contacts, strict=True), start=1):
            motion = _motion(role, soles, shot, body, recipes.frame_rate)
            motion.person = number
            motion.save(temporary / f"person-{number}.motion.npz")
        corners = boxes @ _UPRIGHT.T
        np.savez(
            temporary / "world.npz",
            soles=np.stack(contacts),
            boxes=np.stack([corners.min(axis=1), corners.max(axis=1)], axis=1),
        )
        about = {"recipe": asdict(scene), "frame_rate": recipes.frame_rate, "clothes": wardrobe is not None}
        write_json(temporary / "scene.json", about)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _motion(role: staging.Role, soles: np.ndarray, shot: Shot, body: Body, rate: float) -> Motion:
    """The true motion as a motion file has it."""
    rest_pelvis = body.rest_joints(role.betas)[0]
    poses, trans = shot.smpl_in_camera(role.rotations, role.trans, rest_pelvis)
    joints = body.joints(poses, role.betas, trans)
    n = len(trans)
    to_world = np.tile(np.eye(4), (n, 1, 1))
    to_world[:, :3, :3] = _UPRIGHT @ np.swapaxes(shot.rotations, 1, 2)
    to_world[:, :3, 3] = shot.positions @ _UPRIGHT.T
    return Motion(
        timestamps=np.arange(n) / rate,
        poses_cam=poses,
        trans_cam=trans,
        betas=role.betas,
        rest_pelvis=rest_pelvis,
        joints_cam=joints,
        camera_K=shot.K,
        camera_to_world=to_world,
        image_size=np.array(shot.size),
        frames=np.arange(n),
        boxes=boxes_around(metrics.project(joints, shot.K)),
        scores=np.ones((n, 24)),
        bridged=np.zeros(n, bool),
        contacts=soles.reshape(n, 2, 2).any(axis=2).astype(float),
        landmarks=np.zeros((n, 33, 3)),
        world_landmarks=np.zeros((n, 33, 3)),
        estimator="truth",
    )


def _read(folder: Path, name: str, kind: str) -> FilmedScene:
    people = [Motion.load(file) for file in sorted(folder.glob("person-*.motion.npz"))]
    with np.load(folder / "world.npz") as world:
        soles, boxes = world["soles"], world["boxes"]
    return FilmedScene(name, kind, folder / folder.name, people[0].frame_rate, people, list(soles), boxes)
