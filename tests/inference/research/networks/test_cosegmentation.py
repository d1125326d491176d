import numpy as np
import torch
from video_motion.inference.research.networks.cosegmentation import FrequencyEnhancement, MotionGate


def test_the_filter_works_on_the_spectrum():
    """Against NumPy's own transform."""
    rng = np.random.default_rng(0)
    layer = FrequencyEnhancement(16, 3)
    gain = rng.normal(size=(2, 9, 3))
    with torch.no_grad():
        layer.filter.copy_(torch.from_numpy(gain))
        sequence = rng.normal(size=(2, 16, 3))
        output = layer(torch.from_numpy(sequence).float()).numpy()
    spectrum = np.fft.rfft(sequence, axis=1) * (gain[0] + 1j * gain[1])
    np.testing.assert_allclose(output, sequence + np.fft.irfft(spectrum, n=16, axis=1), atol=1e-5)


def test_what_does_not_move_excites_nothing():
    torch.manual_seed(0)
    gate = MotionGate(32)
    still = torch.randn(1, 1, 32).expand(1, 16, 32)
    moving = still.clone()
    moving[0, 9] += 1
    with torch.no_grad():
        of_still, of_moving = gate(still), gate(moving)
        at_rest = still + still * torch.sigmoid(gate.expand.bias)
    torch.testing.assert_close(of_still, at_rest)
    changed = (of_moving - of_still).abs().amax(dim=(0, 2)) > 1e-4
    # The frame that differs and the one that comes back from it.
    assert changed.nonzero().flatten().tolist() == [9, 10]
