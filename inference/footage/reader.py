"""The first station: a video file, or a folder of images, becomes frames with true timestamps, streamed."""

from __future__ import annotations

import math
import os
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from .. import MOST_PIXELS
from ..errors import VideoMotionError
from .naming import numbered_images

# FFmpeg reads its log level once, when OpenCV first opens a file; -8 is its "quiet".
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2
import numpy as np

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

MAX_FRAME_RATE = 1000.0
"""Hertz. Containers without a frame rate report their clock's (1,000 or 90,000) instead."""

ASSUMED_FRAME_RATE = 25.0
_PNG = b"\x89PNG\r\n\x1a\n"
IMAGES_FRAME_RATE = 30.0
"""Hertz, of a folder of images by default."""

SEEK_SECONDS = 2.0
QUEUE_BYTES = 64 * 2**20
QUEUE_FRAMES = 8
SMALLEST_SIDE = 64
LARGEST_SIDE = 4096


class FootageError(VideoMotionError):
    """The footage can't be used."""


@dataclass(frozen=True)
class Span:
    """Frames of the footage, so described that reading can begin near the first one.

    Attributes:
        first: number of the first frame.
        end: number of the frame after the last one; None for the end of the footage.
        timestamp: of the first frame, seconds.
        checksum: of its picture.
    """

    first: int
    end: int | None
    timestamp: float
    checksum: int


@dataclass(frozen=True)
class Frame:
    """One frame of the footage.

    Attributes:
        number: position in the file or among the images, from 0, counted before trimming.
        timestamp: seconds since the file's first frame, strictly increasing.
        image: (H, W, 3) uint8, BGR, upright.
    """

    number: int
    timestamp: float
    image: np.ndarray


class Footage:
    """A video file or a folder of numbered images, read frame by frame in a background thread with flat memory.

    Opening decodes the first frame, so that a file that can't be read is noticed at once. Every iteration reads the
    file again; `warnings` is complete when an iteration has ended. Images are taken in the order of the number at the
    end of their names, evenly spaced at `frame_rate`, which is used for folders only. Of a `span` no other frames are
    read.

    Attributes:
        path: the file or folder.
        width: pixels, after rotation.
        height: pixels, after rotation.
        frame_rate: hertz, the mean rate that the file declares.
        duration: seconds that the trimmed footage lasts by the file's declaration, None where it declares none.
        frame_count: estimate of the number of frames after trimming, None where the file declares no length.
        warnings: one sentence each.

    Raises:
        FootageError: the file is missing, not a video, or no frame of it can be decoded; images differ in size.
    """

    def __init__(
        self,
        path: str | Path,
        start: float | None = None,
        end: float | None = None,
        frame_rate: float = IMAGES_FRAME_RATE,
        span: Span | None = None,
    ) -> None:
        self.path = Path(path)
        self.span = span
        self._images_rate = frame_rate
        self.start = 0.0 if start is None else float(start)
        self.end = math.inf if end is None else float(end)
        self.warnings: list[str] = []
        self._readers: list[_Reader] = []
        self._check_file()
        self._check_trim()
        self._probe()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop every reading thread and release the file."""
        while self._readers:
            self._readers.pop().stop()

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames with start <= timestamp < end.

        Raises:
            FootageError: no frame lies between start and end.
        """
        reader = _Reader(self)
        self._readers.append(reader)
        count = 0
        try:
            for frame in reader:
                count += 1
                yield frame
        finally:
            reader.stop()
            if reader in self._readers:
                self._readers.remove(reader)
        if not count:
            raise FootageError(
                f"{self.path} has no frame between {self.start:g} s and {self.end:g} s: choose another start and end."
            )

    def picture_at(self, seconds: float) -> np.ndarray | None:
        """Return a picture (H, W, 3) near a time, found by seeking, as previews need it; None where there is none.

        Only reading on from the start finds times exactly, which takes as long as the video is.
        """
        if self.path.is_dir():
            files = numbered_images(self.path)
            index = min(max(int(seconds * self._images_rate), 0), len(files) - 1)
            return _first_image(_Images(files[index:], self._images_rate))
        capture = self._open()
        assert isinstance(capture, cv2.VideoCapture)
        try:
            # Nothing is found by seeking to the very end.
            for earlier in (0.0, 0.1, 0.5, 2.0):
                capture.set(cv2.CAP_PROP_POS_MSEC, 1000.0 * max(seconds - earlier, 0.0))
                image = _first_image(capture)
                if image is not None:
                    return image
            return None
        finally:
            capture.release()

    def warn(self, sentence: str) -> None:
        """Add a warning once."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    def _check_file(self) -> None:
        path = self.path
        try:
            if path.is_dir():
                if not numbered_images(path):
                    raise FootageError(f"{path} is a folder without numbered images: name a video file in it.")
                return
            if not path.exists():
                raise FootageError(f"{path} does not exist: check the name of the video.")
            if not path.is_file():
                raise FootageError(f"{path} is not an ordinary file: copy the video to one.")
            with path.open("rb") as file:
                if not file.read(1):
                    raise FootageError(f"{path} is empty (0 bytes): copy or record the video again.")
        except OSError as error:
            raise FootageError(f"{path} can't be read ({error.strerror}): check its permissions.") from error

    def _check_trim(self) -> None:
        if not (math.isfinite(self.start) and self.start >= 0):
            raise FootageError(f"{self.path} can't start at {self.start:g} s: give a start of 0 or more.")
        if not self.end > self.start:
            raise FootageError(
                f"{self.path} can't end at {self.end:g} s when it starts at {self.start:g} s: give a later end."
            )

    def _open(self) -> cv2.VideoCapture | _Images:
        if self.path.is_dir():
            return _Images(numbered_images(self.path), self._images_rate)
        # An absolute path starts with a slash or a drive, so FFmpeg never takes it for a network address.
        name = str(self.path.resolve())
        try:
            name.encode()
        except UnicodeEncodeError as error:
            # OpenCV crashes on such a name.
            shown = name.encode(errors="replace").decode()
            raise FootageError(f"{shown} has a name that is not valid text (UTF-8): rename the file.") from error
        capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG)
        if not capture.isOpened():
            capture.release()
            # It may have vanished since.
            self._check_file()
            raise FootageError(
                f"{self.path} holds no video that can be read: it is not a video, is damaged, or has sound only."
            )
        # The rotation that a phone writes as metadata.
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        return capture

    def _probe(self) -> None:
        capture = self._open()
        try:
            rate = capture.get(cv2.CAP_PROP_FPS)
            frames = capture.get(cv2.CAP_PROP_FRAME_COUNT)
            sample = (capture.get(cv2.CAP_PROP_SAR_NUM), capture.get(cv2.CAP_PROP_SAR_DEN))
            image = _first_image(capture)
            if image is None:
                raise FootageError(f"{self.path} has no frame that can be decoded: the file is damaged or cut off.")
            self.height, self.width = image.shape[:2]
            self.frame_rate = rate if 0 < rate < MAX_FRAME_RATE else self._measure_rate(capture)
        finally:
            capture.release()

        self.duration: float | None = None
        self.frame_count: int | None = None
        self._declared_frames: int | None = None
        if 0 < frames < 1e9 and 0 < rate < math.inf:
            length = frames / rate
            self._declared_frames = max(1, round(length * self.frame_rate))
            if self.start >= length:
                raise FootageError(
                    f"{self.path} lasts {length:.3g} s and can't start at {self.start:g} s: give an earlier start."
                )
            self.duration = min(self.end, length) - self.start
            self.frame_count = max(1, round(self.duration * self.frame_rate))
            if self.span is not None:
                self.frame_count = max(1, (self.span.end or self._declared_frames) - self.span.first)

        if min(self.width, self.height) < SMALLEST_SIDE:
            self.warn(f"{self.path} is only {self.width}×{self.height} pixels: people are barely detectable in it.")
        if max(self.width, self.height) > LARGEST_SIDE:
            self.warn(
                f"{self.path} is {self.width}×{self.height} pixels: a copy half that size gives the same motion faster."
            )
        if sample[0] > 0 and sample[1] > 0 and sample[0] != sample[1]:
            self.warn(
                f"{self.path} has pixels that are not square ({sample[0]:g}:{sample[1]:g}) and is read as if they were:"
                " convert it to square pixels for true proportions."
            )

    def _measure_rate(self, capture: cv2.VideoCapture | _Images) -> float:
        """Frame rate in hertz over the first frames, the first of which has been grabbed."""
        stamps = [capture.get(cv2.CAP_PROP_POS_MSEC)]
        while len(stamps) < 30 and capture.grab():
            stamps.append(capture.get(cv2.CAP_PROP_POS_MSEC))
        if len(stamps) == 1:
            raise FootageError(
                f"{self.path} holds a single picture, such as the cover of a sound file: choose a video."
            )
        seconds = (stamps[-1] - stamps[0]) / 1000
        if seconds > 0 and (rate := (len(stamps) - 1) / seconds) < MAX_FRAME_RATE:
            return rate
        self.warn(f"{self.path} states no frame rate: {ASSUMED_FRAME_RATE:g} frames per second are assumed.")
        return ASSUMED_FRAME_RATE


class _Reader:
    """Decodes in a thread of its own, a bounded number of frames ahead."""

    def __init__(self, footage: Footage) -> None:
        self._footage = footage
        self._capture = footage._open()
        frame_bytes = footage.width * footage.height * 3
        self._free = threading.Semaphore(max(1, min(QUEUE_FRAMES, QUEUE_BYTES // frame_bytes)))
        self._queue: SimpleQueue[Frame | BaseException | None] = SimpleQueue()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="footage", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Frame]:
        while True:
            item = self._queue.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            self._free.release()
            yield item

    def stop(self) -> None:
        self._stopped.set()
        self._free.release()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._decode()
        except BaseException as error:
            self._queue.put(error)
        else:
            self._queue.put(None)
        finally:
            self._capture.release()

    def _decode(self) -> None:
        footage = self._footage
        clock = _Clock(1 / footage.frame_rate)
        number = 0
        late = 0.0
        span = footage.span or Span(0, None, 0.0, 0)
        if span.first and (image := self._sought(span, clock)) is not None:
            self._free.acquire()
            self._queue.put(Frame(span.first, span.timestamp, image))
            number = span.first + 1
        elif span.first:
            self._capture.release()
            self._capture, clock = footage._open(), _Clock(1 / footage.frame_rate)
        while not self._stopped.is_set():
            if not self._capture.grab():
                self._report_end(number, clock, late)
                return
            if number == 0:
                # Some containers count the time before the first frame as part of the length they declare.
                late = self._capture.get(cv2.CAP_PROP_PTS) / footage.frame_rate
            timestamp = clock.read(self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
            if timestamp >= footage.end or number == span.end:
                return
            if timestamp >= footage.start and number >= span.first:
                decoded, image = self._capture.retrieve()
                if decoded:
                    self._free.acquire()
                    self._queue.put(Frame(number, timestamp, image))
            number += 1

    def _sought(self, span: Span, clock: _Clock) -> np.ndarray | None:
        """Go to the first frame of a span and return its picture; None where it isn't what reading in order gives."""
        capture = self._capture
        if not capture.grab():
            return None
        clock.read(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
        if not clock.skip(capture, span.timestamp):
            return None
        decoded, image = capture.retrieve()
        return image if decoded and checksum(image) == span.checksum else None

    def _report_end(self, count: int, clock: _Clock, late: float) -> None:
        footage = self._footage
        if clock.repaired:
            footage.warn(
                f"{footage.path} has no valid timestamp for {clock.repaired} of {count} frames:"
                f" {footage.frame_rate:g} frames per second are assumed there."
            )
        declared = footage._declared_frames
        if declared is None:
            return
        length = declared / footage.frame_rate
        end = clock.now + clock.interval
        if count < 0.9 * declared - 1 and late + end < 0.9 * length:
            footage.warn(
                f"{footage.path} ends after {end:.3g} s of the {length:.3g} s it declares"
                f" ({count} of about {declared} frames): it is damaged or was cut off."
            )


class _Clock:
    """Makes a file's stamps (seconds) start at zero and strictly increase."""

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.now = 0.0
        self.repaired = 0
        self._offset: float | None = None

    def read(self, stamp: float) -> float:
        if self._offset is None:
            self._offset = -stamp
            return 0.0
        time = stamp + self._offset
        if not time > self.now:
            self.repaired += 1
            time = self.now + self.interval
            # OpenCV reports 0 for a frame without a stamp; any other step back is a clock that was reset.
            if stamp != 0:
                self._offset = time - stamp
        self.now = time
        return time

    def skip(self, capture: cv2.VideoCapture | _Images, time: float) -> bool:
        """Let a file be at the frame of a time; return whether it has one whose stamp says so."""
        assert self._offset is not None
        # A decoder needs some of the frames before.
        capture.set(cv2.CAP_PROP_POS_MSEC, 1000 * max(time - self._offset - SEEK_SECONDS, 0.0))
        while self.now < time:
            if not capture.grab():
                return False
            self.now = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000 + self._offset
        return self.now == time


class _Images:
    """Numbered images with the part of `cv2.VideoCapture`'s interface that footage needs."""

    def __init__(self, files: list[Path], frame_rate: float) -> None:
        self._files = files
        self._rate = frame_rate
        self._position = -1
        self._shape: tuple[int, ...] | None = None

    def grab(self) -> bool:
        self._position += 1
        return self._position < len(self._files)

    def retrieve(self) -> tuple[bool, np.ndarray]:
        file = self._files[self._position]
        try:
            content = np.fromfile(file, np.uint8)
        except OSError as error:
            raise FootageError(f"{file} can't be read ({error.strerror}): check its permissions.") from error
        try:
            image = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size and not _overruns(content) else None
        except cv2.error as error:
            raise FootageError(
                f"{file} is damaged, or has more than {MOST_PIXELS // 10**6} million pixels: copy it again, or smaller."
            ) from error
        if image is None:
            raise FootageError(f"{file} is not an image that can be read: copy it again.")
        self._shape = self._shape or image.shape
        if image.shape != self._shape:
            raise FootageError(
                f"{file} has another size than the images before it: put each video's images in a folder of their own."
            )
        return True, image

    def get(self, what: int) -> float:
        answers = {
            cv2.CAP_PROP_FPS: self._rate,
            cv2.CAP_PROP_FRAME_COUNT: len(self._files),
            cv2.CAP_PROP_POS_MSEC: 1000 * self._position / self._rate,
        }
        return float(answers.get(what, 0))

    def set(self, what: int, value: float) -> None:
        """Do nothing: images that aren't retrieved cost nothing."""

    def release(self) -> None:
        """Do nothing: no file is held open."""


def _overruns(content: np.ndarray) -> bool:
    """Whether a piece of a PNG (N,) claims to go on after its end; OpenCV would reserve as much memory for it."""
    png, place = content.tobytes(), len(_PNG)
    if not png.startswith(_PNG):
        return False
    while place < len(png) and png[place + 4 : place + 8] != b"IEND":
        place += 12 + int.from_bytes(png[place : place + 4], "big")
    return place > len(png)


def checksum(image: np.ndarray) -> int:
    """Return a number that tells pictures apart."""
    return zlib.crc32(image.tobytes())


def _first_image(capture: cv2.VideoCapture | _Images) -> np.ndarray | None:
    if not capture.grab():
        return None
    decoded, image = capture.retrieve()
    return image if decoded else None
