"""The processes of a program that runs, by the folder of temporary files in their variables."""

from __future__ import annotations

import os
from pathlib import Path


def is_alive(process: int) -> bool:
    """Whether a process runs and is not only waited for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def marked(mark: Path) -> dict[int, str]:
    """The commands of the processes that have a folder in their variables, by number."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.fsencode(mark) in (folder / "environ").read_bytes() and is_alive(int(folder.name)):
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return found


def memory(process: int) -> int:
    """The memory that a process has now, in bytes."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def open_files(process: int) -> int:
    """How many files, pipes and sockets a process has open."""
    return len(list(Path(f"/proc/{process}/fd").iterdir()))
