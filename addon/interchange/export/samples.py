"""The motion of characters as arrays, evaluated by Blender frame by frame."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import bpy
import numpy as np

from ...scene.keyframes import SEEN, has_face
from ...scene.visibility import always_visible, deforms, is_only_while_seen
from .options import ExportOptions


@dataclass
class CharacterSamples:
    """One character on every exported frame.

    Attributes:
        armature: its object.
        meshes: its skins.
        world: (N, 4, 4) world matrices of the armature object.
        pose: (N, B, 4, 4) matrices of the bones in armature space.
        seen: (N,) whether the character is visible; None where that is always.
        keys: (N, K) values of the shape keys by skin, where they are to be exported or there are those of a face.
    """

    armature: bpy.types.Object
    meshes: list[bpy.types.Object]
    world: np.ndarray
    pose: np.ndarray
    seen: np.ndarray | None = None
    keys: dict[bpy.types.Object, np.ndarray] = field(default_factory=dict)


@contextlib.contextmanager
def temporary_scene(scene: bpy.types.Scene, name: str) -> Iterator[bpy.types.Scene]:
    """Yield a new scene with the frame rate of ``scene``; remove it and everything else that was added meanwhile."""
    kinds = ("objects", "armatures", "meshes", "actions", "materials", "images")
    before = {kind: set(getattr(bpy.data, kind)) for kind in (*kinds, "shape_keys")}
    staging = bpy.data.scenes.new(name)
    staging.render.fps, staging.render.fps_base = scene.render.fps, scene.render.fps_base
    try:
        yield staging
    finally:
        bpy.data.scenes.remove(staging)
        # Shape keys are removed with their mesh, unless they lost it.
        for kind in (*kinds, "shape_keys"):
            bpy.data.batch_remove(list(set(getattr(bpy.data, kind)) - before[kind]))


def sample_characters(
    armatures: Sequence[bpy.types.Object], scene: bpy.types.Scene, frames: range, options: ExportOptions
) -> list[CharacterSamples]:
    """Evaluate the characters on every frame, alone in a scene, so that nothing else is evaluated."""
    bones = [len(armature.data.bones) for armature in armatures]
    samples = [
        CharacterSamples(
            armature,
            _skins(armature, scene) if options.mesh else [],
            np.empty((len(frames), 4, 4)),
            np.empty((len(frames), count, 4, 4)),
            np.empty(len(frames), dtype=bool) if is_only_while_seen(armature) else None,
        )
        for armature, count in zip(armatures, bones, strict=True)
    ]
    with temporary_scene(scene, "sampling") as staging, _enabled(armatures):
        for sample in samples:
            staging.collection.objects.link(sample.armature)
            for mesh in sample.meshes:
                keys = mesh.data.shape_keys
                if keys is not None and (options.shape_keys or has_face(keys)):
                    staging.collection.objects.link(mesh)
                    sample.keys[mesh] = np.empty((len(frames), len(keys.key_blocks)))
        layer = staging.view_layers[0]
        for row, frame in enumerate(frames):
            staging.frame_set(frame)
            for sample in samples:
                evaluated = sample.armature.evaluated_get(layer.depsgraph)
                sample.world[row] = evaluated.matrix_world
                if sample.seen is not None:
                    sample.seen[row] = evaluated[SEEN]
                flat = np.empty(16 * sample.pose.shape[1], dtype=np.float32)
                evaluated.pose.bones.foreach_get("matrix", flat)
                sample.pose[row] = np.swapaxes(flat.reshape(-1, 4, 4), 1, 2)
                for mesh, values in sample.keys.items():
                    blocks = mesh.data.shape_keys.evaluated_get(layer.depsgraph).key_blocks
                    values[row] = [block.value for block in blocks]
    return samples


@contextlib.contextmanager
def _enabled(objects: Sequence[bpy.types.Object]) -> Iterator[None]:
    """Enable objects that are disabled, by the user or as unseen, meanwhile: those are not evaluated."""
    disabled = [one for one in objects if one.hide_viewport]
    with always_visible(objects):
        try:
            for one in disabled:
                one.hide_viewport = False
            yield
        finally:
            for one in disabled:
                one.hide_viewport = True


def _skins(armature: bpy.types.Object, scene: bpy.types.Scene) -> list[bpy.types.Object]:
    return [one for one in scene.objects if deforms(armature, one)]
