"""Tries a reader on many files in a process that is bounded in time and memory."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .mutations import mutate
from .reading import ROOT, busy_seconds, peak

PROGRAM = Path(__file__).with_name("reading.py")
HANG_SECONDS = 10.0
"""Of processor time, which other programs don't stretch."""

IDLE_TIMES = 6
"""As many times longer a reader may take in all."""

MORE_BYTES = 500_000_000
POLL_SECONDS = 0.05
START_SECONDS = 120.0


@dataclass
class Outcome:
    """What became of a file.

    Attributes:
        number: the seed that made it.
        kind: `result`, `sentence`, `fault`, `crash`, `hang` or `memory`.
        said: the sentence, traceback or exit status.
    """

    number: int
    kind: str
    said: str = ""


@dataclass
class Trial:
    """A reader and what became of the files that it read; `more` is the peak above a valid file's, in bytes.

    `slowest` is in seconds of processor time.
    """

    reader: str
    outcomes: list[Outcome] = field(default_factory=list)
    more: int = 0
    slowest: float = 0.0

    @property
    def faults(self) -> list[Outcome]:
        """Those that were neither read nor refused in a sentence."""
        return [one for one in self.outcomes if one.kind not in ("result", "sentence")]

    def figures(self) -> str:
        """A line for the report."""
        kinds = Counter(one.kind for one in self.outcomes)
        words = f"{len(self.outcomes)} files, {kinds.pop('sentence', 0)} refused, {kinds.pop('result', 0)} read"
        words += "".join(f", {count} {kind.upper()}" for kind, count in kinds.items())
        return f"{self.reader}: {words}; at most {self.more / 1e6:.0f} MB more, {self.slowest:.1f} s"

    def row(self) -> str:
        """The same as a row of the table that the long form writes."""
        kinds = Counter(one.kind for one in self.outcomes)
        cells = [len(self.outcomes), kinds["sentence"], kinds["result"], len(self.faults)]
        return f"| {self.reader} | {' | '.join(map(str, cells))} | {self.more / 1e6:.0f} | {self.slowest:.1f} |"


class ReadingProcess:
    """Reads files in a process of its own, another one when it dies or has to be ended.

    Args:
        folder: to run in, and for what the process prints.
        careless: of `reading.CARELESS`, empty for none.
        seconds: of processor time that a file may take.
    """

    def __init__(self, folder: Path, careless: str = "", seconds: float = HANG_SECONDS):
        self._folder, self._careless, self._seconds = folder, careless, seconds
        self._process: subprocess.Popen[str] | None = None
        self._limits: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def make(self, reader: str, folder: Path) -> Path:
        """Make a valid file."""
        answer = self._ask(f"make\t{reader}\t{folder}", START_SECONDS, None)
        assert isinstance(answer, dict), answer
        return Path(answer["path"])

    def try_mutated(self, reader: str, inside: str, valid: Path, numbers: Iterable[int]) -> Trial:
        """Read files that are each made wrong in another way, by number."""
        content, trial = valid.read_bytes(), Trial(reader)
        known = self._baseline(reader, valid)
        for number in numbers:
            valid.write_bytes(mutate(content, inside, number))
            began = busy_seconds(self._running().pid)
            answer = self._ask(f"read\t{reader}\t{valid}", self._seconds, known + MORE_BYTES)
            if isinstance(answer, dict):
                trial.slowest = max(trial.slowest, busy_seconds(self._running().pid) - began)
                more = answer["peak"] - known
                kind = "memory" if more > MORE_BYTES else answer["kind"]
                trial.more = max(trial.more, more)
                trial.outcomes.append(Outcome(number, kind, answer["said"]))
                continue
            trial.outcomes.append(Outcome(number, *answer))
            valid.write_bytes(content)
            known = self._baseline(reader, valid)
        valid.write_bytes(content)
        return trial

    def _baseline(self, reader: str, valid: Path) -> int:
        """The most memory that the valid file takes; at first it also loads libraries."""
        content, known = valid.read_bytes(), 0
        for _ in range(2):
            answer = self._ask(f"read\t{reader}\t{valid}", START_SECONDS, None)
            assert isinstance(answer, dict), answer
            # What adds weights takes no others.
            assert answer["kind"] == "result" or reader == "added weights", answer["said"]
            known = answer["peak"]
            valid.write_bytes(content)
        return known

    def _ask(self, line: str, seconds: float, limit: int | None) -> dict[str, Any] | tuple[str, str]:
        """An answer, or why there is none: the kind of the outcome and what is known of it."""
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(line + "\n")
        process.stdin.flush()
        until, busy_until = time.monotonic() + IDLE_TIMES * seconds, busy_seconds(process.pid) + seconds
        while not select.select([process.stdout], [], [], POLL_SECONDS)[0]:
            if time.monotonic() > until or busy_seconds(process.pid) > busy_until:
                self.end()
                return "hang", f"no answer within {seconds:.1f} s"
            if limit is not None and peak(process.pid) > limit:
                self.end()
                return "memory", f"more than {limit / 1e6:.0f} MB"
        if answer := process.stdout.readline():
            return json.loads(answer)
        status = process.wait()
        self.end()
        return "crash", f"exit status {status}: {self._log.read_text(errors='replace')[-2000:]}"

    @property
    def _log(self) -> Path:
        return self._folder / "reading.log"

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", PROGRAM],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    cwd=self._folder,
                    env=os.environ | {"PYTHONPATH": str(ROOT)},
                )
            if self._careless:
                assert self._ask(f"careless\t{self._careless}", START_SECONDS, None) == {}
        return self._process
