"""Losing balance: an impulse, muscles that give way, and what becomes of whoever fell."""

from collections.abc import Callable

import numpy as np

from jikimi.sim.play import Cast
from jikimi.sim.stage import Floats, Worker


def _going_limp(cast: Cast, *, tense: float) -> Callable[[float], float]:
    """Muscle tone after a fall begins: from tense to limp within a second, and some never quite."""
    slack = 0.05 * cast.between(0.5, 2.5)
    fade = cast.between(0.5, 1.2)
    return lambda s: max(slack, tense * (1 - s / fade))


def shove(cast: Cast, victim: Worker, part: str, newton_s: float, direction: float) -> None:
    """Give a part of a body an impulse in a direction over the floor, within 0.15 s."""
    force = newton_s / 0.15 * np.array([np.cos(direction), np.sin(direction), 0.0])
    cast.stage.push(victim, part, force, seconds=0.15)


def heading_of(cast: Cast, worker: Worker) -> float:
    """Which way a worker faces, rad."""
    forward = cast.stage.data.xmat[worker.body("pelvis")].reshape(3, 3)[:, 0]
    return float(np.arctan2(forward[1], forward[0]))


def loses_balance(
    cast: Cast, victim: Worker, behavior: str, kind: str, do: Callable[[], None], *, tense: float = 0.5,
    target: Floats | None = None,
) -> None:  # fmt: skip
    """Let a victim go, now, and do what makes it fall; who lies already does not fall again."""
    if not victim.scripted:
        return
    cast.happens(behavior, kind, victim)
    cast.stage.let_go(victim, _going_limp(cast, tense=tense), target=target)
    do()
    _aftermath(cast, victim, cast.stage.t_s)


def _aftermath(cast: Cast, victim: Worker, start_s: float) -> None:
    """Some lie still, some get up after a while; in a stream everybody does, in the end."""
    lies_s = cast.between(1.5, 4.0) if cast.opening_s is not None else cast.between(6.0, 25.0)
    if cast.opening_s is None or cast.chance(0.35):
        cast.cues.at(start_s + 1.2 + lies_s, lambda: _stand_up(cast, victim))
        cast.busy_until_s[victim.name] = start_s + lies_s + 6.5


def _stand_up(cast: Cast, victim: Worker) -> None:
    if victim.muscles is not None:
        cast.gets_up(victim, slowly=cast.between(0.9, 1.6))
