"""Stage → pictures: MuJoCo's renderer on EGL or OSMesa, and where things are in the picture."""

import ctypes.util
import os
import sys
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
import numpy.typing as npt

from jikimi.errors import SimError
from jikimi.frame import Image
from jikimi.sim.stage import Stage

Doubles = npt.NDArray[np.float64]

# Where neither library is found, these Debian packages bring them.
PACKAGES = "libegl1 libgl1-mesa-dri libosmesa6"


def choose_opengl() -> str:
    """Choose how MuJoCo draws without a screen: EGL where there is one, else OSMesa.

    Raises:
        SimError: this machine has neither.
    """
    chosen = os.environ.get("MUJOCO_GL", "")
    if chosen or sys.platform != "linux":
        return chosen
    # One thread a process: the work is spread over processes.
    os.environ.setdefault("LP_NUM_THREADS", "1")
    for backend, library in (("egl", "EGL"), ("osmesa", "OSMesa")):
        if ctypes.util.find_library(library):
            os.environ["MUJOCO_GL"] = backend
            return backend
    raise SimError(f"nothing to render with; install EGL or OSMesa: apt-get install {PACKAGES}")


@dataclass(frozen=True, slots=True)
class Moment:
    """What a picture shows: positions of everything that moves, and the moment in s."""

    t_s: float
    qpos: Doubles
    mocap_pos: Doubles
    mocap_quat: Doubles


def remember(stage: Stage) -> Moment:
    """The stage as it is now."""
    data = stage.data
    return Moment(stage.t_s, data.qpos.copy(), data.mocap_pos.copy(), data.mocap_quat.copy())


class Eye:
    """Looks at a scene through its camera: renders of `size_px` (width, height).

    Without `shadows` a render takes less than half the time: 6 ms instead of 15 at 400×300 on one core.
    """

    def __init__(
        self, model: mujoco.MjModel, camera: str, size_px: tuple[int, int], *, shadows: bool = True
    ) -> None:
        choose_opengl()
        self.model, self.data, self.camera = model, mujoco.MjData(model), camera
        self.width_px, self.height_px = size_px
        try:
            self._renderer: Any = mujoco.Renderer(model, self.height_px, self.width_px)
        except Exception as error:  # each OpenGL binding has kinds of its own
            says = " ".join(str(error).split())[:200] or type(error).__name__
            raise SimError(
                f"OpenGL does not start here ({says}); install: apt-get install {PACKAGES}"
            ) from error
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = shadows

    def see(self, moment: Moment) -> Image:
        """Render a moment, uint8 (H, W, 3)."""
        self.data.qpos[:] = moment.qpos
        self.data.mocap_pos[:], self.data.mocap_quat[:] = moment.mocap_pos, moment.mocap_quat
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)
        self._renderer.update_scene(self.data, self.camera)
        image: Image = self._renderer.render()
        return image

    def close(self) -> None:
        """Give the OpenGL context back."""
        self._renderer.close()


@dataclass(frozen=True, slots=True)
class Projection:
    """Where points of the world are in a picture of this size: a pinhole camera."""

    position: Doubles
    rotation: Doubles
    focal_px: float
    size_px: tuple[int, int]

    @classmethod
    def of(cls, model: mujoco.MjModel, name: str, size_px: tuple[int, int]) -> "Projection":
        """The projection of a camera of the model."""
        data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, data)
        mujoco.mj_camlight(model, data)
        camera = model.camera(name).id
        focal_px = size_px[1] / 2 / np.tan(np.radians(model.cam_fovy[camera]) / 2)
        rotation = data.cam_xmat[camera].reshape(3, 3).copy()
        return cls(data.cam_xpos[camera].copy(), rotation, float(focal_px), size_px)

    def __call__(self, points_N3: Doubles) -> Doubles:
        """Points in m → pixels, (N, 2); NaN for what lies behind the camera."""
        seen = (np.asarray(points_N3) - self.position) @ self.rotation
        depth = np.where(seen[:, 2] < -0.05, -seen[:, 2], np.nan)
        x = self.size_px[0] / 2 + self.focal_px * seen[:, 0] / depth
        y = self.size_px[1] / 2 - self.focal_px * seen[:, 1] / depth
        return np.stack([x, y], axis=1)

    def inside(self, points_N3: Doubles, *, margin: float = 0.02) -> npt.NDArray[np.bool_]:
        """Which points lie in the picture, (N,)."""
        pixels = self(points_N3) / np.asarray(self.size_px)
        with np.errstate(invalid="ignore"):
            found: npt.NDArray[np.bool_] = ((pixels > margin) & (pixels < 1 - margin)).all(axis=1)
        return found

    def visible(self, stage: Stage, points_N3: Doubles, *, ignore: set[int]) -> npt.NDArray[np.bool_]:
        """Which points are in the picture with nothing static or moving in front, (N,)."""
        seen = self.inside(points_N3)
        hit = np.zeros(1, dtype=np.int32)
        for i in np.flatnonzero(seen):
            ray = points_N3[i] - self.position
            length = float(np.linalg.norm(ray))
            reach = mujoco.mj_ray(
                stage.model, stage.data, self.position, ray / length, None, 1, -1, hit, None
            )
            body = int(stage.model.geom_bodyid[hit[0]]) if hit[0] >= 0 else -1
            seen[i] = reach < 0 or reach > length - 0.25 or body in ignore
        return seen
