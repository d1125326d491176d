"""Files that are written completely or not at all. Standard library only."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_LEFT_SECONDS = 60.0
"""What did not change for so long is of a program that was killed."""


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path; it is renamed to `path` when the block succeeds and removed when it fails."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        # Users know the file by its own name; an error of copying names the source first.
        if error.filename is None or str(temporary) in (str(error.filename), str(error.filename2)):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        temporary.unlink(missing_ok=True)


def remove_left(folder: Path, pattern: str, seconds: float = _LEFT_SECONDS) -> None:
    """Remove what `atomic_write` has left of files whose names match a pattern and did not change for some seconds."""
    for left in folder.glob(f".{pattern}.*.part"):
        with contextlib.suppress(OSError):
            # Also where the clock was set back.
            if abs(time.time() - left.stat().st_mtime) > seconds:
                left.unlink()


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write `content` as indented JSON, atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
