"""A picture of one take on three characters, to judge retargeting by eye.

    python -c "import video_motion.addon.retarget.picture as p; p.main('docs/retarget.jpg')"

needs `bpy`, the body, and the package that the body is made of, whose rigs two of the characters have.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector

from ...inference import registry
from ...inference.body.smpl import Body
from ...inference.motion.motion import Motion
from ..scene import Options as SceneOptions
from ..scene import build_scene
from .benchmark import SAMPLE, makehuman_rig, rigify_metarig
from .retarget import retarget

FRAMES = (12, 76, 104)
_SIDE, _APART = 320, 1.7
_COLOURS = ((0.55, 0.3, 0.22), (0.16, 0.35, 0.55), (0.6, 0.5, 0.12), (0.2, 0.5, 0.3))


def main(path: str) -> None:
    """Write the picture: the source, then a tall Mixamo rig, a small Unreal mannequin, Rigify's metarig."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    body, motion = Body.load(registry.body_path()), Motion.load(SAMPLE)
    bare = SceneOptions(frame_rate=25.0, camera=False, floor=False, resolution=False)
    source = build_scene([motion], body, None, bare).characters[0].armature
    tall = makehuman_rig("mixamo")
    tall.scale = (1.2,) * 3
    _dress_in_boxes(tall, 0.1)
    small = makehuman_rig("game_engine")
    small.scale = (0.62,) * 3
    _dress_in_boxes(small, 0.16)
    robot = rigify_metarig()
    _dress_in_boxes(robot, 0.22)
    characters = (source, tall, small, robot)
    for place, (character, colour) in enumerate(zip(characters, _COLOURS, strict=True)):
        if character is not source:
            lowest = min(vertex.co.z for mesh in character.children for vertex in mesh.data.vertices)
            character.location.z = -lowest * character.scale.z
            retarget(source, character)
        character.location.x = _APART * (place - 1.5)
        _paint(character, colour)
    _set_up(bpy.context.scene)
    _render(FRAMES, Path(path))


def _dress_in_boxes(armature: bpy.types.Object, width: float) -> None:
    """Give each bone a box that is so wide for its length."""
    corners = np.array([(x, y, z) for y in (0.05, 0.95) for x, z in ((-1, -1), (1, -1), (1, 1), (-1, 1))], dtype=float)
    sides = [(0, 1, 2, 3), (7, 6, 5, 4), (0, 4, 5, 1), (1, 5, 6, 2), (2, 6, 7, 3), (3, 7, 4, 0)]
    points, faces, owners = [], [], []
    for bone in armature.data.bones:
        if not bone.use_deform or bone.length < 0.06 or bone.name.lower().startswith("root"):
            continue
        box = corners * (bone.length * width, bone.length, bone.length * width)
        matrix = np.array(bone.matrix_local)
        faces += [[corner + len(points) for corner in side] for side in sides]
        points += list(box @ matrix[:3, :3].T + matrix[:3, 3])
        owners += [bone.name] * len(corners)
    mesh = _make_mesh(armature, np.array(points), faces)
    for vertex, name in enumerate(owners):
        group = mesh.vertex_groups.get(name) or mesh.vertex_groups.new(name=name)
        group.add((vertex,), 1.0, "REPLACE")


def _make_mesh(armature: bpy.types.Object, points: np.ndarray, faces: Sequence[Sequence[int]]) -> bpy.types.Object:
    data = bpy.data.meshes.new(armature.name)
    data.from_pydata(points.tolist(), [], faces)
    mesh = bpy.data.objects.new(armature.name, data)
    bpy.context.scene.collection.objects.link(mesh)
    mesh.parent = armature
    mesh.modifiers.new("Armature", "ARMATURE").object = armature
    return mesh


def _paint(armature: bpy.types.Object, colour: tuple[float, float, float]) -> None:
    material = bpy.data.materials.new(armature.name)
    if material.node_tree is None:
        material.use_nodes = True
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = (*colour, 1.0)
    shader.inputs["Roughness"].default_value = 0.6
    for mesh in armature.children:
        if mesh.type == "MESH":
            mesh.data.materials.clear()
            mesh.data.materials.append(material)


def _set_up(scene: bpy.types.Scene) -> None:
    """A camera that follows the first character, a floor, a sky."""
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 24
    scene.cycles.use_denoising = False
    scene.view_settings.view_transform = "Standard"
    scene.render.resolution_x, scene.render.resolution_y = 3 * _SIDE, _SIDE
    scene.render.image_settings.file_format = "JPEG"
    bpy.ops.mesh.primitive_plane_add(size=60)
    _paint_floor(bpy.context.object)
    data = bpy.data.cameras.new("Camera")
    data.lens = 45.0
    scene.camera = bpy.data.objects.new("Camera", data)
    scene.collection.objects.link(scene.camera)


def _paint_floor(floor: bpy.types.Object) -> None:
    material = bpy.data.materials.new("Floor")
    if material.node_tree is None:
        material.use_nodes = True
    floor.data.materials.append(material)


def _render(frames: Sequence[int], path: Path) -> None:
    """One strip for each frame, under each other."""
    scene = bpy.context.scene
    armatures = [one for one in scene.objects if one.type == "ARMATURE"]
    strips = []
    for frame in frames:
        scene.frame_set(frame)
        middle = Vector((0.0, 0.0, 0.0))
        for armature in armatures:
            hips = armature.pose.bones[0] if len(armature.pose.bones) < 30 else armature.pose.bones[1]
            middle += (armature.matrix_world @ hips.head) / len(armatures)
        middle.z = 0.6
        scene.camera.matrix_world = Matrix.Translation(middle + Vector((0.0, -11.5, 1.6))) @ Matrix.Rotation(
            np.radians(83.0), 4, "X"
        )
        file = path.with_name(f".{path.stem}.{frame}.jpg")
        scene.render.filepath = str(file.resolve())
        bpy.ops.render.render(write_still=True)
        strips.append(file)
    _join(strips, path)


def _join(files: Sequence[Path], path: Path) -> None:
    """Put pictures of one size under each other, two in a row."""
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
