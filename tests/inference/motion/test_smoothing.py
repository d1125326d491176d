"""Smoothing that neither lags nor blunts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from video_motion.inference.motion import smoothing

RATE = 30.0


def smoothed(values: np.ndarray, times: np.ndarray, acceleration: float, weight: float = 1e4, **options) -> np.ndarray:
    """One curve (N,)."""
    weights = np.full((len(values), 1), weight)
    return smoothing.smooth(values[:, None, None], weights, times, acceleration, **options)[:, 0, 0]


@pytest.mark.parametrize("n", [3, 4, 5, 400])
def test_straight_lines_stay(n: int):
    times = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.08, n))
    line = 3.0 - 0.7 * times
    # Weak evidence leaves the curve to the smoother alone.
    np.testing.assert_allclose(smoothed(line, times, 1.0, weight=0.01), line, atol=1e-4)


def test_constant_acceleration_stays():
    times = np.arange(120) / RATE
    curve = 0.5 * 9.81 * times**2
    result = smoothed(curve, times, acceleration=9.81, weight=1e4)
    np.testing.assert_allclose(result[15:-15], curve[15:-15], atol=1e-4)


@pytest.mark.parametrize("n", [1, 2])
def test_too_short_to_smooth(n: int):
    values = np.arange(n, dtype=float)
    np.testing.assert_array_equal(smoothed(values, np.arange(n) / RATE, 1.0), values)


@pytest.fixture
def noisy_sine() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times, a movement of 20 cm at 0.8 Hz, and the same with 2 cm of noise."""
    times = np.arange(300) / RATE
    clean = 0.2 * np.sin(2 * np.pi * 0.8 * times)
    return times, clean, clean + np.random.default_rng(4).normal(0, 0.02, len(times))


def test_does_not_lag(noisy_sine: tuple[np.ndarray, np.ndarray, np.ndarray]):
    times, clean, noisy = noisy_sine
    result = smoothed(noisy, times, acceleration=5.0, weight=1 / 0.02**2)
    fine = np.arange(20 / RATE, times[-1] - 20 / RATE, 0.001)
    shifts = np.arange(-60, 61) / 1000
    match = [np.dot(np.interp(fine + shift, times, result), np.interp(fine, times, clean)) for shift in shifts]
    assert abs(shifts[int(np.argmax(match))]) <= 0.004, "a shift of a tenth of a frame shows"


def test_removes_noise(noisy_sine: tuple[np.ndarray, np.ndarray, np.ndarray]):
    times, clean, noisy = noisy_sine
    result = smoothed(noisy, times, acceleration=5.0, weight=1 / 0.02**2)
    assert np.std(result - clean) < 0.5 * np.std(noisy - clean)
    assert np.std(np.diff(result, 2)) < 0.2 * np.std(np.diff(noisy, 2))
    assert np.ptp(result) > 0.95 * np.ptp(clean), "the movement keeps its size"


def test_punch_stays_sharp():
    times = np.arange(120) / RATE
    punch = 0.6 / (1 + np.exp(-(times - 2.0) / 0.015))
    noisy = punch + np.random.default_rng(2).normal(0, 0.01, len(times))
    result = smoothed(noisy, times, acceleration=5.0, weight=1 / 0.01**2)
    # An ordinary low-pass filter that leaves as much noise where nothing happens.
    calm = times < 1.5
    widths = np.arange(0.1, 10, 0.05)
    plain = [_gaussian(noisy, width) for width in widths]
    noise = np.array([np.std((curve - punch)[calm][5:]) for curve in plain])
    like = plain[int(np.argmin(np.abs(noise - np.std((result - punch)[calm][5:]))))]
    around = np.abs(times - 2.0) < 0.2
    assert np.abs(result - punch)[around].max() < 0.5 * np.abs(like - punch)[around].max()
    assert np.diff(result).max() > 1.3 * np.diff(like).max(), "as fast as it was"


def _gaussian(values: np.ndarray, width: float) -> np.ndarray:
    reach = np.arange(-40, 41)
    kernel = np.exp(-((reach / width) ** 2) / 2)
    padded = np.concatenate([np.full(40, values[0]), values, np.full(40, values[-1])])
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")


@pytest.mark.parametrize("rate", [30, 240])
def test_whole_clip_is_one_solution(rate: float):
    random = np.random.default_rng(7)
    n = 700
    times = np.cumsum(random.uniform(0.5, 1.5, n)) / rate
    values, weights = random.normal(size=n), random.uniform(10, 300, n)
    # The sum that `smooth` promises to make smallest, as one big least-squares problem.
    before, after = np.diff(times)[:-1], np.diff(times)[1:]
    bend = np.zeros((n - 2, n))
    for row in range(n - 2):
        slopes = np.zeros((2, n))
        slopes[0, row : row + 2] = np.array([-1, 1]) / before[row]
        slopes[1, row + 1 : row + 3] = np.array([-1, 1]) / after[row]
        bend[row] = (slopes[1] - slopes[0]) / ((before[row] + after[row]) / 2) / 5.0
    bend *= np.sqrt(30 * (before + after) / 2)[:, None]
    lasts = 30 * np.gradient(times)
    dense = np.linalg.solve(np.diag(weights * lasts) + bend.T @ bend, weights * lasts * values)
    result = smoothing.smooth(values[:, None, None], weights[:, None], times, 5.0, burst=1e9)[:, 0, 0]
    np.testing.assert_allclose(result, dense, atol=1e-5)


def curve_of_two_speeds(times: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * 0.7 * times) + 0.3 * np.sin(2 * np.pi * 2.3 * times + 1)


def test_uneven_times_give_the_same_curve():
    random = np.random.default_rng(5)
    even = np.arange(0, 6, 1 / 60)
    uneven = np.cumsum(random.choice([1 / 120, 1 / 60, 1 / 30], len(even)))
    uneven = uneven[uneven < 6]
    results = [smoothed(curve_of_two_speeds(times), times, acceleration=100.0, weight=1.0) for times in (even, uneven)]
    assert np.abs(results[0] - curve_of_two_speeds(even)).max() > 0.2, "the filter does something here"
    # The ends of the two clips are not the same.
    inner = uneven[(uneven > 0.8) & (uneven < 5.2)]
    np.testing.assert_allclose(np.interp(inner, uneven, results[1]), np.interp(inner, even, results[0]), atol=0.01)


def test_frame_rate_does_not_change_the_strength():
    wanted = np.array([1.7, 1.9, 2.1, 2.3])
    results = []
    for rate in (25, 60, 240):
        times = np.arange(0, 4, 1 / rate)
        step = np.where(times > 2 + 1e-6, 1.0, 0.0)
        results.append(np.interp(wanted, times - 0.5 / rate, smoothed(step, times, acceleration=2.0, weight=10.0)))
    np.testing.assert_allclose(results[0], results[2], atol=2e-3)
    np.testing.assert_allclose(results[1], results[2], atol=2e-3)
    assert results[0][0] > 0.05, "the step is rounded"


def test_unknown_values_are_bridged():
    times = np.arange(60) / RATE
    values = 2 * times
    weights = np.full((60, 1), 1e4)
    values[20:35], weights[20:35] = 99.0, 0.0
    result = smoothing.smooth(values[:, None, None], weights, times, 1.0)[:, 0, 0]
    np.testing.assert_allclose(result, 2 * times, atol=1e-2)


def test_curves_do_not_touch_each_other():
    random = np.random.default_rng(8)
    times = np.arange(50) / RATE
    values, weights = random.normal(size=(50, 3, 2)), random.uniform(1, 100, (50, 3))
    together = smoothing.smooth(values, weights, times, 4.0)
    for curve in range(3):
        alone = smoothing.smooth(values[:, curve : curve + 1], weights[:, curve : curve + 1], times, 4.0)
        np.testing.assert_allclose(together[:, curve], alone[:, 0], atol=1e-9)


def test_whole_turns_do_not_flip():
    times = np.arange(240) / RATE
    # Three turns about a leaning axis; the angle passes ±π each time.
    axis = np.array([0.2, 0.95, -0.1]) / np.linalg.norm([0.2, 0.95, -0.1])
    clean = Rotation.from_rotvec(np.linspace(0, 6 * np.pi, 240)[:, None] * axis)
    noisy = clean * Rotation.from_rotvec(np.random.default_rng(3).normal(0, 0.03, (240, 3)))
    result = smoothing.smooth_rotations(noisy.as_matrix()[:, None], np.full((240, 1), 1 / 0.03**2), times, 15.0)
    smooth = Rotation.from_matrix(result[:, 0])
    assert (clean.inv() * smooth).magnitude()[10:-10].max() < 0.06
    assert (clean.inv() * smooth).magnitude().mean() < 0.6 * (clean.inv() * noisy).magnitude().mean()
    steps = (smooth[:-1].inv() * smooth[1:]).magnitude()
    np.testing.assert_allclose(steps, 6 * np.pi / 239, atol=0.04)


def test_rotations_near_half_a_turn():
    times = np.arange(60) / RATE
    # Wavers about half a turn, where the logarithm changes its sign.
    angle = np.pi + 0.2 * np.sin(4 * times)
    clean = Rotation.from_rotvec(angle[:, None] * np.array([0.0, 1.0, 0.0]))
    result = smoothing.smooth_rotations(clean.as_matrix()[:, None], np.full((60, 1), 1e3), times, 15.0)
    assert (clean.inv() * Rotation.from_matrix(result[:, 0])).magnitude().max() < 0.02
