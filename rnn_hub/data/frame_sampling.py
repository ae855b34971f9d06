"""Which frames of a video are looked at."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rnn_hub.data.video import Frame, Video
from rnn_hub.errors import RnnHubError

SAMPLINGS = ("uniform", "clip", "rate")
#: seconds within which two times are the same
SAME = 1e-4


@dataclass(frozen=True)
class Sampling:
    """A choice of frames; each is taken once, so a short video gives fewer.

    - "uniform": `num_frames`, the middles of as many equal parts of the video.
    - "clip": `num_frames` in sequence, from the middle of the video, at `fps`.
    - "rate": the whole video at `fps`, `num_frames` at most.

    Args:
        kind: one of these.
        num_frames: how many.
        fps: frames a second; None for every frame.

    Raises:
        RnnHubError: an unknown kind, or one without the number that it needs.
    """

    kind: str = "uniform"
    num_frames: int | None = 16
    fps: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in SAMPLINGS:
            raise RnnHubError(f"unknown sampling {self.kind!r}; choose one of {', '.join(SAMPLINGS)}")
        if self.num_frames is None and self.kind != "rate":
            raise RnnHubError(f"the sampling {self.kind!r} needs num_frames")
        if self.num_frames is not None and self.num_frames < 1:
            raise RnnHubError(f"num_frames must be at least 1, not {self.num_frames}")
        if self.fps is not None and self.fps <= 0:
            raise RnnHubError(f"fps must be above 0, not {self.fps}")

    def times(self, video: Video) -> Iterable[float]:
        """When the frames are shown, perhaps for longer than the video lasts."""
        if self.kind == "uniform":
            part = video.duration / self.num_frames
            return ((number + 0.5) * part for number in range(self.num_frames))
        step = 1 / (self.fps or video.fps)
        start = max(0.0, (video.duration - self.num_frames * step) / 2) if self.kind == "clip" else 0.0
        return (start + number * step for number in itertools.count())

    def choose(self, video: Video) -> Iterator[Frame]:
        """The chosen frames of a video.

        Raises:
            RnnHubError: there is no frame in it.
        """
        every = self.fps is None and self.kind == "rate"
        chosen = video.frames() if every else shown_at(video, self.times(video))
        number = 0
        for number, frame in enumerate(itertools.islice(chosen, self.num_frames), 1):  # noqa: B007
            yield frame
        if not number:
            raise RnnHubError(f"{video.name} has no frame")


def shown_at(video: Video, times: Iterable[float]) -> Iterator[Frame]:
    """The frames that are shown at ascending times, each once."""
    times = iter(times)
    wanted = next(times, None)
    before, gap = None, float("inf")
    if wanted is not None:
        video.skip_to(wanted)
    for frame in video.frames():
        if before is not None and wanted < frame.time - SAME:
            yield before
            while wanted is not None and wanted < frame.time - SAME:
                wanted = next(times, None)
            if wanted is None:
                return
            video.skip_to(wanted)
        gap = frame.time - before.time if before is not None else gap
        before = frame
    if before is not None and wanted < before.time + gap - SAME:
        yield before
