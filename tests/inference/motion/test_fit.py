"""The least-squares fit of the body to landmarks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from video_motion.inference.body.skeleton import JOINT_NAMES, LANDMARK_NAMES, PARENTS
from video_motion.inference.body.smpl import Body
from video_motion.inference.camera.intrinsics import intrinsics
from video_motion.inference.motion import fit as fit_module
from video_motion.inference.motion.fit import (
    ANCESTRY,
    Evidence,
    Prior,
    ShapedBody,
    _Problem,
    _Skeleton,
    fit,
    solve_translation,
    view_rotations,
)
from video_motion.inference.motion.limits import LIMITS, SPREAD
from video_motion.inference.people.track import Track

from . import scenes

K = intrinsics(scenes.SIZE)
# The fit uses neither corners of the eyes nor the mouth.
IGNORED = [k for k, name in enumerate(LANDMARK_NAMES) if name.endswith(("inner", "outer")) or "mouth" in name]


@pytest.fixture(scope="module")
def shaped_body(body: Body) -> ShapedBody:
    return ShapedBody(body, np.array([1.0, -0.7, 0.5, 0, 0, 0.3, 0, 0, 0, -0.5]))


@pytest.fixture(scope="module")
def scene(body: Body, shaped_body: ShapedBody) -> scenes.Scene:
    """Ten moments of a walk, all round."""
    return scenes.walk(body, np.linspace(0, 5.4, 10), shaped_body.betas)


def evidence_of(track: Track, pixel_sigma: float = 1.0, world_sigma: float = 0.02) -> Evidence:
    sigma = np.ones((len(track), 33))
    return Evidence(track.landmarks, pixel_sigma * sigma, track.world_landmarks, world_sigma * sigma, K)


def exact(scene: scenes.Scene, **sigmas: float) -> Evidence:
    track = scenes.film(scene, np.random.default_rng(0), pixel_noise=0, world_noise=(0, 0))
    return evidence_of(track, **sigmas)


def matrices(vectors: np.ndarray) -> np.ndarray:
    return Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix().reshape(*vectors.shape, 3)


def random_prior(random: np.random.Generator, local: np.ndarray, trans: np.ndarray, points: np.ndarray) -> Prior:
    n = len(local)
    target_sigma = np.full((n, 33), np.inf)
    target_sigma[:, scenes.SOLES] = random.uniform(0.01, 0.05, (n, 4))
    target_sigma[0, scenes.SOLES[0]] = np.inf
    level, _ = np.linalg.qr(random.normal(size=(n, 3, 2)))
    return Prior(
        rotations=local @ matrices(random.normal(0, 0.3, (n, 24, 3))),
        rotation_sigma=random.uniform(0.05, 0.3, (n, 24)),
        trans=trans + random.normal(0, 0.1, (n, 3)),
        trans_sigma=random.uniform(0.02, 0.1, (n, 3)),
        targets=points + random.normal(0, 0.05, (n, 33, 3)),
        target_sigma=target_sigma,
        floor_axes=np.swapaxes(level, 1, 2),
        balance_sigma=random.uniform(0.05, 0.2, n),
    )


@pytest.mark.parametrize("with_prior", [False, True], ids=["evidence", "evidence and prior"])
@pytest.mark.parametrize("robust", [3.0, 1e6], ids=["robust", "plain"])
def test_normal_equations_agree_with_differences(shaped_body: ShapedBody, with_prior: bool, robust: float):
    random = np.random.default_rng(11)
    n = 3
    # Wild enough that every limit is passed by some joint and some landmarks are far outliers.
    poses = random.normal(0, 0.5, (n, 24, 3))
    poses[:, 0] = Rotation.from_euler("x", 180, degrees=True).as_rotvec() + random.normal(0, 0.3, (n, 3))
    local, trans = matrices(poses), np.array([0.3, -0.2, 4.0]) + random.normal(0, 0.2, (n, 3))
    turned, _, points = shaped_body.pose(local, trans)
    evidence = Evidence(
        scenes.project(points, K) + random.normal(0, 25, (n, 33, 2)),
        random.uniform(5, 30, (n, 33)),
        points - points[:, scenes.HIPS].mean(1, keepdims=True) + random.normal(0, 0.1, (n, 33, 3)),
        random.uniform(0.03, 0.2, (n, 33)),
        K,
    )
    evidence.pixel_sigma[:, IGNORED] = evidence.world_sigma[:, IGNORED] = np.inf
    evidence.pixel_sigma[1, :12] = np.inf
    prior = random_prior(random, local, trans, points) if with_prior else None
    skeleton = _Skeleton(shaped_body.weights)
    problem = _Problem(shaped_body, skeleton, evidence, view_rotations(evidence), prior, robust)

    def moved(unknown: int, step: float) -> dict[str, np.ndarray]:
        turning, shifted = local.copy(), trans.copy()
        joint, axis = divmod(unknown - 3, 3)
        if unknown < 3:
            shifted[:, axis] += step
        else:
            turn = np.zeros((n, 3))
            turn[:, axis] = step
            # A turn in the camera's axes, as seen by the joint itself.
            own = np.swapaxes(turned[:, joint], 1, 2) @ matrices(turn) @ turned[:, joint]
            turning[:, joint] = turning[:, joint] @ own
        return problem.state(turning, shifted)

    either_side = [(moved(unknown, 1e-5), moved(unknown, -1e-5)) for unknown in range(75)]

    def derivative(name: str) -> np.ndarray:
        """(n, ..., 75) of a part of the state."""
        return np.stack([(after[name] - before[name]) / 2e-5 for after, before in either_side], axis=-1)

    state = problem.state(local, trans)
    normal, right, evidence_diagonal = problem.normal_equations(state)
    slope = derivative("cost")
    np.testing.assert_allclose(right, -slope / 2, rtol=1e-5, atol=1e-5 * np.abs(slope).max())
    assert (state["limits"] != 0).any(), "the limits take part"

    parts = {}
    for name in ("pixels", "world", "limits", "spread", *(("drift", "targets", "balance") if with_prior else ())):
        jacobian = derivative(name)
        if name in ("pixels", "world"):
            jacobian /= (1 + (state[name] ** 2).sum(-1) / robust**2)[..., None, None]
        flat = jacobian.reshape(n, -1, 75)
        parts[name] = np.swapaxes(flat, 1, 2) @ flat
    expected = np.sum(list(parts.values()), axis=0)
    if prior is not None:
        # The distance to the prior's rotation is taken as if it were small.
        expected[:, range(3, 75), range(3, 75)] += np.repeat(1 / prior.rotation_sigma**2, 3, axis=1)
    scale = np.sqrt(np.einsum("nii->ni", expected))
    # Single precision, relative to the size of row and column.
    np.testing.assert_array_less(np.abs(normal - expected), 3e-5 * scale[:, :, None] * scale[:, None] + 1e-6)
    diagonal = np.einsum("nii->ni", parts["pixels"] + parts["world"])
    np.testing.assert_allclose(evidence_diagonal, diagonal, rtol=1e-4, atol=1e-6 * diagonal.max())


def test_known_pose_is_found_again(shaped_body: ShapedBody, scene: scenes.Scene):
    random = np.random.default_rng(2)
    start = matrices(scene.poses) @ matrices(random.normal(0, 0.15, scene.poses.shape))
    evidence = exact(scene, pixel_sigma=0.5, world_sigma=0.005)
    away = scene.trans + random.normal(0, 0.2, scene.trans.shape)
    # So far from such sharp evidence, everything would look like an outlier.
    result = fit(shaped_body, evidence, start, away, steps=25, robust=1e3)
    _, joints, points = shaped_body.pose(result.rotations, result.trans)
    pixels = np.linalg.norm(scenes.project(points, K) - scenes.project(scene.landmarks, K), axis=-1)
    assert pixels.max() < 1.0
    limbs = [JOINT_NAMES.index(f"{side}_{part}") for side in ("left", "right") for part in ("hip", "knee", "ankle")]
    limbs += [JOINT_NAMES.index(f"{side}_{part}") for side in ("left", "right") for part in ("elbow", "wrist")]
    aligned = joints - joints[:, :1]
    assert np.linalg.norm(aligned - scene.joints + scene.joints[:, :1], axis=-1)[:, limbs].max() < 0.01
    # Five metres away, a per cent of size is five centimetres.
    np.testing.assert_allclose(result.trans, scene.trans, atol=0.05)


def test_wrong_landmarks_lose_their_say(shaped_body: ShapedBody, scene: scenes.Scene):
    evidence = exact(scene, pixel_sigma=6.0, world_sigma=0.04)
    wrist, toe = LANDMARK_NAMES.index("left_wrist"), LANDMARK_NAMES.index("right_foot_index")
    evidence.pixels[:, [wrist, toe]] += 250
    evidence.world[:, [wrist, toe]] += 0.6
    result = fit(shaped_body, evidence, matrices(scene.poses), scene.trans, steps=15)
    _, joints, _ = shaped_body.pose(result.rotations, result.trans)
    away = np.linalg.norm(joints - joints[:, :1] - scene.joints + scene.joints[:, :1], axis=-1)
    assert away[:, [1, 2, 4, 5, 16, 17]].max() < 0.03


@pytest.mark.parametrize("side", ["left", "right"])
def test_knees_and_elbows_never_bend_backwards(body: Body, scene: scenes.Scene, shaped_body: ShapedBody, side: str):
    knee, elbow = JOINT_NAMES.index(f"{side}_knee"), JOINT_NAMES.index(f"{side}_elbow")
    flexion = 1 if side == "left" else -1
    broken = scene.poses.copy()
    broken[:, knee] = [np.radians(-40), 0, 0]
    broken[:, elbow] = [0, flexion * np.radians(40), 0]
    wrong = replace(scene, landmarks=body.landmark_positions(broken, shaped_body.betas, scene.trans))
    size = np.ptp(scenes.project(wrong.landmarks, K)[..., 1], axis=1).mean()
    evidence = exact(wrong, pixel_sigma=0.014 * size, world_sigma=0.1)
    result = fit(shaped_body, evidence, matrices(broken), scene.trans, steps=20)
    angles = np.degrees(Rotation.from_matrix(result.rotations[:, [knee, elbow]].reshape(-1, 3, 3)).as_rotvec())
    angles = angles.reshape(-1, 2, 3)
    assert angles[:, 0, 0].min() > -10, "a knee that bends forwards"
    assert (-flexion * angles[:, 1, 1]).min() > -10, "an elbow that bends backwards"


def test_frames_do_not_depend_on_each_other(shaped_body: ShapedBody, scene: scenes.Scene):
    random = np.random.default_rng(3)
    evidence = evidence_of(scenes.film(scene, random), 6.0, 0.05)
    start = matrices(scene.poses + random.normal(0, 0.1, scene.poses.shape))
    prior = random_prior(random, matrices(scene.poses), scene.trans, scene.landmarks)
    whole = fit(shaped_body, evidence, start, scene.trans, prior, steps=4)
    pieces = fit(shaped_body, evidence, start, scene.trans, prior, steps=4, chunk=3)
    one = slice(6, 7)
    alone = fit(shaped_body, evidence.rows(one), start[one], scene.trans[one], prior.rows(one), steps=4)
    for name in ("rotations", "trans", "information"):
        np.testing.assert_allclose(getattr(pieces, name), getattr(whole, name), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(getattr(alone, name), getattr(whole, name)[one], rtol=1e-4, atol=1e-5)


def test_settled_frames_are_where_all_steps_lead(
    shaped_body: ShapedBody, scene: scenes.Scene, monkeypatch: pytest.MonkeyPatch
):
    random = np.random.default_rng(5)
    evidence = evidence_of(scenes.film(scene, random), 6.0, 0.05)
    start = matrices(scene.poses + random.normal(0, 0.1, scene.poses.shape))
    taken = []
    step = fit_module._step
    monkeypatch.setattr(fit_module, "_step", lambda problem, *rest: taken.append(1) or step(problem, *rest))
    early = fit(shaped_body, evidence, start, scene.trans, steps=30)
    steps_taken = len(taken)
    monkeypatch.setattr(fit_module, "_CONVERGED", 0.0)
    late = fit(shaped_body, evidence, start, scene.trans, steps=30)
    assert steps_taken < 20 < 30 == len(taken) - steps_taken
    joints = [shaped_body.pose(one.rotations, one.trans)[1] for one in (early, late)]
    moved = [placed - placed[:, :1] for placed in joints]
    assert np.linalg.norm(moved[0] - moved[1], axis=-1).mean() < 0.002
    assert np.linalg.norm(moved[0] - moved[1], axis=-1).max() < 0.02


def test_start_is_left_alone(shaped_body: ShapedBody, scene: scenes.Scene):
    start, trans = matrices(scene.poses) @ matrices(np.full(scene.poses.shape, 0.05)), scene.trans + 0.1
    before = start.copy(), trans.copy()
    fit(shaped_body, exact(scene), start, trans, steps=2)
    np.testing.assert_array_equal(start, before[0])
    np.testing.assert_array_equal(trans, before[1])


def test_unseen_frames_follow_the_prior(shaped_body: ShapedBody, scene: scenes.Scene):
    evidence = exact(scene)
    evidence.pixel_sigma[4] = evidence.world_sigma[4] = np.inf
    n = len(scene.poses)
    prior = Prior(
        rotations=matrices(scene.poses),
        rotation_sigma=np.full((n, 24), 0.02),
        trans=scene.trans,
        trans_sigma=np.full((n, 3), 0.02),
        targets=np.zeros((n, 33, 3)),
        target_sigma=np.full((n, 33), np.inf),
        floor_axes=np.zeros((n, 2, 3)),
        balance_sigma=np.full(n, np.inf),
    )
    start = matrices(scene.poses + 0.1)
    result = fit(shaped_body, evidence, start, scene.trans + 0.1, prior, steps=15)
    np.testing.assert_allclose(result.trans[4], scene.trans[4], atol=1e-3)
    away = Rotation.from_matrix(np.swapaxes(matrices(scene.poses[4]), 1, 2) @ result.rotations[4]).magnitude()
    # A hand has neither a landmark nor an unknown of its own; the others yield a little to their usual pose.
    assert np.degrees(away[:22]).max() < 8
    assert result.information[4].max() == 0
    assert (result.information[5, :16] > 0).all()


def test_translation_in_closed_form(shaped_body: ShapedBody, scene: scenes.Scene):
    evidence = exact(scene)
    true = np.tile([0.4, -0.3, 5.0], (10, 1))
    np.testing.assert_allclose(solve_translation(evidence, scene.landmarks - true[:, None]), true, atol=1e-5)


def test_line_of_sight(scene: scenes.Scene):
    evidence = exact(scene)
    evidence.pixels[:] = [scenes.SIZE[0] / 2 + K[0, 0], scenes.SIZE[1] / 2]
    right = np.array([[np.sqrt(0.5), 0, np.sqrt(0.5)], [0, 1, 0], [-np.sqrt(0.5), 0, np.sqrt(0.5)]])
    np.testing.assert_allclose(view_rotations(evidence), np.tile(right, (10, 1, 1)), atol=1e-12)
    evidence.pixel_sigma[:] = np.inf
    np.testing.assert_allclose(view_rotations(evidence), np.tile(np.eye(3), (10, 1, 1)), atol=1e-12)


def test_ancestry():
    for joint, name in enumerate(JOINT_NAMES):
        chain, above = {joint}, joint
        while (above := PARENTS[above]) >= 0:
            chain.add(above)
        assert set(np.flatnonzero(ANCESTRY[:, joint]).tolist()) == chain, name


def test_limits_mirror_each_other():
    for joint, name in enumerate(JOINT_NAMES):
        other = JOINT_NAMES.index(name.replace("left", "RIGHT").replace("right", "left").replace("RIGHT", "right"))
        np.testing.assert_allclose(LIMITS[joint, 0], LIMITS[other, 0], err_msg=name)
        if other != joint:
            np.testing.assert_allclose(LIMITS[joint, 1:], -LIMITS[other, 1:, ::-1], err_msg=name)
        np.testing.assert_allclose(SPREAD[joint], SPREAD[other], err_msg=name)
    assert (LIMITS[..., 0] <= 0).all(), "the rest pose is allowed"
    assert (LIMITS[..., 1] >= 0).all(), "the rest pose is allowed"
