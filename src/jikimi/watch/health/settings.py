"""Every number that health is judged by, and where it came from.

"Measured" is over the 63 real clips that hold still (2 Hz, 160 px short side), each ailment applied to them:
`benchmarks/ailing.py` measures the outcome again.
"""

from dataclasses import dataclass, field

from jikimi.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Rule:
    """When an ailment begins and ends: its level must stay above `begin_above` for `begin_s` seconds, and at
    or below `end_below` for `end_s` seconds. A level in between changes nothing.

    Raises:
        SettingsError: the two levels are the wrong way round, or a time is negative.
    """

    begin_above: float
    end_below: float
    begin_s: float
    end_s: float

    def __post_init__(self) -> None:
        if not self.end_below <= self.begin_above or min(self.begin_s, self.end_s) < 0:
            raise SettingsError(f"{self}: use end_below <= begin_above and times of 0 s or more")


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """What counts as ill, for one camera. Levels are shares, 0 to 1, where nothing else is said.

    Raises:
        SettingsError: a number is out of its range.
    """

    # Blind that long is a fault: Frigate takes 30 to 60 s (docs), a camera's reconnect 1 to 3 s.
    offline_s: float = 5.0

    # Level: seconds of byte-identical pictures over the seconds that are too many. Live real clips showed no
    # two alike; an encoder that skips a still scene draws it anew at each keyframe, 1 to 4 s apart as
    # cameras are set by default. Any picture that differs is life: 2 s, so that a keyframe alone is not.
    frozen: Rule = field(default=Rule(begin_above=1.0, end_below=0.99, begin_s=0.0, end_s=2.0))
    frozen_s: float = 10.0
    # "Smart" codecs stretch keyframes to 10 s and more. A run of identical pictures that ended by itself is
    # the camera's habit: twice that, up to here, is allowed it from then on.
    frozen_max_s: float = 30.0

    # Level: 1 less what a tenth of the picture exceeds, of 255. Measured: the darkest real clip 0.54, with
    # 15 % of the light (edges still told) 0.85 to 0.93, lights off (4 %, noise of 2) 0.96 to 0.98.
    dark: Rule = field(default=Rule(begin_above=0.92, end_below=0.88, begin_s=5.0, end_s=5.0))

    # Level: share of the detailed tiles that lost their detail. Measured: healthy at most 0.25
    # in any light; four fifths of the lens covered 0.52 to 0.80, all of it 0.84 to 1. Somebody who passes
    # close to the lens is gone within 5 s.
    covered: Rule = field(default=Rule(begin_above=0.46, end_below=0.38, begin_s=5.0, end_s=5.0))

    # Level: what edges lost of their sharpness. Measured: healthy at most 0.05, turned by 2° 0.18
    # (95 %); Gaussian blur of 1.2 % of the width 0.31 (5 %) to 0.62. Hunting for focus takes 1 to 3 s.
    out_of_focus: Rule = field(default=Rule(begin_above=0.27, end_below=0.18, begin_s=10.0, end_s=10.0))

    # Level: share of the detailed tiles whose edges are elsewhere. Measured: healthy at most 0.24 (people,
    # forklifts, changes of light), shift by 4 % of the width 0.63 (5 %) to 1, turn by 6° 0.45 (5 %) to 0.98.
    moved: Rule = field(default=Rule(begin_above=0.42, end_below=0.30, begin_s=10.0, end_s=10.0))

    # Level: seconds the stream's clock lags behind. 5 s are beyond what buffers of cameras and players hold.
    stale_stamps: Rule = field(default=Rule(begin_above=5.0, end_below=2.0, begin_s=1.0, end_s=5.0))
    # Clocks that run at another speed are no lag: cameras that count 30 for 29.97 pictures are 1000 ppm off.
    clock_drift: float = 0.002

    # Level: share of damaged pictures in the last `damaged_window_s`. At 2 Hz a share of 0.2 is 4 of 20: one
    # torn group of pictures after a lost packet stays below it.
    damaged: Rule = field(default=Rule(begin_above=0.2, end_below=0.05, begin_s=0.0, end_s=2.0))
    damaged_window_s: float = 10.0

    # The reference: judged by after 10 s, long enough that whoever walks through averages out; then it
    # follows within 5 min what changes by itself: daylight, a parked lorry.
    learn_s: float = 10.0
    remember_s: float = 300.0
    # A tile shows detail where the mean squared step of its 8 × 8 coarse pixels is above 8 grey values
    # squared, 512 in all. Measured: the median tile of the plainest real clip has 36; noise of 6 gives 5.
    detail_min: float = 512.0
    # One tile in eight must show detail before anything is said. Measured: real clips have 28 of 48 and more.
    tiles_min: int = 6
    # Detail is lost where edges fall below 30 % for the light there is, and known again where they correlate
    # by more than 0.4: measured at 3 % of shift 0.18 (the median tile), when healthy 0.91 (5 %).
    lost_below: float = 0.3
    alike_above: float = 0.4
    # Edges gone but light and shade where they were (their correlation over tiles): blurred or misted, not
    # covered. Measured: blurred by 4 % of the width 0.84 (5 %) and up, covered at most 0.69.
    pattern_above: float = 0.77

    # What a pause between pictures may count for: time nobody saw proves nothing.
    step_max_s: float = 2.0

    def __post_init__(self) -> None:
        times = (self.offline_s, self.frozen_s, self.damaged_window_s, self.learn_s, self.step_max_s)
        if min(times) <= 0 or self.frozen_max_s < self.frozen_s or self.remember_s < self.learn_s:
            raise SettingsError(
                "health: times must be above 0 s, frozen_max_s >= frozen_s and remember_s >= learn_s"
            )
        if self.tiles_min < 1 or self.clock_drift < 0:
            raise SettingsError("health: tiles_min must be 1 or more and clock_drift 0 or more")
