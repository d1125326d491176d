"""Which files are videos, and what their results are called. Standard library only."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path

VIDEO_SUFFIXES = frozenset(
    {".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf"}
    | {".ogv", ".ts", ".vob", ".webm", ".wmv"}
)

IMAGE_SUFFIXES = frozenset({".jpeg", ".jpg", ".png"})

OVERLAY_MARK = ".overlay"
"""How the names of the videos end that `overlay` draws, which are no footage."""


def find_videos(inputs: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Return the videos of files, folders and patterns, each once, and a sentence for each that has none.

    A folder without videos that holds numbered images is a video itself.
    """
    videos: dict[Path, Path] = {}
    failures = []
    for given in inputs:
        found = [given]
        if not given.exists() and glob.has_magic(str(given)):
            files = map(Path, glob.glob(str(given), recursive=True))
            found = sorted(file for file in files if is_video(file) or _holds_images(file))
            if not found:
                failures.append(f"No video is found by {given}: check the pattern.")
        elif given.is_dir():
            try:
                found = sorted(file for file in given.iterdir() if is_video(file)) or [given] * _holds_images(given)
            except OSError as error:
                failures.append(f"{given} can't be listed ({error.strerror}): check its permissions.")
                continue
            if not found:
                failures.append(
                    f"{given} is a folder without a video or numbered images: name a video, or a folder that has some."
                )
        for file in found:
            videos.setdefault(file.resolve(), file)
    return list(videos.values()), failures


def is_video(file: Path) -> bool:
    """Return whether a file among others is footage, by its name."""
    return (
        file.suffix.lower() in VIDEO_SUFFIXES
        and not file.name.startswith(".")
        and not file.stem.endswith(OVERLAY_MARK)
        and file.is_file()
    )


def numbered_images(folder: Path) -> list[Path]:
    """The images of a folder whose names end in a number, in its order."""
    numbers = {
        file: int(match[0])
        for file in folder.iterdir()
        if file.suffix.lower() in IMAGE_SUFFIXES
        and not file.name.startswith(".")
        and (match := re.search(r"[0-9]+$", file.stem))
    }
    return sorted(numbers, key=lambda file: (numbers[file], file.name))


def _holds_images(folder: Path) -> bool:
    try:
        return folder.is_dir() and bool(numbered_images(folder))
    except OSError:
        return False


def motion_marks(people: Sequence[tuple[int, int]]) -> list[str]:
    """Return what goes between a video's name and a suffix in the names of people's files: of the first one nothing.

    Args:
        people: shot and person of each, in order.
    """
    marks, first = [], people[0][0] if people else 1
    for number, (shot, person) in enumerate(people):
        leads = number == 0 or people[number - 1][0] != shot
        marks.append(shot_mark(shot, first) + ("" if leads else f".person-{person}"))
    return marks


def shot_mark(shot: int, first: int) -> str:
    """Return the same for files of a whole shot, given the first shot that has any."""
    return "" if shot == first else f".shot-{shot}"


def output_names(videos: Sequence[Path], out: Path | None) -> list[Path]:
    """Return where each video's results go, as paths without suffix, no two alike on any file system."""
    plain = [_plain(video, out) for video in videos]
    keys = [_key(target) for target in plain]
    taken = {key for key in keys if keys.count(key) == 1}
    targets = []
    for video, target, key in zip(videos, plain, keys, strict=True):
        if keys.count(key) > 1:
            suffix = "" if video.is_dir() else video.suffix[1:]
            base = target.with_name(f"{target.name}_{suffix}" if suffix else target.name)
            target, number = base, 2
            while _key(target) in taken:
                target, number = base.with_name(f"{base.name}_{number}"), number + 1
            taken.add(_key(target))
        targets.append(target)
    return targets


def _plain(video: Path, out: Path | None) -> Path:
    if not video.is_dir():
        return (out or video.parent) / video.stem
    # What has a dot in its name, and `.`, are folders of images as others.
    folder = Path(os.path.abspath(video))
    return (out or folder.parent) / folder.name


def _key(target: Path) -> str:
    return str(target.resolve()).casefold()
