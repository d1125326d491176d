"""`Update Motion`: the selected take is made again by its own settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy

from ...inference.body.kinds import BUILDS, GENDERS
from ...inference.body.smpl import Body
from ...inference.motion.figure import give_figure
from ...inference.motion.motion import Motion
from ...inference.options import ESTIMATION, FOOTAGE, Options, options
from ...inference.worker.process import WorkerProcess
from .. import preferences
from ..capture import jobs
from ..capture.solved_camera import keep_camera
from ..capture.worker_operator import ImportVideoError, WorkerOperator, check_part, load_result
from ..scene.figure import figure_of, has_figure
from ..scene.keyframes import OURS, scene_frame_rate
from ..scene.layers import corrections_of
from ..scene.mesh import show_face
from ..scene.take import SceneOptions, add_character, replace_action, replace_camera, reshape
from .cleanup import give_marks, is_tidied, marks_of, tidy_take
from .making import readable
from .placement import handle_of
from .record import came_from_video, camera_of, characters_in, provenance_of, record, settings_of, take_by_id, take_of

_SEES_AGAIN = (*(name for name, _ in options([FOOTAGE])), "network", "weights")
"""Options whose change needs the networks to run again."""


class UpdateMotion(WorkerOperator, bpy.types.Operator):
    """Make the selected take again by its settings, and no other; corrections stay. Networks run again only where \
the part, lens, quality or motion model is another"""

    bl_idname = "video_motion.update_motion"
    bl_label = "Update Motion"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a take that came from a video."""
        take = take_of(context)
        if take is None or not came_from_video(take):
            cls.poll_message_set("Select a take that was imported from a video")
            return False
        return super().poll(context)

    def begin(self, context: bpy.types.Context) -> WorkerProcess:
        """Start the conversion in the worker, with the characters' shapes where their size can't be another now."""
        take = take_of(context)
        assert take is not None
        settings = settings_of(take, context.scene)
        provenance = provenance_of(take)
        self._take, self._name = take.session_uid, take.name
        self._video = Path(bpy.path.abspath(provenance["video"]))
        if not self._video.exists():
            raise ImportVideoError(f"{self._video} is missing: put the video back, or import it from its new place.")
        check_part(settings)
        before = Options.from_json(provenance["options"])
        before = self._with_camera(before, take, context.scene)
        device = preferences.device(context.scene.video_motion.device)
        self._options = replace(
            settings.chosen(before, context.scene), device=device, whole_frames=settings.whole_frames
        )
        changed = {name for name, _ in options(ESTIMATION) if getattr(before, name) != getattr(self._options, name)}
        self._new_shapes = bool(changed & {"height", "focal_mm", "focal"})
        self._seen_again = bool(changed & set(_SEES_AGAIN))
        self._whole_frames = settings.whole_frames
        shapes = {person: armature[OURS]["betas"][:] for person, armature in characters_in(take).items()}
        # Everyone keeps the figure that they have by now.
        as_seen = {"gender": GENDERS[0], "build": BUILDS[0], "shapes": {} if self._new_shapes else shapes}
        with_shapes = replace(self._options, **as_seen)
        return jobs.start("convert", video=str(self._video), options=with_shapes.to_json(ESTIMATION))

    def _with_camera(self, before: Options, take: bpy.types.Collection, scene: bpy.types.Scene) -> Options:
        """Options with the solved camera that made a take, from the take's own where its file is gone."""
        file, camera = before.camera_file, camera_of(take)
        if file is None or file.exists():
            return before
        if camera is None:
            raise ImportVideoError(f"{file} is missing, and the take has no camera: import the video again.")
        return replace(before, camera_file=keep_camera(camera, scene, preferences.cache_folder()))

    def finish(self, context: bpy.types.Context, value: dict[str, Any]) -> str:
        """Give every character of the take its new captured action."""
        take = take_by_id(self._take)
        if take is None:
            raise ImportVideoError(f"The take {self._name} was removed while its motion was being made.")
        motions, body = load_result(value)
        scene = next((one for one in bpy.data.scenes if take in one.collection.children_recursive), context.scene)
        rate, whole = scene_frame_rate(scene), self._whole_frames
        if self._new_shapes or self._seen_again:
            # Larger people are seen from farther away.
            replace_camera(take, motions, rate, whole, readable(self._video, value["report"]))
        said = self._give(take, scene, motions, body)
        settings = take.video_motion_take
        playing = (settings.first, settings.last) == (scene.frame_start, scene.frame_end)
        record(take, scene, motions, self._video, self._options, value["report"])
        if playing:
            scene.frame_start, scene.frame_end = settings.first, settings.last
        if is_tidied(take):
            tidy_take(take, scene)
        return " ".join(said)

    def _give(self, take: bpy.types.Collection, scene: bpy.types.Scene, motions: list[Motion], body: Body) -> list[str]:
        """Give motions to the characters of a take, and return what was replaced."""
        characters = characters_in(take)
        rate = scene_frame_rate(scene)
        updated, said, corrected = [], [], 0
        for motion in motions:
            armature = characters.get(motion.person)
            if armature is None:
                self._add(take, scene, motion, body)
                said.append(f"Person {motion.person} is new.")
                continue
            if self._new_shapes:
                motion = self._reshape(armature, body, motion)
            if motion.face is not None:
                show_face(armature, body)
            marks = marks_of(armature)
            done = replace_action(armature, motion, rate, self._whole_frames)
            updated.append(done.action.name)
            if marks is not None:
                give_marks(armature, marks)
            corrected += corrections_of(armature) is not None
            if done.kept is not None:
                said.append(f"The keys that were changed by hand are kept in the action {done.kept.name}.")
        if corrected:
            said.insert(0, "Corrections are kept.")
        lost = sorted(set(characters) - {motion.person for motion in motions})
        if lost:
            said.append(f"Person {', '.join(map(str, lost))} was not found this time and keeps the motion from before.")
        if updated:
            said.insert(0, f"Replaced what was captured in {', '.join(updated)}.")
        return said

    def _reshape(self, armature: bpy.types.Object, body: Body, motion: Motion) -> Motion:
        """Give a character the shape of a motion, in its own figure, and return the motion in that."""
        if not has_figure(armature):
            reshape(armature, body, motion.betas)
            return motion
        armature[OURS]["seen"] = [float(beta) for beta in motion.betas]
        motion = give_figure(motion, body, *figure_of(armature))
        reshape(armature, body, motion.betas)
        return motion

    def _add(self, take: bpy.types.Collection, scene: bpy.types.Scene, motion: Motion, body: Body) -> None:
        others = characters_in(take).values()
        mesh = any(armature.children for armature in others)
        clothes = any(armature.video_motion_clothes for armature in others)
        made = SceneOptions(mesh=mesh, clothes=clothes, whole_frames=self._whole_frames)
        motion = give_figure(motion, body, self._options.gender, self._options.build)
        character = add_character(take, take.name, motion, body, scene_frame_rate(scene), made)
        handle = handle_of(take)
        if handle is not None:
            character.armature.parent = handle


classes = (UpdateMotion,)
