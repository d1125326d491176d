"""The shots of a film with cuts: a take for each, one after the other on the scene's timeline.

They are where they are in the film, so that the scene plays as the film does: markers switch the cameras, people hide
outside their shot, and so do the floors, which all lie at z = 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import bpy
import numpy as np

from ...inference.body.smpl import Body
from ...inference.motion.motion import Motion
from ..compatibility import new_channels
from .keyframes import CONSTANT, OURS, scene_frame_rate, write_curve
from .take import SceneOptions, Take, build_scene, frame_range_of, set_frame_range


def shots_of(motions: Sequence[Motion]) -> list[list[Motion]]:
    """The motions of each shot that has any, in order of shots."""
    in_order = sorted(motions, key=lambda motion: motion.shot)
    return [list(group) for _, group in groupby(in_order, key=lambda motion: motion.shot)]


def build_shots(
    motions: Sequence[Motion],
    body: Body,
    footage: Path | None = None,
    options: SceneOptions | None = None,
    scene: bpy.types.Scene | None = None,
) -> list[Take]:
    """Make a take for each shot of one video; arguments and errors are those of `build_scene`."""
    options = options or SceneOptions()
    scene = scene or bpy.context.scene
    shots = shots_of(motions)
    takes = []
    for shot in shots:
        # One sun lights them all, and the first frame rate is that of all.
        later = replace(options, frame_rate=None, lights=False, resolution=False)
        takes.append(build_scene(shot, body, footage, later if takes else options, scene))
    if len(shots) > 1:
        show_in_turn(takes, shots, scene, options.whole_frames)
        if options.frame_range:
            set_frame_range(scene, motions, options.whole_frames)
    return takes


def show_in_turn(
    takes: Sequence[Take], shots: Sequence[Sequence[Motion]], scene: bpy.types.Scene, within: bool
) -> None:
    """Let the scene look through each take's camera, and show its floor, during its own shot only.

    Args:
        takes: of one film.
        shots: their motions.
        scene: where they are.
        within: whether keys are on whole frames.
    """
    rate = scene_frame_rate(scene)
    for number, (take, motions) in enumerate(zip(takes, shots, strict=True)):
        first, last = frame_range_of(motions, rate, within)
        if take.camera is not None:
            marker = scene.timeline_markers.new(take.collection.name, frame=first)
            marker.camera = take.camera
        if take.floor is not None:
            # The first is there before its shot, too, and the last after it.
            hidden = np.array([float(number > 0), 0.0, float(number + 1 < len(takes))])
            action, channels = new_channels(take.floor, take.floor.name)
            action[OURS] = True
            for path in ("hide_viewport", "hide_render"):
                write_curve(channels, path, 0, np.array([first - 1, first, last + 1]), hidden, interpolation=CONSTANT)
    if takes[0].camera is not None:
        scene.camera = takes[0].camera
