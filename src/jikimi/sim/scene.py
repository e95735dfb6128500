"""A scene: one room with its machines, its people and one camera. Everything follows from its seed."""

from dataclasses import dataclass

import mujoco
import numpy as np

from jikimi.sim.blocking import feeding_machine
from jikimi.sim.body import add_worker, draw_clothes
from jikimi.sim.furniture import Furniture, furnish
from jikimi.sim.look import CameraLook, draw_look
from jikimi.sim.places import Room, RoomKind
from jikimi.sim.play import Cast
from jikimi.sim.render import Eye, Projection
from jikimi.sim.rooms import add_room
from jikimi.sim.script import Spot
from jikimi.sim.stage import Stage

WORKERS = 3

# Places tried for the camera, and the shares of floor and machines that it should see from there.
CAMERAS, ENOUGH_FLOOR, ENOUGH_STATIONS = 16, 0.75, 0.6

# A machine, ladder or deck counts as shown when the camera sees more than this share of a person there.
SHOWN_SHARE = 0.6
CAMERA = "cctv"
KINDS: tuple[RoomKind, ...] = ("hall", "aisle", "cell", "dock")


@dataclass(frozen=True, slots=True)
class View:
    """The camera of a scene: its name in the model, and whether it hangs low, oblique or overhead."""

    camera: str
    kind: str


@dataclass(frozen=True, slots=True)
class Scene:
    """A built scene. `name` is the group that stays on one side of a split."""

    name: str
    seed: int
    room: Room
    furniture: Furniture
    look: CameraLook
    view: View
    model: mujoco.MjModel
    stage: Stage
    projection: Projection
    shown: frozenset[str]
    exit: Spot | None

    def cast(self, rng: np.random.Generator, *, opening_s: float | None) -> Cast:
        """People in new clothes on an empty stage; `rng` decides what they do."""
        self.stage.reset()
        for name in self.stage.workers:
            self.stage.dress(name, draw_clothes(rng))
        return Cast(self.stage, self.room, self.furniture, rng, self._sees, self.shown, opening_s=opening_s)

    def eye(self) -> Eye:
        """Its camera. Halls under many lamps have hardly a shadow; sun and single lamps throw them."""
        shadows = self.room.light in ("day", "one-lamp")
        return Eye(self.model, self.view.camera, self.look.render_size_px, shadows=shadows)

    def _sees(self, spot: Spot) -> bool:
        """Whether a person standing there is in the picture from head to foot."""
        points = np.array([[spot.x, spot.y, spot.z + z] for z in (0.05, 1.75)])
        return bool(self.projection.inside(points, margin=0.03).all())


def build_scene(seed: int) -> Scene:
    """Build the scene of a seed."""
    rng = np.random.default_rng([seed, 0])
    spec = mujoco.MjSpec()
    spec.memory = 64 << 20
    kind = KINDS[int(rng.integers(len(KINDS)))]
    room = add_room(spec, rng, kind)
    furniture = furnish(spec, rng, room)
    heights = []
    for number in range(WORKERS):
        heights.append((f"w{number}", float(rng.uniform(1.5, 1.95))))
        add_worker(spec, *heights[-1][:1], height_m=heights[-1][1], build=float(rng.uniform(0.88, 1.22)))
    look = draw_look(rng)
    wide = look.width_px / look.height_px > 1.5
    views = [_hang_camera(spec, rng, room, number, wide=wide) for number in range(CAMERAS)]
    width, height = look.render_size_px
    spec.visual.global_.offwidth, spec.visual.global_.offheight = width, height
    model = spec.compile()
    stage = Stage(model, heights)
    number, projection = _choose_camera(stage, look, room, furniture)
    view = View(f"{CAMERA}-{number}", views[number])
    places = _stations(furniture).items()
    shown = frozenset(
        name
        for name, points in places
        if projection.visible(stage, points, ignore=set()).mean() > SHOWN_SHARE
    )
    return Scene(
        f"sim-{seed:06d}", seed, room, furniture, look, view, model, stage, projection, shown,
        _exit(projection, room),
    )  # fmt: skip


def _exit(projection: Projection, room: Room) -> Spot | None:
    """A place out of the picture where people come from and go to: under the camera, or a corner."""
    x, y, _ = projection.position
    area = room.floor
    corners = [(x, y), *((cx, cy) for cx in (area.x0, area.x1) for cy in (area.y0, area.y1))]
    for cx, cy in corners:
        points = np.array([(cx, cy, z) for z in (0.05, 1.0, 1.9)])
        if not projection.inside(points, margin=-0.12).any():
            return Spot(float(cx), float(cy))
    return None


def _choose_camera(
    stage: Stage, look: CameraLook, room: Room, furniture: Furniture
) -> tuple[int, Projection]:
    """The first camera that sees most of the floor and of the machines, or the one that sees most."""
    seen: list[tuple[float, int, Projection]] = []
    places = list(_stations(furniture).values())
    for number in range(CAMERAS):
        projection = Projection.of(stage.model, f"{CAMERA}-{number}", look.render_size_px)
        share = float(projection.visible(stage, _floor_points(room), ignore=set()).mean())
        stations = float(
            np.mean([projection.visible(stage, points, ignore=set()).mean() for points in places])
        )
        seen.append(
            (min(share / ENOUGH_FLOOR, 1.0) + min(stations / ENOUGH_STATIONS, 1.0), -number, projection)
        )
        if seen[-1][0] >= 2:
            break
    _, number, projection = max(seen, key=lambda found: found[:2])
    return -number, projection


def _floor_points(room: Room) -> np.ndarray:
    """Points at the knee and the head of people all over the open floor, (N, 3)."""
    area = room.floor.grown(-0.6)
    xs, ys = np.linspace(area.x0, area.x1, 4), np.linspace(area.y0, area.y1, 4)
    return np.array([(x, y, z) for x in xs for y in ys for z in (0.3, 1.6)])


def _stations(furniture: Furniture) -> dict[str, np.ndarray]:
    """Points on people at each machine, on the ladder and at the edges of the decks, (N, 3) each."""
    machine, ladder, truck = feeding_machine(furniture), furniture.ladder, furniture.truck
    deck = furniture.platform
    found = {
        "press": [(*furniture.press.stand_xy, z) for z in (0.7, 1.2, 1.5)],
        "machine": [(*machine.stand_xy, z) for z in (0.7, 1.2, 1.5)],
        "ladder": [(*ladder.stand_xy, z) for z in (0.3, 1.2, 0.6 * ladder.top_xyz[2] + 0.8)],
        "platform": [(*deck.edge_xy, z) for z in (0.3, deck.height_m + 0.6, deck.height_m + 1.5)],
    }
    if truck is not None:
        found["truck"] = [(*truck.edge_xy, truck.bed_height_m + z) for z in (-0.5, 0.6, 1.4)]
    return {name: np.array(points) for name, points in found.items()}


def _hang_camera(
    spec: mujoco.MjSpec, rng: np.random.Generator, room: Room, number: int, *, wide: bool
) -> str:
    """Hang the camera in a corner, under the ceiling or at a wall; returns what kind of view that is."""
    top = min(6.0, room.size_m[2] - 0.3)
    centre = np.array([*room.floor.centre, 0.0])
    aim = centre + (*rng.uniform(-0.8, 0.8, 2), rng.uniform(0.4, 0.9))
    if rng.random() < 0.12 and top > 3.6:
        view = "overhead"
        position = centre + (*rng.uniform(-1.6, 1.6, 2), top)
        fovy = rng.uniform(60, 80)
    else:
        x, y = room.camera_spots[int(rng.integers(len(room.camera_spots)))]
        position = np.array([x, y, rng.uniform(2.4, top)])
        view = "low" if position[2] < 3.2 else "oblique"
        distance = np.linalg.norm(position - aim)
        # As wide as it takes to see the floor around the middle, and wider.
        fovy = np.degrees(2 * np.arctan(rng.uniform(1.7, 3.7) / distance))
    fovy = float(np.clip(fovy * (0.85 if wide else 1.0), 34, 82))
    spec.worldbody.add_camera(
        name=f"{CAMERA}-{number}", pos=position, quat=_looking(position, aim, rng), fovy=fovy
    )
    return view


def _looking(position: np.ndarray, aim: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Quaternion of a camera that looks from here to there, hung a little askew."""
    back = (position - aim) / np.linalg.norm(position - aim)
    up = np.array([0, 0, 1.0]) + rng.normal(0, 0.03, 3)
    right = np.cross(up, back)
    if np.linalg.norm(right) < 0.05:
        right = np.array([1.0, 0, 0])
    right /= np.linalg.norm(right)
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, np.stack([right, np.cross(back, right), back], axis=1).flatten())
    return quat
