"""What an install carries: a trained model, and samples to watch with it before anything is set up.

`assets/model.jikimi`, `assets/samples/<camera>.mp4`, and `assets/samples/samples.json`, which says what
happens in each.
"""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from jikimi.errors import JikimiError
from jikimi.stream_metrics import Truth

MODEL, SAMPLES, TRUTH = "model.jikimi", "samples", "samples.json"


class ShippedError(JikimiError):
    """An install that lacks the model or the samples it should carry."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A recording to play as a camera, and what happens in it.

    `truth` is None where nothing does. `korean` and `english` say it in a line.
    """

    camera: str
    video: Path
    truth: Truth | None
    korean: str
    english: str


@dataclass(frozen=True, slots=True)
class Samples:
    """All samples; `about` says where they come from."""

    samples: tuple[Sample, ...]
    about: str = ""


class _Row(BaseModel):
    """One sample as `samples.json` has it; the event in `[start_s, end_s)` of stream time."""

    model_config = ConfigDict(extra="forbid")

    camera: str
    behavior: str
    start_s: float | None = None
    end_s: float | None = None
    korean: str
    english: str

    def truth(self) -> Truth | None:
        """Return the event, None where nothing happens. Raises ValueError where it is no time span."""
        if self.start_s is None and self.end_s is None:
            return None
        if self.start_s is None or self.end_s is None:
            raise ValueError(f"{self.camera}: an event needs both start_s and end_s")
        return Truth(self.camera, self.behavior, self.start_s, self.end_s)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    about: str = ""
    samples: list[_Row]


def assets() -> Path:
    """Return the folder of what this install carries."""
    return Path(str(resources.files("jikimi"))) / "assets"


def shipped_model(folder: Path | None = None) -> Path:
    """Return the path of the model this install carries.

    Raises:
        ShippedError: it carries none.
    """
    path = (folder or assets()) / MODEL
    if not path.is_file():
        raise ShippedError("this install carries no model; give --model X.jikimi")
    return path


def shipped_samples(folder: Path | None = None) -> Samples:
    """Read the samples this install carries.

    Raises:
        ShippedError: it carries none, or they are damaged.
    """
    place = (folder or assets()) / SAMPLES
    try:
        file = _File.model_validate_json((place / TRUTH).read_bytes())
        samples = [_sample(row, place) for row in file.samples]
    except FileNotFoundError as error:
        raise ShippedError(
            "this install carries no samples; give a video instead: jikimi watch VIDEO --model X.jikimi"
        ) from error
    except ValidationError as error:  # its own words fill a screen
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ShippedError(f"{place / TRUTH}: {where}: {first['msg']}; install Jikimi again") from error
    except (OSError, ValueError) as error:
        raise ShippedError(f"{place / TRUTH}: {error}; install Jikimi again") from error
    cameras = [sample.camera for sample in samples]
    if twice := [camera for camera in cameras if cameras.count(camera) > 1]:
        raise ShippedError(f"{place / TRUTH}: camera {twice[0]!r} occurs twice; install Jikimi again")
    missing = [sample.video.name for sample in samples if not sample.video.is_file()]
    if missing or not samples:
        raise ShippedError(f"{place}: {missing[0] if missing else 'samples'} missing; install Jikimi again")
    return Samples(tuple(samples), file.about)


def _sample(row: _Row, place: Path) -> Sample:
    # Watching names a camera after its file, so that the name here is the file's.
    video = place / f"{row.camera}.mp4"
    return Sample(row.camera, video, row.truth(), row.korean, row.english)
