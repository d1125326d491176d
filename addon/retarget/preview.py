"""Retargeting with the panel's settings, and previews of it.

A preview is an action that the target has until it is baked or ended; then the target is as it was before.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import bpy
from bpy.app.handlers import persistent

from ..compatibility import SLOTTED_ACTIONS, channels_of
from ..scene.keyframes import OURS
from ..takes.record import take_of
from .action import Retargeted, RetargetOptions, retarget
from .bones import RetargetError
from .rows import chosen_mapping
from .sampling import bone_of

if TYPE_CHECKING:
    from .properties import RetargetSettings

PREVIEW = "Preview"
"""Last word of the name of a preview's action."""

messages: list[tuple[str, str]] = []
"""Sentences of the last retargeting, each with its icon."""

_PREVIEW_SETTINGS = ("preview", "previewed", "before", "kept")
_POSE = ("location", "rotation_quaternion", "rotation_euler", "rotation_axis_angle", "scale")

_hidden: list[tuple[RetargetSettings, dict[str, Any]]] = []
"""Settings whose preview is removed while the file is being saved, with their values before."""


def retarget_as_chosen(settings: RetargetSettings, name: str = "") -> Retargeted:
    """Retarget with the panel's settings.

    Raises:
        RetargetError: the settings are incomplete or can't be used.
    """
    source = source_of(settings)
    if source is None or settings.target is None:
        raise RetargetError("Choose the armature to take the motion from, and the one to give it to.")
    for chosen in (source, settings.target):
        # Deleted objects still exist while they are chosen here.
        if chosen.name not in settings.id_data.objects:
            raise RetargetError(f"{chosen.name} is not in this scene any more: choose another armature.")
    mapping = chosen_mapping(settings)
    if mapping.is_guess:
        raise RetargetError(
            f"Most bones of {settings.target.name} are guesses: look through the list, then press Use These Bones."
        )
    made = retarget(source, settings.target, mapping, options_of(settings, name))
    messages[:] = [(warning, "INFO") for warning in made.warnings]
    return made


def source_of(settings: RetargetSettings) -> bpy.types.Object | None:
    """The chosen source, else the only person who is selected, in the selected take or in the scene.

    None where none of these is one alone.
    """
    if settings.source is not None:
        return settings.source
    people = [one for one in settings.id_data.objects if is_person(one) and one != settings.target]
    selected = [one for one in people if one.select_get()]
    take = take_of(bpy.context)
    in_take = [one for one in people if take is not None and one.name in take.all_objects]
    return next((found[0] for found in (selected, in_take, people) if len(found) == 1), None)


def is_person(one: bpy.types.Object) -> bool:
    """Whether an object is the armature of somebody in a take."""
    return one.type == "ARMATURE" and OURS in one


def options_of(settings: RetargetSettings, name: str = "") -> RetargetOptions:
    """The panel's choices; ``name`` is that of a preview's action."""
    return RetargetOptions(
        step=settings.step,
        in_place=settings.in_place,
        root_bone=settings.root_bone,
        hold_feet=settings.hold_feet,
        match_world=settings.match_world,
        simplify=settings.simplify,
        # A preview changes nothing but the action.
        only_while_seen=settings.only_while_seen and not name,
        name=name,
    )


def renew_preview() -> None:
    """Update the scene's preview, if there is one, after a change of settings."""
    settings = bpy.context.scene.video_motion_retarget
    if settings.preview is None:
        return
    source = source_of(settings)
    if settings.previewed != settings.target or source is None:
        end_preview(settings)
    if source is None or settings.target is None:
        return
    try:
        show_preview(settings)
    except RetargetError as error:
        messages[:] = [(str(error), "ERROR")]


def show_preview(settings: RetargetSettings) -> None:
    """Give the target a preview; `end_preview` removes it.

    Raises:
        RetargetError: the settings are incomplete or can't be used.
    """
    target = settings.target
    if settings.preview is not None and not _is_shown(settings):
        # The user chose another action meanwhile, which stays.
        end_preview(settings)
    for scene in bpy.data.scenes:
        other = scene.video_motion_retarget
        if other != settings and other.preview is not None and other.previewed == target:
            end_preview(other)
    old = settings.preview
    kept = _read_state(settings) if old is None else ""
    before = target.animation_data.action if target.animation_data is not None else None
    made = retarget_as_chosen(settings, f"{target.name} {PREVIEW}")
    made.action.use_fake_user = False
    settings.preview = made.action
    if old is None:
        settings.previewed, settings.before, settings.kept = target, before, kept
    else:
        bpy.data.actions.remove(old)
        made.action.name = f"{target.name} {PREVIEW}"


def end_preview(settings: RetargetSettings) -> None:
    """Remove the preview and restore the previewed armature."""
    preview = _restore(settings)
    if preview is not None:
        bpy.data.actions.remove(preview)


def _is_shown(settings: RetargetSettings) -> bool:
    """Whether the previewed armature still plays the preview."""
    animation = settings.previewed.animation_data if settings.previewed is not None else None
    return animation is not None and animation.action == settings.preview


def _restore(settings: RetargetSettings) -> bpy.types.Action | None:
    """Restore the previewed armature's pose, switches and action; return the preview's action."""
    preview, target, before = settings.preview, settings.previewed, settings.before
    kept = json.loads(settings.kept) if settings.kept and _is_shown(settings) else {}
    settings.preview = settings.previewed = settings.before = None
    settings.kept = ""
    if kept:
        animation, channels = target.animation_data, channels_of(target)
        # Other bones may have been posed meanwhile and stay.
        moved = {bone_of(curve.data_path) for curve in channels.fcurves} if channels else set()
        animation.action = before
        if SLOTTED_ACTIONS and before is not None:
            animation.action_slot = next((slot for slot in before.slots if slot.identifier == kept["slot"]), None)
        if not kept["animated"] and not animation.drivers and not animation.nla_tracks:
            target.animation_data_clear()
        _write_state(target, kept, moved)
    return preview


def _read_state(settings: RetargetSettings) -> str:
    """The target's state that a preview changes, as JSON, so that undo and files keep it."""
    target = settings.target
    animation = target.animation_data
    slot = animation.action_slot if SLOTTED_ACTIONS and animation is not None else None
    bones = target.pose.bones
    state = {
        "animated": animation is not None,
        "slot": slot.identifier if slot is not None else "",
        "pose": {bone.name: [list(getattr(bone, path)) for path in _POSE] for bone in bones},
        "switches": {
            bone: {name: bones[bone][name] for name in values if name in bones[bone]}
            for bone, values in chosen_mapping(settings).switches.items()
            if bone in bones
        },
    }
    return json.dumps(state)


def _write_state(target: bpy.types.Object, state: dict[str, Any], moved: set[str]) -> None:
    bones = target.pose.bones
    for name, values in state["pose"].items():
        if name in moved and name in bones:
            for path, value in zip(_POSE, values, strict=True):
                setattr(bones[name], path, value)
    for name, switches in state["switches"].items():
        if name in bones:
            for switch, value in switches.items():
                bones[name][switch] = value
    target.update_tag()


@persistent
def _before_saving(*_: object) -> None:
    """Keep previews out of files: actions without users are not saved."""
    _hidden.clear()
    for scene in bpy.data.scenes:
        settings = scene.video_motion_retarget
        if settings.preview is not None and not _is_shown(settings):
            end_preview(settings)
        elif settings.preview is not None:
            was = {name: getattr(settings, name) for name in _PREVIEW_SETTINGS}
            _restore(settings)
            _hidden.append((settings, was))


@persistent
def _after_saving(*_: object) -> None:
    """Restore the previews."""
    for settings, was in _hidden:
        for name, value in was.items():
            setattr(settings, name, value)
        animation = settings.previewed.animation_data_create()
        animation.action = settings.preview
        if SLOTTED_ACTIONS:
            animation.action_slot = settings.preview.slots[0]
    _hidden.clear()


@persistent
def _after_loading(*_: object) -> None:
    """Forget what was said about another file."""
    messages.clear()


_HANDLERS = (
    ("save_pre", _before_saving),
    ("save_post", _after_saving),
    ("save_post_fail", _after_saving),
    ("load_post", _after_loading),
)


def register() -> None:
    """Add the handlers."""
    for name, handler in _HANDLERS:
        getattr(bpy.app.handlers, name).append(handler)


def unregister() -> None:
    """Remove the handlers and all previews."""
    for name, handler in _HANDLERS:
        getattr(bpy.app.handlers, name).remove(handler)
    for scene in bpy.data.scenes:
        end_preview(scene.video_motion_retarget)
    messages.clear()
