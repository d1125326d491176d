"""MediaPipe's own pose pipeline as a child process, run by the interpreter of its own environment.

Its argument is the model complexity. Reads from standard input the frame's height and width (two int32) and once for
each frame its pixels (H, W, 3) as RGB uint8; writes for each frame float64: seconds and seconds of CPU spent, and 33
times 5 values, x and y in pixels, then the world landmark. These are NaN where nobody was found.
"""

from __future__ import annotations

import os
import sys
import time


def main() -> None:
    """Serve until the input ends."""
    # Libraries print to standard output; the answers need one of their own.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    import mediapipe  # pyrefly: ignore[missing-import]
    import numpy as np

    complexity = int(sys.argv[1])
    pose = mediapipe.solutions.pose.Pose(static_image_mode=False, model_complexity=complexity, smooth_landmarks=False)
    height, width = np.frombuffer(sys.stdin.buffer.read(8), np.int32)
    while pixels := sys.stdin.buffer.read(height * width * 3):
        image = np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
        began, cpu_began = time.perf_counter(), time.process_time()
        result = pose.process(image)
        answer = np.full(2 + 33 * 5, np.nan)
        answer[:2] = time.perf_counter() - began, time.process_time() - cpu_began
        if result.pose_landmarks is not None:
            pairs = zip(result.pose_landmarks.landmark, result.pose_world_landmarks.landmark, strict=True)
            answer[2:] = np.ravel([(p.x * width, p.y * height, w.x, w.y, w.z) for p, w in pairs])
        answers.write(answer.tobytes())
        answers.flush()


if __name__ == "__main__":
    main()
