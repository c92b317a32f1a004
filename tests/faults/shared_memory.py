"""Extract where shared memory cannot be used, with each backend; print the results.

python -m tests.faults.shared_memory DIRECTORY BACKEND...
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from flowstream import synthetic
from flowstream.extract import ExtractSettings, RunOptions, extract, plan
from flowstream.flow.dis import DIS


def main() -> None:
    """Extract two videos with one and with two workers, and print how many are done."""
    directory = Path(sys.argv[1])
    videos = directory / "videos"
    videos.mkdir(exist_ok=True)
    image = synthetic.texture((32, 64), seed=1)
    for name in "ab":
        synthetic.write_video(videos / f"{name}.mp4", [image[:, k : k + 48] for k in range(4)])
    found = {}
    for backend in sys.argv[2:]:
        for workers in (1, 2):
            out = directory / f"{backend}{workers}"
            options = RunOptions(backend=backend, workers=workers)
            summary = extract(plan([videos], out), ExtractSettings(DIS()), out, options=options)
            found[out.name] = len(summary.done)
    print(json.dumps({"done": found}))


if __name__ == "__main__":
    main()
