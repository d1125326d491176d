"""The panel's settings, stored in the file for each scene."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import bpy
from bpy.app.handlers import persistent
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, PointerProperty, StringProperty

from ...inference.body.kinds import BUILDS, GENDERS
from ...inference.estimators import ESTIMATORS, LANDMARKS
from ...inference.footage.naming import IMAGE_SUFFIXES
from ...inference.options import FROM_VIDEO, KEEP, MOTION, SCENE, Options, Who, described, options
from ...inference.options import people as parse_people
from .. import preferences
from ..properties import property_for
from ..scene.keyframes import scene_frame_rate
from ..scene.visibility import is_only_while_seen, set_only_while_seen
from . import jobs
from .worker_operator import ImportVideoError

# Where one is given first: millimetres as for 35 mm film, of most phones, and metres.
_USUAL_LENS, _USUAL_HEIGHT = 26.0, 1.75

SLIDERS = tuple(name for name, option in options([MOTION]) if option.kind == "float" and not option.positive)
"""The options that scale something in the motion."""

CHOICES = ("quality", "network", "hands", "face", "slow_motion", *SLIDERS)
"""The options of how a motion is estimated whose properties have the same values."""

SWITCHES = tuple(name for name, option in options([SCENE]) if option.kind == "bool")
"""The options that decide what is made in the scene."""

# What each costs is on top of finding people.
MODEL_WORDS = {
    "cosegmentation": ("Balanced", "Good for most footage, and what measures best; a few per cent of the time"),
    "tar": ("Calm", "Shakes less where people are seen fast or small; a few per cent of the time"),
    "part_dynamics": ("Detailed", "Follows each part of the body by itself; a few per cent of the time"),
    "multi_roi": ("Wide", "Looks at four more regions around everyone; finding people takes several times as long"),
    "landmarks": ("Plain", "Fits the body to the points that are seen, without a model of motion; costs nothing"),
}
"""The models' names and descriptions for animators; the manual has the papers'."""

_NETWORKS = [(name, *MODEL_WORDS[name]) for name in ESTIMATORS]

_QUALITIES = [(name, name.capitalize(), f"{one.what[0].upper()}{one.what[1:]}") for name, one in LANDMARKS.items()]

_GENDER_WORDS = {
    "neutral": ("Neutral", "Neither a woman's nor a man's body, shaped as far as the video shows it"),
    "woman": ("Woman", "A woman's body with bones as long as the video shows them"),
    "man": ("Man", "A man's body with bones as long as the video shows them"),
}
_BUILD_WORDS = {
    "average": ("Average", "Neither slim nor heavy"),
    "slim": ("Slim", "Little weight"),
    "heavy": ("Heavy", "Much weight"),
    "muscular": ("Muscular", "Trained"),
}

FIGURES = {
    "gender": [(name, *_GENDER_WORDS[name]) for name in GENDERS],
    "build": [(name, *_BUILD_WORDS[name]) for name in BUILDS],
}
"""The choices of a figure, by option, with their labels and descriptions."""

# Blender keeps no reference to the strings of a dynamic menu.
_device_items: list[tuple[str, str, str, int]] = []


def _devices(settings: bpy.types.PropertyGroup, context: bpy.types.Context | None) -> list[tuple[str, str, str, int]]:
    _device_items[:] = [
        ("default", "As in Preferences", "What the extension's preferences say", 0),
        ("auto", "Automatic", "The graphics card if it can be used, else the CPU", 1),
        ("cpu", "CPU", "The processor, on every computer", 2),
    ]
    for number, device in enumerate(jobs.gpus()):
        known = device["name"] if device["available"] else f"{device['name']} (can't be used)"
        _device_items.append((device["id"], known, device["why_not"] or "A graphics card", 3 + number))
    if not jobs.gpus():
        _device_items.append(("cuda:0", "CUDA", "An NVIDIA graphics card", 3))
    return _device_items


def _choose_footage(settings: VideoMotionSettings, context: bpy.types.Context) -> None:
    jobs.problem = None
    if settings.video is not None and settings.video.is_dir():
        settings.image_rate = scene_frame_rate(context.scene)
    settings.people = ""
    settings.trim = False
    settings.start = settings.end = 0.0
    jobs.probe(settings.video)


def _check_people(settings: VideoMotionSettings, context: bpy.types.Context) -> None:
    # It was about what was chosen before.
    jobs.problem = None
    try:
        settings.chosen_people()
    except ImportVideoError as error:
        jobs.fail(str(error))


def _show_end(name: str) -> Callable[[Any, bpy.types.Context], None]:
    """What shows the picture of an end of the part as it is moved."""

    def show(settings: Any, context: bpy.types.Context) -> None:
        jobs.problem = None
        # A take's own part has neither pictures nor a choice of people.
        if isinstance(settings, VideoMotionSettings) and settings.trim:
            settings.forget_people()
            settings.show_part([name])

    return show


def _trim(settings: VideoMotionSettings, context: bpy.types.Context) -> None:
    jobs.problem = None
    settings.forget_people()
    if settings.trim and not settings.end:
        settings.end = settings.seconds or 0.0
    if settings.trim:
        settings.show_part()


def _known(name: str, usual: Callable[[bpy.types.Scene], float]) -> Any:
    """The switch of a number that is found where it is off, and then 0."""

    def switch(settings: Any, on: bool) -> None:
        setattr(settings, name, usual(bpy.context.scene) if on else 0.0)

    return BoolProperty(
        name=described(name).label,
        description="Give it; off, it is found from the video",
        get=lambda settings: getattr(settings, name) > 0.0,
        set=switch,
        options=set(),
    )


def estimation_properties(trimmed: Callable[[Any, bpy.types.Context], None] | None = None) -> dict[str, Any]:
    """The properties that decide how a motion is estimated, of the next import or of a take.

    Args:
        trimmed: called when trimming is switched on or off.
    """
    return {
        "trim": BoolProperty(name="Trim", description="Use only a part of the video", options=set(), update=trimmed),
        "start": property_for("start", unit="TIME_ABSOLUTE", precision=3, update=_show_end("start")),
        "end": property_for("end", unit="TIME_ABSOLUTE", precision=3, update=_show_end("end")),
        "slow_motion": property_for("slow_motion", precision=2),
        "focal_mm": property_for("focal_mm", unit="CAMERA", precision=1),
        "height": property_for("height", subtype="DISTANCE"),
        "knows_focal_mm": _known("focal_mm", lambda scene: _USUAL_LENS),
        "knows_height": _known("height", lambda scene: from_metres(_USUAL_HEIGHT, scene)),
        "quality": property_for("quality", items=_QUALITIES),
        "network": property_for("network", items=_NETWORKS),
        "weights": property_for("weights"),
        "hands": property_for("hands"),
        "face": property_for("face"),
        **{name: property_for(name) for name in SLIDERS},
    }


def trimmed(settings: Any) -> tuple[float | None, float | None]:
    """Where the part begins and ends that settings choose, seconds; None for where the video does."""
    if not settings.trim:
        return None, None
    # Single precision would leave out the frame that lies there.
    start, end = round(settings.start, 4), round(settings.end, 4)
    return start, end if end > start else None


def estimation_values(settings: Any, scene: bpy.types.Scene) -> dict[str, Any]:
    """What `estimation_properties` of a scene choose, as values of options."""
    values: dict[str, Any] = {name: getattr(settings, name) for name in CHOICES}
    values["start"], values["end"] = trimmed(settings)
    values["weights"] = Path(bpy.path.abspath(settings.weights)) if settings.weights else None
    values["focal_mm"] = settings.focal_mm or None
    # Single precision has no more digits.
    values["height"] = round(settings.height * _unit(scene), 5) or None
    return values


def from_metres(metres: float, scene: bpy.types.Scene) -> float:
    """Metres as a length in a scene's units."""
    return metres / _unit(scene)


def _unit(scene: bpy.types.Scene) -> float:
    units = scene.unit_settings
    return 1.0 if units.system == "NONE" else units.scale_length


class VideoMotionSettings(bpy.types.PropertyGroup):
    """The choices of the panel "Import Video Motion"."""

    filepath: StringProperty(
        name="Video",
        description="The video to take the motion from, or one picture of a numbered series",
        # The button beside it opens a file browser that shows videos only.
        subtype="FILE_NAME",
        maxlen=1024,
        options=set(),
        update=_choose_footage,
    )
    people: StringProperty(
        name=described("person").label,
        description="Whose motion to take, by number, separated by commas; people are numbered by how long and how"
        " large they are seen. Empty for everyone; Find People shows them",
        options=set(),
        update=_check_people,
    )
    # What files of earlier versions chose, one person and one shot; 0 for all.
    person: IntProperty(options={"HIDDEN"})
    shot: IntProperty(options={"HIDDEN"})
    image_rate: FloatProperty(
        name="Frame Rate",
        description="How many of these pictures were taken in a second",
        default=25.0,
        min=0.1,
        soft_max=240.0,
        precision=3,
        options=set(),
    )
    device: property_for("device", items=_devices, description="Where the network runs")
    solved_camera: PointerProperty(
        name="Camera",
        description="A camera of this scene that was solved for the video, which the scene shows from frame 1 on at its"
        " frame rate. People then stand in its world, on the floor at z = 0",
        type=bpy.types.Object,
        poll=lambda settings, candidate: candidate.type == "CAMERA",
        options=set(),
    )
    rate: EnumProperty(
        name="Frame Rate",
        description="The motion keeps its true speed either way",
        items=[
            (KEEP.upper(), "Keep", "Leave the scene's frame rate as it is"),
            (
                FROM_VIDEO.upper(),
                "Use the Video's",
                "Set the scene to the video's frame rate; other animation will change speed",
            ),
        ],
        options=set(),
    )

    @property
    def video(self) -> Path | None:
        """The footage: a video file, or the folder of a picture; None while nothing is chosen."""
        if not self.filepath:
            return None
        path = Path(bpy.path.abspath(self.filepath))
        return path.parent if path.suffix.lower() in IMAGE_SUFFIXES else path

    @property
    def rate_of_video(self) -> float | None:
        """Frames per second of the footage, of a folder of images as chosen; None while it is not known."""
        return self._frame_rate or jobs.video_info.get("frame_rate")

    @property
    def seconds(self) -> float | None:
        """How long the footage is; None while it is not known."""
        frames = jobs.video_info.get("frames")
        return frames / self._frame_rate if self._frame_rate and frames else jobs.video_info.get("seconds")

    def forget_people(self) -> None:
        """Choose everyone: people are numbered anew in another part of the video."""
        if jobs.people:
            jobs.people.clear()
            self.people = ""

    def adopt(self) -> None:
        """Choose the person or the shot that a file of an earlier version chose."""
        if self.person or self.shot:
            self.people = str(Who(self.person or None, self.shot or None))
            self.person = self.shot = 0

    def chosen_people(self) -> tuple[Who, ...]:
        """Whose motion to take; none stands for everyone.

        Raises:
            ImportVideoError: what was typed names nobody.
        """
        if not self.people.strip():
            return ()
        try:
            return parse_people(self.people)
        except ArgumentTypeError as error:
            raise ImportVideoError(f"People can't be chosen: {error}; for everyone leave it empty.") from error

    def is_chosen(self, group: Collection[tuple[int, int]]) -> bool:
        """Whether everyone of some found people, each a shot and a number, is chosen."""
        try:
            chosen = Options(person=self.chosen_people())
        except ImportVideoError:
            return False
        return all(chosen.takes(*one) for one in group)

    def choose_people(self, group: Collection[tuple[int, int]], only: bool = False) -> None:
        """Choose some of the found people too, or not if they are chosen; somebody stays.

        Args:
            group: each a shot and a number.
            only: choose nobody else.
        """
        found = jobs.found_people()
        before = {one for one in found if self.is_chosen([one])}
        after = set(group) if only else before - set(group) if before >= set(group) else before | set(group)
        after = after or {min(group)}
        cuts = len({shot for shot, _ in found}) > 1
        chosen = [Who(person, shot if cuts else None) for shot, person in sorted(after)]
        self.people = "" if len(after) == len(found) else ", ".join(map(str, chosen))

    def show_part(self, names: Collection[str] = jobs.PART) -> None:
        """Let the panel show the first or the last picture of the part, or both and the first."""
        start, end = trimmed(self)
        seconds = end if end is not None else self.seconds or 0.0
        last = max(seconds - 1.0 / (self.rate_of_video or self.image_rate), 0.0)
        moments = {name: moment for name, moment in zip(jobs.PART, (start or 0.0, last), strict=True) if name in names}
        self.show({**moments, jobs.MOMENT: next(iter(moments.values()))})

    def show(self, moments: Mapping[str, float]) -> None:
        """Let the panel show pictures of the video at some seconds."""
        jobs.moment = moments[jobs.MOMENT]
        if self.video is not None:
            jobs.peek(self.video, self._frame_rate, moments)

    @property
    def _frame_rate(self) -> float | None:
        return self.image_rate if self.video is not None and self.video.is_dir() else None

    def as_options(self, scene: bpy.types.Scene, everyone: bool = False) -> Options:
        """Return the choices as options, those of the preferences included.

        Args:
            scene: the settings' scene.
            everyone: whoever is chosen.

        Raises:
            ImportVideoError: what was typed names nobody.
        """
        chosen = estimation_values(self, scene) | {name: getattr(self, name) for name in SWITCHES}
        people = chosen["person"] = () if everyone else self.chosen_people()
        # No other shot is looked through.
        shots = {who.shot for who in people}
        chosen["shot"] = shots.pop() if len(shots) == 1 else None
        chosen |= {name: getattr(self, name) for name in FIGURES}
        chosen["frame_rate"] = self._frame_rate
        chosen["fps"] = self.rate.lower()
        return Options(**chosen, device=preferences.device(self.device), smpl=preferences.licensed_body())


# Sliders and switches come from their options; a new one needs no line here.
VideoMotionSettings.__annotations__.update(
    estimation_properties(_trim)
    | {name: property_for(name, items=items) for name, items in FIGURES.items()}
    | {name: property_for(name) for name in SWITCHES}
)


def _preview(window_manager: bpy.types.WindowManager) -> float:
    return min(100.0 * jobs.moment / (bpy.context.scene.video_motion.seconds or 1.0), 100.0)


def _show_preview(window_manager: bpy.types.WindowManager, share: float) -> None:
    settings = bpy.context.scene.video_motion
    settings.show({jobs.MOMENT: 0.01 * share * (settings.seconds or 0.0)})


@persistent
def _adopt(*_: object) -> None:
    for scene in bpy.data.scenes:
        scene.video_motion.adopt()


classes = (VideoMotionSettings,)


def register() -> None:
    """Add the settings to scenes, and to armatures whether they hide while they aren't seen."""
    # Of the window, not the file: looking at a video is no step of undo.
    bpy.types.WindowManager.video_motion_preview = FloatProperty(
        name="Preview",
        description="Drag to look through the video",
        subtype="PERCENTAGE",
        min=0.0,
        max=100.0,
        get=_preview,
        set=_show_preview,
        options=set(),
    )
    bpy.types.Scene.video_motion = PointerProperty(type=VideoMotionSettings)
    bpy.types.Object.video_motion_only_while_seen = BoolProperty(
        name=described("only_while_seen").label,
        description="Hide this person before they appear and after they have left",
        get=is_only_while_seen,
        set=set_only_while_seen,
        options=set(),
    )
    bpy.app.handlers.load_post.append(_adopt)


def unregister() -> None:
    """Remove them."""
    bpy.app.handlers.load_post.remove(_adopt)
    del bpy.types.WindowManager.video_motion_preview
    del bpy.types.Object.video_motion_only_while_seen
    del bpy.types.Scene.video_motion
