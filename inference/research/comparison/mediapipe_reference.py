"""Runs MediaPipe itself for comparisons, in a separate environment because its pins conflict with ours."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from ...atomic import atomic_write
from ...cli import environment
from ...errors import VideoMotionError
from ...footage.reader import Footage

ENVIRONMENT = environment.Environment(".venv-mediapipe", "mediapipe", "MediaPipe for comparisons", "990 MB")
SERVER = Path(__file__).with_name("mediapipe_server.py")
VERSION = "0.10.21"
NEWEST_PYTHON = (3, 12)
# MediaPipe's Python interface assumes this frame rate for every video.
FRAME_RATE = 1e6 / 33333
USUAL, ACCURATE = 1, 2
"""Model complexities: as most use it, and with the accurate network, which MediaPipe's package lacks."""

ACCURATE_FILE = "pose_landmark_heavy.tflite"
WITHOUT_ACCURATE = (
    f"MediaPipe's model complexity {ACCURATE} is left out: give its network, {ACCURATE_FILE}, to --heavy once."
)
_MODELS = "site-packages/mediapipe/modules/pose_landmark"
_TFLITE = slice(4, 8), b"TFL3"


class MediaPipeError(VideoMotionError):
    """MediaPipe can't be run; the message is one sentence for the user."""


def interpreter() -> Path:
    """The interpreter that has MediaPipe; its environment is made on first use.

    Raises:
        MediaPipeError: there is no MediaPipe for this Python.
        SetupError: the environment can't be made.
    """
    if sys.version_info[:2] > NEWEST_PYTHON:
        raise MediaPipeError(
            f"MediaPipe {VERSION} has no package for Python {environment.PYTHON_TAG}: use 3.11 or 3.12."
        )
    return environment.ensure(ENVIRONMENT)


def complexities(accurate: Path | None) -> tuple[int, ...]:
    """The model complexities that can be run; the environment is made on first use.

    Args:
        accurate: a copy of `ACCURATE_FILE`, which is put where MediaPipe looks for it and stays there. MediaPipe itself
            would download it.

    Raises:
        MediaPipeError: there is no MediaPipe for this Python, or the copy is not such a file.
        SetupError: the environment can't be made.
    """
    where, mark = _TFLITE
    if accurate is not None and not (accurate.is_file() and accurate.read_bytes()[where] == mark):
        raise MediaPipeError(f"{accurate} is not a network for TensorFlow Lite: give a copy of {ACCURATE_FILE}.")
    interpreter()
    folder = next(folder for lib in ("lib/*", "Lib") for folder in ENVIRONMENT.path.glob(f"{lib}/{_MODELS}"))
    target = folder / ACCURATE_FILE
    if accurate is not None:
        with atomic_write(target) as temporary:
            shutil.copyfile(accurate, temporary)
    return (USUAL, ACCURATE) if target.exists() else (USUAL,)


class MediaPipe:
    """MediaPipe's pose pipeline, tracking, without smoothing of landmarks.

    Args:
        python: the interpreter that has MediaPipe.
        size: width and height of the frames in pixels.
        complexity: of `complexities`.
    """

    def __init__(self, python: Path, size: tuple[int, int], complexity: int = USUAL):
        self._process = subprocess.Popen(
            [python, SERVER, str(complexity)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment.clean_variables(),
        )
        self._write(np.array(size[::-1], np.int32).tobytes())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, float]:
        """Process the next frame (H, W, 3), BGR uint8.

        Returns:
            Landmarks (33, 2) in pixels, world landmarks (33, 3) in metres, both NaN where nobody was found, and the
            seconds of MediaPipe's own `process`, by the clock and summed over all CPUs.

        Raises:
            MediaPipeError: the process has ended.
        """
        self._write(cv2.cvtColor(image, cv2.COLOR_BGR2RGB).tobytes())
        assert self._process.stdout is not None
        answer = self._process.stdout.read(8 * (2 + 33 * 5))
        if not answer:
            raise MediaPipeError("MediaPipe's process has ended unexpectedly.")
        values = np.frombuffer(answer)
        points = values[2:].reshape(33, 5)
        return points[:, :2], points[:, 2:], float(values[0]), float(values[1])

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise MediaPipeError("MediaPipe's process has ended unexpectedly.") from error


def time_alone(video: Path, complexity: int) -> tuple[float, float]:
    """Seconds, and seconds summed over all CPUs, that MediaPipe needs for all frames of a video.

    Neither reading the frames nor the first one, for which networks are loaded, counts.

    Raises:
        MediaPipeError: MediaPipe can't be run.
        SetupError: its environment can't be made.
        FootageError: the video can't be read.
    """
    footage = Footage(video)
    with MediaPipe(interpreter(), (footage.width, footage.height), complexity) as mediapipe:
        taken = np.array([mediapipe(frame.image)[2:] for frame in footage])
    seconds, cpu_seconds = len(taken) * (taken[1:] if len(taken) > 1 else taken).mean(axis=0)
    return float(seconds), float(cpu_seconds)
