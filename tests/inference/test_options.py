"""Every option is described once; the command line, a job's JSON and the panel agree on it."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import pytest
from video_motion.inference.cli import arguments
from video_motion.inference.options import (
    ESTIMATION,
    EVERYTHING,
    OptionError,
    Options,
    Who,
    add_arguments,
    default,
    described,
    options,
)

NOT_THE_DEFAULT = next(quality for quality in described("quality").choices if quality != default("quality"))
WORDS = {
    "start": ("1.5", 1.5),
    "end": ("3", 3.0),
    "frame_rate": ("25", 25.0),
    "camera_file": ("camera.json", Path("camera.json")),
    "weights": ("mine.onnx", Path("mine.onnx")),
    "shot": ("3", 3),
    "slow_motion": ("4", 4.0),
    "person": ("2:3,4 , 1,4,2:all", (Who(1), Who(4), Who(None, 2), Who(3, 2))),
    "focal": ("800", 800.0),
    "focal_mm": ("26", 26.0),
    "quality": (NOT_THE_DEFAULT,) * 2,
    "network": ("tar", "tar"),
    "device": ("cuda:1", "cuda:1"),
    "gender": ("woman", "woman"),
    "build": ("slim", "slim"),
    "smoothing": ("0", 0.0),
    "feet": ("0.5", 0.5),
    "height": ("1.78", 1.78),
    "smpl": ("a b.npz", Path("a b.npz")),
    "fps": ("23.976", 23.976),
    "format": ("fbx, BVH,fbx", ("fbx", "bvh")),
    "engine": ("unity", "unity"),
    "rig": ("rig.vrm", Path("rig.vrm")),
    "jobs": ("3", 3),
}


@pytest.mark.parametrize("name", [name for name, option in options() if option.argument])
def test_an_option_goes_through_words_and_json(name: str):
    option = dict(options())[name]
    flag = f"--{name.replace('_', '-')}"
    if option.kind == "bool":
        words, value = [flag if not default(name) else flag.replace("--", "--no-", 1)], not default(name)
    else:
        text, value = WORDS[name]
        words = [flag, text]
    chosen = Options.from_arguments(arguments.parse(["convert", "a.mp4", *words]))
    assert chosen == Options(**{name: value})
    content = chosen.to_json()
    assert list(content) == [name]
    assert Options.from_json(json.loads(json.dumps(content))) == chosen
    assert (name in chosen.to_json(ESTIMATION)) == (option.group in ESTIMATION)


def test_defaults_need_no_words():
    assert Options.from_arguments(arguments.parse(["convert", "a.mp4"])) == Options()
    assert Options().to_json() == {}
    assert Options.from_json({}) == Options()


def test_known_shapes_go_through_json():
    chosen = Options(shapes={2: (0.25,) * 10})
    content = json.loads(json.dumps(chosen.to_json()))
    assert Options.from_json(content) == chosen


def test_files_of_earlier_versions_are_read():
    old = {"network": "tar", "smoothing": 2.0, "body": "/smpl/body.npz", "end": None, "device": "auto"}
    assert Options.from_json(old) == Options(network="tar", smoothing=2.0, smpl=Path("/smpl/body.npz"))
    assert Options.from_json({"person": 2}) == Options(person=(Who(2),))


def test_any_set_of_people_can_be_chosen():
    def taken(text: str) -> list[tuple[int, int]]:
        chosen = Options.from_arguments(arguments.parse(["convert", "--person", text, "a.mp4"]))
        return [(shot, person) for shot in (1, 2, 3) for person in (1, 2, 3) if chosen.takes(shot, person)]

    everyone = [(shot, person) for shot in (1, 2, 3) for person in (1, 2, 3)]
    assert taken("all") == taken("2,all") == everyone
    assert taken("1,3") == [(1, 1), (1, 3), (2, 1), (2, 3), (3, 1), (3, 3)]
    assert taken("1:2,3:1") == [(1, 2), (3, 1)]
    assert taken("2:all,3:3") == [(2, 1), (2, 2), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    "content", [{"no_such": 1}, {"smoothing": -1}, {"network": "alexnet"}, {"mesh": "perhaps"}, {"start": "soon"}]
)
def test_invalid_json_is_refused_in_a_sentence(content: dict[str, object]):
    with pytest.raises(OptionError) as error:
        Options.from_json(content)
    assert next(iter(content)) in str(error.value)


def test_help_states_what_is_offered():
    parser = argparse.ArgumentParser()
    add_arguments(parser, EVERYTHING)
    help = " ".join(parser.format_help().split())
    for name, option in options():
        assert option.argument == bool(re.search(rf"--{name.replace('_', '-')}[ ,\]]", help))
        if option.argument:
            assert " ".join(option.help.split())[:20] in help


def test_records_hold_the_defaults_too():
    content = Options(start=1.0).to_json(ESTIMATION, defaults=True)
    assert content["network"] == default("network")
    assert (content["start"], content["smoothing"], content["device"]) == (1.0, 1.0, "auto")
    assert Options.from_json(content) == Options(start=1.0)
