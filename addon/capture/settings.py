"""What the user chooses in the panel; kept in the file, for each scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, PointerProperty, StringProperty

from ...inference.estimators import ESTIMATORS
from . import jobs

MOST_PEOPLE = 6
"""So many people are followed at a time."""

IMAGE_SUFFIXES = frozenset({".jpeg", ".jpg", ".png"})

ALL_PEOPLE = "0"

_PEOPLE = [
    (ALL_PEOPLE, "Everyone", "Animate everyone who is seen long enough"),
    *((str(number), f"Person {number}", f"Animate person {number} only") for number in range(1, MOST_PEOPLE + 1)),
]

_NAMES = {
    "cosegmentation": "Co-Segmentation",
    "tar": "TAR",
    "part_dynamics": "Part Dynamics",
    "multi_roi": "Multi-RoI",
    "landmarks": "Landmarks Only",
}

_NETWORKS = [
    (name, _NAMES[name], f"{one.what[0].upper()}{one.what[1:]}{'' if number else '; measures best'}")
    for number, (name, one) in enumerate(ESTIMATORS.items())
]

# Blender keeps no reference to the strings of a menu that is made on the fly.
_device_items: list[tuple[str, str, str, int]] = []


def _devices(settings: bpy.types.PropertyGroup, context: bpy.types.Context | None) -> list[tuple[str, str, str, int]]:
    _device_items[:] = [
        ("default", "As in Preferences", "What the extension's preferences say", 0),
        ("auto", "Automatic", "The graphics card if it can be used, else the CPU", 1),
        ("cpu", "CPU", "The processor, on every computer", 2),
    ]
    for number, device in enumerate(jobs.gpus()):
        known = device["name"] if device["available"] else f"{device['name']} (can't be used)"
        _device_items.append((device["id"], known, device["why_not"] or "An NVIDIA graphics card", 3 + number))
    if not jobs.gpus():
        _device_items.append(("cuda:0", "CUDA", "An NVIDIA graphics card", 3))
    return _device_items


def _choose_footage(settings: VideoMotionSettings, context: bpy.types.Context) -> None:
    settings.person = ALL_PEOPLE
    settings.trim = False
    settings.start = settings.end = 0.0
    jobs.look(settings.video)


def _trim(settings: VideoMotionSettings, context: bpy.types.Context) -> None:
    if settings.trim and not settings.end:
        settings.end = jobs.seen.get("seconds") or 0.0


class VideoMotionSettings(bpy.types.PropertyGroup):
    """The choices of the panel "Import Video Motion"."""

    filepath: StringProperty(
        name="Video",
        description="The video to take the motion from, or one picture of a numbered series",
        subtype="FILE_PATH",
        options=set(),
        update=_choose_footage,
    )
    trim: BoolProperty(name="Trim", description="Use only a part of the video", options=set(), update=_trim)
    start: FloatProperty(
        name="Start", description="Seconds of the video to skip", min=0.0, unit="TIME_ABSOLUTE", options=set()
    )
    end: FloatProperty(
        name="End", description="Second of the video to stop at", min=0.0, unit="TIME_ABSOLUTE", options=set()
    )
    person: EnumProperty(
        name="Person",
        description="Whose motion to take; people are numbered by how long and how large they are seen",
        items=_PEOPLE,
        options=set(),
    )
    network: EnumProperty(name="Network", description="What estimates the motion", items=_NETWORKS, options=set())
    device: EnumProperty(name="Device", description="Where the network runs", items=_devices, options=set())
    smoothing: FloatProperty(
        name="Smoothing",
        description="How calm the motion is made: 0 leaves it as seen, 1 measures best, more is calmer",
        default=1.0,
        min=0.0,
        max=10.0,
        soft_max=4.0,
        options=set(),
    )
    feet: FloatProperty(
        name="Plant Feet",
        description="How firmly feet that stand are held in place: 0 not at all, 1 measures best",
        default=1.0,
        min=0.0,
        max=10.0,
        soft_max=2.0,
        options=set(),
    )
    rate: EnumProperty(
        name="Frame Rate",
        description="The motion keeps its true speed either way",
        items=[
            ("KEEP", "Keep", "Leave the scene's frame rate as it is; keys may lie between frames"),
            ("VIDEO", "Use the Video's", "Set the scene to the video's frame rate; other animation will change speed"),
        ],
        options=set(),
    )
    mesh: BoolProperty(name="Body", description="Make the skinned body", default=True, options=set())
    correctives: BoolProperty(
        name="Pose Correctives",
        description="Shape keys that mend the skin at bent joints; only bodies that have them, such as SMPL",
        options=set(),
    )
    camera: BoolProperty(
        name="Camera and Footage",
        description="Make the camera that filmed the video, with the footage behind its view, and render at its size",
        default=True,
        options=set(),
    )
    floor: BoolProperty(name="Floor", description="Make the floor that people stand on", default=True, options=set())
    frame_range: BoolProperty(
        name="Set Frame Range", description="Let the scene play exactly the take", default=True, options=set()
    )

    @property
    def video(self) -> Path | None:
        """The footage: a video file, or the folder of a picture; None while nothing is chosen."""
        if not self.filepath:
            return None
        path = Path(bpy.path.abspath(self.filepath))
        return path.parent if path.suffix.lower() in IMAGE_SUFFIXES else path

    def estimation(self, frame_rate: float) -> dict[str, Any]:
        """The options of `pipeline.Options` that the choices amount to; ``frame_rate`` is for series of pictures."""
        options: dict[str, Any] = {"network": self.network, "smoothing": self.smoothing, "feet": self.feet}
        if self.trim:
            options["start"] = self.start
            options["end"] = self.end if self.end > self.start else None
        if self.person != ALL_PEOPLE:
            options["person"] = int(self.person)
        if self.video is not None and self.video.is_dir():
            options["frame_rate"] = frame_rate
        return options


classes = (VideoMotionSettings,)


def register() -> None:
    """Give every scene its choices."""
    bpy.types.Scene.video_motion = PointerProperty(type=VideoMotionSettings)


def unregister() -> None:
    """Take them away."""
    del bpy.types.Scene.video_motion
