"""Jobs over processes: each has an OpenGL context of its own, and one core."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from jikimi.errors import SimError
from jikimi.sim.render import choose_opengl

Result = TypeVar("Result")


def run_jobs(
    work: Callable[..., Result], jobs: Sequence[tuple[object, ...]], *, workers: int
) -> Iterator[Result]:
    """Do `work(*job)` for every job, `workers` at a time; results in the order of the jobs.

    Raises:
        SimError: what the work raises, or a process that died.
    """
    choose_opengl()
    # MuJoCo looks for its OpenGL when it is imported, which in this process it already is: even one worker
    # is a process of its own.
    pool = ProcessPoolExecutor(max(1, workers), mp_context=get_context("spawn"))
    try:
        futures = [pool.submit(work, *job) for job in jobs]
        for future in futures:
            yield future.result()
    except BrokenProcessPool as error:
        raise SimError("a simulating process died (out of memory?); start again: it goes on") from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
