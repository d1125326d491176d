"""Pictures of the character over the footage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_motion.inference import registry
from video_motion.inference.body.smpl import Body
from video_motion.inference.camera.intrinsics import intrinsics
from video_motion.inference.cli import overlay
from video_motion.inference.footage.reader import Footage
from video_motion.inference.motion.motion import Motion

SIZE = (320, 240)
K = intrinsics(SIZE)
GREY = 90
FRAMES = 6


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.load(registry.body_path())


@pytest.fixture
def footage(tmp_path: Path) -> Footage:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, SIZE)
    for _ in range(FRAMES):
        writer.write(np.full((SIZE[1], SIZE[0], 3), GREY, np.uint8))
    writer.release()
    return Footage(path)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def standing(
    body: Body, x: float = 0.0, depth: float = 5.0, first: int = 0, last: int = FRAMES - 1, person: int = 1
) -> Motion:
    """Somebody in T-pose who looks into the camera."""
    frames = np.arange(first, last + 1)
    n = len(frames)
    betas = np.zeros(10)
    pelvis = body.rest_joints(betas)[0]
    poses = np.zeros((n, 24, 3))
    poses[:, 0] = [np.pi, 0, 0]
    trans = np.tile(np.array([x, 0.1, depth]) - pelvis, (n, 1))
    joints = body.joints(poses, betas, trans)
    to_world = np.eye(4)
    to_world[:3, :3] = [[1, 0, 0], [0, 0, 1], [0, -1, 0]]
    to_world[2, 3] = joints[0, :, 1].max()
    landmarks = np.ones((n, 33, 3))
    points = body.landmark_positions(poses, betas, trans)
    landmarks[..., :2] = pixels(points)
    return Motion(
        timestamps=frames / 10,
        poses_cam=poses,
        trans_cam=trans,
        betas=betas,
        rest_pelvis=pelvis,
        joints_cam=joints,
        camera_K=K,
        camera_to_world=np.tile(to_world, (n, 1, 1)),
        image_size=np.array(SIZE),
        frames=frames,
        boxes=np.zeros((n, 4)),
        scores=np.ones((n, 24)),
        bridged=np.zeros(n, bool),
        contacts=np.ones((n, 2)),
        landmarks=landmarks,
        world_landmarks=points,
        person=person,
    )


def pixels(points: np.ndarray) -> np.ndarray:
    image = points @ K.T
    return image[..., :2] / image[..., 2:]


def blank() -> np.ndarray:
    return np.full((SIZE[1], SIZE[0], 3), GREY, np.uint8)


def painted(image: np.ndarray) -> np.ndarray:
    return np.abs(image.astype(int) - GREY).max(-1) > 12


def read(path: Path) -> list[np.ndarray]:
    return [frame.image for frame in Footage(path)]


def sphere(centre: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    around, along = np.meshgrid(np.linspace(0, 2 * np.pi, 61), np.linspace(0, np.pi, 31))
    ball = np.stack([np.sin(along) * np.cos(around), np.sin(along) * np.sin(around), np.cos(along)], axis=-1)
    rows, columns = np.mgrid[0:30, 0:60]
    corner = rows * 61 + columns
    return centre + radius * ball.reshape(-1, 3), np.stack([corner, corner + 61, corner + 62, corner + 1], -1).reshape(
        -1, 4
    )


def test_sphere_covers_its_outline():
    centre, radius = np.array([0.3, -0.2, 4.0]), 0.6
    image = blank()
    overlay.draw_mesh(image, *sphere(centre, radius), K, (120, 190, 255))
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    rays = np.stack([x, y, np.ones_like(x)], axis=-1) @ np.linalg.inv(K).T
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    # A ray meets the ball if it passes its middle at less than its radius.
    true = np.linalg.norm(np.cross(rays, centre), axis=-1) < radius
    drawn = painted(image)
    assert (drawn & true).sum() / (drawn | true).sum() > 0.95
    rim = cv2.dilate(true.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert not (drawn & ~rim).any()


def test_sphere_is_lit_from_above():
    image = blank()
    overlay.draw_mesh(image, *sphere(np.array([0, 0, 4.0]), 0.6), K, (200, 200, 200), 1.0)
    shade = image[:, SIZE[0] // 2].mean(-1)
    middle = SIZE[1] // 2
    assert shade[middle - 30] > shade[middle + 30] + 20


def test_body_covers_its_own_points(body: Body):
    motion = standing(body, x=0.2)
    vertices = body.vertices(motion.poses_cam[:1], motion.betas, motion.trans_cam[:1])[0]
    faces = body.polygons
    image = blank()
    overlay.draw_mesh(image, vertices, faces, K, (120, 190, 255))
    drawn = painted(image)
    points = np.round(pixels(vertices)).astype(np.int32)
    assert drawn[points[:, 1], points[:, 0]].mean() > 0.97
    splat = np.zeros(drawn.shape, np.uint8)
    splat[points[:, 1], points[:, 0]] = 1
    near = cv2.dilate(splat, np.ones((9, 9), np.uint8)) > 0
    assert (drawn & ~near).sum() < 0.02 * drawn.sum(), "nothing is painted away from the body"
    elbows = np.round(pixels(motion.joints_cam[0, [18, 19]])).astype(int)
    assert drawn[elbows[:, 1], elbows[:, 0]].all()


def test_opacity(body: Body):
    mesh = sphere(np.array([0, 0, 4.0]), 0.6)
    half, whole = blank(), blank()
    overlay.draw_mesh(half, *mesh, K, (255, 255, 255), 0.5)
    overlay.draw_mesh(whole, *mesh, K, (255, 255, 255), 1.0)
    np.testing.assert_allclose(half, (whole.astype(float) + GREY) / 2, atol=1)


@pytest.mark.parametrize("depth", [-3.0, 0.3])
def test_behind_or_around_the_camera_nothing_is_drawn(depth: float):
    image = blank()
    overlay.draw_mesh(image, *sphere(np.array([0, 0, depth]), 0.6), K, (0, 0, 255))
    np.testing.assert_array_equal(image, blank())


def test_partly_behind_the_camera():
    image = blank()
    # Of a ball beside the camera the front is seen at the right, as far as its tangent.
    overlay.draw_mesh(image, *sphere(np.array([0.9, 0, 0.5]), 0.7), K, (0, 0, 255))
    drawn = painted(image)
    tangent = np.arctan2(0.9, 0.5) - np.arcsin(0.7 / np.hypot(0.9, 0.5))
    left = K[0, 2] + K[0, 0] * np.tan(tangent)
    row = np.flatnonzero(drawn[int(K[1, 2])])
    assert row[0] == pytest.approx(left, abs=8)
    assert row[-1] == SIZE[0] - 1


def test_partly_outside_the_picture():
    image = blank()
    overlay.draw_mesh(image, *sphere(np.array([-1.6, 0, 4.0]), 0.6), K, (0, 0, 255))
    drawn = painted(image)
    assert drawn[:, 0].any()
    assert not drawn[:, SIZE[0] // 2 :].any()


def test_only_frames_of_the_motion_are_painted(footage: Footage, body: Body):
    images = list(overlay.overlaid(footage, [standing(body, first=2, last=3)], body))
    assert [bool(painted(image).any()) for image in images] == [False, False, True, True, False, False]


def test_height_of_the_pictures(footage: Footage, body: Body):
    motion = standing(body, x=0.3)
    whole = painted(next(iter(overlay.overlaid(footage, [motion], body))))
    half = painted(next(iter(overlay.overlaid(footage, [motion], body, height=120))))
    assert half.shape == (120, 160)
    shrunk = cv2.resize(whole.astype(np.uint8), (160, 120), interpolation=cv2.INTER_AREA) > 0
    assert (half & shrunk).sum() / (half | shrunk).sum() > 0.85, "the character shrinks with the picture"


def test_nearer_person_hides_the_farther(footage: Footage, body: Body):
    near, far = standing(body, depth=4.0, person=1), standing(body, depth=6.0, person=2)
    x, y = np.round(pixels(near.joints_cam[0, 6])).astype(int)
    alone = next(iter(overlay.overlaid(footage, [near], body)))[y, x].astype(int)
    for order in ([near, far], [far, near]):
        both = next(iter(overlay.overlaid(footage, order, body)))[y, x].astype(int)
        other = next(iter(overlay.overlaid(footage, [far], body)))[y, x].astype(int)
        assert np.abs(both - alone).max() < np.abs(both - other).max()


def test_video(footage: Footage, body: Body, out: Path):
    path = out / "over it.mp4"
    overlay.write_video(footage, [standing(body)], body, path)
    written = Footage(path)
    assert (written.width, written.height) == SIZE
    assert written.frame_rate == pytest.approx(10)
    images = read(path)
    assert len(images) == FRAMES
    chest = np.round(pixels(standing(body).joints_cam[0, 6])).astype(int)
    for image in images:
        assert np.abs(image[chest[1], chest[0]].astype(int) - GREY).max() > 20
        assert np.abs(image[5:40, 5:60].astype(int) - GREY).max() < 12
    assert list(out.iterdir()) == [path]


def fail_at(monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    calls = 0
    draw = overlay.draw_mesh

    def failing(*arguments, **options) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            raise KeyboardInterrupt
        draw(*arguments, **options)

    monkeypatch.setattr(overlay, "draw_mesh", failing)


def test_interrupted_video_leaves_nothing(footage: Footage, body: Body, out: Path, monkeypatch: pytest.MonkeyPatch):
    fail_at(monkeypatch, 4)
    with pytest.raises(KeyboardInterrupt):
        overlay.write_video(footage, [standing(body)], body, out / "over.mp4")
    assert list(out.iterdir()) == []


def test_interrupted_video_leaves_the_old_one(footage: Footage, body: Body, out: Path, monkeypatch: pytest.MonkeyPatch):
    path = out / "over.mp4"
    path.write_bytes(b"the old one")
    fail_at(monkeypatch, 4)
    with pytest.raises(KeyboardInterrupt):
        overlay.write_video(footage, [standing(body)], body, path)
    assert path.read_bytes() == b"the old one"
    assert list(out.iterdir()) == [path]


WRITERS: dict[str, Callable[[Footage, list[Motion], Body, Path], None]] = {
    "video.mp4": overlay.write_video,
    "sheet.jpg": overlay.write_contact_sheet,
}


@pytest.mark.parametrize("name", WRITERS)
def test_folder_that_is_not_there(footage: Footage, body: Body, out: Path, name: str):
    with pytest.raises(OSError, match="cannot be written"):
        WRITERS[name](footage, [standing(body)], body, out / "missing" / name)
    assert list(out.iterdir()) == []


def test_contact_sheet(footage: Footage, body: Body, out: Path):
    path = out / "sheet.png"
    overlay.write_contact_sheet(footage, [standing(body)], body, path, columns=3, height=120)
    sheet = cv2.imread(str(path))
    assert sheet is not None
    assert sheet.shape == (4 * 120, 3 * 160, 3)
    for column in range(3):
        plain, over, side, above = (
            sheet[row * 120 : (row + 1) * 120, column * 160 : (column + 1) * 160] for row in range(4)
        )
        assert 0.01 < painted(plain).mean() < 0.2, "the landmarks are thin lines"
        assert painted(over).mean() > 0.05
        dark = np.abs(side.astype(int) - 245).max(-1) > 20
        assert 0.02 < dark.mean() < 0.5
        # From the side a T-pose is narrow, and it stands on the line of the floor.
        line = int(np.argmax(dark[:, 2]))
        figure = np.flatnonzero(dark[:, 60:100].sum(1) > 2)
        assert abs(figure.max() - line) <= 6
        # From above it is as wide as its arms, and narrow from front to back.
        rows, columns = np.nonzero(np.abs(above.astype(int) - 245).max(-1) > 20)
        assert np.ptp(columns) > 2.5 * np.ptp(rows)


def test_who_is_high_above_the_floor_is_seen_whole_from_the_side(footage: Footage, body: Body, out: Path):
    on_a_roof = standing(body)
    on_a_roof.camera_to_world[:, 2, 3] += 5
    overlay.write_contact_sheet(footage, [on_a_roof], body, out / "sheet.png", columns=1, height=120)
    sheet = cv2.imread(str(out / "sheet.png"))
    assert sheet is not None
    dark = np.abs(sheet[240:360].astype(int) - 245).max(-1) > 20
    # The line of the floor is five metres below, and a figure as high as 1.7 of these.
    line = int(np.argmax(dark[:, 2]))
    figure = np.flatnonzero(dark[: line - 2, 60:100].sum(1) > 2)
    assert figure.min() > 2
    assert (line - figure.max()) / (figure.max() - figure.min()) == pytest.approx(5 / 1.7, rel=0.2)


@pytest.mark.parametrize(("columns", "shown"), [(2, 2), (50, FRAMES)])
def test_contact_sheet_of_few_frames(footage: Footage, body: Body, out: Path, columns: int, shown: int):
    overlay.write_contact_sheet(footage, [standing(body)], body, out / "a.png", columns=columns, height=60)
    sheet = cv2.imread(str(out / "a.png"))
    assert sheet is not None
    assert sheet.shape[1] == shown * 80


def test_hidden_landmarks_are_not_drawn(body: Body):
    landmarks = standing(body).landmarks[0]
    image = blank()
    overlay.draw_landmarks(image, landmarks)
    assert painted(image).any()
    landmarks[:, 2] = 0
    image = blank()
    overlay.draw_landmarks(image, landmarks)
    np.testing.assert_array_equal(image, blank())


def test_hands_are_shown_close_as_they_were_seen_and_are(body: Body, footage: Footage, out: Path):
    motion = standing(body, depth=3.0)
    assert not overlay.write_close_pictures(footage, [motion], body, out / "close.png")
    assert not (out / "close.png").exists()
    assert body.fingers is not None
    motion.fingers = np.tile(body.fingers.relaxed, (FRAMES, 1, 1))
    motion.fingers[3:, ::3, 2] += 1.2
    motion.hand_landmarks = np.zeros((FRAMES, 2, 21, 3))
    motion.hand_landmarks[..., :2] = pixels(motion.joints_cam[:, [20, 21]])[:, :, None]
    motion.hand_landmarks[[1, 4], 0, :, 2] = 1.0
    motion.hand_landmarks[[1, 4], 0, 4, 0] += 15.0
    assert overlay.write_close_pictures(footage, [motion], body, out / "close.png")
    picture = cv2.imread(str(out / "close.png"))
    assert picture is not None
    assert picture.shape == (6 * 240, 2 * 240, 3)
    cells = picture.reshape(6, 240, 2, 240, 3).transpose(0, 2, 1, 3, 4)
    # Landmarks of the left hand alone; characters everywhere, of which only fingers move.
    green = (cells[..., 1].astype(int) - cells[..., 0] > 100).any(axis=(2, 3))
    np.testing.assert_array_equal(green, np.array([0, 0, 1, 0, 0, 0], bool)[:, None].repeat(2, axis=1))
    assert all(painted(cell).mean() > 0.1 for row in cells[1::2] for cell in row)
    moved = np.abs(cells[:, 0].astype(int) - cells[:, 1]).max(axis=-1) > 30
    assert not moved[1].any()
    assert moved[3].any()
