"""Accidents: each comes off, begins at contact or with balance lost, in view, and ends as it should."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from jikimi.sim.accidents import ACCIDENTS
from jikimi.sim.clips import CLIP_S, SEEN_SHARE, act
from jikimi.sim.play import Cast, Happening
from jikimi.sim.scene import Scene
from jikimi.sim.stage import Floats, Worker
from sim_scenes import LIE_HEAD_M, LOADING_DOCK, STORE_WITH_DECK, mark, play, scene_of

FPS = 10
SOLID_KINDS = {"bump": ("forklift", "trolley", "gate"), "hit": ("falling", "flying", "swinging", "toppling")}


@dataclass(frozen=True, slots=True)
class Seen:
    """An accident that came off: the victim's landmarks at each picture, and what touched it at the start."""

    scene: Scene
    cast: Cast
    happening: Happening
    victim: Worker
    touched: bool
    feet_m: float
    seen: float
    heads: Floats


def attempts(behavior: str, seed: int, seeds: range) -> Iterator[Seen]:
    for number in seeds:
        found = attempt(scene_of(seed), behavior, np.random.default_rng(number))
        if found is not None:
            yield found


def attempt(scene: Scene, behavior: str, rng: np.random.Generator) -> Seen | None:
    """Play an accident for the length of a clip; None where it does not come off."""
    cast = scene.cast(rng, opening_s=1.5)
    stage = scene.stage
    victim, other = stage.workers["w0"], stage.workers["w1"]
    begins_s = ACCIDENTS[behavior](cast, victim, [other])
    at_start: list[tuple[bool, float, float]] = []
    heads = []

    def control(t_s: float) -> None:
        cast.cues.run(t_s)
        if cast.happenings and not at_start:
            own = set(victim.bodies.values())
            others = {g for g in range(stage.model.ngeom) if int(stage.model.geom_bodyid[g]) in moving(scene)}
            seen = scene.projection.visible(stage, stage.landmarks(victim), ignore=own).mean()
            feet = min(mark(stage, victim, f"{side}_foot")[2] for side in "lr")
            at_start.append((stage.touching(victim, others), float(feet), float(seen)))

    for frame in range(1, round(CLIP_S * FPS) + 1):
        stage.advance(frame / FPS, control)
        heads.append(mark(stage, victim, "head"))
    if len(cast.happenings) != 1:
        return None
    assert abs(cast.happenings[0].start_s - begins_s) < 1.6
    return Seen(scene, cast, cast.happenings[0], victim, *at_start[0], np.array(heads))


def moving(scene: Scene) -> set[int]:
    """Bodies of what strikes people."""
    furniture = scene.furniture
    props = (furniture.forklift, furniture.trolley, furniture.gate, furniture.hook_load, *furniture.crates,
             furniture.pipe, furniture.drum, furniture.tool)  # fmt: skip
    return {scene.model.body(prop.body).id for prop in props}


def test_there_is_an_accident_for_every_behaviour() -> None:
    assert set(ACCIDENTS) == {"bump", "fall-down", "fall-off", "hit", "jam"}


@pytest.mark.parametrize("behavior", ["fall-down", "fall-off", "bump", "hit"])
def test_victim_stands_before_and_lies_or_reels_after(behavior: str) -> None:
    found = list(attempts(behavior, LOADING_DOCK, range(8)))
    assert len(found) >= 3
    for seen in found:
        assert seen.happening.behavior == behavior and seen.happening.victim == "w0"
        start = round(seen.happening.start_s * FPS)
        assert seen.heads[start - 2, 2] > 0.75 * seen.victim.height_m
    ends = [seen.heads[-1, 2] < LIE_HEAD_M for seen in found if seen.victim.muscles is not None]
    assert np.mean(ends) > 0.7


@pytest.mark.parametrize("seed", [LOADING_DOCK, STORE_WITH_DECK])
def test_who_falls_off_was_up_there(seed: int) -> None:
    found = list(attempts("fall-off", seed, range(6)))
    assert len(found) >= 3
    for seen in found:
        assert seen.feet_m > 0.6
        assert seen.heads[:, 2].max() - seen.heads[-1, 2] > 1.5
    assert any(seen.heads[-1, 2] < LIE_HEAD_M for seen in found)


@pytest.mark.parametrize("behavior", SOLID_KINDS)
def test_blow_begins_with_contact(behavior: str) -> None:
    found = list(attempts(behavior, LOADING_DOCK, range(10)))
    solid = [seen for seen in found if seen.happening.kind in SOLID_KINDS[behavior]]
    assert len(solid) >= 3
    assert all(seen.touched for seen in solid)


def test_vehicles_gates_and_people_bump_into_victims() -> None:
    found = list(attempts("bump", LOADING_DOCK, range(20)))
    kinds = {seen.happening.kind for seen in found}
    assert kinds == {"forklift", "trolley", "gate", "worker"}


def test_caught_victim_stays_on_its_feet_and_where_it_is_caught() -> None:
    found = list(attempts("jam", LOADING_DOCK, range(8)))
    assert len(found) >= 6
    assert {seen.happening.kind for seen in found} >= {"press", "rollers"}
    for seen in found:
        start = round(seen.happening.start_s * FPS)
        after = seen.heads[start:]
        assert np.linalg.norm(after[:, :2] - after[0, :2], axis=1).max() < 1.0
        assert seen.happening.end_s is None  # held as long as the clip lasts
    assert np.mean([seen.heads[-1, 2] > 0.9 for seen in found]) > 0.7


def test_victims_are_in_view() -> None:
    for behavior in ACCIDENTS:
        shares = [seen.seen for seen in attempts(behavior, LOADING_DOCK, range(4))]
        assert np.mean(shares) > 0.6, behavior


@pytest.mark.parametrize("behavior", ACCIDENTS)
def test_accident_of_a_clip_comes_off_in_time_and_in_view(behavior: str) -> None:
    take = act(scene_of(LOADING_DOCK), 0, behavior)
    assert take.behavior == behavior
    assert take.start_s is not None and take.end_s is not None
    assert 0.6 <= take.start_s < take.end_s <= CLIP_S
    assert take.start_s <= CLIP_S - 1.2
    pictures = [p for p in take.witness.pictures if take.start_s <= float(str(p["t_s"])) < take.start_s + 0.9]
    people = [picture["workers"] for picture in pictures]
    shown = [isinstance(workers, dict) and take.victim in workers for workers in people]
    assert np.mean(shown) > SEEN_SHARE


def test_same_seed_acts_the_same() -> None:
    one, other = (act(scene_of(LOADING_DOCK), 1, "fall-down") for _ in range(2))
    assert (one.kind, one.start_s, one.end_s, one.victim) == (
        other.kind,
        other.start_s,
        other.end_s,
        other.victim,
    )
    assert all((a.qpos == b.qpos).all() for a, b in zip(one.moments, other.moments, strict=True))


def test_in_a_stream_the_caught_come_free_and_the_fallen_get_up() -> None:
    for behavior, lasts_s in (("jam", 45.0), ("fall-down", 50.0)):
        cast = scene_of(LOADING_DOCK).cast(np.random.default_rng(3), opening_s=None)
        victim = cast.stage.workers["w0"]
        begins_s = ACCIDENTS[behavior](cast, victim, [])
        play(cast, begins_s + lasts_s, fps=4)
        assert [happening.behavior for happening in cast.happenings] == [behavior]
        assert cast.happenings[0].end_s is not None
        assert victim.scripted
        assert mark(cast.stage, victim, "head")[2] > 0.8 * victim.height_m
