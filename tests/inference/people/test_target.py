"""The rows of somebody who is followed for long: as a list of them would be, whatever is still at hand."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from video_motion.inference.people.target import Row, Rows


def row(number: int, random: np.random.Generator) -> Row:
    def numbers(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32)

    return Row(
        frame=number,
        timestamp=number / 30,
        landmarks=numbers(33, 2),
        visibility=numbers(33),
        presence=numbers(33),
        world_landmarks=numbers(33, 3),
        crop=numbers(4),
        box=numbers(4),
        score=float(random.uniform()),
        center=random.normal(size=2),
        body_crop=numbers(4),
        similarity=float(random.choice([0.3, 0.9, np.nan], p=[0.6, 0.3, 0.1])),
        maps=number,
        roi_views={"scores": numbers(4)},
    )


def assert_same(one: Row, other: Row) -> None:
    for item in fields(Row):
        mine, theirs = getattr(one, item.name), getattr(other, item.name)
        if item.name == "roi_views":
            mine, theirs = mine["scores"], theirs["scores"]
        np.testing.assert_array_equal(mine, theirs, err_msg=item.name)


def unlike(rows: list[Row], similarity: float) -> int:
    count = 0
    while count < len(rows) and rows[-1 - count].similarity < similarity:
        count += 1
    return count


def test_rows_are_those_of_a_list():
    random = np.random.default_rng(0)
    rows, model = Rows(), []
    for number in range(1500):
        one = row(number, random)
        rows.append(one)
        model.append(one)
        if number % 97 == 96:
            more = [row(number, random) for _ in range(30)]
            rows.insert(more)
            model[-1:-1] = more
        if number % 211 == 210:
            count = int(random.choice([1, 40, 190]))
            rows.drop(count)
            del model[-count:]
        rows.settle()
        assert rows.less_similar(0.5) == unlike(model, 0.5)
        assert_same(rows[-1], model[-1])
    assert len(rows) == len(model)
    for number in (0, 5, len(model) // 2, -1, -40, -200, -len(model)):
        assert_same(rows[number], model[number])
    for mine, theirs in zip(rows.newest(300), model[-300:], strict=True):
        assert_same(mine, theirs)
    np.testing.assert_array_equal(rows.values("frame"), [one.frame for one in model])
    some = rows.parts([slice(3, 10), slice(700, 704)])
    assert [some[number].frame for number in range(len(some))] == [one.frame for one in model[3:10] + model[700:704]]
    columns = rows.columns()
    np.testing.assert_array_equal(columns["landmarks"], [one.landmarks for one in model])
    np.testing.assert_array_equal(columns["roi_views.scores"], [one.roi_views["scores"] for one in model])
    assert columns["landmarks"].dtype == np.float32


def test_somebody_unlike_all_the_time():
    rows = Rows()
    for number in range(300):
        one = row(number, np.random.default_rng(number))
        one.similarity = 0.1
        rows.append(one)
        rows.settle()
    assert rows.less_similar(0.5) == 300
    assert rows.less_similar(0.05) == 0
