"""The job type for Flamenco, run by another engine than Flamenco's and without its manager."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from video_motion.addon import batch

racer = pytest.importorskip("py_mini_racer")

SCRIPT = Path(batch.__file__).parent / "headless" / "flamenco" / "video-motion.js"

MANAGER = """
const tasks = [];
const author = {
    Task: (name, type) => ({ name, type, commands: [], addCommand(command) { this.commands.push(command); } }),
    Command: (name, parameters) => ({ name, parameters }),
};
compileJob({ settings: SETTINGS, addTask: (task) => tasks.push(task) });
JSON.stringify({ type: JOB_TYPE, tasks });
"""


def test_a_task_for_each_video_that_batch_py_understands():
    settings = {
        "videos": "/takes/a walk.mp4; D:\\takes\\b.mov ;",
        "out": "/results/a folder",
        "batch": "/software/video_motion/addon/batch.py",
        "format": "blend,fbx",
        "options": "--quality fast  --height 1.8",
    }
    script = f"const SETTINGS = {json.dumps(settings)};\n{SCRIPT.read_text(encoding='utf-8')}\n{MANAGER}"
    content = json.loads(racer.MiniRacer().eval(script))
    assert {setting["key"] for setting in content["type"]["settings"]} == set(settings)
    assert all(setting["type"] in ("string", "int32", "float", "bool") for setting in content["type"]["settings"])
    assert [task["name"] for task in content["tasks"]] == ["a walk.mp4", "b.mov"]
    for task, video in zip(content["tasks"], ("/takes/a walk.mp4", "D:\\takes\\b.mov"), strict=True):
        (command,) = task["commands"]
        assert (command["name"], command["parameters"]["exe"]) == ("exec", "{blender}")
        before, after = split(command["parameters"]["args"])
        assert before == ["--background", "--python-exit-code", "1", "--python", settings["batch"]]
        chosen = batch._parse(after)
        assert [str(one) for one in chosen.videos] == [video]
        assert str(chosen.out) == settings["out"]
        assert (chosen.format, chosen.quality, chosen.height, chosen.resume) == (("blend", "fbx"), "fast", 1.8, True)


def split(words: list[str]) -> tuple[list[str], list[str]]:
    """The arguments of Blender and those of the script."""
    mark = words.index("--")
    return words[:mark], words[mark + 1 :]
