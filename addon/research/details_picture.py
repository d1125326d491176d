"""Pictures of hands and faces, to judge by eye what becomes of them.

    python -c "import video_motion.addon.research.details_picture as p; p.fingers('fingers.png')"
    python -c "import video_motion.addon.research.details_picture as p; p.faces('faces.png')"

need `bpy`, the body, and the package that the body is made of, from which the characters come.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector

from ...inference import registry
from ...inference.body.face import COEFFICIENTS
from ...inference.body.smpl import Body
from ...inference.motion.motion import Motion
from ...inference.research.evaluation import faces as drawn_faces
from ...inference.research.evaluation import hands as drawn_hands
from ..retarget.action import RetargetOptions, retarget
from ..retarget.bones import read_rig
from ..retarget.recognise import recognise
from ..scene.take import SceneOptions, build_scene
from .characters import BUILDS, make_character, make_material
from .retargeting_picture import set_up

_FRAMES = (5, 27)
_RATE = 30.0
_SIDE = 240
# Metres across the picture of a hand and of a head.
_HAND, _HEAD = 0.34, 0.36
# From the camera's axes to a world whose z points up, above the floor.
_UPRIGHT = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, -1.0, 0.0, 1.7], [0.0, 0.0, 0.0, 1.0]])
_SHOWN = ("jawOpen", "mouthSmileLeft", "mouthPucker", "mouthFrownRight", "eyeBlinkLeft", "browInnerUp", "cheekPuff")


def fingers(path: str) -> None:
    """One moment a row: a take's own left hand, then those on Mixamo's, Unreal's, Rigify's and VRM's rigs."""
    body = _begin()
    source = _take(_upright(drawn_hands.acted(body, np.random.default_rng(3))), body)
    characters = [source]
    rigs = {name: make_character(name, build) for name, build in BUILDS.items()}
    rigs["vrm"] = _renamed(make_character("vrm", BUILDS["tall man"]), "vrm")
    for character in rigs.values():
        retarget(source, character, options=RetargetOptions(hold_feet=False, match_world=True))
        characters.append(character)
    places = [recognise(read_rig(character)).bones["left_middle"][0] for character in characters]
    files = []
    for frame in _FRAMES:
        bpy.context.scene.frame_set(frame)
        row = []
        for character, bone in zip(characters, places, strict=True):
            _only(character, characters)
            row.append(_render(character.matrix_world @ character.pose.bones[bone].head, _HAND, Path(path), len(row)))
        files.append(row)
    _save(files, Path(path))


def faces(path: str) -> None:
    """The head of a take's character: at rest, and with one coefficient at a time at 1."""
    body = _begin()
    motion = drawn_faces.acted(body, np.random.default_rng(1), 1.0, frames=len(_SHOWN) + 1)
    still = np.zeros_like(motion.poses_cam)
    still[:, 0] = [np.pi, 0.0, 0.0]
    face = np.zeros((len(motion), len(COEFFICIENTS)))
    for frame, name in enumerate(_SHOWN, 1):
        face[frame, COEFFICIENTS.index(name)] = 1.0
    character = _take(_upright(replace(motion, poses_cam=still, face=face, face_scores=np.ones(len(motion)))), body)
    row = []
    for frame in range(1, len(motion) + 1):
        bpy.context.scene.frame_set(frame)
        head = character.matrix_world @ character.pose.bones["head"].head
        row.append(_render(head + Vector((0.0, 0.0, 0.06)), _HEAD, Path(path), len(row)))
    half = len(row) // 2
    _save([row[:half], row[half:]], Path(path))


def _begin() -> Body:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    set_up(bpy.context.scene)
    bpy.context.scene.cycles.samples = 4
    return Body.load(registry.body_path())


def _upright(motion: Motion) -> Motion:
    return replace(motion, camera_to_world=np.tile(_UPRIGHT, (len(motion), 1, 1)))


def _take(motion: Motion, body: Body) -> bpy.types.Object:
    bare = SceneOptions(
        frame_rate=_RATE, camera=False, floor=False, lights=False, resolution=False, only_while_seen=False
    )
    character = build_scene([motion], body, None, bare).characters[0]
    slots = character.mesh.data.materials  # pyrefly: ignore[missing-attribute]
    slots[0] = make_material("Skin", (0.42, 0.19, 0.095))
    return character.armature


def _renamed(armature: bpy.types.Object, family: str) -> bpy.types.Object:
    """An armature whose bones have the first names that a family gives them."""
    file = Path(__file__).parents[1] / "retarget" / "families" / f"{family}.json"
    content, bones = json.loads(file.read_text()), recognise(read_rig(armature)).bones
    new = {}
    for slot, names in content["central"].items():
        new |= dict(zip(bones.get(slot, ()), names, strict=False))
    for side, letter in (("left", "_L_"), ("right", "_R_")):
        for slot, (pattern, *_) in (content["paired"] | content["fingers"]).items():
            numbered = [pattern.replace("{1,2,3}", str(number)) for number in (1, 2, 3)]
            names = [name.replace("{side}", letter) for name in numbered]
            new |= dict(zip(bones.get(f"{side}_{slot}", ()), names, strict=False))
    for bone, name in new.items():
        armature.data.bones[bone].name = name
    return armature


def _only(shown: bpy.types.Object, characters: Sequence[bpy.types.Object]) -> None:
    for character in characters:
        for child in character.children_recursive:
            child.hide_render = character != shown


def _render(middle: Vector, across: float, path: Path, column: int) -> Path:
    """A square picture of a place from the front."""
    scene = bpy.context.scene
    scene.camera.data.ortho_scale = across
    scene.camera.matrix_world = Matrix.Translation(middle - Vector((0.0, 3.0, 0.0))) @ Matrix.Rotation(
        np.pi / 2, 4, "X"
    )
    scene.render.resolution_x = scene.render.resolution_y = _SIDE
    file = path.with_name(f".{path.stem}.{scene.frame_current}.{column}.png")
    scene.render.filepath = str(file.resolve())
    bpy.ops.render.render(write_still=True)
    return file


def _save(rows: Sequence[Sequence[Path]], path: Path) -> None:
    """Put pictures beside and under each other."""
    whole = np.concatenate([np.concatenate([_pixels(file) for file in row], axis=1) for row in rows[::-1]], axis=0)
    image = bpy.data.images.new(path.name, whole.shape[1], whole.shape[0])
    image.pixels.foreach_set(whole.ravel())
    image.filepath_raw, image.file_format = str(path.resolve()), "PNG"
    image.save()


def _pixels(file: Path) -> np.ndarray:
    """(H, W, 4) a picture, which is deleted."""
    image = bpy.data.images.load(str(file.resolve()))
    width, height = image.size
    pixels = np.empty(4 * width * height, dtype=np.float32)
    image.pixels.foreach_get(pixels)
    file.unlink()
    return pixels.reshape(height, width, 4)
