"""Normal work and its look-alikes: they come to an end, nobody has an accident, nobody is left lying."""

import numpy as np
import pytest

from jikimi.sim.normal import NORMAL, Normal
from sim_scenes import LOADING_DOCK, STORE_WITH_DECK, mark, play, scene_of


def fitting(normal: Normal) -> int:
    """The scene whose camera shows what an activity needs."""
    shown = scene_of(LOADING_DOCK).shown
    return LOADING_DOCK if not normal.places or shown & set(normal.places) else STORE_WITH_DECK


@pytest.mark.parametrize("normal", NORMAL, ids=lambda normal: normal.name)
def test_activity_ends_upright_and_without_an_accident(normal: Normal) -> None:
    cast = scene_of(fitting(normal)).cast(np.random.default_rng(5), opening_s=1.5)
    lead, others = cast.stage.workers["w0"], [cast.stage.workers["w1"]]
    assert normal.fits(cast, others)
    ends_s = normal.play(cast, lead, others)
    assert 1.0 < ends_s < 60
    play(cast, ends_s + 0.2, fps=5)
    assert not cast.happenings
    assert lead.scripted and lead.script is not None
    ground_m = lead.script.at(cast.stage.t_s).spot.z
    assert mark(cast.stage, lead, "head")[2] - ground_m > 0.75 * lead.height_m


@pytest.mark.parametrize("normal", NORMAL, ids=lambda normal: normal.name)
def test_activity_goes_on_from_where_people_are_in_a_stream(normal: Normal) -> None:
    scene = scene_of(fitting(normal))
    cast = scene.cast(np.random.default_rng(6), opening_s=None)
    lead, others = cast.stage.workers["w0"], [cast.stage.workers["w1"]]
    start = cast.site(before_m=0, after_m=0)
    lead.script = cast.new_script(lead, start)
    others[0].script = cast.new_script(others[0], start.ahead(2))
    ends_s = normal.play(cast, lead, others)
    assert lead.script is not None and 1.0 < ends_s < 120
    assert lead.script.at(0).spot.distance_m(start) < 0.01
    assert normal.name == "passes closely" or lead.script.end_s <= ends_s + 0.01


def test_what_takes_two_or_a_machine_waits_for_them() -> None:
    cast = scene_of(LOADING_DOCK).cast(np.random.default_rng(0), opening_s=1.5)
    alone = {normal.name for normal in NORMAL if normal.fits(cast, [])}
    assert "hugs" not in alone and "passes closely" not in alone
    assert {"walks", "feeds a press", "climbs a ladder"} <= alone
    cast.shown = frozenset()
    assert not any(normal.places and normal.fits(cast, []) for normal in NORMAL)


def test_there_are_plain_and_misleading_ones_for_any_camera() -> None:
    for hard in (False, True):
        assert sum(n.hard == hard and not n.props and not n.company and not n.places for n in NORMAL) >= 4
    assert len({normal.name for normal in NORMAL}) == len(NORMAL)
