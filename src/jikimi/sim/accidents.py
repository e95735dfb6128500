"""The accidents, by behaviour. Each function says how one begins; what follows is physics.

It prepares the accident and returns the moment by which it will have begun, on the stage's clock. The moment
itself is noted when it comes (`Cast.happens`): contact, or loss of balance.
"""

from jikimi.sim.bumps import bump
from jikimi.sim.falls import fall_down, fall_off
from jikimi.sim.hits import hit
from jikimi.sim.jams import jam
from jikimi.sim.play import Accident

ACCIDENTS: dict[str, Accident] = {
    "bump": bump, "fall-down": fall_down, "fall-off": fall_off, "hit": hit, "jam": jam,
}  # fmt: skip
