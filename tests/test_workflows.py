"""The files for other machines: what they name exists, and the commands in them are ours."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import yaml
from video_motion.inference.cli import arguments

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def steps() -> Iterator[tuple[str, dict]]:
    for file in WORKFLOWS:
        jobs = yaml.safe_load(file.read_text(encoding="utf-8"))["jobs"]
        for name, job in jobs.items():
            assert set(job.get("needs", "").split()) <= jobs.keys()
            assert job["timeout-minutes"] > 0
            for step in job["steps"]:
                yield f"{file.name}, {name}", step


def lines() -> Iterator[tuple[str, list[str]]]:
    """Yield the words of each command line, with the place where it is."""
    for place, step in steps():
        for line in step.get("run", "").splitlines():
            yield place, shlex.split(line.replace("\\", "/"), comments=True)


def test_there_is_a_workflow_for_each_system():
    text = WORKFLOWS[0].read_text(encoding="utf-8")
    for system in ("ubuntu", "windows", "macos"):
        assert text.count(f"{system}-latest") >= 3


def test_actions_have_a_version():
    for place, step in steps():
        assert ("uses" in step) != ("run" in step), place
        assert re.fullmatch(r"[\w./-]+@v\d+", step.get("uses", "a@v1")), place


def test_files_in_commands_exist():
    named = [
        (place, word)
        for place, words in lines()
        for word in words
        if re.match(r"(\.ci|\./video-motion|tests|requirements|addon)\b", word)
    ]
    assert {".ci/run", "tests/sample/sample.mp4"} <= {word for _, word in named}
    for place, word in named:
        assert (ROOT / word).exists(), f"{place}: {word}"


def test_commands_are_understood():
    found = set()
    for place, words in lines():
        for number, word in enumerate(words[:2]):
            if Path(word).name == "video-motion" and "--help" not in words:
                found.add(arguments.parse(words[number + 1 :]).command)
                assert words[:number] in ([], ["python"]), place
    assert {"convert", "estimate", "build-extension", "weights"} <= found


def test_hooks_have_the_versions_of_the_tests():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    (version,) = (hook["rev"] for hook in hooks if "/ruff-" in hook["repo"])
    assert f"ruff=={version.removeprefix('v')}\n" in (ROOT / "requirements" / "test.txt").read_text()
    assert any(hook["repo"].endswith("/actionlint") for hook in hooks)


def test_the_citation_has_the_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))
    assert citation["version"] == manifest["version"]
    assert f"## {manifest['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
