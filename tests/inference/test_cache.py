"""Results on disk: complete or absent, bounded, shared; files of other programs are never touched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from video_motion.inference.cache import Cache, hash_of, hash_of_content

ROOT = Path(__file__).parents[2]


def test_what_is_kept_comes_back(tmp_path: Path):
    cache = Cache(tmp_path / "new folder")
    assert cache.load("a") is None
    arrays = {"numbers": np.arange(6.0).reshape(2, 3), "text": np.str_("wälk")}
    assert cache.keep("a", arrays) is None
    loaded = Cache(tmp_path / "new folder").load("a")
    assert loaded is not None
    np.testing.assert_array_equal(loaded["numbers"], arrays["numbers"])
    assert str(loaded["text"]) == "wälk"
    assert cache.load("b") is None


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"\x80\x04cos\nsystem\n"])
def test_damaged_results_are_absent_and_removed(tmp_path: Path, content: bytes):
    cache = Cache(tmp_path)
    cache.keep("a", {"x": np.zeros(3)})
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    assert cache.load("a") is None
    assert not list(tmp_path.iterdir())


def test_unused_results_go_when_room_is_short(tmp_path: Path):
    cache = Cache(tmp_path, limit=3 * 9200)
    for age, key in enumerate("abc"):
        cache.keep(key, {"x": np.zeros(1000)})
        os.utime(next(tmp_path.glob(f"*-{key}.npz")), (1e9 + age, 1e9 + age))
    assert cache.load("a") is not None, "used just now"
    cache.keep("d", {"x": np.zeros(1000)})
    assert [key for key in "abcd" if cache.load(key) is not None] == ["a", "c", "d"]
    assert cache.size() <= 3 * 9200


def test_files_of_others_are_never_touched(tmp_path: Path):
    mine = tmp_path / "my motion.npz"
    mine.write_bytes(b"x" * 10_000)
    cache = Cache(tmp_path, limit=100)
    cache.keep("a", {"x": np.zeros(10)})
    cache.keep("b", {"x": np.zeros(10)})
    freed = cache.clear()
    assert 0 < freed < 10_000
    assert [file.name for file in tmp_path.iterdir()] == [mine.name]


def test_full_disk_is_a_sentence_and_leaves_nothing(tmp_path: Path):
    if not Path("/dev/full").exists() or os.geteuid():
        pytest.skip("Needs a small disk, which only root can make.")
    small = tmp_path / "small"
    small.mkdir()
    code = (
        "import sys; from pathlib import Path; import numpy as np; from video_motion.inference.cache import Cache;"
        f"cache = Cache(Path({str(small)!r}));"
        "print(cache.keep('a', {'x': np.zeros(100_000)})); print([file.name for file in cache.folder.iterdir()])"
    )
    script = f'mount -t tmpfs -o size=64k tmpfs "{small}" && exec "{sys.executable}" -c "{code}"'
    command = ["unshare", "--mount", "bash", "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stderr
    sentence, left = result.stdout.splitlines()
    assert "No space left" in sentence
    assert left == "[]"


def test_two_processes_may_keep_the_same_result(tmp_path: Path):
    code = (
        "import sys; from pathlib import Path; import numpy as np; from video_motion.inference.cache import Cache;"
        f"cache = Cache(Path({str(tmp_path)!r}));"
        "[(cache.keep('a', {'x': np.arange(5000)}), cache.load('a')['x'].sum()) for _ in range(60)]"
    )
    both = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert len(list(tmp_path.iterdir())) == 1


def test_content_counts_and_names_do_not(tmp_path: Path):
    one, two = tmp_path / "one.mp4", tmp_path / "two.mov"
    one.write_bytes(b"frames")
    two.write_bytes(b"frames")
    assert hash_of_content(one) == hash_of_content(two)
    two.write_bytes(b"other!")
    assert hash_of_content(one) != hash_of_content(two)
    before = hash_of_content(tmp_path)
    two.rename(tmp_path / "renamed.mov")
    assert hash_of_content(tmp_path) != before, "names order a folder's pictures"
    assert hash_of("ab", "c") != hash_of("a", "bc")
