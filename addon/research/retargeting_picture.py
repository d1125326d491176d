"""A picture of one take on three characters, to judge retargeting by eye.

    python -c "import video_motion.addon.research.retargeting_picture as p; p.main('docs/retarget.jpg')"

needs `bpy`, the body, and the package that the body is made of, from which the three characters come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector

from ...inference import registry
from ...inference.body.smpl import Body
from ...inference.motion.motion import Motion
from ..retarget.action import retarget
from ..scene.take import SceneOptions, build_scene
from .characters import BUILDS, make_character, make_material
from .retargeting import SAMPLE


@dataclass(frozen=True)
class Strip:
    """A frame of the take, the height of its row in pixels, and from where it is seen, degrees from the front."""

    frame: int
    height: int
    turn: float


STRIPS = (Strip(18, 560, 0.0), Strip(104, 425, 25.0), Strip(153, 565, 40.0))
_WIDTH = 1280
_VIEW, _MARGIN, _DOWN = 4.6, 0.1, 7.0
"""Metres across the whole picture, metres of floor before the row, and how steeply it is seen, degrees."""


def main(path: str) -> None:
    """Write the picture: the take's own character, then the three of `BUILDS`, side by side."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    body, motion = Body.load(registry.body_path()), Motion.load(SAMPLE)
    bare = SceneOptions(frame_rate=25.0, camera=False, floor=False, lights=False, resolution=False)
    source = build_scene([motion], body, None, bare).characters[0]
    source.mesh.data.materials.clear()  # pyrefly: ignore[missing-attribute]
    source.mesh.data.materials.append(make_material("Take", (0.55, 0.19, 0.08)))  # pyrefly: ignore[missing-attribute]
    characters = [source.armature]
    for name, build in BUILDS.items():
        character = make_character(name, build)
        retarget(source.armature, character)
        characters.append(character)
    set_up(bpy.context.scene)
    _render(characters, Path(path))


def set_up(scene: bpy.types.Scene) -> None:
    """A floor, a sky, two lights and a camera."""
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 12
    scene.cycles.use_denoising = True
    scene.cycles.max_bounces = 4
    scene.view_settings.view_transform = "Standard"
    scene.render.resolution_x = _WIDTH
    scene.render.image_settings.file_format = "PNG"
    scene.world = bpy.data.worlds.new("World")
    if scene.world.node_tree is None:
        scene.world.use_nodes = True
    background = next(node for node in scene.world.node_tree.nodes if node.type == "BACKGROUND")  # pyrefly: ignore[missing-attribute]
    background.inputs["Color"].default_value = (0.75, 0.85, 1.0, 1.0)
    background.inputs["Strength"].default_value = 0.55
    bpy.ops.mesh.primitive_plane_add(size=200)
    bpy.context.object.data.materials.append(make_material("Floor", (0.5, 0.5, 0.5)))
    light = bpy.data.lights.new("Sun", "SUN")
    light.energy, light.angle = 3.0, np.radians(8.0)
    sun = bpy.data.objects.new("Sun", light)
    sun.rotation_euler = (np.radians(48.0), 0.0, np.radians(-35.0))
    data = bpy.data.cameras.new("Camera")
    data.type, data.ortho_scale, data.sensor_fit = "ORTHO", _VIEW, "HORIZONTAL"
    scene.camera = bpy.data.objects.new("Camera", data)
    stand = bpy.data.objects.new("Stand", None)
    sun.parent = scene.camera.parent = stand
    for new in (sun, scene.camera, stand):
        scene.collection.objects.link(new)


def _render(characters: Sequence[bpy.types.Object], path: Path) -> None:
    """One strip for each frame, under each other."""
    scene = bpy.context.scene
    files = []
    for strip in STRIPS:
        scene.frame_set(strip.frame)
        turn = Matrix.Rotation(np.radians(strip.turn), 3, "Z")
        _line_up(characters, np.array(turn))
        _aim(scene.camera, strip)
        scene.render.resolution_y = strip.height
        file = path.with_name(f".{path.stem}.{strip.frame}.png")
        scene.render.filepath = str(file.resolve())
        bpy.ops.render.render(write_still=True)
        files.append(file)
    _join(files, path)


def _line_up(characters: Sequence[bpy.types.Object], turn: np.ndarray) -> None:
    """Move characters over the floor into a row across a turned (3, 3) view, with equal gaps between them."""
    bounds = []
    for character in characters:
        mesh = next(child for child in character.children if child.type == "MESH")
        evaluated = mesh.evaluated_get(bpy.context.evaluated_depsgraph_get())
        points = np.array([evaluated.matrix_world @ vertex.co for vertex in evaluated.data.vertices]) @ turn
        bounds.append((points.min(axis=0), points.max(axis=0)))
    gap = (_VIEW - sum(most[0] - least[0] for least, most in bounds)) / (len(characters) + 1)
    edge = -_VIEW / 2.0
    for character, (least, most) in zip(characters, bounds, strict=True):
        character.location += Vector(turn @ (edge + gap - least[0], -(least[1] + most[1]) / 2.0, 0.0))
        edge += gap + most[0] - least[0]
    bpy.context.view_layer.update()


def _aim(camera: bpy.types.Object, strip: Strip) -> None:
    """Look at the row from a little above, the middle of the floor near the strip's lower edge."""
    camera.parent.rotation_euler.z = np.radians(strip.turn)
    down = Matrix.Rotation(np.radians(90.0 - _DOWN), 4, "X")
    above = _VIEW * strip.height / _WIDTH / 2.0 - _MARGIN
    camera.matrix_local = down @ Matrix.Translation((0.0, above, 20.0))


def _join(files: Sequence[Path], path: Path) -> None:
    """Put pictures of one width under each other."""
    pictures = []
    for file in files:
        image = bpy.data.images.load(str(file.resolve()))
        width, height = image.size
        pixels = np.empty(4 * width * height, dtype=np.float32)
        image.pixels.foreach_get(pixels)
        pictures.append(pixels.reshape(height, width, 4))
        file.unlink()
    whole = np.concatenate(pictures[::-1], axis=0)
    image = bpy.data.images.new(path.name, whole.shape[1], whole.shape[0])
    image.pixels.foreach_set(whole.ravel())
    image.filepath_raw, image.file_format = str(path.resolve()), "JPEG"
    image.save(quality=82)
