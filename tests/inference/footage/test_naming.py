"""Which files are taken for videos, and where their results go."""

from pathlib import Path

from video_motion.inference.footage.naming import find_videos, motion_marks, output_names


def test_folders_give_their_videos_once(tmp_path: Path):
    for name in ("b.mp4", "a.MOV", "notes.txt", ".hidden.mp4", "a.overlay.mp4"):
        (tmp_path / name).touch()
    videos, failures = find_videos([tmp_path / "b.mp4", tmp_path, tmp_path / "b.mp4"])
    assert [video.name for video in videos] == ["b.mp4", "a.MOV"]
    assert failures == []
    videos, failures = find_videos([tmp_path / "**" / "b.*", tmp_path / "c*", tmp_path / "none.mp4"])
    assert [video.name for video in videos] == ["b.mp4", "none.mp4"]
    (failure,) = failures
    assert str(tmp_path / "c*") in failure


def test_a_folder_of_numbered_images_is_a_video(tmp_path: Path, monkeypatch):
    folder, mixed, photos = (tmp_path / name for name in ("take.2", "mixed", "photos"))
    for one, names in ((folder, ("a9.png", "a10.png")), (mixed, ("a1.jpg", "walk.mp4")), (photos, ("me.jpg",))):
        one.mkdir()
        for name in names:
            (one / name).touch()
    videos, failures = find_videos([folder, mixed, photos])
    assert videos == [folder, mixed / "walk.mp4"]
    assert failures == [
        f"{photos} is a folder without a video or numbered images: name a video, or a folder that has some."
    ]
    assert find_videos([tmp_path / "*"])[0] == [mixed, folder], "a pattern finds them, too"
    assert output_names([folder], None) == [tmp_path / "take.2"]
    monkeypatch.chdir(folder)
    assert output_names(find_videos([Path()])[0], tmp_path / "out") == [tmp_path / "out" / "take.2"]


def test_output_names_never_clash(tmp_path: Path):
    videos = [Path(name) for name in ("x/a.mp4", "x/a.avi", "y/a.mp4", "x/A_avi.mkv", "x/walk.take2.mp4")]
    names = [target.name for target in output_names(videos, tmp_path)]
    assert names == ["a_mp4", "a_avi_2", "a_mp4_2", "A_avi", "walk.take2"]
    assert [str(target) for target in output_names([Path("x/a.mp4"), Path("y/a.mp4")], None)] == [
        "x/a",
        "y/a",
    ]


def test_files_of_people_and_shots():
    assert motion_marks([(1, 1), (1, 2)]) == ["", ".person-2"]
    # Who is chosen, and a film whose first shot shows nobody, have the plain name.
    assert motion_marks([(1, 2)]) == motion_marks([(3, 1)]) == [""]
    assert motion_marks([(2, 1), (2, 3), (4, 1), (4, 2)]) == ["", ".person-3", ".shot-4", ".shot-4.person-2"]
    assert motion_marks([]) == []
