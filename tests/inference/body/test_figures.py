"""Figures keep bones and heights, and are those of women and men; clothes lie outside the skin and on the floor."""

from __future__ import annotations

import numpy as np
import pytest
from video_motion.inference.body.clothes import REGIONS
from video_motion.inference.body.figures import figured
from video_motion.inference.body.kinds import BUILDS, GENDERS
from video_motion.inference.body.skeleton import JOINT_NAMES

OTHERS = [(gender, build) for gender in GENDERS for build in BUILDS][1:]
LIMBS = [("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist")]


@pytest.fixture(scope="module")
def people(body) -> np.ndarray:
    """Shapes of people as videos show them: mostly their size, and little of their build."""
    betas = np.random.default_rng(4).normal(scale=0.5, size=(6, 10))
    betas[:, 0] = np.linspace(-1.2, 1.2, 6)
    return betas


def lengths(body, betas) -> np.ndarray:
    joints = dict(zip(JOINT_NAMES, body.rest_joints(betas), strict=True))
    return np.array(
        [np.linalg.norm(joints[f"{side}_{a}"] - joints[f"{side}_{b}"]) for side in ("left", "right") for a, b in LIMBS]
    )


def volume(body, betas) -> float:
    """Cubic metres inside the skin, by the divergence theorem."""
    a, b, c = np.moveaxis(body.shape(betas)[0][body.faces], 1, 0)
    return float(np.einsum("fa,fa->", a, np.cross(b, c)) / 6)


def width(body, betas, start: str, end: str) -> float:
    joints = body.rest_joints(betas)
    return float(np.linalg.norm(joints[JOINT_NAMES.index(start)] - joints[JOINT_NAMES.index(end)]))


def test_as_seen_is_as_seen(body, people):
    assert all(figured(body, betas, "neutral", "average") is betas for betas in people)


@pytest.mark.parametrize("figure", OTHERS, ids="-".join)
def test_bones_and_height_stay(body, people, figure):
    for betas in people:
        other = figured(body, betas, *figure)
        assert np.abs(lengths(body, other) - lengths(body, betas)).max() < 0.01
        assert abs(body.height(other) - body.height(betas)) < 0.01


def test_builds_are_heavier_and_slimmer(body, people):
    for betas in people:
        for gender in GENDERS:
            slim, average, heavy = (
                volume(body, figured(body, betas, gender, build)) for build in ("slim", "average", "heavy")
            )
            assert slim < 0.97 * heavy
            if gender != "neutral":
                assert slim < average < heavy


def test_women_and_men_differ_as_they_do(body, people):
    for betas in people:
        woman, man = (figured(body, betas, gender, "average") for gender in ("woman", "man"))
        shoulders = [width(body, one, "left_shoulder", "right_shoulder") for one in (woman, man)]
        assert shoulders[0] + 0.02 < shoulders[1]


def test_every_region_is_clothed_where_it_should_be(body):
    centres = body.v_template[body.quads].mean(axis=1)
    joints = dict(zip(JOINT_NAMES, body.joint_template, strict=True))
    of = {name: centres[body.regions == number] for number, name in enumerate(REGIONS)}
    assert of["shoes"][:, 1].max() < joints["left_ankle"][1] + 0.05
    assert of["trousers"][:, 1].max() < joints["spine1"][1]
    assert of["hair"][:, 1].min() > joints["neck"][1]
    assert np.abs(of["shirt"][:, 0]).max() < joints["left_elbow"][0]
    hands = np.abs(centres[:, 0]) > joints["left_wrist"][0]
    assert (body.regions[hands] == REGIONS.index("skin")).all()
    # As much left as right.
    for name in REGIONS:
        assert abs((of[name][:, 0] > 0).sum() - (of[name][:, 0] < 0).sum()) <= 2


def test_clothes_lie_outside_the_skin_and_on_the_floor(body):
    dressed = body.v_template + body.clothes
    assert dressed[:, 1].min() == pytest.approx(body.v_template[:, 1].min(), abs=1e-4)
    moved = np.linalg.norm(body.clothes, axis=1)
    bare = np.setdiff1d(body.quads[body.regions == 0], body.quads[body.regions > 0])
    assert moved[bare].max() == 0.0
    # The hair's edge is drawn straight, around the ear, too, not torn away from where the mesh has it.
    hair, skin = (np.unique(body.quads[body.regions == REGIONS.index(name)]) for name in ("hair", "skin"))
    assert moved[np.intersect1d(hair, skin)].max() < 0.011
    shod = np.unique(body.quads[np.isin(body.regions, [REGIONS.index("shoes"), REGIONS.index("soles")])])
    assert np.delete(moved, shod).max() < 0.04
    a, b, c = np.moveaxis(body.v_template[body.faces], 1, 0)
    plain = np.einsum("fa,fa->", a, np.cross(b, c)) / 6
    a, b, c = np.moveaxis(dressed[body.faces], 1, 0)
    assert np.einsum("fa,fa->", a, np.cross(b, c)) / 6 > 1.05 * plain


def heights_across(vertices, faces, ahead: float) -> np.ndarray:
    """How high the skin of the left foot is in a cut across it, every half millimetre, in metres."""
    foot = faces[(vertices[faces][:, :, 0].min(axis=1) > 0.02) & (vertices[faces][:, :, 1].max(axis=1) < -0.95)]
    corners = vertices[foot]
    across = np.arange(0.05, 0.25, 0.0005)
    highest = np.full(len(across), -np.inf)
    for a, b, c in corners[(corners[..., 2].min(axis=1) <= ahead) & (corners[..., 2].max(axis=1) >= ahead)]:
        ends = []
        for start, end in ((a, b), (b, c), (c, a)):
            if (start[2] - ahead) * (end[2] - ahead) < 0:
                share = (ahead - start[2]) / (end[2] - start[2])
                ends.append(start + share * (end - start))
        if len(ends) == 2:
            first, last = sorted(ends, key=lambda point: point[0])
            there = (across >= first[0]) & (across <= last[0])
            share = (across[there] - first[0]) / max(last[0] - first[0], 1e-9)
            highest[there] = np.maximum(highest[there], first[1] + share * (last[1] - first[1]))
    return highest[np.isfinite(highest)]


def deepest_valley(heights: np.ndarray) -> float:
    """How far below both of its sides a place of a profile lies at most."""
    sides = np.minimum(np.maximum.accumulate(heights), np.maximum.accumulate(heights[::-1])[::-1])
    return float((sides - heights).max())


def test_shoes_have_no_toes_but_soles(body):
    plain, dressed = body.v_template, body.v_template + body.clothes
    ball = body.joint_template[JOINT_NAMES.index("left_foot"), 2]
    cuts = ball + np.array([0.005, 0.015, 0.025, 0.035, 0.045])
    bare, shod = (
        [deepest_valley(heights_across(one, body.faces, ahead)) for ahead in cuts] for one in (plain, dressed)
    )
    assert min(bare) > 0.005, "toes are seen on the bare foot"
    assert max(shod) < 0.0025
    soles = body.quads[body.regions == REGIONS.index("soles")]
    heights = dressed[soles, 1] - dressed[:, 1].min()
    # All of it is a wall or lies flat on the floor.
    assert np.minimum(heights, np.abs(heights - heights.max())).max() < 1e-4
    assert 0.008 < heights.max() < 0.02
    leather = np.setdiff1d(body.quads[body.regions == REGIONS.index("shoes")], soles)
    assert dressed[leather, 1].min() > dressed[:, 1].min() + heights.max() - 0.002
