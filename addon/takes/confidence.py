"""How surely limbs were seen, drawn over time in dope sheets and timelines, and where it is worth looking."""

from __future__ import annotations

from typing import Any, ClassVar

import blf
import bpy
import gpu
import numpy as np
from bpy.props import IntProperty
from gpu_extras.batch import batch_for_shader

from ..scene.confidence import LIMBS, confidence_at, confidence_in, next_doubt
from ..scene.layers import captured_action

DOUBTFUL = 0.5
"""Limbs that are seen less surely than this are worth a look."""

_GROUND, _DOUBT, _TEXT = (0.08, 0.08, 0.08, 0.75), (1.0, 0.42, 0.05, 1.0), (0.9, 0.9, 0.9, 1.0)
_STEP, _BAND, _THIN, _BELOW, _RULER, _SMALLEST_BAND, _SMALLEST_TEXT = 2, 11.0, 4.0, 3.0, 26.0, 2.0, 9.0
"""Pixels at Blender's usual size of the interface."""

_handles: list[Any] = []


def known_of(context: bpy.types.Context) -> tuple[np.ndarray, np.ndarray] | None:
    """What is known of the active character; None where that is nothing."""
    armature = context.active_object
    return confidence_in(captured_action(armature)) if armature is not None and armature.type == "ARMATURE" else None


def show_everywhere(settings: Any, context: bpy.types.Context) -> None:
    """Draw all dope sheets and timelines anew."""
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "DOPESHEET_EDITOR":
                area.tag_redraw()


def _draw() -> None:
    context = bpy.context
    if not context.scene.video_motion_takes.confidence:
        return
    known = known_of(context)
    if known is None:
        return
    region, scale = context.region, context.preferences.system.ui_scale
    band = min(_BAND * scale, (region.height - (_RULER + _BELOW) * scale) / len(LIMBS))
    left, right = (region.view2d.region_to_view(x, 0)[0] for x in (0, region.width))
    edges = np.arange(0.0, region.width + _STEP, _STEP)
    frames = left + (edges[:-1] + _STEP / 2) / region.width * (right - left)
    values = confidence_at(known, frames)
    inside = ~np.isnan(values[:, 0])
    if not inside.any():
        return
    if band < _SMALLEST_BAND:
        # There is room for the least sure limb alone.
        values, band = values.min(axis=1, keepdims=True), _THIN * scale
    count = values.shape[1]
    low = _BELOW * scale + band * np.arange(count)[::-1]
    columns, rows = np.nonzero(np.repeat(inside[:, None], count, axis=1))
    # More doubt, more of its colour.
    doubt = np.clip((1.0 - values[columns, rows]) * 2.0 - 0.2, 0.0, 1.0)[:, None]
    colours = (1.0 - doubt) * np.array(_GROUND) + doubt * np.array(_DOUBT)
    _draw_boxes(edges[columns], edges[columns] + _STEP, low[rows], low[rows] + band - 1.0, colours)
    if band >= _SMALLEST_TEXT:
        blf.size(0, band - 1.0)
        blf.color(0, *_TEXT)
        for name, y in zip(LIMBS, low, strict=True):
            blf.position(0, 6.0 * scale, y + 1.5, 0)
            blf.draw(0, name)


def _draw_boxes(left: np.ndarray, right: np.ndarray, bottom: np.ndarray, top: np.ndarray, colours: np.ndarray) -> None:
    """Fill boxes (N,) with colours (N, 4), in pixels of the region."""
    corners = [(left, bottom), (right, bottom), (right, top), (left, bottom), (right, top), (left, top)]
    places = np.stack([np.stack(corner, axis=-1) for corner in corners], axis=1).reshape(-1, 2)
    shader = gpu.shader.from_builtin("SMOOTH_COLOR")
    content = {"pos": places.astype(np.float32), "color": np.repeat(colours, 6, axis=0).astype(np.float32)}
    gpu.state.blend_set("ALPHA")
    batch_for_shader(shader, "TRIS", content).draw(shader)
    gpu.state.blend_set("NONE")


class GoToDoubt(bpy.types.Operator):
    """Go to where a limb of the active character begins to be seen less surely"""

    bl_idname = "video_motion.go_to_doubt"
    bl_label = "Go to Doubtful Frame"
    bl_options: ClassVar[set[str]] = {"INTERNAL"}

    step: IntProperty(default=1, description="1 for the next, -1 for the one before")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a captured character."""
        return known_of(context) is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Set the frame."""
        known = known_of(context)
        assert known is not None
        frame = next_doubt(known, context.scene.frame_current, self.step, DOUBTFUL)
        if frame is None:
            self.report({"INFO"}, f"There is no doubtful frame {'after' if self.step > 0 else 'before'} this one.")
            return {"CANCELLED"}
        context.scene.frame_set(round(frame))
        return {"FINISHED"}


classes = (GoToDoubt,)


def register() -> None:
    """Draw in dope sheets, which timelines are."""
    if not bpy.app.background:
        kind = bpy.types.SpaceDopeSheetEditor
        _handles.append(kind.draw_handler_add(_draw, (), "WINDOW", "POST_PIXEL"))


def unregister() -> None:
    """Draw there no more."""
    while _handles:
        bpy.types.SpaceDopeSheetEditor.draw_handler_remove(_handles.pop(), "WINDOW")
