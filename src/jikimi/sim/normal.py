"""The normal activities: work, and what looks like an accident but is none. What each needs."""

from collections.abc import Sequence
from dataclasses import dataclass

from jikimi.sim import lookalikes, work
from jikimi.sim.play import Activity, Cast
from jikimi.sim.posture import (
    ALL_FOURS,
    BEND,
    KNEEL,
    KNEEL_ONE,
    REACH_UP,
    SIT_CROSSED,
    SIT_FLOOR,
    SQUAT,
    WORK_AT_TABLE,
)
from jikimi.sim.stage import Worker


@dataclass(frozen=True, slots=True)
class Normal:
    """An activity: what it is called, whether it resembles an accident, which props it needs for itself."""

    name: str
    play: Activity
    hard: bool = False
    props: tuple[str, ...] = ()
    company: bool = False
    places: tuple[str, ...] = ()

    def fits(self, cast: Cast, others: Sequence[Worker]) -> bool:
        """Whether it can be played here: with company where it takes two, where the camera sees it."""
        return (not self.company or bool(others)) and (
            not self.places or any(place in cast.shown for place in self.places)
        )


NORMAL: tuple[Normal, ...] = (
    Normal("walks", work.walks),
    Normal("stands", work.stands),
    Normal("works at a table", work.posture(WORK_AT_TABLE, down_s=(0.4, 0.7), stays_s=(2, 8))),
    Normal("reaches up", work.posture(REACH_UP, down_s=(0.5, 0.9), stays_s=(0.6, 3))),
    Normal("bends", work.posture(BEND, down_s=(0.6, 1.1), stays_s=(0.3, 3))),
    Normal("kneels", work.low_posture(KNEEL, by=KNEEL_ONE, down_s=0.8, stays_s=(1.5, 8))),
    Normal("ties a shoe", work.posture(KNEEL_ONE, down_s=(0.6, 1.0), stays_s=(1.5, 4))),
    Normal("carries", work.carries, props=("crates",)),
    Normal("pushes a trolley", work.pushes, props=("trolley",)),
    Normal("feeds a press", work.feeds_press, props=("press",), places=("press",)),
    Normal("feeds rollers or a belt", work.feeds_machine, props=("machine",), places=("machine",)),
    Normal("climbs a ladder", work.climbs, props=("ladder",), places=("ladder",)),
    Normal("works on a deck", work.walks_on_deck, props=("deck",), places=("platform", "truck")),
    Normal("squats fast", work.posture(SQUAT, down_s=(0.3, 0.5), stays_s=(0.3, 3)), hard=True),
    Normal("sits down on the floor", work.low_posture(SIT_FLOOR, by=SQUAT, down_s=0.55, stays_s=(1.5, 9)),
           hard=True),
    Normal("sits cross-legged", work.low_posture(SIT_CROSSED, by=SQUAT, down_s=0.6, stays_s=(2, 9)),
           hard=True),
    Normal("crawls", work.low_posture(ALL_FOURS, by=KNEEL_ONE, down_s=0.7, stays_s=(1, 5)), hard=True),
    Normal("lies and repairs", lookalikes.lies_and_repairs, hard=True, places=("press", "machine")),
    Normal("gets up", lookalikes.gets_up, hard=True),
    Normal("runs", lookalikes.runs, hard=True),
    Normal("jumps", lookalikes.jumps, hard=True),
    Normal("jumps down a step", lookalikes.steps_down, hard=True, props=("deck",),
           places=("platform", "truck")),
    Normal("drops a tool", lookalikes.drops_tool, hard=True, props=("crates",)),
    Normal("stumbles", lookalikes.stumbles, hard=True),
    Normal("hugs", lookalikes.hugs, hard=True, company=True),
    Normal("passes closely", lookalikes.passes, hard=True, company=True),
    Normal("forklift near miss", lookalikes.drives_by, hard=True, props=("forklift",)),
    Normal("load near miss", lookalikes.load_passes, hard=True, props=("load",)),
    Normal("box falls beside", lookalikes.box_falls_beside, hard=True, props=("crates",)),
)  # fmt: skip
