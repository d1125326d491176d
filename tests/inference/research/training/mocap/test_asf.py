import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from video_motion.inference.research.training.mocap.asf import parse_amc, parse_asf, read_asf_amc
from video_motion.inference.research.training.mocap.files import read_texts
from video_motion.inference.research.training.mocap.recording import MocapError

# An arm of two bones along x; one unit is an inch, so that lengths in units are lengths in inches.
SKELETON = """
# made up
:version 1.10
:name VICON
:units
  mass 1.0
  length 1.0
  angle deg
:root
  order TX TY TZ RX RY RZ
  axis XYZ
  position 0 1 0
  orientation 0 0 0
:bonedata
  begin
    id 1
    name upper
    direction 2 0 0
    length 10
    axis 0 0 90 XYZ
    dof rx rz
    limits (-180 180)
           (-180 180)
  end
  begin
    id 2
    name lower
    direction 1 0 0
    length 5
    axis 0 0 0 XYZ
    dof rz
  end
:hierarchy
  begin
    root upper
    upper lower
  end
"""
MOTION = """
#!made up
:FULLY-SPECIFIED
:DEGREES
1
root 0 0 0 0 0 0
upper 0 0
lower 90
2
root 1 2 3 0 90 0
upper 0 0
lower 0
3
root 0 0 0 0 0 0
upper 90 0
lower 0
4
root 0 0 0 0 0 0
upper 90 90
lower 90
5
root 0 0 0 90 90 0
upper 0 0
lower 0
"""


def test_positions_worked_out_by_hand():
    recording = parse_amc(MOTION, parse_asf(SKELETON, "arm.asf"), "arm_01.amc", "arm")
    assert recording.names == ("root", "upper", "lower", "lower_end")
    assert (recording.name, recording.group, recording.frame_rate, len(recording)) == ("arm_01", "arm", 120, 5)
    inches = recording.positions / 0.0254
    # Only the lower bone bends, about z: from x to y.
    np.testing.assert_allclose(inches[0], [[0, 1, 0], [0, 1, 0], [10, 1, 0], [10, 6, 0]], atol=1e-9)
    # The root turns about y: x becomes −z; its place is added to where the skeleton starts.
    np.testing.assert_allclose(inches[1], [[1, 3, 3], [1, 3, 3], [1, 3, -7], [1, 3, -12]], atol=1e-9)
    # The upper bone's own x axis is the world's y.
    np.testing.assert_allclose(inches[2, 2:], [[0, 1, -10], [0, 1, -15]], atol=1e-9)
    # First about its x (the world's y), which takes the bone to −z, then about z, which leaves it there.
    # The lower bone, bent to y, stays there in the first turn; the second takes it to −x.
    np.testing.assert_allclose(inches[3, 2:], [[0, 1, -10], [-5, 1, -10]], atol=1e-9)
    # First about x, which leaves the bone, then about y.
    np.testing.assert_allclose(inches[4, 2:], [[0, 1, -10], [0, 1, -15]], atol=1e-9)


def test_radians_and_another_order():
    skeleton = parse_asf(SKELETON.replace("order TX TY TZ RX RY RZ", "order RY RX TZ TY TX"), "arm.asf")
    motion = f":RADIANS\n1\nroot {np.pi / 2} {np.pi / 2} 3 2 1\nupper 0 0\nlower 0\n"
    inches = parse_amc(motion, skeleton, "arm_01.amc", "arm").positions[0] / 0.0254
    # First about y: x becomes −z; then about x: −z becomes y.
    np.testing.assert_allclose(inches, [[1, 3, 3], [1, 3, 3], [1, 13, 3], [1, 18, 3]], atol=1e-9)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (":hierarchy", ":somewhere", r"no :hierarchy section"),
        ("dof rz", "dof rz rz", r"invalid lines \(dof rz rz\)"),
        ("dof rz", "dof l", r"invalid lines \(dof l\)"),
        ("direction 2 0 0", "direction 2 0", "invalid lines"),
        ("length 5", "length long", "invalid lines"),
        ("axis 0 0 90 XYZ", "axis 0 0 90 XXZ", "invalid lines"),
        ("upper lower", "upper lower elsewhere", "no bone elsewhere"),
        ("upper lower", "upper lower\n lower upper", "upper has two parents"),
    ],
)
def test_broken_skeletons(old, new, message):
    with pytest.raises(MocapError, match=rf"^arm\.asf .*{message}.*\.$"):
        parse_asf(SKELETON.replace(old, new), "arm.asf")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lower 90\n2", "2", r"in line 8 \(root\)|in line \d+"),
        ("upper 90 90", "upper 90", r"in line \d+ \(upper\)"),
        ("upper 90 90", "spine 90 90", r"in line \d+ \(spine\)"),
        ("upper 90 90", "upper 90 much", "values that are not numbers"),
        (MOTION, ":DEGREES", "has no frames"),
        ("root 0 0 0 90 90 0\nupper 0 0\nlower 0\n", "root 0 0 0 90 90 0\nupper 0 0\n", "lacks numbers of lower"),
    ],
)
def test_broken_motions(old, new, message):
    with pytest.raises(MocapError, match=rf"^arm_01\.amc .*({message}).*\.$"):
        parse_amc(MOTION.replace(old, new), parse_asf(SKELETON, "arm.asf"), "arm_01.amc", "arm")


def archive(path: Path, files: dict[str, str]) -> Path:
    with tarfile.open(path, "w:xz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


def test_folders_and_archives_say_the_same(tmp_path):
    files = {"a/01/01.asf": SKELETON, "a/01/01_02.amc": MOTION, "a/01/01_01.amc": MOTION, "a/readme.txt": "hello"}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    packed = list(read_asf_amc(read_texts(archive(tmp_path / "a.tar.xz", files))))
    loose = list(read_asf_amc(read_texts(tmp_path / "a")))
    assert [recording.name for recording in packed] == [recording.name for recording in loose] == ["01_01", "01_02"]
    assert {recording.group for recording in packed} == {"01"}
    np.testing.assert_array_equal(packed[0].positions, loose[0].positions)


def test_an_archive_writes_nothing_and_its_links_are_not_followed(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for name, text in (("../../01.asf", SKELETON), ("../../01_01.amc", MOTION)):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("../../01_02.amc")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(link)
    assert [recording.name for recording in read_asf_amc(read_texts(path))] == ["01_01"]
    assert list(tmp_path.iterdir()) == [path]


def test_broken_sources(tmp_path):
    with pytest.raises(MocapError, match=r"^none\.tar is not there: .*\.$"):
        read_texts(tmp_path / "none.tar")
    whole = archive(tmp_path / "whole.tar.xz", {"01.asf": SKELETON, "01_01.amc": MOTION}).read_bytes()
    (tmp_path / "cut.tar.xz").write_bytes(whole[:200])
    with pytest.raises(MocapError, match=r"^cut\.tar\.xz can't be read"):
        read_texts(tmp_path / "cut.tar.xz")
    with pytest.raises(MocapError, match=r"^01_01\.amc has no \.asf skeleton in its folder"):
        list(read_asf_amc(read_texts(archive(tmp_path / "bare.tar.xz", {"01_01.amc": MOTION}))))
