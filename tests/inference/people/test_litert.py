import os

import pytest
from video_motion.inference.people.litert import LiteRTNetwork

OUTPUTS = ((1, 2254, 12), (1, 2254, 1))


def test_a_network_is_loaded_in_silence(blazepose_models, capfd):
    LiteRTNetwork(blazepose_models.detector, 1, OUTPUTS)
    os.write(2, b"still there")
    assert capfd.readouterr().err == "still there"


def test_errors_of_the_library_come_through(tmp_path, monkeypatch, capfd):
    def loud(model_path, num_threads):
        os.write(2, b"INFO: by the way\nERROR: no such operator\n")
        raise ValueError("broken")

    monkeypatch.setattr("video_motion.inference.people.litert.Interpreter", loud)
    path = tmp_path / "network.tflite"
    path.touch()
    with pytest.raises(ValueError, match="broken"):
        LiteRTNetwork(path, 1, OUTPUTS)
    assert capfd.readouterr().err == "ERROR: no such operator\n"
