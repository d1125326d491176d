"""Clothes and hair of the default body: regions of its skin, and how far outside it each vertex lies when dressed.

Nothing is added to the mesh, so a dressed body moves and gets another shape as a plain one does.
"""

import numpy as np
from numpy.typing import NDArray

from .rotations import Floats
from .skeleton import JOINT_NAMES, LANDMARK_NAMES, SIDES

Ints = NDArray[np.int64]

REGIONS = ("skin", "shirt", "trousers", "shoes", "hair", "iris", "soles")
_SKIN, _SHIRT, _TROUSERS, _SHOES, _HAIR, _IRIS, _SOLES = range(len(REGIONS))

# Metres by which regions lie outside the skin, the rounds of smoothing before, and those in which hair gets thinner
# towards its edge.
_THICKNESS = {_SHIRT: 0.008, _TROUSERS: 0.007, _SHOES: 0.004, _HAIR: 0.014}
_ROUNDS = {_SHIRT: 2, _TROUSERS: 5, _SHOES: 2, _HAIR: 4}
_TAPER = 6

# Where clothes end, metres from joints: the hem under the pelvis, shoes above the ankle; how far down the upper arm
# sleeves reach; the neck's opening, which is lower in front by so much a metre.
_HEM, _SHOE, _SLEEVE, _NECK, _NECK_SLOPE = -0.075, 0.012, 0.55, 0.022, 0.55

# The hairline from the nape to the forehead: metres in front of the ear, and above the eyes. Around the ear is skin.
_HAIRLINE = np.array(
    [(-0.12, -0.075), (-0.045, -0.06), (-0.01, 0.0), (0.02, 0.015), (0.035, 0.045), (0.05, 0.062), (0.115, 0.07)]
)
_EAR, _EAR_DEPTH = 0.04, 0.012
_IRIS_ANGLE = np.radians(28.0)

# The toe of a shoe: metres behind the ball of the foot where it begins, from where and from how far above the floor it
# is seen whole; how high and how far behind the toes' tips and how much narrower it still is; how sharp its edges are,
# from how many sides it is measured, and how evenly its vertices lie, by so many rounds.
_TOE, _INSIDE, _ABOVE = 0.045, 0.035, 0.02
_TOE_HEIGHT, _TOE_BACK, _TOE_WIDTH = 0.036, 0.014, 0.85
_SHARPNESS, _SIDES, _EVEN, _EVEN_ROUNDS, _BLEND, _BLEND_ROUNDS = 40.0, 1500, 0.5, 4, 0.035, 4

# Soles: how thick and how far they stand out, metres, and how many times as high leather is smoothed above them.
_SOLE, _WELT, _SEAM = 0.013, 0.004, 2.5

# Rounds in which a face joins most of its neighbours, and how far a border's vertices may be moved onto it.
_VOTES, _STRAIGHTENED = 4, 0.02


def dressed(
    vertices: Floats, faces: Ints, weights: Floats, joints: Floats, landmarks: Floats, eyes: NDArray[np.bool_]
) -> tuple[Ints, Floats]:
    """Regions of a body at rest and the moves that dress it.

    Args:
        vertices: (V, 3) in the body's frame, metres.
        faces: (F, 4).
        weights: (V, 24) of SMPL's joints.
        joints: (24, 3).
        landmarks: (33, 3) BlazePose's.
        eyes: (V,) whether a vertex is of an eye.

    Returns:
        (F,) numbers of `REGIONS`, and (V, 3) moves in metres.
    """
    joint = dict(zip(JOINT_NAMES, joints, strict=True))
    landmark = dict(zip(LANDMARK_NAMES, landmarks, strict=True))
    borders = _borders(vertices, joint, landmark)
    regions = _regions(vertices, faces, weights, borders, landmark, eyes)
    near = _neighbours(faces, len(vertices))
    shapes = _straightened(vertices, faces, regions, borders)
    out = shapes.copy()
    # Of two cloths that meet, the later one covers the other.
    for region in (_SHOES, _TROUSERS, _SHIRT, _HAIR):
        inside = np.unique(faces[regions == region])
        edge = np.isin(inside, np.unique(faces[regions != region]))
        points = _smoothed(shapes, inside[~edge], near, _ROUNDS[region])
        thickness = np.zeros((len(vertices), 1))
        thickness[inside] = _THICKNESS[region]
        if region == _HAIR:
            thickness[inside[edge]] = 0.0
            thickness = _smoothed(thickness, inside[~edge], near, _TAPER)
        out[inside] = points[inside] + thickness[inside] * _normals(points, faces)[inside]
    shoes = faces[regions == _SHOES]
    for side in SIDES:
        rows = np.unique(shoes[vertices[shoes[:, 0], 0] * np.sign(joint[f"{side}_ankle"][0]) > 0])
        out = _shod(out, vertices, faces, rows, near, joint[f"{side}_foot"])
    cuffs = np.intersect1d(shoes, faces[regions == _TROUSERS])
    out[cuffs, ::2] = _smoothed(out, cuffs, near, 2)[cuffs, ::2]
    out, regions = _soled(out, faces, regions, near, vertices[:, 1].min())
    return regions, out - vertices


def _shod(out: Floats, vertices: Floats, faces: Ints, shoe: Ints, near: Ints, ball: Floats) -> Floats:
    """Dressed vertices (V, 3) in which one toe of leather takes the place of five toes of skin.

    The skin before the ball of the foot is a disc. Spread out in the plane by Tutte's embedding, whose edges are
    springs, none of it overlaps; each vertex then lies in a direction from inside the foot, on the hull of the toes.
    """
    floor = vertices[:, 1].min()
    toe = shoe[vertices[shoe, 2] > ball[2] - _TOE]
    inside = np.zeros(len(vertices), bool)
    inside[toe] = True
    edges = np.unique(_edges(faces), axis=0)
    edges = edges[inside[edges].any(axis=1)]
    ring = np.unique(edges[~inside[edges]])
    both = np.concatenate([toe, ring])
    centre = np.array([out[both, 0].mean(), floor + _ABOVE, ball[2] - _INSIDE])
    hull = _Hull(_toe_box(out[both], centre, floor, ball[2]), centre)

    number = np.full(len(vertices), -1)
    number[both] = np.arange(len(both))
    edges, count = number[edges], len(toe)
    around = _flat(out[ring] - centre)
    springs = np.ones(len(edges))
    places = out[both]
    for _ in range(_EVEN_ROUNDS):
        pulls = np.zeros((len(both), len(both)))
        pulls[edges[:, 0], edges[:, 1]] = pulls[edges[:, 1], edges[:, 0]] = springs
        balance = np.diag(pulls.sum(axis=1)[:count]) - pulls[:count, :count]
        places[:count] = hull.at(_directions(np.linalg.solve(balance, pulls[:count, count:] @ around)))
        lengths = np.linalg.norm(places[edges[:, 0]] - places[edges[:, 1]], axis=1)
        springs *= (lengths / lengths.mean() + 1e-3) ** _EVEN
        springs /= springs.mean()
    shod = out.copy()
    shod[toe] = places[:count]
    return _smoothed(shod, toe[vertices[toe, 2] < ball[2] - _TOE + _BLEND], near, _BLEND_ROUNDS)


def _toe_box(points: Floats, centre: Floats, floor: float, ball: float) -> Floats:
    """Points (n, 3) of a foot's front with those between which a shoe is stretched above its toes and on the floor."""
    above, below = points[points[:, 2] > ball], points[points[:, 1] < floor + _ABOVE]
    above = above * [_TOE_WIDTH, 0.0, 1.0] + [(1.0 - _TOE_WIDTH) * centre[0], floor + _TOE_HEIGHT, -_TOE_BACK]
    return np.concatenate([points, above, below * [1.0, 0.0, 1.0] + [0.0, floor, 0.0]])


class _Hull:
    """The convex hull of points (n, 3), rounded, as seen from a point inside it."""

    def __init__(self, points: Floats, centre: Floats):
        count = _SIDES // 2
        turns = np.pi * (1.0 + np.sqrt(5.0)) * (np.arange(count) + 0.5)
        up = 1.0 - (2.0 * np.arange(count) + 1.0) / count
        level = np.sqrt(1.0 - up * up)
        across, ahead = level * np.cos(turns), level * np.sin(turns)
        # A right foot is a left one's mirror image.
        self._sides = np.concatenate([[across, up, ahead], [-across, up, ahead]], axis=1)
        self._centre = centre
        self._away = ((points - centre) @ self._sides).max(axis=0)

    def at(self, directions: Floats) -> Floats:
        """Where rays from inside in unit directions (n, 3) leave it."""
        nearness = np.maximum(directions @ self._sides, 0.0) / self._away
        return self._centre + directions / np.linalg.norm(nearness, ord=_SHARPNESS, axis=1, keepdims=True)


def _flat(directions: Floats) -> Floats:
    """Directions (n, 3) as points (n, 2) of a plane, as far from its origin as their angle from straight ahead."""
    across = directions[:, :2] / np.linalg.norm(directions[:, :2], axis=1, keepdims=True)
    return across * np.arccos(directions[:, 2:] / np.linalg.norm(directions, axis=1, keepdims=True))


def _directions(points: Floats) -> Floats:
    """Unit directions (n, 3) of points (n, 2), the inverse of `_flat`."""
    angles = np.linalg.norm(points, axis=1, keepdims=True)
    return np.concatenate([points * np.sinc(angles / np.pi), np.cos(angles)], axis=1)


def _soled(points: Floats, faces: Ints, regions: Ints, near: Ints, floor: float) -> tuple[Floats, Ints]:
    """Dressed vertices (V, 3) and regions (F,) with soles under the shoes, which stand on the floor."""
    heights = points[faces, 1].mean(axis=1) - floor
    soled = np.where((regions == _SHOES) & (heights < _SOLE), _SOLES, regions)
    for _ in range(_VOTES):
        soled = _voted(soled, _pairs(faces))
    bottom, above = np.unique(faces[soled == _SOLES]), np.unique(faces[soled != _SOLES])
    edge, inner = np.intersect1d(bottom, above), np.setdiff1d(bottom, above)
    out = points.copy()
    out[edge] += _WELT * (_normals(points, faces) * [1.0, 0.0, 1.0])[edge]
    # Walls are upright: what shares a face with the edge lies under it.
    of_sole = faces[soled == _SOLES]
    at_edge = np.isin(of_sole, edge)
    counts, sums = np.zeros((len(points), 1)), np.zeros_like(points)
    np.add.at(counts, of_sole, at_edge.sum(axis=1)[:, None, None])
    np.add.at(sums, of_sole, (out[of_sole] * at_edge[..., None]).sum(axis=1)[:, None])
    out[inner] = np.where(counts > 0, sums / np.maximum(counts, 1), out)[inner]
    out[inner, 1] = floor
    out[edge, 1] = floor + _SOLE
    out[above, 1] = np.maximum(out[above, 1], floor + _SOLE)
    leather = np.setdiff1d(faces[soled == _SHOES], edge)
    seam = leather[out[leather, 1] < floor + _SEAM * _SOLE]
    return _smoothed(out, seam, near, _BLEND_ROUNDS), soled


def _borders(points: Floats, joint: dict[str, Floats], landmark: dict[str, Floats]) -> dict[str, Floats]:
    """By border, how far points (n, 3) lie beyond it, metres; upward, outward, or above the line."""
    across, up, ahead = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    shoulder, elbow = joint["left_shoulder"][0], joint["left_elbow"][0]
    eyes, ear = landmark["left_eye"], landmark["left_ear"]
    line = np.interp(ahead, ear[2] + _HAIRLINE[:, 0], eyes[1] + _HAIRLINE[:, 1])
    return {
        "hem": up - joint["pelvis"][1] - _HEM,
        "shoe": up - joint["left_ankle"][1] - _SHOE,
        "sleeve": across - shoulder - _SLEEVE * (elbow - shoulder),
        "neck": up - joint["neck"][1] + _NECK_SLOPE * (ahead - joint["neck"][2]) - _NECK,
        "hair": up - line,
        "ear": np.maximum(np.hypot(up - ear[1], ahead - ear[2]) - _EAR, ear[0] - _EAR_DEPTH - across),
    }


def _regions(
    vertices: Floats,
    faces: Ints,
    weights: Floats,
    borders: dict[str, Floats],
    landmark: dict[str, Floats],
    eyes: NDArray[np.bool_],
) -> Ints:
    at = {name: values[faces].mean(axis=1) for name, values in borders.items()}
    head = weights[faces, JOINT_NAMES.index("head")].mean(axis=1) > 0.5
    regions = np.full(len(faces), _SKIN)
    regions[(at["hem"] > 0) & (at["sleeve"] < 0) & (at["neck"] < 0) & ~head] = _SHIRT
    regions[(at["hem"] <= 0) & (at["shoe"] > 0)] = _TROUSERS
    regions[at["shoe"] <= 0] = _SHOES
    centres = vertices[faces].mean(axis=1)
    ear = landmark["left_ear"]
    beside = np.hypot(centres[:, 1] - ear[1], centres[:, 2] - ear[2]) < _EAR
    regions[head & (at["hair"] > 0) & ~(beside & (np.abs(centres[:, 0]) > ear[0] - _EAR_DEPTH))] = _HAIR
    for _ in range(_VOTES):
        regions = _voted(regions, _pairs(faces))
    of_eye = eyes[faces[:, 0]]
    regions[of_eye] = _SKIN
    for side in (centres[:, 0] > 0, centres[:, 0] < 0):
        rows = np.flatnonzero(of_eye & side)
        sight = centres[rows] - centres[rows].mean(axis=0)
        regions[rows[sight[:, 2] > np.cos(_IRIS_ANGLE) * np.linalg.norm(sight, axis=1)]] = _IRIS
    return regions


def _edges(faces: Ints) -> Ints:
    """(F * 4, 2) the edges of faces (F, 4), the smaller vertex first."""
    return np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2), axis=1)


def _pairs(faces: Ints) -> Ints:
    """(P, 2) the faces that share an edge."""
    edges = _edges(faces)
    keys = edges[:, 0] * (faces.max() + 1) + edges[:, 1]
    order = np.argsort(keys, kind="stable")
    same = np.flatnonzero(keys[order][1:] == keys[order][:-1])
    return np.stack([order[same], order[same + 1]], axis=1) // faces.shape[1]


def _voted(regions: Ints, pairs: Ints) -> Ints:
    both = np.concatenate([pairs, pairs[:, ::-1]])
    votes = np.zeros((len(regions), len(REGIONS)))
    np.add.at(votes, (both[:, 0], regions[both[:, 1]]), 1.0)
    return np.where(votes.max(axis=1) >= 3.0, votes.argmax(axis=1), regions)


def _straightened(vertices: Floats, faces: Ints, regions: Ints, borders: dict[str, Floats]) -> Floats:
    """Vertices (V, 3) of which those between two regions are moved along the skin onto the nearest border."""
    lowest, highest = np.full(len(vertices), len(REGIONS)), np.full(len(vertices), -1)
    np.minimum.at(lowest, faces, regions[:, None])
    np.maximum.at(highest, faces, regions[:, None])
    rows = np.flatnonzero((lowest != highest) & (highest < _IRIS))
    normals = _normals(vertices, faces)
    near = _neighbours(faces, len(vertices))
    values = np.stack(list(borders.values()), axis=1)
    nearest = np.abs(values[rows]).argmin(axis=1)
    beyond = values[rows, nearest]
    # The slope of each border along the skin, by least squares over the neighbours.
    steps = vertices[near[rows]] - vertices[rows, None]
    steps -= np.einsum("nka,na->nk", steps, normals[rows])[..., None] * normals[rows, None]
    rises = values[near[rows], nearest[:, None]] - beyond[:, None]
    normal = np.einsum("nka,nkb->nab", steps, steps) + 1e-9 * np.eye(3)
    slope = np.linalg.solve(normal, np.einsum("nka,nk->na", steps, rises)[..., None])[..., 0]
    moves = -beyond[:, None] * slope / np.maximum(np.square(slope).sum(axis=1, keepdims=True), 0.1)
    length = np.linalg.norm(moves, axis=1, keepdims=True)
    out = vertices.copy()
    out[rows] += np.where(length < _STRAIGHTENED, moves, 0.0)
    return out


def _smoothed(points: Floats, rows: Ints, near: Ints, rounds: int) -> Floats:
    """Points (V, 3) of which some rows are moved towards the middle of their neighbours, again and again."""
    out = points.copy()
    for _ in range(rounds):
        out[rows] = 0.5 * (out[rows] + out[near[rows]].mean(axis=1))
    return out


def _neighbours(faces: Ints, count: int) -> Ints:
    """(V, K) the vertices that an edge joins to each, those of one with fewer than K repeated."""
    edges = np.unique(_edges(faces), axis=0)
    both = np.concatenate([edges, edges[:, ::-1]])
    both = both[np.argsort(both[:, 0], kind="stable")]
    degrees = np.maximum(np.bincount(both[:, 0], minlength=count), 1)
    starts = np.searchsorted(both[:, 0], np.arange(count))
    steps = np.arange(degrees.max())[None] % degrees[:, None]
    return both[np.minimum(starts[:, None] + steps, len(both) - 1), 1]


def _normals(points: Floats, faces: Ints) -> Floats:
    """Unit normals (V, 3) of vertices."""
    corners = points[faces]
    of_faces = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    normals = np.zeros_like(points)
    np.add.at(normals, faces, of_faces[:, None])
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
