"""Every option of a conversion: its name, default, range and help text, once, for the command line, panel and worker.

A new option is one more field of `Options`; it is then an argument of the commands that take its group, a property
that the panel can draw, and part of a job's JSON. Standard library only, so that `--help` needs no setup.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple, Self

from .body.kinds import BUILDS, GENDERS
from .errors import VideoMotionError, one_line
from .estimators import DEFAULT, DEFAULT_QUALITY, ESTIMATORS, LANDMARKS

SUFFIXES = {
    **{name: f".{name}" for name in ("blend", "fbx", "glb", "usd", "bvh")},
    # .motion.npz is another file.
    "amass": ".amass.npz",
}
"""The suffix of each format's files."""

FORMATS = tuple(SUFFIXES)
ENGINES = ("unreal", "unity")
MAX_PEOPLE = 6
"""Maximum number of people tracked at a time."""

KEEP, FROM_VIDEO = "keep", "video"
"""Values of `Options.fps` that are not numbers."""

FOOTAGE, MOTION, SCENE, FILES, BATCH = "footage", "motion", "scene", "files", "batch"
ESTIMATION = (FOOTAGE, MOTION)
"""The groups that decide what motion is estimated; the worker needs no others."""

EVERYTHING = (*ESTIMATION, SCENE, FILES, BATCH)
_OPTION = "option"
_OLD_NAMES = {"body": "smpl"}
# As long as paths may be.
_LONGEST = 4096


class OptionError(VideoMotionError):
    """An option has an invalid value."""


class Who(NamedTuple):
    """People by number: everyone or one person, of every shot or of one; written `all`, `3`, `2:all` or `2:3`."""

    person: int | None = None
    shot: int | None = None

    def includes(self, shot: int, person: int) -> bool:
        """Whether a person of a shot is meant."""
        return self.shot in (None, shot) and self.person in (None, person)

    def __str__(self) -> str:
        person = "all" if self.person is None else str(self.person)
        return person if self.shot is None else f"{self.shot}:{person}"


@dataclass(frozen=True)
class Option:
    """The description of an option, for every interface that offers it.

    Attributes:
        group: which of `EVERYTHING` it belongs to.
        label: its name in the panel.
        help: what it does, a phrase without full stop.
        kind: `float`, `int`, `bool`, `path`, `choice`, `device`, `formats`, `number`, `people` or `rate`.
        choices: the values of a `choice`.
        minimum: of a number.
        maximum: of a number, for the panel.
        soft_maximum: where the panel's slider ends.
        positive: whether 0 is refused too.
        metavar: the value's name in `--help`.
        excludes: the name of another option that can't be given with this one.
        argument: whether the command line offers it.
    """

    group: str
    label: str
    help: str
    kind: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    soft_maximum: float | None = None
    positive: bool = False
    metavar: str | None = None
    excludes: str | None = None
    argument: bool = True

    def parse(self, text: str) -> Any:
        """Return the value that a user wrote.

        Raises:
            argparse.ArgumentTypeError: the text is no valid value; the message begins with it.
        """
        return _PARSERS[self.kind](self, text)


def _option(default: Any, group: str, label: str, help: str, kind: str, **more: Any) -> Any:
    return field(default=default, metadata={_OPTION: Option(group, label, help, kind, **more)})


@dataclass(frozen=True)
class Options:
    """The user's choices; `shapes` are the betas (10,) of people whose shape is known, by person number."""

    start: float | None = _option(
        None, FOOTAGE, "Start", "seconds of the video to skip", "float", minimum=0.0, metavar="SECONDS"
    )
    end: float | None = _option(
        None, FOOTAGE, "End", "second of the video to stop at", "float", minimum=0.0, metavar="SECONDS"
    )
    frame_rate: float | None = _option(
        None,
        FOOTAGE,
        "Frame Rate",
        "frames per second of a folder of images, 30 if not told",
        "float",
        positive=True,
        metavar="RATE",
    )
    person: tuple[Who, ...] = _option(
        (),
        FOOTAGE,
        "People",
        "whose motion to take: numbers from 1, by how long and how large people are seen, separated by commas, or all;"
        " 2:3 is the third person of the second shot alone",
        "people",
        metavar="LIST",
    )
    shot: int | None = _option(
        None,
        FOOTAGE,
        "Shot",
        "which shot of a film with cuts to take: a number from 1, or all, each as a take of its own",
        "number",
        metavar="N",
    )
    focal: float | None = _option(
        None,
        FOOTAGE,
        "Focal Length",
        "focal length in pixels, if known",
        "float",
        positive=True,
        metavar="PIXELS",
        excludes="focal_mm",
    )
    focal_mm: float | None = _option(
        None,
        FOOTAGE,
        "Lens",
        "the camera's focal length in mm, as for 35 mm film (phones: 24 to 28); give it where people lean, or come too"
        " near or go too far away",
        "float",
        positive=True,
        metavar="MM",
        excludes="focal",
    )
    camera_file: Path | None = _option(
        None,
        FOOTAGE,
        "Camera File",
        "a camera that another program solved (.json or .npz, see inference/camera/given.py), in place of lens and"
        " estimate; people stand in its world",
        "path",
        metavar="FILE",
        excludes="focal",
    )
    slow_motion: float = _option(
        1.0,
        FOOTAGE,
        "Slow Motion",
        "how many times slower than it was the video shows what happened: 4 for one filmed at 120 frames per second"
        " that plays at 30; gravity and speeds are then real",
        "float",
        minimum=0.01,
        maximum=1000.0,
        soft_maximum=16.0,
        positive=True,
        metavar="TIMES",
    )
    quality: str = _option(
        DEFAULT_QUALITY,
        FOOTAGE,
        "Quality",
        "how people are seen: fast, once, or best, a second time by a more accurate network",
        "choice",
        choices=tuple(LANDMARKS),
    )
    network: str = _option(
        DEFAULT,
        MOTION,
        "Motion Model",
        "what estimates the motion",
        "choice",
        choices=tuple(ESTIMATORS),
        metavar="NAME",
    )
    weights: Path | None = _option(
        None,
        MOTION,
        "Own Weights",
        "a network that you trained, of the chosen kind, in place of the one that comes with the program: an .onnx file"
        " that `train export` wrote, with what it wrote beside it",
        "path",
        metavar="FILE",
    )
    device: str = _option(
        "auto",
        MOTION,
        "Device",
        "where networks run: cpu, cuda, cuda:N for the GPU of number N, directml or coreml where ONNX Runtime has them,"
        " or auto, the first of NVIDIA's GPUs if it works and else the CPU",
        "device",
        metavar="DEVICE",
    )
    smoothing: float = _option(
        1.0,
        MOTION,
        "Smoothing",
        "how calm the motion is made: 0 leaves it as seen, 1 measures best, 2 is twice as much",
        "float",
        minimum=0.0,
        maximum=10.0,
        soft_maximum=4.0,
        metavar="X",
    )
    feet: float = _option(
        1.0,
        MOTION,
        "Hold Feet",
        "how firmly standing feet are held in place: 0 not at all, 1 measures best",
        "float",
        minimum=0.0,
        maximum=10.0,
        soft_maximum=2.0,
        metavar="X",
    )
    height: float | None = _option(
        None,
        MOTION,
        "Height",
        "how tall the person is, without shoes; makes the body, its steps and its distance from the camera as large as"
        " they were; holds for everyone who is animated, so choose one person where they differ",
        "float",
        positive=True,
        metavar="METRES",
    )
    gender: str = _option(
        GENDERS[0],
        MOTION,
        "Figure",
        "whose body it is, with bones as long as they are seen; of the free body only",
        "choice",
        choices=GENDERS,
    )
    build: str = _option(
        BUILDS[0],
        MOTION,
        "Build",
        "how the body is built, with bones as long as they are seen; of the free body only",
        "choice",
        choices=BUILDS,
    )
    hands: bool = _option(
        True,
        MOTION,
        "Hands",
        "move fingers and wrists as hands are seen, where they are large enough; otherwise fingers are relaxed",
        "bool",
    )
    face: bool = _option(
        True,
        MOTION,
        "Face",
        "move the face and turn the head as the face is seen, where it is large enough; otherwise it rests",
        "bool",
    )
    smpl: Path | None = _option(
        None,
        MOTION,
        "SMPL File",
        "a licensed SMPL file (.npz or .pkl) in place of the free body; nothing inside a pickle is run",
        "path",
        metavar="FILE",
    )
    mesh: bool = _option(True, SCENE, "Body", "make the skinned body", "bool")
    clothes: bool = _option(
        True, SCENE, "Clothes", "dress the free body in shirt, trousers and shoes; otherwise it is plain", "bool"
    )
    correctives: bool = _option(
        False,
        SCENE,
        "Pose Correctives",
        "make shape keys that mend the skin at bent joints; only bodies that have them, such as SMPL",
        "bool",
    )
    camera: bool = _option(
        True,
        SCENE,
        "Camera and Footage",
        "make the camera that filmed the video, with the footage behind its view, and render at its size",
        "bool",
    )
    only_while_seen: bool = _option(
        True, SCENE, "Only While Seen", "hide people before they appear and after they have left", "bool"
    )
    floor: bool = _option(True, SCENE, "Floor", "make the floor that people stand on", "bool")
    render_footage: bool = _option(
        False,
        SCENE,
        "Footage in Renders",
        "let renders show the video behind people, and their shadows on the floor, in the video's own colours",
        "bool",
    )
    whole_frames: bool = _option(
        True,
        SCENE,
        "Whole Frames",
        "put keys on whole frames by resampling, with the video's rate rounded to a standard one; otherwise keys lie at"
        " the video's own times",
        "bool",
    )
    frame_range: bool = _option(True, SCENE, "Set Frame Range", "let the scene play exactly the take", "bool")
    look: bool = _option(
        True,
        SCENE,
        "Look at It",
        "look through the new camera at once, or else at the people, and hide the cube of a new file",
        "bool",
        # Files are made without a view.
        argument=False,
    )
    fps: str | float = _option(
        FROM_VIDEO,
        SCENE,
        "Frame Rate",
        "the scene's frames per second: a number, `video` for the video's, or `keep` for Blender's own",
        "rate",
        metavar="RATE",
    )
    format: tuple[str, ...] = _option(
        ("blend",),
        FILES,
        "Format",
        f"what to write, separated by commas: {', '.join(FORMATS)}",
        "formats",
        choices=FORMATS,
        metavar="LIST",
    )
    engine: str = _option(
        ENGINES[0], FILES, "Engine", "the program whose axes FBX files have", "choice", choices=ENGINES
    )
    rig: Path | None = _option(
        None,
        FILES,
        "Character",
        "a character (.blend, .fbx, .glb, .vrm) that gets each person's motion, in place of the body",
        "path",
        metavar="FILE",
    )
    jobs: int = _option(1, BATCH, "Jobs", "videos to work on at once", "int", minimum=1, metavar="N")
    resume: bool = _option(
        False,
        BATCH,
        "Resume",
        "skip videos whose results are there, complete and of the same video, options and version",
        "bool",
    )
    shapes: Mapping[int, Sequence[float]] = field(default_factory=dict)

    @classmethod
    def from_arguments(cls, arguments: argparse.Namespace) -> Self:
        """Return the options of a parsed command line; options that its command lacks have their defaults."""
        values = {name: getattr(arguments, name) for name, _ in options() if hasattr(arguments, name)}
        return cls(**values)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return the options that `to_json` wrote, also by an earlier version.

        Raises:
            OptionError: a name or a value is invalid.
        """
        known = dict(options())
        values: dict[str, Any] = {}
        for old_or_new, value in content.items():
            name = _OLD_NAMES.get(old_or_new, old_or_new)
            if name == "shapes":
                values[name] = _shapes(value)
            elif name not in known:
                raise OptionError(f"There is no option {name:.40}: use the same version of Video Motion on both sides.")
            elif value is not None:
                values[name] = _from_json(name, known[name], value)
        return cls(**values)

    def to_json(self, groups: Collection[str] = EVERYTHING, defaults: bool = False) -> dict[str, Any]:
        """Return the options of some groups that are set, ready for JSON.

        Args:
            groups: some of `EVERYTHING`.
            defaults: whether to include default values, for records that a later version reads.
        """
        content: dict[str, Any] = {}
        for name, option in options(groups):
            value = getattr(self, name)
            if value is not None and (defaults or value != default(name)):
                content[name] = _as_json(option, value)
        if self.shapes and MOTION in groups:
            content["shapes"] = {str(person): list(map(float, betas)) for person, betas in self.shapes.items()}
        return content

    def takes(self, shot: int, person: int) -> bool:
        """Whether the motion of a person of a shot is wanted."""
        return not self.person or any(who.includes(shot, person) for who in self.person)


def options(groups: Collection[str] = EVERYTHING) -> Iterator[tuple[str, Option]]:
    """Yield the name and description of each option of some groups, in order."""
    for item in fields(Options):
        option = item.metadata.get(_OPTION)
        if option is not None and option.group in groups:
            yield item.name, option


def described(name: str) -> Option:
    """Return the description of the option ``name``."""
    return _fields()[name].metadata[_OPTION]


def default(name: str) -> Any:
    """Return the default of the option ``name``."""
    return _fields()[name].default


def add_arguments(command: argparse.ArgumentParser, groups: Collection[str]) -> None:
    """Add an argument for each option of some groups."""
    exclusive_groups: dict[str, argparse._ActionsContainer] = {}
    for name, option in options(groups):
        if not option.argument:
            continue
        place = command
        if option.excludes is not None:
            place = exclusive_groups.get(option.excludes) or command.add_mutually_exclusive_group()
            exclusive_groups[name] = place
        add_argument(place, name)


def add_argument(command: argparse._ActionsContainer, name: str) -> None:
    """Add the argument for one option."""
    option = described(name)
    flag, usual = f"--{name.replace('_', '-')}", default(name)
    if option.kind == "bool":
        if usual:
            command.add_argument(flag, action=argparse.BooleanOptionalAction, default=True, help=option.help)
        else:
            command.add_argument(flag, action="store_true", help=option.help)
        return
    text = option.help
    if option.choices and option.kind == "choice" and len(option.choices) <= len(ESTIMATORS):
        text += f": {', '.join(option.choices)}"
    if usual is not None and usual != ():
        text += f" (default: {_as_text(usual)})"
    arguments: dict[str, Any] = {"choices": option.choices} if option.kind == "choice" else {"type": option.parse}
    command.add_argument(flag, default=usual, metavar=option.metavar, help=text, **arguments)


def _fields() -> dict[str, Field[Any]]:
    return {item.name: item for item in fields(Options)}


def _as_text(value: Any) -> str:
    return ",".join(value) if _is_list(value) else f"{value:g}" if isinstance(value, float) else str(value)


def _is_list(value: Any) -> bool:
    return isinstance(value, tuple | list)


def _as_json(option: Option, value: Any) -> Any:
    if option.kind == "path":
        return str(value)
    return list(map(str, value)) if _is_list(value) else value


def _from_json(name: str, option: Option, value: Any) -> Any:
    if option.kind == "bool":
        if isinstance(value, bool):
            return value
        raise OptionError(f"The option {name} is neither true nor false.")
    if option.kind in ("formats", "people") and value == []:
        return ()
    try:
        text = ",".join(map(str, value)) if _is_list(value) else str(value)
        if len(text) > _LONGEST:
            raise OptionError(f"The option {name} can't be used: it has more than {_LONGEST} characters.")
        return option.parse(text)
    except (argparse.ArgumentTypeError, ValueError) as error:
        raise OptionError(f"The option {name} can't be used: {one_line(error)}.") from error


def _shapes(value: Any) -> dict[int, tuple[float, ...]]:
    try:
        shapes = {int(person): tuple(map(float, betas)) for person, betas in value.items()}
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise OptionError("The option shapes can't be used: it is no table of people's shapes.") from error
    if not all(math.isfinite(beta) for betas in shapes.values() for beta in betas):
        raise OptionError("The option shapes can't be used: not all of it are numbers.")
    return shapes


def number(text: str) -> float:
    """Return a finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} is not a number")
    return value


def non_negative(text: str) -> float:
    """Return a number of at least 0."""
    value = number(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return value


def positive(text: str) -> float:
    """Return a number above 0."""
    value = number(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def count(text: str) -> int:
    """Return a whole number of at least 1."""
    if not (text.isdecimal() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1")
    return int(text)


def _float(option: Option, text: str) -> float:
    return positive(text) if option.positive else non_negative(text) if option.minimum == 0 else number(text)


def _choice(option: Option, text: str) -> str:
    if text not in option.choices:
        raise argparse.ArgumentTypeError(f"{text} is none of {', '.join(option.choices)}")
    return text


def _device(option: Option, text: str) -> str:
    if not re.fullmatch(r"auto|cpu|directml|coreml|cuda(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text} is none of auto, cpu, cuda, cuda:N, directml and coreml")
    return text


def _number_or_all(option: Option, text: str) -> int | None:
    if text == "all":
        return None
    try:
        return count(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error} and not all") from error


def people(text: str) -> tuple[Who, ...]:
    """Return the people that a text such as `1,3` or `1:2,2:1` names, each once and in order; none stands for all.

    Raises:
        argparse.ArgumentTypeError: the text names none.
    """
    chosen = {_who(part.strip()) for part in text.split(",")}
    return () if Who() in chosen else tuple(sorted(chosen, key=lambda who: (who.shot or 0, who.person or 0)))


def _who(text: str) -> Who:
    shot, colon, person = text.rpartition(":")
    try:
        return Who(None if person == "all" else count(person), count(shot) if colon else None)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(
            f"{text or 'nothing'} is neither a person's whole number from 1, as in 3 or 2:3, nor all"
        ) from error


def _formats(option: Option, text: str) -> tuple[str, ...]:
    chosen = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",")))
    unknown = [part for part in chosen if part not in option.choices]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0] or 'nothing'} is none of {', '.join(option.choices)}")
    return chosen


def _rate(option: Option, text: str) -> str | float:
    if text in (KEEP, FROM_VIDEO):
        return text
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 < value <= 1000.0:
        raise argparse.ArgumentTypeError(
            f"{text} is not {KEEP}, {FROM_VIDEO} or a number of frames per second up to 1000"
        )
    return value


_PARSERS: Mapping[str, Callable[[Option, str], Any]] = {
    "float": _float,
    "int": lambda option, text: count(text),
    "path": lambda option, text: Path(text),
    "choice": _choice,
    "device": _device,
    "formats": _formats,
    "number": _number_or_all,
    "people": lambda option, text: people(text),
    "rate": _rate,
}
