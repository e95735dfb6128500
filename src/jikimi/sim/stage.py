"""The stage: a compiled scene with workers that follow scripts until physics takes over.

A worker on its feet is moved by its script; what it weighs and how fast it moves still counts for whatever
it touches. Let go, it is a jointed body under gravity whose muscles pull towards a pose with some tone,
from 1 (tense) to 0 (limp); contact does the rest. Getting up blends from where physics left it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
import numpy.typing as npt

from jikimi.sim.body import JOINTS, LANDMARKS, STIFFNESS, Clothes, colours
from jikimi.sim.script import Posed, Script

Floats = npt.NDArray[np.float64]
Numbers = Sequence[float] | Floats

# Seconds a physics step, and steps between two looks at the scripts: above 5 ms a struck arm rings.
STEP_S, STEPS_A_TICK = 0.004, 4
TICK_S = STEP_S * STEPS_A_TICK

# Nobody moves faster, in m/s and rad/s: a script that jumps must not throw what it touches.
FASTEST = 15.0

PARKED_Z_M = -30.0  # where what is not on stage waits

# Where the landmarks of `body` lie: body of the worker, and place in its frame in body heights.
_MARKS: dict[str, tuple[str, tuple[float, float, float]]] = {
    "head": ("head", (0, 0, 0.11)), "neck": ("head", (0, 0, 0)), "pelvis": ("pelvis", (0, 0, 0)),
    "l_elbow": ("l_forearm", (0, 0, 0)), "l_hand": ("l_forearm", (0, 0, -0.16)),
    "r_elbow": ("r_forearm", (0, 0, 0)), "r_hand": ("r_forearm", (0, 0, -0.16)),
    "l_hip": ("l_thigh", (0, 0, 0)), "l_knee": ("l_shank", (0, 0, 0)), "l_foot": ("l_foot", (0, 0, 0)),
    "r_hip": ("r_thigh", (0, 0, 0)), "r_knee": ("r_shank", (0, 0, 0)), "r_foot": ("r_foot", (0, 0, 0)),
}  # fmt: skip


Over = Callable[[float], float]
"""A number over the seconds since a worker was let go."""


@dataclass(frozen=True, slots=True)
class Grip:
    """A machine that holds a hand, an arm or a leg: the body part and where it holds it over time, (3,) m."""

    part: str
    place_m: tuple[float, float, float]
    point: Callable[[float], Floats]


@dataclass(slots=True)
class Muscles:
    """What a let-go worker's muscles do: the pose they pull to (J,), and their tone over time.

    `balance` is how well the worker keeps standing, 1 to 0, around where the pelvis was, (7,).
    """

    target_J: Floats
    tone: Over
    since_s: float
    balance: Over | None = None
    stood: Floats | None = None
    grips: tuple[Grip, ...] = ()


@dataclass(slots=True)
class Rising:
    """A worker on the way from where physics left it, (7,) and (J,), to what its script says."""

    root: Floats
    angles_J: Floats
    since_s: float
    seconds: float


class Worker:
    """One worker on stage."""

    def __init__(self, model: mujoco.MjModel, name: str, *, height_m: float) -> None:
        self.name, self.height_m = name, height_m
        self.script: Script | None = None
        self.muscles: Muscles | None = None
        self.rising: Rising | None = None
        root = model.joint(f"{name}/root")
        joints = [model.joint(f"{name}/{joint}") for joint in JOINTS]
        self.root_q, self.root_v = slice(root.qposadr[0], root.qposadr[0] + 7), int(root.dofadr[0])
        self.angles_q = np.array([joint.qposadr[0] for joint in joints])
        self.angles_v = np.array([joint.dofadr[0] for joint in joints])
        bodies = range(model.nbody)
        self.bodies = {
            model.body(i).name.split("/")[1]: i for i in bodies if _owner(model.body(i).name, name)
        }
        self.geoms = np.flatnonzero([_owner(model.geom(i).name, name) for i in range(model.ngeom)])
        self.solid = self.geoms[model.geom_contype[self.geoms] > 0]

    @property
    def scripted(self) -> bool:
        """Whether the script moves this worker, not physics."""
        return self.muscles is None

    def body(self, part: str) -> int:
        """Index of a body part, for pushes and welds."""
        return self.bodies[part]


def _owner(full_name: str, name: str) -> bool:
    return full_name.startswith(f"{name}/")


class Stage:
    """A scene at work. Everything happens in `advance`; `t_s` is the time on stage."""

    def __init__(self, model: mujoco.MjModel, workers: Sequence[tuple[str, float]]) -> None:
        model.opt.timestep = STEP_S
        self.model, self.data = model, mujoco.MjData(model)
        self.workers = {name: Worker(model, name, height_m=height) for name, height in workers}
        self.t_s = 0.0
        self.physics = False
        self._pushes: list[tuple[int, Floats, float]] = []
        self._owed_s = 0.0  # stage time that physics has not stepped through yet, less than a step
        self._before: Floats = self.data.qpos.copy()
        mujoco.mj_forward(model, self.data)

    def reset(self) -> None:
        """Put everything back to where it was built, and the time to 0."""
        mujoco.mj_resetData(self.model, self.data)
        self.t_s, self.physics, self._pushes, self._owed_s = 0.0, False, [], 0.0
        for worker in self.workers.values():
            worker.script = worker.muscles = worker.rising = None
        self.data.eq_active[:] = self.model.eq_active0
        self._pose_all()
        self._before = self.data.qpos.copy()

    def dress(self, name: str, clothes: Clothes) -> None:
        """Give a worker its colours."""
        for part, rgba in colours(clothes).items():
            self.model.geom_rgba[self.model.geom(f"{name}/{part}").id] = rgba

    # --- what a play does to the stage

    def let_go(self, worker: Worker, tone: Over, *, target: Floats | None = None, balance: Over | None = None,
               grips: Sequence[Grip] = ()) -> Muscles:  # fmt: skip
        """Hand a worker over to physics, as fast as it moves. Muscles pull to `target`, or where they are."""
        if not self.physics:
            self._start_moving(worker)
        if target is None:
            target = self.data.qpos[worker.angles_q].copy()
        stood = self.data.qpos[worker.root_q].copy()
        worker.muscles = Muscles(target, tone, self.t_s, balance, stood, tuple(grips))
        worker.rising = None
        self.physics = True
        return worker.muscles

    def _start_moving(self, worker: Worker) -> None:
        """Give a worker the speed that its script moves it with: physics, which carries it, was off."""
        if worker.script is None:
            return
        before, now = (worker.script.at(t_s) for t_s in (self.t_s - TICK_S, self.t_s))
        moved = np.array([now.spot.x, now.spot.y, now.spot.z]) - [before.spot.x, before.spot.y, before.spot.z]
        root = worker.root_v
        self.data.qvel[root : root + 3] = moved / TICK_S
        self.data.qvel[root + 3 : root + 6] = (0, 0, (now.spot.yaw - before.spot.yaw) / TICK_S)
        bent = (now.pose.angles_J - before.pose.angles_J) / TICK_S
        self.data.qvel[worker.angles_v] = np.clip(bent, -FASTEST, FASTEST)

    def rise(self, worker: Worker, script: Script, *, seconds: float = 1.2) -> None:
        """Hand a worker back to a script; it gets from where it lies to there in `seconds`."""
        root, angles = self.data.qpos[worker.root_q].copy(), self.data.qpos[worker.angles_q].copy()
        worker.rising = Rising(root, angles, self.t_s, seconds)
        worker.muscles, worker.script = None, script

    def push(self, worker: Worker, part: str, force_N: Numbers, *, seconds: float) -> None:
        """Push a part of a body in world directions for a while."""
        self._pushes.append((worker.body(part), np.asarray(force_N, float), self.t_s + seconds))

    def put(self, body: str, pos: Numbers, *, yaw: float = 0.0, quat: Numbers | None = None,
            velocity: Numbers = (0, 0, 0), spin: Numbers = (0, 0, 0)) -> None:  # fmt: skip
        """Put a free or a mocap body somewhere (m, rad), a free one with a speed (m/s, rad/s)."""
        turned = quat if quat is not None else (np.cos(yaw / 2), 0, 0, np.sin(yaw / 2))
        found = self.model.body(body)
        mocap = int(self.model.body_mocapid[found.id])
        if mocap >= 0:
            self.data.mocap_pos[mocap], self.data.mocap_quat[mocap] = pos, turned
            return
        self.model.body_gravcomp[found.id] = 0
        joint = self.model.joint(found.jntadr[0])
        q, v = int(joint.qposadr[0]), int(joint.dofadr[0])
        self.data.qpos[q : q + 7] = [*pos, *turned]
        self.data.qvel[v : v + 6] = [*velocity, *spin]

    def park(self, body: str) -> None:
        """Take a body off the stage, to where it was built; a free one weighs nothing there."""
        found = self.model.body(body)
        self.put(body, self.model.body_pos[found.id])
        self.model.body_gravcomp[found.id] = 1

    def position(self, body: str | int) -> Floats:
        """Where a body is, (3,) in m."""
        found: Floats = self.data.xpos[body if isinstance(body, int) else self.model.body(body).id]
        return found

    def touching(self, worker: Worker, others: set[int]) -> bool:
        """Whether a worker touches one of these geoms."""
        own = set(worker.solid.tolist())
        pairs = self.data.contact.geom[: self.data.ncon]
        return any((a in own and b in others) or (b in own and a in others) for a, b in pairs.tolist())

    def geoms_of(self, *bodies: str) -> set[int]:
        """The solid geoms of bodies and of what hangs on them."""
        ids = {self.model.body(body).id for body in bodies}
        for i in range(self.model.nbody):
            if int(self.model.body_parentid[i]) in ids:
                ids.add(i)
        return {g for g in range(self.model.ngeom) if int(self.model.geom_bodyid[g]) in ids}

    def speed_mps(self, worker: Worker) -> float:
        """How fast the middle of a worker moves."""
        velocity = np.zeros(6)
        mujoco.mj_objectVelocity(
            self.model, self.data, mujoco.mjtObj.mjOBJ_BODY, worker.body("chest"), velocity, 0
        )
        return float(np.linalg.norm(velocity[3:]) + 0.15 * np.linalg.norm(velocity[:3]))

    # --- time

    def rest(self) -> None:
        """Stop physics: nothing moves and nothing touches any more, until something is let go or woken."""
        self.physics = False
        # What is left of them would be taken for the speed and the contacts of the next accident's beginning.
        self.data.qvel[:] = 0
        self.data.ncon = 0

    def advance(self, to_s: float, control: Callable[[float], None]) -> None:
        """Go on to a moment; `control` is asked every tick (16 ms of physics) what happens next."""
        if self.t_s == 0.0:  # what is there when the curtain rises
            control(0.0)
            self._pose_all()
            self._before = self.data.qpos.copy()
        while self.t_s < to_s - 1e-9:
            tick_s = min(TICK_S, to_s - self.t_s) if self.physics else to_s - self.t_s
            self._owed_s = self._owed_s + tick_s if self.physics else 0.0
            self.t_s = min(to_s, self.t_s + tick_s)
            control(self.t_s)
            self._pose_all()
            if self.physics:
                self._simulate(tick_s)
            self._before = self.data.qpos.copy()

    def _pose_all(self) -> None:
        """Put every scripted worker where its script says, its lowest point on what it stands on."""
        scripted = [worker for worker in self.workers.values() if worker.scripted]
        posed: list[tuple[Worker, Posed]] = []
        for worker in scripted:
            if worker.script is None:
                self.data.qpos[worker.root_q] = [*_waiting(worker), 1, 0, 0, 0]
                continue
            at = worker.script.at(self.t_s)
            posed.append((worker, at))
            self.data.qpos[worker.root_q] = [at.spot.x, at.spot.y, at.spot.z + 1.0, *_turned(at)]
            self.data.qpos[worker.angles_q] = at.pose.angles_J
        mujoco.mj_kinematics(self.model, self.data)
        for worker, at in posed:
            root = self.data.qpos[worker.root_q]
            root[2] += at.spot.z - self._lowest(worker)
            if worker.rising is not None:
                self._blend(worker, worker.rising)
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)

    def _blend(self, worker: Worker, rising: Rising) -> None:
        share = min(1.0, (self.t_s - rising.since_s) / rising.seconds)
        smooth = share * share * (3 - 2 * share)
        root = self.data.qpos[worker.root_q]
        angles = self.data.qpos[worker.angles_q]
        self.data.qpos[worker.angles_q] = rising.angles_J + smooth * (angles - rising.angles_J)
        root[:3] = rising.root[:3] + smooth * (root[:3] - rising.root[:3])
        root[3:] = _slerp(rising.root[3:], root[3:], smooth)
        if share >= 1:
            worker.rising = None

    def _lowest(self, worker: Worker) -> float:
        """Height of the lowest point of a worker, m."""
        geoms = worker.solid
        sizes, kinds = self.model.geom_size[geoms], self.model.geom_type[geoms]
        down = np.abs(self.data.geom_xmat[geoms].reshape(-1, 3, 3)[:, 2])
        capsule = sizes[:, 0] + down[:, 2] * sizes[:, 1]
        box = (down * sizes).sum(axis=1)
        ellipsoid = np.sqrt(((down * sizes) ** 2).sum(axis=1))
        reach = np.where(kinds == mujoco.mjtGeom.mjGEOM_CAPSULE, capsule, ellipsoid)
        reach = np.where(kinds == mujoco.mjtGeom.mjGEOM_BOX, box, reach)
        return float((self.data.geom_xpos[geoms, 2] - reach).min())

    def _simulate(self, tick_s: float) -> None:
        """Step through what is owed: pictures need not be whole steps apart."""
        self._carry_speed(tick_s)
        steps = int(self._owed_s / STEP_S + 1e-6)
        self._owed_s -= steps * STEP_S
        held = self.data.qpos.copy(), self.data.qvel.copy()
        for _ in range(steps):
            self._pull()
            mujoco.mj_step(self.model, self.data)
        for worker in self.workers.values():
            if worker.scripted:  # nothing moves who stands on their own feet
                dofs = self._dofs(worker)
                self.data.qpos[worker.root_q] = held[0][worker.root_q]
                self.data.qpos[worker.angles_q] = held[0][worker.angles_q]
                self.data.qvel[dofs] = held[1][dofs]
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)

    def _carry_speed(self, tick_s: float) -> None:
        """Give scripted workers the speed they move with, so that it is there when they are let go."""
        speed = np.zeros(self.model.nv)
        mujoco.mj_differentiatePos(self.model, speed, tick_s, self._before, self.data.qpos)
        for worker in self.workers.values():
            if worker.scripted:
                dofs = self._dofs(worker)
                self.data.qvel[dofs] = np.clip(speed[dofs], -FASTEST, FASTEST)

    def _dofs(self, worker: Worker) -> npt.NDArray[np.int64]:
        return np.concatenate([np.arange(worker.root_v, worker.root_v + 6), worker.angles_v])

    def _pull(self) -> None:
        """Forces of this step: pushes, muscles, balance, and what holds somebody."""
        self.data.xfrc_applied[:] = 0
        self._pushes = [push for push in self._pushes if push[2] > self.t_s]
        for body, force, _ in self._pushes:
            self.data.xfrc_applied[body, :3] += force
        for worker in self.workers.values():
            self.data.qfrc_applied[worker.angles_v] = 0
            if worker.muscles is not None:
                self._tense(worker, worker.muscles)

    def _tense(self, worker: Worker, muscles: Muscles) -> None:
        since_s = self.t_s - muscles.since_s
        error = muscles.target_J - self.data.qpos[worker.angles_q]
        torque = np.clip(muscles.tone(since_s) * STIFFNESS * error, -STIFFNESS, STIFFNESS)
        self.data.qfrc_applied[worker.angles_v] = torque
        if muscles.balance is not None and muscles.stood is not None:
            self._balance(worker, muscles.stood, muscles.balance(since_s))
        for grip in muscles.grips:
            self._hold(worker, grip, grip.point(since_s))

    def _balance(self, worker: Worker, stood: Floats, share: float) -> None:
        """Hold the pelvis up, where and how it stood: what legs and sense of balance would do."""
        velocity = self.data.qvel[worker.root_v : worker.root_v + 6]
        root = self.data.qpos[worker.root_q]
        lean = np.zeros(3)
        mujoco.mju_subQuat(lean, stood[3:], root[3:])
        turned = np.zeros(3)
        mujoco.mju_rotVecQuat(turned, lean * 500 - velocity[3:] * 60, root[3:])
        force = (stood[:3] - root[:3]) * (700, 700, 4000) - velocity[:3] * (180, 180, 400) + (0, 0, 500)
        pelvis = worker.body("pelvis")
        self.data.xfrc_applied[pelvis, :3] += share * force
        self.data.xfrc_applied[pelvis, 3:] += share * turned

    def _hold(self, worker: Worker, grip: Grip, point: Floats) -> None:
        """Pull a place on a body part to a point, as a stiff damped spring."""
        body = worker.body(grip.part)
        arm = self.data.xmat[body].reshape(3, 3) @ np.asarray(grip.place_m)
        velocity = np.zeros(6)
        mujoco.mj_objectVelocity(self.model, self.data, mujoco.mjtObj.mjOBJ_BODY, body, velocity, 0)
        moves = velocity[3:] + np.cross(velocity[:3], arm)
        force = np.clip((point - self.data.xpos[body] - arm) * 4000 - moves * 60, -1500, 1500)
        self.data.xfrc_applied[body, :3] += force
        self.data.xfrc_applied[body, 3:] += np.cross(
            arm + self.data.xpos[body] - self.data.xipos[body], force
        )

    # --- truth

    def landmarks(self, worker: Worker) -> Floats:
        """The points of `LANDMARKS` in the world, (L, 3) in m."""
        points = []
        for mark in LANDMARKS:
            part, place = _MARKS[mark]
            body = worker.body(part)
            turned = self.data.xmat[body].reshape(3, 3) @ (np.asarray(place) * worker.height_m)
            points.append(self.data.xpos[body] + turned)
        return np.array(points)

    def on_stage(self, worker: Worker) -> bool:
        """Whether a worker is to be seen at all."""
        return bool(self.data.qpos[worker.root_q][2] > PARKED_Z_M / 2)


def _waiting(worker: Worker) -> tuple[float, float, float]:
    """Where a worker waits who is not on stage: each at a place of its own."""
    return 3.0 * worker.root_v / 29, 0.0, PARKED_Z_M


def _turned(at: Posed) -> Floats:
    """Quaternion of a pelvis: heading, then pitch forward, then roll."""
    yaw, pitch, roll = at.spot.yaw / 2, at.pose.pitch / 2, at.pose.roll / 2
    about_z = np.array([np.cos(yaw), 0, 0, np.sin(yaw)])
    about_y = np.array([np.cos(pitch), 0, np.sin(pitch), 0])
    about_x = np.array([np.cos(roll), np.sin(roll), 0, 0])
    half, whole = np.zeros(4), np.zeros(4)
    mujoco.mju_mulQuat(half, about_z, about_y)
    mujoco.mju_mulQuat(whole, half, about_x)
    return whole


def _slerp(a: Floats, b: Floats, share: float) -> Floats:
    dot = float(a @ b)
    if dot < 0:
        b, dot = -b, -dot
    if dot > 0.9995:
        mixed = a + share * (b - a)
    else:
        angle = np.arccos(dot)
        mixed = (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)
    return np.asarray(mixed / np.linalg.norm(mixed))
