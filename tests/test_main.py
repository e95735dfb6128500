"""`main.py`: the origin's flags on a folder of labelled clips."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from videos import moving_square, write_video

MAIN = Path(__file__).parents[1] / "main.py"


@pytest.fixture
def main() -> ModuleType:
    spec = importlib.util.spec_from_file_location("origin_main", MAIN)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def steps_of(
    main: ModuleType, monkeypatch: pytest.MonkeyPatch, *flags: str, code: int = 0
) -> list[list[str]]:
    """The commands that the flags stand for, in order; each ends with `code`."""
    seen: list[list[str]] = []

    def command() -> None:
        seen.append(sys.argv[1:])
        sys.exit(code)

    monkeypatch.setattr(main, "jikimi", command)
    monkeypatch.setattr(sys, "argv", ["main.py", "--root", "videos", *flags])
    main.main()
    return seen


def test_defaults_are_the_origins(main: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare, train = steps_of(main, monkeypatch)
    assert prepare[:2] == ["prepare", "videos"] and train[0] == "train"
    said = dict(zip(prepare[2::2], prepare[3::2], strict=True)) | dict(
        zip(train[2::2], train[3::2], strict=True)
    )
    assert said["--val-ratio"] == "0.3" and said["--seed"] == "42" and said["--workers"] == "2"
    assert said["--recipe"] == "baseline" and said["--weights"] == "imagenet"
    assert (said["--epochs"], said["--batch-size"], float(said["--lr"])) == ("50", "8", 1e-4)


def test_flags_reach_the_commands(main: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = [
        "--epochs",
        "3",
        "--batch-size",
        "2",
        "--lr",
        "0.01",
        "--num-workers",
        "0",
        "--train-ratio",
        "0.8",
    ]
    prepare, train = steps_of(main, monkeypatch, *flags, "--seed", "7", "--num-classes", "6")
    assert prepare[prepare.index("--val-ratio") + 1] == "0.2"
    assert prepare[prepare.index("--workers") + 1] == "1"
    for name, value in (("--epochs", "3"), ("--batch-size", "2"), ("--lr", "0.01"), ("--seed", "7")):
        assert train[train.index(name) + 1] == value


def test_failed_preparation_ends_it(main: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit) as end:
        steps_of(main, monkeypatch, code=1)
    assert end.value.code == 1


@pytest.mark.parametrize("flags", [["--num-classes", "5"], ["--train-ratio", "1.5"], ["--epochs", "x"]])
def test_wrong_flags_end_with_two(
    main: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        steps_of(main, monkeypatch, *flags)
    assert end.value.code == 2 and flags[0] in capsys.readouterr().err


def test_small_folder_is_trained_on(tmp_path: Path) -> None:
    for number, behavior in enumerate(("bump", "no-accident")):
        for clip in range(2):
            draw = moving_square(seed=10 * number + clip)
            path = tmp_path / "videos" / behavior / f"{clip}.mp4"
            write_video(path, seconds=1, fps=8, size=(64, 48), draw=draw)
    # Only what ends up in the model differs from the origin's ResNet-101: its 224 px cost minutes on a CPU.
    program = (
        "import runpy, sys; from jikimi.train import recipes\n"
        "light = lambda weights: recipes.baseline(weights=weights, backbone='test_resnet')\n"
        "recipes.RECIPES['baseline'] = light\n"
        f"sys.argv[0] = {str(MAIN)!r}; runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    flags = [
        "--root",
        "videos",
        "--epochs",
        "1",
        "--batch-size",
        "2",
        "--weights",
        "none",
        "--train-ratio",
        "0.5",
    ]
    done = subprocess.run(
        [sys.executable, "-c", program, *flags], capture_output=True, text=True, timeout=200, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "best epoch 1" in done.stdout and done.stderr == ""
    assert json.loads((tmp_path / "runs" / "baseline" / "metrics.json").read_text())["done"]
    assert (tmp_path / "data" / "manifest.parquet").is_file()
