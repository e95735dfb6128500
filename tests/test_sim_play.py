"""The play: cues in their order, people where they are wanted, accidents noted from start to rest."""

import numpy as np
import pytest

from jikimi.sim.blocking import decks, machine_runs
from jikimi.sim.play import Cast, Cues
from jikimi.sim.script import Spot
from sim_scenes import LIE_HEAD_M, LOADING_DOCK, STORE_WITH_DECK, mark, play, scene_of


@pytest.fixture
def cast() -> Cast:
    return scene_of(LOADING_DOCK).cast(np.random.default_rng(1), opening_s=1.5)


def test_cues_come_in_the_order_of_their_times() -> None:
    cues, said = Cues(), list[str]()
    cues.at(2.0, lambda: said.append("second"))
    cues.at(1.0, lambda: said.append("first"))
    cues.run(0.5)
    assert said == []
    cues.run(3.0)
    cues.run(4.0)
    assert said == ["first", "second"]


def test_cue_on_a_condition_comes_once_and_not_too_late() -> None:
    cues, said = Cues(), list[str]()
    cues.when(lambda t: t > 1, lambda: said.append("once"), until_s=2)
    cues.when(lambda t: t > 3, lambda: said.append("never"), until_s=2)
    for t in np.arange(0, 5, 0.5):
        cues.run(float(t))
    assert said == ["once"]


def test_what_is_kept_is_done_until_its_end_or_until_something_takes_its_place() -> None:
    cues, said = Cues(), list[str]()
    cues.keep("gate", lambda t: said.append("old"), until_s=9)
    cues.run(0)
    cues.keep("gate", lambda t: said.append("new"), until_s=1)
    for t in range(4):
        cues.run(t)
    assert said == ["old", "new", "new"]
    cues.keep("gate", lambda t: said.append("dropped"), until_s=9)
    cues.drop("gate")
    cues.run(5)
    assert "dropped" not in said


def test_cue_may_give_cues() -> None:
    cues, said = Cues(), list[str]()
    cues.at(1, lambda: cues.at(2, lambda: said.append("later")))
    cues.run(1)
    cues.run(2)
    assert said == ["later"]


def test_in_a_clip_whoever_is_brought_is_there_at_the_opening(cast: Cast) -> None:
    worker = cast.stage.workers["w0"]
    for path in ([Spot(-3, 0), Spot(0, 0)], [Spot(0.2, 0), Spot(0, 0)]):
        script = cast.bring(worker, path)
        assert script.end_s == pytest.approx(1.5, abs=0.05)
        assert (script.spot.x, script.spot.y) == (0, 0)


def test_in_a_stream_people_walk_from_where_they_are() -> None:
    cast = scene_of(LOADING_DOCK).cast(np.random.default_rng(1), opening_s=None)
    worker = cast.stage.workers["w0"]
    worker.script = cast.new_script(worker, Spot(-2, 0))
    script = cast.bring(worker, [Spot(0.5, 0)], speed_mps=1.0)
    assert script.at(0).spot == Spot(-2, 0)
    assert script.end_s > 2.5


def test_site_is_in_view_and_clear_of_others(cast: Cast) -> None:
    other = cast.stage.workers["w1"]
    other.script = cast.new_script(other, Spot(*cast.room.floor.centre)).hold(10)
    for _ in range(5):
        site = cast.site(before_m=0.5, after_m=0.5)
        assert cast.sees(site) and cast.inside(site)
        assert site.distance_m(other.script.spot) > 1.3


def test_prop_is_driven_along_its_path(cast: Cast) -> None:
    body = cast.furniture.forklift.body
    there_s = cast.move(body, [Spot(-2, 0), Spot(2, 0)], start_s=0.0, speed_mps=2.0)
    assert there_s == pytest.approx(2.0)
    play(cast, 1.0)
    assert cast.stage.position(body)[:2] == pytest.approx((0, 0), abs=0.01)
    play(cast, 3.0)
    assert cast.stage.position(body)[:2] == pytest.approx((2, 0), abs=0.01)
    cast.away(body)
    play(cast, 3.2)
    assert cast.stage.position(body)[2] < -10


def test_crate_is_carried_between_the_hands(cast: Cast) -> None:
    worker, crate = cast.stage.workers["w0"], cast.furniture.crates[0]
    cast.bring(worker, [Spot(-3, 0), Spot(0, 0)])
    cast.hold_between_hands(worker, crate.body, until_s=1.0)
    play(cast, 0.8)
    middle = (mark(cast.stage, worker, "l_hand") + mark(cast.stage, worker, "r_hand")) / 2
    assert np.linalg.norm(cast.stage.position(crate.body) - middle) < 0.3  # it follows a picture behind


def test_accident_is_noted_from_its_start_until_the_victim_rests(cast: Cast) -> None:
    worker = cast.stage.workers["w0"]
    cast.bring(worker, [Spot(-3, 0), Spot(0, 0)])
    play(cast, 1.0)
    happening = cast.happens("fall-down", "faint", worker)
    cast.stage.let_go(worker, lambda s: max(0.05, 0.5 - s))
    assert happening.start_s == 1.0 and happening.end_s is None
    play(cast, 6.0)
    assert happening.end_s is not None and 1.8 < happening.end_s < 5
    assert cast.stage.speed_mps(worker) < 0.2


@pytest.mark.parametrize("seed", [1, 2])
def test_victim_gets_up_again(cast: Cast, seed: int) -> None:
    worker = cast.stage.workers["w0"]
    cast.bring(worker, [Spot(-3, 0), Spot(0, 0)])
    play(cast, 1.0)
    cast.stage.let_go(worker, lambda s: max(0.05, 0.5 - s))
    cast.stage.push(worker, "chest", (300, 0, 0) if seed == 1 else (-300, 0, 0), seconds=0.15)
    play(cast, 3.5)
    assert mark(cast.stage, worker, "head")[2] < LIE_HEAD_M
    end_s = cast.gets_up(worker).end_s
    play(cast, end_s + 0.1)
    assert mark(cast.stage, worker, "head")[2] > 0.8 * worker.height_m


@pytest.mark.parametrize("seed", [LOADING_DOCK, STORE_WITH_DECK])
def test_deck_edge_is_on_its_open_side_and_heads_out(seed: int) -> None:
    cast = scene_of(seed).cast(np.random.default_rng(0), opening_s=1.5)
    for deck in decks(cast):
        edge = deck.edge(cast.rng)
        inside, outside = edge.ahead(-0.3), edge.ahead(0.3)
        assert deck.x0 < inside.x < deck.x1 and deck.y0 < inside.y < deck.y1
        assert not (deck.x0 < outside.x < deck.x1 and deck.y0 < outside.y < deck.y1)
        assert edge.z == deck.height_m and deck.depth_m > 0.5


def test_rollers_draw_in_what_is_before_them(cast: Cast) -> None:
    machine = cast.furniture.rollers
    assert machine is not None
    machine_runs(cast, machine, until_s=2.0)
    front = np.array([*machine.stand_xy, 0.0]) - np.array([*machine.nip_xyz[:2], 0.0])
    front /= np.linalg.norm(front)
    for body, down in ((machine.top_body, True), (machine.bottom_body, False)):
        play(cast, cast.stage.t_s + 0.1)
        before = cast.stage.data.body(body).xmat.reshape(3, 3).copy()
        cast.stage.advance(cast.stage.t_s + 0.02, cast.cues.run)
        moved = cast.stage.data.body(body).xmat.reshape(3, 3) @ before.T @ front
        assert bool(moved[2] < 0) is down
