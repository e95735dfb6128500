"""Where a bundle of somebody else is opened first: a process with little time, memory and nothing to lose.

ONNX Runtime parses what it is given with code that was not made for enemies. Nothing of a bundle is ever
executed as code; what its graphs compute, they compute here first.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

from jikimi import selftest
from jikimi.bundle import CARD, ENCODER, HEAD, Card, load_bundle, read_card
from jikimi.errors import BundleError, InferenceError, JikimiError
from jikimi.onnx_wire import check_self_contained

# The bundle of the package takes 3.5 s, nearly all of it for loading code; a busy machine takes its time.
LIMIT_S = 120.0
_CPU_S = 60

# Members of 1 GiB, and some copies of them that ONNX Runtime makes.
_MEMORY_BYTES = 6 << 30

# Twice what may be sent: weights can hardly be packed.
MAX_UNPACKED_BYTES = 1 << 30
_MAX_CARD_BYTES = 1 << 20

_MAX_ANSWER_BYTES = 4096

_ENVIRONMENT = frozenset({"PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR"})

# Far above any model that watches cameras, and far below what would harm whoever shows or asks it.
_MOST_LETTERS, _MOST_BEHAVIORS, _MOST_SIDE_PX, _MOST_RATE_HZ, _MOST_WINDOW = 80, 64, 2160, 60.0, 512


def examine(path: Path, *, limit_s: float = LIMIT_S) -> None:
    """Open and test a bundle in a process apart.

    Raises:
        BundleError: it is no bundle, damaged, unsafe, fails its self-test, or takes too much time or memory.
    """
    command = [sys.executable, "-P", "-m", "jikimi.quarantine", str(path.absolute())]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_without_secrets(),
        cwd=path.absolute().parent,
        start_new_session=True,
    ) as process:
        try:
            answer, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            raise BundleError(f"the bundle was not checked within {limit_s:g} s; it is not used") from None
        finally:
            process.kill()
    if process.returncode == 0:
        return
    raise BundleError(_problem(answer[:_MAX_ANSWER_BYTES], process.returncode))


def _problem(answer: bytes, code: int) -> str:
    try:
        return str(json.loads(answer)["problem"])
    except (ValueError, KeyError, TypeError):
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"checking the bundle ended by {how}; it takes too much, or is made to do harm: it is not used"


def _without_secrets() -> dict[str, str]:
    """What of this process's environment Python needs to start: the site's key may be in it, too."""
    kept = {key: value for key, value in os.environ.items() if key in _ENVIRONMENT}
    return kept | {"CUDA_VISIBLE_DEVICES": "", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def check_members(path: Path) -> None:
    """Refuse a file that is not exactly a bundle's three members, of sizes that a bundle has.

    Raises:
        BundleError: it is none.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = [(member.filename, member.file_size) for member in archive.infolist()]
            if sorted(name for name, _ in sizes) != sorted((CARD, ENCODER, HEAD)):
                raise BundleError(f"a bundle holds {CARD}, {ENCODER} and {HEAD} and nothing else")
            if sum(size for _, size in sizes) > MAX_UNPACKED_BYTES:
                raise BundleError(f"the bundle unpacks to more than {MAX_UNPACKED_BYTES >> 20} MiB")
            if dict(sizes)[CARD] > _MAX_CARD_BYTES:
                raise BundleError(f"{CARD} unpacks to more than {_MAX_CARD_BYTES >> 20} MiB")
            for member in (ENCODER, HEAD):
                check_self_contained(archive.read(member), member=member)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise BundleError(f"not a Jikimi bundle, or damaged ({error})") from error
    except OSError as error:
        raise BundleError(f"the bundle cannot be read: {error.strerror}") from error


def check_card(card: Card) -> None:
    """Refuse a card that nobody could show, or that asks for pictures that no camera gives.

    Raises:
        BundleError: it does.
    """
    names = [card.name, *(text for one in card.behaviors for text in (one.key, one.korean, one.english))]
    size = card.preprocess
    if not all(0 < len(name) <= _MOST_LETTERS and name.isprintable() for name in names):
        raise BundleError(f"card.json: names have 1 to {_MOST_LETTERS} letters that can be printed")
    if len(card.behaviors) > _MOST_BEHAVIORS:
        raise BundleError(f"card.json: more than {_MOST_BEHAVIORS} behaviours")
    if max(size.height_px, size.width_px, card.short_side_px) > _MOST_SIDE_PX:
        raise BundleError(f"card.json: pictures of more than {_MOST_SIDE_PX} px")
    if card.rate_hz > _MOST_RATE_HZ or card.window > _MOST_WINDOW:
        raise BundleError(f"card.json: over {_MOST_RATE_HZ:g} pictures a second, or {_MOST_WINDOW} at once")


def _limit() -> None:
    """Take from this process what a check does not need."""
    for what, most in (
        (resource.RLIMIT_AS, _MEMORY_BYTES),
        (resource.RLIMIT_CPU, _CPU_S),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))
    os.nice(10)


def _check(path: Path) -> None:
    """Raises JikimiError, and whatever a bundle that is made for it makes Python raise."""
    check_members(path)
    check_card(read_card(path))
    bundle = load_bundle(path, threads=1, providers=("CPUExecutionProvider",))
    try:
        selftest.check(bundle)
    except InferenceError as error:
        raise BundleError(str(error)) from error


def main() -> None:
    """The process: exit code 0, or what is wrong as one object."""
    path = Path(sys.argv[1])
    _limit()
    try:
        _check(path)
    except JikimiError as error:
        problem = str(error).replace(f"bundle {path}: ", "")
    except MemoryError:
        problem = f"the bundle takes more than {_MEMORY_BYTES >> 30} GiB of memory"
    except Exception as error:  # noqa: BLE001 - the process's outer edge: whatever it is, the bundle is not used
        problem = f"checking the bundle failed: {type(error).__name__}"
    else:
        return
    sys.stdout.write(json.dumps({"problem": problem[:1000]}))
    sys.stdout.flush()
    sys.exit(1)


if __name__ == "__main__":
    main()
