"""Texts of the panel fit its width and stay readable."""

from __future__ import annotations

import pytest
from video_motion.addon.interface import wrapped

PATH = "/home/somebody/projects/short_film-2026/footage/scene_012/take-03.camera-A.mp4"


def test_lines_are_no_longer_than_the_panel_and_lose_nothing():
    text = f"{PATH} does not exist: choose another video."
    for width in range(12, 90):
        lines = wrapped(text, width)
        assert max(map(len, lines)) <= width
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("width", [20, 30, 40])
def test_paths_are_broken_after_separators(width):
    lines = wrapped(f"{PATH} does not exist.", width)
    inside = [line for line in lines[:-1] if PATH.find(line) >= 0]
    assert inside
    assert all(line[-1] in "/_-." for line in inside[:-1])


def test_short_words_are_never_broken():
    assert wrapped("The file clip-1.mp4 is damaged", 14) == ["The file", "clip-1.mp4 is", "damaged"]


def test_what_has_no_separators_is_broken_where_the_line_ends():
    assert wrapped("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]
    assert wrapped("", 10) == [""]
