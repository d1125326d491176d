"""Clean-up of takes: settings that change the captured action at once, from what was captured, which it keeps.

Nothing here runs a network. `Update Motion` cleans up what it makes by the same settings, and keeps marks of feet.
"""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any, ClassVar

import bpy
import numpy as np
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty

from ...inference.body import rotations
from ...inference.motion.legs import contact_spans
from ..compatibility import Channels, keep_bytes
from ..retarget.sampling import read_contacts
from ..retarget.simplify import distance, keep_keys, rotation_error
from ..scene.armature import bone_names
from ..scene.keyframes import CONSTANT, CONTACT, FEET, add_keys, read_keys, scene_frame_rate, write_curve
from ..scene.layers import captured_action, captured_channels, is_edited, stamp
from ..scene.resample import frames_around
from . import tidying
from .tidying import Moves, Skeleton

_KEPT = "video_motion_captured"
"""Custom property of a captured action: what it was before clean-up."""

_MARKS = "video_motion_marks"
"""Custom property of a captured action whose contacts are an animator's."""

_SIMPLE_PATH = 0.002
_SMOOTHING = ("torso", "head", "arms", "legs")


def _tidy(settings: Any, context: bpy.types.Context) -> None:
    tidy_take(settings.id_data, context.scene)


def _smoothing(limb: str) -> Any:
    return FloatProperty(
        name=limb.capitalize(),
        description=f"How much calmer the {limb} {'move' if limb.endswith('s') else 'moves'}; 0 leaves it as captured",
        min=0.0,
        max=20.0,
        soft_max=5.0,
        options=set(),
        update=_tidy,
    )


PROPERTIES: dict[str, Any] = {
    **{f"smooth_{limb}": _smoothing(limb) for limb in _SMOOTHING},
    "hold": BoolProperty(
        name="Hold Marked Feet",
        description="Bend the legs so that feet stay in place from a mark down to the next mark up",
        options=set(),
        update=_tidy,
    ),
    "in_place": BoolProperty(
        name="In Place",
        description="Take the path over the floor out of the motion; heights stay",
        options=set(),
        update=_tidy,
    ),
    "loop": IntProperty(
        name="Loop",
        description="Blend so many frames of the end into the beginning, so that the take can be repeated; 0 for none",
        min=0,
        soft_max=50,
        options=set(),
        update=_tidy,
    ),
    "simplify": FloatProperty(
        name="Simplify",
        description="Leave out keys as long as no bone is off by more than this; 0 keeps a key on every frame",
        subtype="ANGLE",
        min=0.0,
        soft_max=np.radians(5.0),
        options=set(),
        update=_tidy,
    ),
}
"""The settings of clean-up, of each take."""


def tidy_take(take: bpy.types.Collection, scene: bpy.types.Scene) -> None:
    """Make the captured actions of a take again from what was captured, by its settings of clean-up."""
    settings = take.video_motion_take
    rate, ends = scene_frame_rate(scene), []
    for armature in [one for one in take.all_objects if one.type == "ARMATURE"]:
        action, channels = captured_action(armature), captured_channels(armature)
        if action is None or channels is None:
            continue
        if _KEPT not in action or is_edited(armature):
            # What somebody has changed by hand is what is cleaned up from now on.
            keep_bytes(action, _KEPT, _pack(_read(armature, channels)))
        moves = _unpack(action[_KEPT])
        moves = tidying.smoothed(moves, rate, {limb: getattr(settings, f"smooth_{limb}") for limb in _SMOOTHING})
        if settings.hold:
            contacts = read_contacts(armature, FEET, moves.frames)
            moves = tidying.held(replace(moves, contacts=contacts), _skeleton(armature, moves), rate)
        if settings.in_place:
            moves = tidying.in_place(moves)
        if settings.loop:
            moves = tidying.looped(moves, settings.loop)
        _write(armature, channels, moves, settings.simplify)
        stamp(action, channels)
        ends.append(frames_around(moves.frames, settings.whole_frames))
    if not ends:
        return
    first, last = min(start for start, _ in ends), max(end for _, end in ends)
    if (settings.first, settings.last) == (scene.frame_start, scene.frame_end):
        scene.frame_start, scene.frame_end = first, max(first, last)
    settings.first, settings.last = first, max(first, last)


def turn_kept(armature: bpy.types.Object, turns: np.ndarray, moved: np.ndarray) -> None:
    """Express what was captured before clean-up in bones that `figure.set_figure` has turned."""
    action = captured_action(armature)
    if action is None or _KEPT not in action:
        return
    moves = _unpack(action[_KEPT])
    own = dict(zip(bone_names(armature), turns, strict=True))
    turned = moves.turns.copy()
    turned[..., 1:] = np.einsum("bij,nbj->nbi", [own[name] for name in moves.bones], moves.turns[..., 1:])
    keep_bytes(action, _KEPT, _pack(replace(moves, turns=turned, hips=moves.hips + moved)))


def is_tidied(take: bpy.types.Collection) -> bool:
    """Whether a take's settings of clean-up do anything."""
    settings = take.video_motion_take
    return any(getattr(settings, name) for name in PROPERTIES)


def stands(armature: bpy.types.Object, foot: str, frame: float) -> bool:
    """Whether a foot is keyed as standing at a frame."""
    channels = captured_channels(armature)
    curve = channels.fcurves.find(_contact_path(foot)) if channels is not None else None
    return curve is not None and curve.evaluate(frame) > 0.5


def marks_of(armature: bpy.types.Object) -> list[np.ndarray] | None:
    """An animator's marks of both feet, (M, 2) frames and 1 for down or 0 for up each; None where there are none."""
    action, channels = captured_action(armature), captured_channels(armature)
    if action is None or channels is None or _MARKS not in action:
        return None
    curves = [channels.fcurves.find(_contact_path(foot)) for foot in FEET]
    return [read_keys(curve) if curve is not None else np.empty((0, 2)) for curve in curves]


def give_marks(armature: bpy.types.Object, marks: list[np.ndarray]) -> None:
    """Replace what a captured action says of both feet by marks."""
    action, channels = captured_action(armature), captured_channels(armature)
    if action is None or channels is None:
        return
    for foot, keys in zip(FEET, marks, strict=True):
        path = _contact_path(foot)
        old = channels.fcurves.find(path)
        if old is not None:
            channels.fcurves.remove(old)
        if len(keys):
            armature.pose.bones[foot][CONTACT] = float(keys[0, 1])
            write_curve(channels, path, 0, keys[:, 0], keys[:, 1], interpolation=CONSTANT)
    # What is evaluated has neither the property nor the keys yet.
    armature.update_tag()
    action.update_tag()
    action[_MARKS] = True
    stamp(action, channels)


class MarkFoot(bpy.types.Operator):
    """Mark from the current frame on whether a foot stands; marks are keys of the ankle's property Contact, which can
    be moved in the dope sheet"""

    bl_idname = "video_motion.mark_foot"
    bl_label = "Mark Foot"
    bl_options: ClassVar[set[str]] = {"REGISTER", "UNDO"}

    foot: EnumProperty(name="Foot", items=[(foot, foot.split("_")[0].capitalize(), "") for foot in FEET])
    down: BoolProperty(name="Stands")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a character with a captured motion."""
        armature = context.active_object
        return armature is not None and armature.type == "ARMATURE" and FEET[0] in armature.pose.bones

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Turn probabilities into marks the first time, and set one."""
        armature, scene = context.active_object, context.scene
        channels = captured_channels(armature)
        if channels is None:
            return {"CANCELLED"}
        marks = marks_of(armature)
        if marks is None:
            marks = _found_marks(armature, channels, scene_frame_rate(scene))
        side = FEET.index(self.foot)
        others = marks[side][np.abs(marks[side][:, 0] - scene.frame_current) > 0.5]
        added = np.vstack([others, [scene.frame_current, float(self.down)]])
        marks[side] = added[np.argsort(added[:, 0])]
        give_marks(armature, marks)
        for take in armature.users_collection:
            if hasattr(take, "video_motion_take") and take.video_motion_take.hold:
                tidy_take(take, scene)
        return {"FINISHED"}


def _found_marks(armature: bpy.types.Object, channels: Channels, rate: float) -> list[np.ndarray]:
    """Marks where the capture saw feet stand."""
    frames = _read(armature, channels).frames
    contacts = read_contacts(armature, FEET, frames)
    if contacts is None:
        return [np.array([[frames[0], 0.0]]) for _ in FEET]
    marks = []
    for spans in contact_spans(contacts > 0.5, frames / rate):
        keys = {float(frames[0]): 0.0}
        for start, end in spans:
            keys[float(frames[start])] = 1.0
            keys[float(frames[min(end + 1, len(frames) - 1)])] = 0.0
        marks.append(np.array(sorted(keys.items())))
    return marks


def _contact_path(foot: str) -> str:
    return f'pose.bones["{foot}"]["{CONTACT}"]'


def _read(armature: bpy.types.Object, channels: Channels) -> Moves:
    """A captured motion at all of its keys, straight between those that were left out."""
    root, bones, turning = armature.data.bones[0], [], []
    for bone in armature.data.bones:
        path = f'pose.bones["{bone.name}"].rotation_quaternion'
        curves = [channels.fcurves.find(path, index=part) for part in range(4)]
        # Fingers at rest have one key, which stays.
        if None not in curves and len(curves[0].keyframe_points) > 1:
            bones.append(bone.name)
            turning.append(curves)
    moving = [channels.fcurves.find(f'pose.bones["{root.name}"].location', index=axis) for axis in range(3)]
    frames = np.unique(np.concatenate([read_keys(curve)[:, 0] for curves in (moving, *turning) for curve in curves]))
    turns = np.empty((len(frames), len(bones), 4))
    for bone, curves in enumerate(turning):
        for part, curve in enumerate(curves):
            turns[:, bone, part] = np.interp(frames, *read_keys(curve).T)
    turns /= np.linalg.norm(turns, axis=-1, keepdims=True)
    places = np.stack([np.interp(frames, *read_keys(curve).T) for curve in moving], axis=-1)
    axes = np.array(root.matrix_local.to_3x3())
    return Moves(frames, tuple(bones), turns, places @ axes.T + np.array(root.head_local))


def _skeleton(armature: bpy.types.Object, moves: Moves) -> Skeleton:
    bones = [armature.data.bones[name] for name in moves.bones]
    parents = [moves.bones.index(bone.parent.name) if bone.parent is not None else -1 for bone in bones]
    heads = np.array([bone.head_local for bone in bones])
    return Skeleton(
        heads, rotations.project(np.array([bone.matrix_local.to_3x3() for bone in bones])), np.array(parents)
    )


def _write(armature: bpy.types.Object, channels: Channels, moves: Moves, tolerance: float) -> None:
    root = armature.data.bones[0]
    places = (moves.hips - np.array(root.head_local)) @ np.array(root.matrix_local.to_3x3())
    everything = np.ones(len(moves.frames), dtype=bool)
    for bone, name in enumerate(moves.bones):
        turns = rotations.make_continuous(moves.turns[:, bone : bone + 1])[:, 0]
        kept = keep_keys(moves.frames, turns, tolerance, rotation_error)[0] if tolerance else everything
        for part in range(4):
            _rewrite(channels, f'pose.bones["{name}"].rotation_quaternion', part, moves.frames[kept], turns[kept, part])
    kept = keep_keys(moves.frames, places, _SIMPLE_PATH, distance)[0] if tolerance else everything
    for axis in range(3):
        _rewrite(channels, f'pose.bones["{root.name}"].location', axis, moves.frames[kept], places[kept, axis])


def _rewrite(channels: Channels, path: str, index: int, frames: np.ndarray, values: np.ndarray) -> None:
    curve = channels.fcurves.find(path, index=index)
    if curve is None:
        return
    curve.keyframe_points.clear()
    add_keys(curve, frames, values)
    curve.update()


def _pack(moves: Moves) -> bytes:
    stream = io.BytesIO()
    arrays = {"turns": moves.turns.astype(np.float32), "hips": moves.hips, "frames": moves.frames}
    np.savez_compressed(stream, bones=np.array(moves.bones), **arrays)
    return stream.getvalue()


def _unpack(content: bytes) -> Moves:
    with np.load(io.BytesIO(content), allow_pickle=False) as kept:
        turns = kept["turns"].astype(np.float64)
        return Moves(kept["frames"], tuple(map(str, kept["bones"])), turns, kept["hips"])


classes = (MarkFoot,)
