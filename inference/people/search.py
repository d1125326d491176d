"""Where new people are searched for, and where nobody was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import crops

# Seconds between two searches of the image for new people. Where several are, more may come out from behind others;
# for one alone, so much time passes between two regions of the image, which costs little compared with following them.
PAUSE = 0.32
ALONE_PAUSE = 0.4
# Regions searched per second while several are seen, and at most in a frame.
SEARCH_RATE = 50.0
MAX_REGIONS = 4
# Seconds for which a rejected crop is not examined again, doubled each time from the first to the second.
REJECTION = (0.5, 4.0)
# Sides of the searched tiles as parts of the image's shorter side.
TILES = (1.0, 0.7, 0.5)
# Those in which small people are found, and how large, in the same unit, the crops of people are beside whom there may
# be other small ones.
SMALL_TILE, SMALL_CROP = 0.4, 0.3
# Crops of the same place may differ in size by this ratio.
MAX_GROWTH = 1.6


class RegionSearch:
    """The regions of the image to search in each frame, so that all of it is searched in turn."""

    def __init__(self):
        self._regions: list[np.ndarray] = []
        self._next_search = 0.0
        self._previous = 0.0
        # The first tiles are searched at once.
        self._alone_pause = 0.0
        self._alone: bool | None = None
        self._sweeps = 0
        self._started = False

    def regions(
        self,
        shape: tuple[int, ...],
        timestamp: float,
        visible: int,
        full: bool,
        lost: np.ndarray | None,
        largest: float | None = None,
    ) -> list[np.ndarray]:
        """The regions (4,) to search in the next frame.

        Args:
            shape: the image's, (H, W, ...).
            timestamp: in seconds.
            visible: how many people are followed.
            full: whether no more people can be followed.
            lost: (2,) where the last one was lost who may come back; None if there is nobody.
            largest: side of the largest crop of who is followed, None if nobody is.
        """
        small = largest is not None and largest < SMALL_CROP * min(shape[:2])
        regions = [] if visible else [crops.whole(shape)]
        if not self._started:
            self._started = True
            self._regions = _all_tiles(shape, TILES[:1])
        elif timestamp >= self._next_search:
            # A small person is seldom alone.
            alone = visible == 1 and not small
            # What was left to search for a crowd is too much for the slow search beside one person.
            if not self._regions or self._alone not in (None, alone):
                self._alone = alone
                # The smallest tiles are many: only where somebody small is, and every second time while nobody is.
                finely = small or (not visible and self._sweeps % 2 == 1)
                self._regions = self._sweep(shape, alone, full, lost, finely)
                self._alone_pause = ALONE_PAUSE
            elapsed = timestamp - self._previous
            count = 1 if alone else min(max(1, round(SEARCH_RATE * elapsed)), MAX_REGIONS)
            regions += self._regions[:count]
            del self._regions[:count]
            if alone:
                self._next_search = timestamp + self._alone_pause
            elif not self._regions:
                self._next_search = timestamp + PAUSE
        self._previous = timestamp
        return regions

    def _sweep(
        self, shape: tuple[int, ...], alone: bool, full: bool, lost: np.ndarray | None, finely: bool
    ) -> list[np.ndarray]:
        """The regions to search one by one for new people."""
        whole = crops.whole(shape)
        # When full, only someone large is of interest, and the whole image shows them.
        if full:
            return [whole]
        if not alone:
            self._sweeps += 1
            smallest = _all_tiles(shape, (SMALL_TILE,)) if finely else []
            return [whole, *smallest, *_all_tiles(shape)]
        # The search is slow, so every second region is the likeliest: where someone was lost, who may come back there,
        # else the whole image, which shows large people. The smallest tiles are for crowds.
        large, small = _all_tiles(shape, TILES[:1]), _all_tiles(shape, TILES[1:2])
        self._sweeps += 1
        tiles = [*large, small[self._sweeps % len(small)]]
        if lost is None:
            likeliest, others = whole, tiles
        else:
            likeliest, others = min(large, key=lambda tile: float(np.hypot(*(tile[:2] - lost)))), [whole, *tiles]
        return [region for other in others for region in (likeliest, other)]


@dataclass
class _RejectedCrop:
    """A crop (4,) without a person, and for how many seconds and until when it is not examined again."""

    crop: np.ndarray
    pause: float
    until: float


class Rejections:
    """The places where nobody was when they were last examined."""

    def __init__(self):
        self._rejected: list[_RejectedCrop] = []

    def add(self, crop: np.ndarray, timestamp: float) -> None:
        """Don't examine a crop (4,) again for a while."""
        before = [d.pause for d in self._rejected if same_place(d.crop, crop)]
        pause = min(2 * max(before), REJECTION[1]) if before else REJECTION[0]
        self._rejected = [
            d for d in self._rejected if not same_place(d.crop, crop) and timestamp < d.until + REJECTION[1]
        ]
        self._rejected.append(_RejectedCrop(crop, pause, timestamp + pause))

    def has(self, crop: np.ndarray, timestamp: float) -> bool:
        """Whether a crop (4,) is not to be examined at a time."""
        return any(same_place(d.crop, crop) and timestamp < d.until for d in self._rejected)


def same_place(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two crops (4,) show about the same region."""
    near = np.hypot(*(other[:2] - one[:2])) < 0.12 * one[2]
    return bool(near and 1 / MAX_GROWTH < other[2] / one[2] < MAX_GROWTH)


def _all_tiles(shape: tuple[int, ...], parts: tuple[float, ...] = TILES) -> list[np.ndarray]:
    return [tile for part in parts for tile in crops.tiles(shape, part * min(shape[:2]))]
