"""Reads recipes of scenes."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from ..truth import EvaluationError

RECIPES = Path(__file__).with_name("recipes.toml")
"""The scenes of the table in the documentation."""

MADE, ARMS, PLACES = ("sit",), ("embrace",), ("indoors", "outdoors")
"""What a person may do that nobody recorded, what their arms may, and where."""


@dataclass(frozen=True)
class Person:
    """Somebody in a scene; the fields are explained in the recipes' file.

    Attributes:
        clip: name of a recording; None if the motion is made.
        group: that it belongs to.
        first: its first frame, in the library's frames.
        made: one of `MADE`, instead of a recording.
        facing: degrees.
        at: right, towards the camera, metres.
        when: the frame of the scene in which they are there; None for the middle one.
        arms: one of `ARMS`.
    """

    clip: str | None = None
    group: str | None = None
    first: int = 0
    made: str | None = None
    facing: float = 0.0
    at: tuple[float, float] = (0.0, 0.0)
    when: int | None = None
    arms: str | None = None


@dataclass(frozen=True)
class CameraRecipe:
    """How a camera moves; the fields are explained in the recipes' file."""

    height: float
    roll: float = 0.0
    follow: float = 0.0
    pan: float = 0.0
    shake: float = 0.0
    travel: tuple[float, float, float] = (0.0, 0.0, 0.0)
    bob: float = 0.0


@dataclass(frozen=True)
class SceneRecipe:
    """What happens, and where.

    Attributes:
        frames: how many.
        place: one of `PLACES`.
        people: who is there.
        footholds: whether blocks stand under the feet where they step higher than the floor.
    """

    frames: int
    place: str
    people: tuple[Person, ...]
    footholds: bool = False


@dataclass(frozen=True)
class Recipes:
    """All scenes of a file.

    Attributes:
        seed: of shapes, clothes, surroundings and shaking hands.
        size: of the pictures, pixels.
        frame_rate: frames per second.
        cameras: by kind.
        scenes: by name.
    """

    seed: int
    size: tuple[int, int]
    frame_rate: float
    cameras: dict[str, CameraRecipe] = field(default_factory=dict)
    scenes: dict[str, SceneRecipe] = field(default_factory=dict)


def read_recipes(file: Path) -> Recipes:
    """The scenes of a TOML file.

    Raises:
        EvaluationError: it can't be read, or does not describe scenes.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise EvaluationError(f"{file} can't be read as recipes of scenes ({error}): mend it.") from error
    try:
        scenes = {}
        for name, scene in content.pop("scenes").items():
            people = tuple(_made(Person, person) for person in scene.pop("people"))
            scenes[name] = _made(SceneRecipe, {**scene, "people": people})
        cameras = {name: _made(CameraRecipe, camera) for name, camera in content.pop("cameras").items()}
        recipes = _made(Recipes, {**content, "cameras": cameras, "scenes": scenes})
    except (KeyError, TypeError, AttributeError) as error:
        raise EvaluationError(f"{file} does not describe scenes ({error}): compare it with {RECIPES.name}.") from error
    for name, scene in recipes.scenes.items():
        wrong = scene.place not in PLACES or not scene.people or scene.frames < 2
        wrong |= any(
            (person.clip is None) == (person.made is None)
            or person.made not in (None, *MADE)
            or person.arms not in (None, *ARMS)
            for person in scene.people
        )
        if wrong:
            raise EvaluationError(
                f"The scene {name} of {file} is not complete: it needs frames, a place and people, each with a clip."
            )
    return recipes


_Kind = TypeVar("_Kind")


def _made(kind: type[_Kind], content: dict[str, Any]) -> _Kind:
    """A dataclass from a table; lists become tuples.

    Raises:
        TypeError: an entry is missing, or unknown.
    """
    known = {item.name for item in fields(kind)}  # pyrefly: ignore[bad-argument-type]
    if unknown := set(content) - known:
        raise TypeError(f"{', '.join(sorted(unknown))} is unknown")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in content.items()})
