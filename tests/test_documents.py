"""The pages of the project name files that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [
    page
    for page in sorted(ROOT.rglob("*.md"))
    if not any(part.startswith(".") or part in ("result", "dist") for part in page.relative_to(ROOT).parts)
]
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")
FILE = re.compile(r"`((?:addon|inference|tests|weights|docs)/[\w/.-]+\.(?:py|md|toml|json))`")


def test_there_are_pages():
    assert ROOT / "README.md" in PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_file_names_lead_somewhere(page: Path):
    text = page.read_text(encoding="utf-8")
    assert [target for target in LINK.findall(text) if not (page.parent / target).exists()] == []
    names = [name for name in FILE.findall(text) if "NAME" not in name]
    assert [name for name in names if not (ROOT / name).exists()] == []
