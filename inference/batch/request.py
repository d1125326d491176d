"""The request that `convert` sends to the program that runs in Blender. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ..errors import VideoMotionError
from ..options import Options


class RequestError(VideoMotionError):
    """What was sent is no request."""


@dataclass(frozen=True)
class Request:
    """A batch to convert.

    Attributes:
        videos: files, folders and patterns.
        out: folder of the results, None for each video's own.
        options: the user's choices.
        weights: folder of the weight files.
        python: the Python that runs the networks, None for that of the receiving program.
    """

    videos: Sequence[Path]
    out: Path | None
    options: Options
    weights: Path
    python: Path | None = None

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the request that `to_json` wrote.

        Raises:
            RequestError, OptionError: it is something else.
        """
        try:
            content = json.loads(text)
            out, python = (None if content[name] is None else Path(content[name]) for name in ("out", "python"))
            videos, weights = [Path(video) for video in content["videos"]], Path(content["weights"])
            return cls(videos, out, Options.from_json(content["options"]), weights, python)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise RequestError(
                "The request on standard input is none: use the same version of Video Motion on both sides."
            ) from error

    def to_json(self) -> str:
        """Return the request as JSON."""
        return json.dumps(
            {
                "videos": [str(video) for video in self.videos],
                "out": None if self.out is None else str(self.out),
                "options": self.options.to_json(),
                "weights": str(self.weights),
                "python": None if self.python is None else str(self.python),
            }
        )
