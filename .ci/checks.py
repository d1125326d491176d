"""Every check, from a clean clone: style, types and all tests, side by side.

Needs root and Debian's debootstrap (installed if missing) for the real Blenders. In Blender 4.3 only the window is
tried: the tests without one run in 4.2 and 5.2, and in 5.0 only by `./video-motion test`. Each step's output is printed
whole when the step ends and is kept in .cache/ci. Exits with 1 if anything failed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / ".cache" / "ci"
EXTENSION = ROOT / ".cache" / "extension"
BLENDERS = "tests/real_blender/run"
SLOWEST = ("--durations", "10")
NICE = 5
GRACE_SECONDS = 2.0


@dataclass
class Step:
    """A command that starts when others have succeeded (`needs`) and ended (`after`)."""

    name: str
    command: tuple[str, ...]
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    nice: int = 0
    tests: bool = False
    status: int | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)


# Downloads run from the start. The largest suite fills two processors, at a lower priority than the others, which run
# one after the other: some of their tests give a click a second to take effect.
STEPS = [
    Step(
        "debootstrap", ("sh", "-c", "command -v debootstrap || { apt-get update && apt-get install -y debootstrap; }")
    ),
    Step("debian-sid", (BLENDERS, "make", "sid"), needs=("debootstrap",)),
    Step("debian-trixie", (BLENDERS, "make", "trixie"), needs=("debootstrap",)),
    Step("packages", ("./video-motion", "weights", "--fetch")),
    Step("test-packages", ("./video-motion", "test", "main", "--version"), needs=("packages",)),
    Step(
        "extension",
        ("./video-motion", "build-extension", "--out", str(EXTENSION), "--platform", "linux-x64"),
        needs=("packages",),
    ),
    Step(
        "main",
        ("./video-motion", "test", "main", "-n", "2", *SLOWEST),
        needs=("test-packages",),
        after=("extension",),
        nice=NICE,
        tests=True,
    ),
    Step("window-trixie", (BLENDERS, "window", "trixie"), needs=("debian-trixie", "extension"), tests=True),
    Step(
        "window-sid",
        (BLENDERS, "window", "sid"),
        needs=("debian-sid", "extension"),
        after=("window-trixie",),
        tests=True,
    ),
    Step(
        "background-sid",
        (BLENDERS, "background", "sid", *SLOWEST),
        needs=("debian-sid", "packages"),
        after=("window-sid",),
        tests=True,
    ),
]
BY_NAME = {step.name: step for step in STEPS}
KINDS = {"passed": "passed", "failed": "failed", "error": "failed", "errors": "failed", "skipped": "skipped"}

printing = threading.Lock()
running: set[subprocess.Popen] = set()


def say(text: str) -> None:
    """Print lines that no other step's cut in two."""
    with printing:
        print(text, flush=True)


def perform(step: Step) -> None:
    """Wait for what a step needs, run it, and print its output."""
    for name in (*step.needs, *step.after):
        BY_NAME[name].ended.wait()
    lacking = [name for name in step.needs if BY_NAME[name].status != 0]
    if lacking:
        say(f"== {step.name}: not run, for lack of {', '.join(lacking)}")
        step.ended.set()
        return
    log = LOGS / f"{step.name}.log"
    say(f"-- {step.name}: {' '.join(step.command)}")
    began = time.monotonic()
    variables = dict(os.environ)
    for file in (EXTENSION / "cpu").glob("*.zip"):
        variables["VIDEO_MOTION_EXTENSION"] = str(file)
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["nice", "-n", str(step.nice), *step.command],
            cwd=ROOT,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        running.add(process)
        # Not `process.wait`, which tells no CPU time; that is comparable also on a busy machine.
        _, status, usage = os.wait4(process.pid, 0)
        step.status = process.returncode = os.waitstatus_to_exitcode(status)
        step.cpu_seconds = usage.ru_utime + usage.ru_stime
        running.discard(process)
    step.seconds = time.monotonic() - began
    text = log.read_text(encoding="utf-8", errors="replace")
    step.counts = count(text)
    say(f"== {step.name}: {summary(step)}\n{text.rstrip()}\n== {step.name}: {summary(step)}")
    step.ended.set()


def count(text: str) -> dict[str, int]:
    """Return how many tests passed, failed and were skipped, by pytest's last lines."""
    counts = dict.fromkeys(("passed", "failed", "skipped"), 0)
    for line in re.findall(r"^(?:=+ )?(\d+ [a-z]+(?:, \d+ [a-z]+)*) in [\d.]+s", text, re.MULTILINE):
        for number, kind in re.findall(r"(\d+) ([a-z]+)", line):
            if kind in KINDS:
                counts[KINDS[kind]] += int(number)
    return counts


def summary(step: Step) -> str:
    """Return a step's result in a line."""
    if step.status is None:
        return "not run"
    words = [f"exit status {step.status}", f"{step.seconds:.0f} s", f"{step.cpu_seconds:.0f} s of CPU"]
    if step.tests:
        words += [f"{number} {kind}" for kind, number in step.counts.items()]
    return ", ".join(words)


def stop(*_: object) -> None:
    """End everything, also what does not listen (`unshare`, with a Blender inside)."""
    processes = list(running)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        time.sleep(GRACE_SECONDS)
    os._exit(128 + signal.SIGTERM)


def main() -> int:
    """Run all steps; return the exit status."""
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    shutil.rmtree(EXTENSION, ignore_errors=True)
    LOGS.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    threads = [threading.Thread(target=perform, args=[step]) for step in STEPS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    totals = {kind: sum(step.counts.get(kind, 0) for step in STEPS) for kind in ("passed", "failed", "skipped")}
    # A step that failed without a failed test, or was not run, counts as one.
    totals["failed"] += sum(step.status != 0 and not step.counts.get("failed") for step in STEPS)
    cpu_seconds = sum(step.cpu_seconds for step in STEPS)
    print(f"== All of it took {time.monotonic() - began:.0f} s, and {cpu_seconds:.0f} s of CPU")
    for step in STEPS:
        print(f"{step.name}: {summary(step)}")
    print(", ".join(f"{number} {kind}" for kind, number in totals.items()), flush=True)
    return 1 if totals["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
