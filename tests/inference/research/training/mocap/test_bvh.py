"""Motion of a made-up person, written as BVH in the conventions of several programs, and read again."""

import io
import tarfile
from pathlib import PurePosixPath

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from video_motion.inference.body import rotations
from video_motion.inference.body.skeleton import JOINT_NAMES
from video_motion.inference.body.smpl import Body
from video_motion.inference.motion.limits import LIMITS
from video_motion.inference.research.training.mocap.bvh import read_bvh
from video_motion.inference.research.training.mocap.bvh_format import parse_bvh
from video_motion.inference.research.training.mocap.cmu import NAMES
from video_motion.inference.research.training.mocap.files import read_texts
from video_motion.inference.research.training.mocap.grounding import sole_vertices
from video_motion.inference.research.training.mocap.library import build
from video_motion.inference.research.training.mocap.recording import SOURCE_HINGE, MocapError, Recording, forward
from video_motion.inference.research.training.mocap.retarget import retarget

from .made_up import PARENTS

OURS = JOINT_NAMES.index
RATE = 30.0
STAND, WALK, CROUCH = slice(0, 40), slice(40, 80), slice(80, 120)
COUNT = 120
SPEED = 1.2

TWO_JOINTS = """HIERARCHY
ROOT hips
{
    OFFSET 5 5 5
    CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
    JOINT knee
    {
        OFFSET 0 -2 0
        CHANNELS 3 Zrotation Xrotation Yrotation
        End Site
        {
            OFFSET 0 -1 0
        }
    }
}
MOTION
Frames: 2
Frame Time: 0.05
1 2 3 0 0 0 0 0 0
1 2 3 90 90 0 0 90 0
"""


def turn(axis, degrees) -> np.ndarray:
    """Rotations (N, 3, 3) by angles (N,) about an axis (3,)."""
    return rotations.axis_angle_to_matrix(np.radians(degrees)[:, None] * np.array(axis, dtype=float))


@pytest.fixture(scope="module")
def heading() -> np.ndarray:
    """(N,) degrees about the vertical."""
    return np.linspace(20, 60, COUNT)


@pytest.fixture
def person(offsets, heading) -> Recording:
    """Who stands, walks ahead with arms and legs swinging, and crouches."""
    offsets = offsets.copy()
    # In CMU's skeletons the hand begins at the wrist.
    offsets[[NAMES.index("lhand"), NAMES.index("rhand")]] = 0
    time = np.arange(COUNT) / RATE
    swing = np.where((np.arange(COUNT) >= 40) & (np.arange(COUNT) < 80), np.sin(2 * np.pi * time), 0.0)
    crouch = np.zeros(COUNT)
    crouch[CROUCH] = np.sin(np.linspace(0, np.pi, 40))
    facing = turn((0, 1, 0), heading)
    turned = np.empty((COUNT, len(NAMES), 3, 3))

    def place(names: str, rotation: np.ndarray) -> None:
        for name in names.split():
            turned[:, NAMES.index(name)] = rotation

    place("root lhipjoint rhipjoint", facing @ turn((1, 0, 0), 20 * crouch))
    for share, name in ((0.3, "lowerback"), (0.6, "upperback"), (1.0, "thorax")):
        place(name, facing @ turn((1, 0, 0), 20 * crouch + 30 * share * crouch))
    chest = turned[:, NAMES.index("thorax")]
    place("lowerneck upperneck lclavicle rclavicle", chest)
    place("head head_end", facing @ turn((1, 0, 0), np.full(COUNT, 5.0)) @ turn((0, 1, 0), 30 * swing))
    for letter, side in (("l", 1), ("r", -1)):
        hip, knee = 30 * side * swing + 80 * crouch, 20 - 20 * side * swing + 90 * crouch
        femur = facing @ turn((1, 0, 0), 10 * (swing != 0) - hip) @ turn((0, 0, 1), np.full(COUNT, -20.0 * side))
        across = (np.cos(np.radians(20)), side * np.sin(np.radians(20)), 0)
        place(f"{letter}femur", femur)
        place(f"{letter}tibia", femur @ turn(across, np.where(np.arange(COUNT) < 40, 3.0, knee)))
        # At rest CMU's feet are in line with the legs, which are apart.
        foot = facing @ turn((1, 0, 0), 15 * side * swing) @ turn((0, 0, 1), np.full(COUNT, -20.0 * side))
        place(f"{letter}foot {letter}toes {letter}toes_end", foot)
        arm = facing @ turn((1, 0, 0), 25 * side * swing - 40 * crouch) @ turn((0, 0, 1), np.full(COUNT, -75.0 * side))
        fore = arm @ turn(side * SOURCE_HINGE, 30 + 20 * side * swing + 50 * crouch)
        place(f"{letter}humerus", arm)
        place(f"{letter}radius {letter}wrist", fore)
        hand = fore @ turn((1, 0, 0), np.full(COUNT, -10.0))
        place(f"{letter}hand {letter}fingers {letter}fingers_end {letter}thumb {letter}thumb_end", hand)
    local = turned.copy()
    local[:, 1:] = np.swapaxes(turned[:, list(PARENTS[1:])], -1, -2) @ turned[:, 1:]
    root = np.tile([0.3, 0.95, -0.2], (COUNT, 1))
    ahead = facing[:, :, 2] * (swing != 0)[:, None]
    root += np.cumsum(ahead, axis=0) * SPEED / RATE
    root[:, 1] -= 0.3 * crouch
    return Recording("made_up", "nobody", RATE, NAMES, PARENTS, offsets, *forward(PARENTS, offsets, local, root))


def written(
    recording: Recording,
    unit: float = 0.01,
    order: str = "ZXY",
    world: np.ndarray | None = None,
    axes: np.ndarray | None = None,
    names: tuple[str, ...] | None = None,
    own_positions: bool = False,
) -> str:
    """The recording as BVH.

    Args:
        recording: of CMU's joints.
        unit: metres in one.
        order: of the angles.
        world: (3, 3) from our world to the file's.
        axes: (J, 3, 3) of the joints at rest, relative to ours.
        names: of the joints.
        own_positions: give each joint its position in every frame; offsets are then 10 % off.
    """
    count, names = len(NAMES), names or NAMES
    world = np.eye(3) if world is None else world
    axes = np.tile(np.eye(3), (count, 1, 1)) if axes is None else axes
    turned = world @ recording.rotations @ axes
    local = turned.copy()
    local[:, 1:] = np.swapaxes(turned[:, list(PARENTS[1:])], -1, -2) @ turned[:, 1:]
    bones = np.einsum("jba,jb->ja", axes[list(PARENTS)], recording.offsets) / unit
    bones[0] = 0
    root = recording.positions[:, 0] @ world.T / unit
    children = [[child for child in range(count) if PARENTS[child] == joint] for joint in range(count)]
    lines, columns = ["HIERARCHY"], []

    def joint(number: int) -> None:
        tip = not children[number]
        offset = bones[number] * (0.9 if own_positions else 1.0)
        lines.append("End Site" if tip else f"{'JOINT' if number else 'ROOT'} {names[number]}")
        lines.extend(["{", "OFFSET " + " ".join(f"{value:.5f}" for value in offset)])
        if not tip:
            places = "Xposition Yposition Zposition " if own_positions or not number else ""
            lines.append(f"CHANNELS {6 if places else 3} {places}" + " ".join(f"{letter}rotation" for letter in order))
            if places:
                columns.append(root if not number else np.tile(bones[number], (len(recording), 1)))
            columns.append(Rotation.from_matrix(local[:, number]).as_euler(order, degrees=True))
        for child in children[number]:
            joint(child)
        lines.append("}")

    joint(0)
    lines += ["MOTION", f"Frames: {len(recording)}", f"Frame Time: {1 / recording.frame_rate:.7f}"]
    lines += [" ".join(f"{value:.4f}" for value in row) for row in np.concatenate(columns, axis=1)]
    return "\n".join(lines) + "\n"


Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
SCRAMBLED = Rotation.random(len(NAMES), rng=np.random.default_rng(4)).as_matrix()
NAMELESS = tuple(f"bone.{number:03}" for number in range(len(NAMES)))
SWAPPED = tuple({"l": "r", "r": "l"}.get(name[0], name[0]) + name[1:] for name in NAMES)
CONVENTIONS = {
    "centimetres, y up": {},
    "CMU's units, other order": {"unit": 0.0254 / 0.45, "order": "ZYX"},
    "millimetres, z up, without names": {"unit": 0.001, "world": Z_UP, "names": NAMELESS, "order": "XYZ"},
    "zero angles mean nothing": {"axes": SCRAMBLED, "names": NAMELESS},
    "positions of all joints, metres": {"unit": 1.0, "own_positions": True, "order": "XYZ"},
    "names of the other side": {"names": SWAPPED},
}


def ignored(line: str) -> None:
    raise AssertionError(line)


def read(**files: str) -> list[Recording]:
    return list(read_bvh({PurePosixPath(f"{name}.bvh"): text for name, text in files.items()}, ignored))


@pytest.fixture(params=CONVENTIONS.values(), ids=list(CONVENTIONS))
def again(request, person) -> Recording:
    (recording,) = read(somebody=written(person, **request.param))
    return recording


def world_rotations(body: Body, poses: np.ndarray) -> np.ndarray:
    return forward(tuple(body.parents), body.joint_template, rotations.axis_angle_to_matrix(poses), np.zeros((1, 3)))[0]


def test_every_convention_gives_the_same_poses(body, person, again):
    expected, clip = retarget(person, body), retarget(again, body)
    apart = rotations.relative_angle(world_rotations(body, clip.poses), world_rotations(body, expected.poses))
    worst = dict(zip(JOINT_NAMES, np.degrees(apart).max(axis=0), strict=True))
    # The trunk's zero is the average of those who stand, the thumb's that of all.
    assert {name: angle for name, angle in worst.items() if angle > 3} == {}
    assert again.frame_rate == pytest.approx(RATE, rel=1e-4)
    limbs = [OURS(f"{side}_{part}") for side in ("left", "right") for part in ("hip", "knee", "shoulder", "elbow")]
    assert np.degrees(apart[:, limbs]).max() < 2.5
    np.testing.assert_allclose(clip.trans - clip.trans[0], expected.trans - expected.trans[0], atol=0.02)


def test_what_anybody_can_see(body, again, heading):
    clip = retarget(again, body)
    joints = body.joints(clip.poses, trans=clip.trans)
    legs = np.linalg.norm(np.diff(body.joint_template[[1, 4, 7]], axis=0), axis=1).sum()
    middle = joints[:, [OURS("left_hip"), OURS("right_hip")]].mean(axis=1)
    speed = np.linalg.norm(np.diff(middle[WALK], axis=0)[:, [0, 2]], axis=1)[1:].mean() * RATE
    front = np.stack([np.sin(np.radians(heading)), np.zeros(COUNT), np.cos(np.radians(heading))], axis=1)
    left = np.cross((0, 1, 0), front)
    walked = np.diff(middle, axis=0)[WALK]
    assert (np.sum(walked * front[WALK], axis=1)[:-2].min()) > 0
    # The source's legs are 0.81 m long.
    assert speed == pytest.approx(SPEED * legs / 0.81, rel=0.03)
    for part in ("hip", "shoulder", "knee"):
        across = joints[:, OURS(f"left_{part}")] - joints[:, OURS(f"right_{part}")]
        assert np.sum(across * left, axis=1).min() > 0.05
    for side, sign in (("left", -1), ("right", 1)):
        knee, elbow = clip.poses[:, OURS(f"{side}_knee"), 0], sign * clip.poses[:, OURS(f"{side}_elbow"), 1]
        assert np.degrees([knee.min(), knee.max()]) == pytest.approx([0, 110], abs=6)
        assert np.degrees([elbow.min(), elbow.max()]) == pytest.approx([10, 80], abs=6)
        toes = joints[:, OURS(f"{side}_foot")] - joints[:, OURS(f"{side}_ankle")]
        assert np.sum(toes * front, axis=1).min() > 0.1
    beyond = np.maximum(LIMITS[..., 0] - clip.poses, clip.poses - LIMITS[..., 1])[STAND, 1:]
    assert np.degrees(beyond.max()) < 5
    soles = body.vertices_subset(sole_vertices(body), clip.poses, trans=clip.trans)[..., 1]
    assert np.abs(soles[STAND].min(axis=1)).max() < 0.02
    assert joints[STAND, OURS("head"), 1].min() > 1.3


def test_files_of_a_skeleton_teach_its_axes_together(body, person):
    """Who only crouches is read with what those who stand in other files tell of the skeleton."""
    whole = written(person, axes=SCRAMBLED)
    head, _, motion = whole.partition("MOTION\n")
    rows = motion.splitlines()[2 + 95 : 2 + 105]
    part = f"{head}MOTION\nFrames: 10\nFrame Time: 0.0333333\n" + "\n".join(rows) + "\n"
    crouching, both = read(crouching=part, whole=whole)
    assert (crouching.name, both.name) == ("crouching", "whole")
    np.testing.assert_allclose(crouching.rotations, both.rotations[95:105], atol=1e-6)
    np.testing.assert_allclose(crouching.positions, both.positions[95:105], atol=1e-6)
    told = []
    assert list(read_bvh({PurePosixPath("crouching.bvh"): part}, told.append)) == []
    assert told == ["crouching.bvh is left out: nobody stands in it, from which to learn the skeleton."]


def test_a_figure_drawn_with_bent_knees_stands_straight(body, person, offsets):
    """Centres of joints that are off the line must not bend the knees of those who stand."""
    bent = offsets.copy()
    for foot in (NAMES.index("lfoot"), NAMES.index("rfoot")):
        bent[foot] = rotations.axis_angle_to_matrix(np.radians([10.0, 0, 0])) @ bent[foot]
    local = person.rotations.copy()
    local[:, 1:] = np.swapaxes(person.rotations[:, list(PARENTS[1:])], -1, -2) @ person.rotations[:, 1:]
    figure = Recording("figure", "", RATE, NAMES, PARENTS, bent, *forward(PARENTS, bent, local, person.positions[:, 0]))
    (recording,) = read(figure=written(figure))
    knees = np.degrees(retarget(recording, body).poses[STAND, OURS("left_knee"), 0])
    assert knees == pytest.approx(3, abs=2)


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("x/Female1_bvh/Female1_B03_Walk1.bvh", "accad female1"),
        ("Transform_Male1_bvh/Male2_A11_Crawl.bvh", "accad male2"),
        ("MartialArts_BVH/G6_-__axe_kick.bvh", "accad male2"),
        ("reactidle/genuine/003_genuine.bvh", "reactidle 003"),
        ("train_data_bvh/salsa/01.bvh", "salsa"),
        ("resources/131_03.bvh", "131"),
        ("mine/jump.bvh", "mine"),
    ],
)
def test_groups(person, path, group):
    (recording,) = read_bvh({PurePosixPath(path): written(person)}, ignored)
    assert (recording.name, recording.group) == (PurePosixPath(path).stem, group)


def test_what_is_left_out_is_told(person):
    slow = written(person).replace("Frame Time: 0.0333333", "Frame Time: 0.5")
    told = []
    files = {
        "a/odd.bvh": TWO_JOINTS.replace("0.05", "0.02"),
        "b/slow.bvh": slow,
        "c/cut.bvh": written(person)[:-300],
        "Training/Model05/bvh/Male1-Run.bvh": written(person),
        "d/whole.bvh": written(person),
    }
    kept = list(read_bvh({PurePosixPath(path): text for path, text in files.items()}, told.append))
    assert [recording.name for recording in kept] == ["whole"]
    assert sorted(told) == [
        "Male1-Run.bvh is left out: it is stretched in time.",
        "cut.bvh has not 120 frames of 96 numbers: copy it again, it may have been cut off. It is left out.",
        "odd.bvh is left out: it isn't a whole person with legs, arms and a head.",
        "slow.bvh is left out: it has only 2 frames a second.",
    ]


def test_angles_and_positions_of_a_file():
    motion = parse_bvh(TWO_JOINTS, "two.bvh")
    assert motion.hierarchy.names == ("hips", "knee", "knee_end")
    assert motion.frame_rate == pytest.approx(20)
    np.testing.assert_allclose(motion.positions[0], [[1, 2, 3], [1, 0, 3], [1, -1, 3]], atol=1e-9)
    # About x, then about z: what hung down is in front, and stays there; the shin turns on, upwards, then aside.
    np.testing.assert_allclose(motion.positions[1], [[1, 2, 3], [1, 2, 1], [0, 2, 1]], atol=1e-9)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("MOTION", "", r"^two\.bvh has no MOTION: .*\.$"),
        ("Xrotation Yrotation\n    JOINT", "Xrotation Wrotation\n    JOINT", r"^two\.bvh has invalid lines"),
        ("OFFSET 0 -2 0", "OFFSET 0 -2 zero", r"^two\.bvh has invalid lines"),
        ("}\nMOTION", "MOTION", r"^two\.bvh has invalid lines"),
        ("Frames: 2", "Frames: many", r"^two\.bvh has invalid lines"),
        ("1 2 3 90 90 0 0 90 0\n", "", r"^two\.bvh has not 2 frames of 9 numbers"),
        ("90 90 0 0 90 0", "90 90 0 0 90 nan", r"^two\.bvh has values that are not finite"),
        ("0.05", "0", r"^two\.bvh has values that are not finite"),
    ],
)
def test_damaged_files(old, new, message):
    with pytest.raises(MocapError, match=message):
        parse_bvh(TWO_JOINTS.replace(old, new), "two.bvh")


def test_a_library_of_bvh_files(tmp_path, body, person):
    text = written(person)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.bvh").write_text(text)
    (tmp_path / "folder" / "odd.bvh").write_text(TWO_JOINTS)
    with tarfile.open(tmp_path / "packed.tar.xz", "w:xz") as tar:
        member = tarfile.TarInfo("folder/a.bvh")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text.encode()))
    assert list(read_texts(tmp_path / "folder" / "a.bvh").values()) == [text]
    told = []
    library = build([tmp_path / "folder", tmp_path / "packed.tar.xz"], body, tell=told.append)
    assert len(told) == 1
    assert library.names.tolist() == ["a", "a"]
    assert library.groups.tolist() == ["folder", "folder"]
    assert library.starts.tolist() == [0, 238, 476]
    np.testing.assert_allclose(library.weights, 0.5)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MocapError, match=r"^empty holds no \.amc or \.bvh motion: .*\.$"):
        build([tmp_path / "empty"], body)
