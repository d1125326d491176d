"""The footage behind the camera's view, in sync with the animation."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import bpy
import numpy as np

from ...inference.errors import VideoMotionError
from ...inference.motion.motion import Motion
from ..compatibility import new_channels
from .keyframes import CONSTANT, FIRST_FRAME, OURS, frames_of, write_curve

# Longer than any footage: what is shown follows from the curve of offsets.
_ENDLESS = 1_000_000


class BackdropError(VideoMotionError):
    """Blender cannot show the footage."""


def show_footage(
    camera: bpy.types.Object, footage: Path, motions: Sequence[Motion], frame_rate: float
) -> bpy.types.Image:
    """Show the video behind the camera's view, in sync with ``motions`` at ``frame_rate`` scene frames per second.

    Raises:
        BackdropError: Blender cannot read the file as a video.
    """
    positions_per_second = movie_rate(footage)
    image = bpy.data.images.load(str(footage.absolute()), check_existing=True)
    backdrop = camera.data.background_images.new()
    backdrop.image = image
    backdrop.display_depth = "BACK"
    backdrop.alpha = 1.0
    user = backdrop.image_user
    user.frame_start = int(FIRST_FRAME)
    user.frame_duration = _ENDLESS
    user.use_auto_refresh = True
    camera.data.show_background_images = True

    width, height = (int(side) for side in motions[0].image_size)
    turn = quarter_turns(footage)
    backdrop.frame_method = "FIT" if turn % 2 else "STRETCH"
    if turn % 2:
        _turn_backdrop(backdrop, image, turn, (width, height))

    times = np.unique(np.concatenate([motion.timestamps for motion in motions]))
    last = math.ceil(frames_of(times[-1:], frame_rate)[0])
    frames = np.arange(int(FIRST_FRAME), last + 1)
    # Of the video, in which everything takes longer.
    slower = motions[0].slow_motion
    offsets = _positions(frames, slower * times, frame_rate / slower, positions_per_second) - frames
    if offsets.any():
        changes = np.flatnonzero(np.diff(offsets, prepend=offsets[0] + 1))
        action, channels = new_channels(camera.data, f"{camera.data.name} footage")
        action[OURS] = True
        index = len(camera.data.background_images) - 1
        property_path = f"background_images[{index}].image_user.frame_offset"
        write_curve(channels, property_path, 0, frames[changes], offsets[changes], interpolation=CONSTANT)
    return image


def hide_footage(camera: bpy.types.Object) -> None:
    """Take away what `show_footage` has put behind a camera's view."""
    data = camera.data
    animation = data.animation_data
    images = {backdrop.image for backdrop in data.background_images if backdrop.image is not None}
    data.background_images.clear()
    if animation is not None:
        action = animation.action
        for driver in list(animation.drivers):
            animation.drivers.remove(driver)
        animation.action = None
        if action is not None and not action.users:
            bpy.data.actions.remove(action)
    bpy.data.batch_remove([image for image in images if not image.users])


def movie_rate(footage: Path) -> float:
    """Return the frames per second by which Blender counts positions in a video.

    Raises:
        BackdropError: Blender cannot read the file as a video.
    """
    try:
        clip = bpy.data.movieclips.load(str(footage.absolute()))
    except RuntimeError as error:
        raise BackdropError(f"{footage} can't be read by Blender.") from error
    rate, pictures, readable = clip.fps, clip.frame_duration, min(clip.size) > 0
    bpy.data.movieclips.remove(clip)
    if not (readable and pictures and rate > 0):
        raise BackdropError(f"{footage} can't be read by Blender as a video.")
    return rate


def _positions(frames: np.ndarray, times: np.ndarray, frame_rate: float, movie_rate: float) -> np.ndarray:
    """Return the position (F,) in the movie, from 1, to show at each of the scene's ``frames`` (F,).

    Blender plays one position per scene frame whatever the rates are, and at position p it shows the last picture that
    began by (p − 1) / movie_rate seconds. So the picture nearest to the scene's time is asked for at the first
    position by which it has begun.
    """
    seconds = (frames - FIRST_FRAME) / frame_rate
    last = len(times) - 1
    after = np.searchsorted(times, seconds).clip(min(1, last), last)
    before = np.maximum(after - 1, 0)
    nearest = np.where(seconds - times[before] <= times[after] - seconds, times[before], times[after])
    # Containers round times to their clock: a picture may begin up to a millisecond after its nominal time.
    begun = np.ceil((nearest - 1e-3) * movie_rate)
    # Before and after the motion only the rate is known.
    known = (seconds >= times[0]) & (seconds <= times[-1])
    return 1 + np.where(known, begun, np.round(seconds * movie_rate)).astype(np.int64)


def _turn_backdrop(backdrop: bpy.types.CameraBackgroundImage, image: bpy.types.Image, turn: int, size: tuple) -> None:
    """Rotate the backdrop by ``turn`` quarters clockwise where Blender does not rotate the video itself.

    Blender applies the rotation that a phone stores in the file from 4.5 on. Which version will open the
    scene is not known now, so a driver checks whether the picture is on its side.
    """
    width, height = size
    angle = math.pi / 2 if turn == 1 else -math.pi / 2
    lying = "width > height" if height > width else "width < height"
    for name, then, otherwise in (("rotation", angle, 0.0), ("scale", max(size) / min(size), 1.0)):
        driver = backdrop.driver_add(name).driver
        driver.type = "SCRIPTED"
        for variable_name, path in (("width", "size[0]"), ("height", "size[1]")):
            variable = driver.variables.new()
            variable.name = variable_name
            variable.type = "SINGLE_PROP"
            variable.targets[0].id_type = "IMAGE"
            variable.targets[0].id = image
            variable.targets[0].data_path = path
        driver.expression = f"{then:.9g} if {lying} else {otherwise:.9g}"


def quarter_turns(footage: Path) -> int:
    """Return by how many quarters clockwise an MP4 or QuickTime file is to be rotated; 0 for other files."""
    try:
        with footage.open("rb") as file:
            end = footage.stat().st_size
            for track in _boxes(file, 0, end, (b"moov", b"trak")):
                for start, _ in _boxes(file, *track, (b"tkhd",)):
                    file.seek(start)
                    header = file.read(104)
                    matrix = 52 if header[0] == 1 else 40
                    a, b = struct.unpack_from(">ii", header, matrix)
                    width, height = struct.unpack_from(">II", header, matrix + 36)
                    if width and height:
                        return round(math.atan2(b, a) / (math.pi / 2)) % 4
    except (OSError, struct.error, IndexError):
        pass
    return 0


def _boxes(file: BinaryIO, start: int, end: int, names: tuple[bytes, ...]) -> Iterator[tuple[int, int]]:
    """Yield the contents, as byte ranges, of the boxes at the path ``names`` within a range of an MP4 file."""
    while start + 8 <= end:
        file.seek(start)
        size, name = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", file.read(8))[0], 16
        stop = min(start + size, end) if size else end
        if stop < start + head:
            return
        if name == names[0]:
            if len(names) == 1:
                yield start + head, stop
            else:
                yield from _boxes(file, start + head, stop, names[1:])
        start = stop
