"""The demo, from the samples to the last line, with stand-ins for what an install carries."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

from bundles import GREEN, make_bundle
from jikimi.shipped import SAMPLES, TRUTH, Sample
from jikimi.stream_metrics import Truth
from jikimi.watch.demo import Outcome, Round, as_json, compare, counts
from jikimi.watch.event import WatchEvent, WatchSummary
from test_light_runtime import HEAVY
from watching import accident_video

PROGRAM = """
import sys
from pathlib import Path

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {heavy!r}:
            raise ImportError(f"{{name}} is not part of a plain install")

sys.meta_path.insert(0, Blocked())
import jikimi.shipped
from jikimi.cli import main
jikimi.shipped.assets = lambda: Path({assets!r})
sys.argv = ["jikimi", "demo", *{arguments!r}]
main()
"""


def make_assets(folder: Path, *, seconds: float) -> Path:
    """A jam from 1.5 to 2.5 s that is raised, a fall that is not (nothing to see), and a quiet camera."""
    make_bundle(folder / "model.jikimi")
    place = folder / SAMPLES
    accident_video(place / "press-3.mp4", seconds=seconds, start_s=1.5, end_s=2.5, colour=GREEN)
    accident_video(place / "하역장.mp4", seconds=seconds, start_s=99, end_s=99)
    accident_video(place / "gate.mp4", seconds=seconds, start_s=99, end_s=99)
    rows = [
        _row("press-3", "jam", start_s=1.5, end_s=2.5),
        _row("하역장", "fall-down", start_s=1.0, end_s=2.0),
        _row("gate", "no-accident"),
    ]
    (place / TRUTH).write_text(json.dumps({"about": "Made by a test.", "samples": rows}), encoding="utf-8")
    return folder


def _row(camera: str, behavior: str, **times: float) -> dict[str, object]:
    return {
        "camera": camera, "behavior": behavior, "english": f"at {camera}", "korean": f"{camera}에서", **times
    }  # fmt: skip


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_assets(tmp_path_factory.mktemp("assets"), seconds=4)


def command(assets: Path, *arguments: object) -> list[str]:
    """The demo on a machine with nothing but the light install."""
    code = PROGRAM.format(heavy=HEAVY, assets=str(assets), arguments=[str(a) for a in arguments])
    return [sys.executable, "-c", code]


def demo(assets: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    wide = {**os.environ, "COLUMNS": "160"}
    return subprocess.run(
        command(assets, *arguments), capture_output=True, text=True, timeout=100, env=wide
    )  # fmt: skip


# --- the whole demo


def test_demo_raises_keeps_evidence_and_compares_with_the_truth(assets: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = demo(assets, "--out", out)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    assert lines[0].startswith("Watching 3 sample cameras with the model 'colours', in real time, once")
    assert lines[1] == "Made by a test."
    running, table = lines[2 : lines.index("")], lines[lines.index("") :]
    told = [line.split()[2:4] for line in running]
    assert told == [["press-3", "ALARM"], ["press-3", "over"], ["press-3", "evidence"]]
    assert "jam 끼임" in running[0]
    (press,) = [line for line in table if "press-3 " in line and "score" in line]
    assert "jam 끼임, 1.5–2.5 s" in press and press.endswith(" s")
    assert any("fall down 넘어짐, 1.0–2.0 s" in line and "MISSED" in line for line in table)
    assert any("gate" in line and line.count("nothing") == 2 for line in table)
    assert any(line.startswith("1 of 2 accidents raised, ") and "0 false alarms." in line for line in table)
    (evidence,) = out.rglob("*.mp4")
    assert f"  {evidence}" in table
    with av.open(str(evidence)) as container:
        assert sum(1 for _ in container.decode(video=0)) > 24
    assert any(line.strip().startswith("jikimi watch YOURS.mp4") for line in table)


def test_seconds_play_the_samples_again_and_end_by_themselves(assets: Path, tmp_path: Path) -> None:
    started_s = time.monotonic()
    done = demo(assets, "--seconds", 7, "--out", tmp_path, "--json")
    assert done.returncode == 0 and 7 <= time.monotonic() - started_s < 20, done.stderr
    *events, summary = [json.loads(line) for line in done.stdout.splitlines()]
    opened = [event for event in events if event["event"] == "opened"]
    assert [(e["round"], e["camera"], e["behavior"]) for e in opened] == [
        (1, "press-3", "jam"),
        (2, "press-3", "jam"),
    ]
    assert all(1.5 <= event["t_s"] < 3.0 for event in opened)  # each round begins at 0 s
    assert summary["event"] == "summary" and summary["rounds"] == 2
    assert summary["counts"] == {"raised": 2, "missed": 1, "quiet": 2, "cut-off": 1}
    paths = [o["evidence"] for o in summary["outcomes"] if o["verdict"] == "raised"]
    assert len(set(paths)) == 2 and all(Path(path).is_file() for path in paths)


def test_interrupted_demo_finishes_evidence_and_says_what_it_came_to(tmp_path: Path) -> None:
    assets = make_assets(tmp_path / "assets", seconds=30)
    line = ""
    with subprocess.Popen(
        command(assets, "--out", tmp_path / "out"), stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        while "ALARM" not in line:
            line = process.stdout.readline()
            assert line, "ended without an alarm"
        process.send_signal(signal.SIGINT)
        stopped_s = time.monotonic()
        lines = process.stdout.read().splitlines()
        assert process.wait(20) == 0 and time.monotonic() - stopped_s < 10
    assert any(line.startswith("1 of 1 accident raised") for line in lines)
    assert any("not decided: the demo ended first" in line for line in lines)
    (evidence,) = (tmp_path / "out").rglob("*.mp4")
    assert f"  {evidence}" in lines
    assert not list((tmp_path / "out").rglob("*.part"))


def test_demo_that_cannot_run_says_why_in_one_line(assets: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    broken = make_assets(tmp_path / "broken", seconds=1)
    (broken / SAMPLES / "gate.mp4").write_bytes(b"no video" * 400)
    for done, says in [
        (demo(tmp_path / "nothing"), "carries no samples"),
        (demo(assets, "--out", tmp_path / "file"), "cannot be written"),
        (demo(assets, "--model", tmp_path / "file"), "not a Jikimi bundle"),
        (demo(broken, "--out", tmp_path / "out"), "the demo could not be watched: camera 'gate'"),
    ]:
        assert done.returncode == 1 and says in done.stderr
        assert done.stderr.startswith("jikimi: ") and done.stderr.count("\n") == 1


# --- the comparison

PRESS = Sample("press", Path("press.mp4"), Truth("press", "jam", 5.0, 7.0), "", "")
GATE = Sample("gate", Path("gate.mp4"), None, "", "")


def incident(behavior: str, t_s: float, *, camera: str = "press") -> list[WatchEvent]:
    opened = {"opened_s": t_s}
    path = Path(f"{behavior}.mp4")
    return [
        WatchEvent("opened", camera, t_s, "", behavior, 0.6, details=opened),
        WatchEvent("updated", camera, t_s + 1, "", behavior, 0.9, details=opened),
        WatchEvent("closed", camera, t_s + 2, "", behavior, 0.1, details=opened),
        WatchEvent("evidence", camera, t_s + 7, "", behavior, 0.9, path, details=opened),
    ]


def a_round(*incidents: list[WatchEvent], seen_s: float = 30.0, stopped: bool = False) -> Round:
    ends = [WatchEvent("ended", c, seen_s, "", details={"stopped": stopped}) for c in ("press", "gate")]
    events = [event for one in incidents for event in one] + ends
    return Round(1, tuple(events), WatchSummary((), None, None, stopped))


def outcomes(one: Round) -> list[tuple[str, str, str | None]]:
    found = compare([PRESS, GATE], [one])
    return [(o.camera, o.verdict, o.raised.alarm.behavior if o.raised else None) for o in found]


def test_alarm_in_time_is_raised_with_its_score_evidence_and_delay() -> None:
    press, gate = compare([PRESS, GATE], [a_round(incident("jam", 6.5))])
    assert press.verdict == "raised" and press.delay_s == 1.5 and press.raised is not None
    assert (press.raised.score, press.raised.evidence) == (0.9, Path("jam.mp4"))
    assert gate == Outcome(1, "gate", "quiet")


def test_alarm_under_another_name_is_neither_found_nor_false() -> None:
    assert outcomes(a_round(incident("hit", 6.0))) == [
        ("press", "other-behavior", "hit"),
        ("gate", "quiet", None),
    ]


def test_alarm_far_from_the_event_is_false_and_the_event_missed() -> None:
    assert outcomes(a_round(incident("jam", 20.0), incident("bump", 3.0, camera="gate"))) == [
        ("press", "missed", None),
        ("gate", "false-alarm", "bump"),
        ("press", "false-alarm", "jam"),
    ]


@pytest.mark.parametrize(
    ("seen_s", "stopped", "verdict"),
    [
        (3.0, True, "cut-off"),
        (14.0, True, "cut-off"),
        (16.0, True, "missed"),
        (8.0, False, "missed"),
    ],
)
def test_event_is_missed_only_when_there_was_time_for_it(seen_s: float, stopped: bool, verdict: str) -> None:
    assert outcomes(a_round(seen_s=seen_s, stopped=stopped))[0] == ("press", verdict, None)


def test_rounds_are_compared_one_by_one_and_counted() -> None:
    first, second = a_round(incident("jam", 6.0)), a_round()
    rounds = [first, Round(2, second.events, second.summary)]
    found = compare([PRESS, GATE], rounds)
    assert [(o.round, o.verdict) for o in found] == [
        (1, "raised"),
        (1, "quiet"),
        (2, "missed"),
        (2, "quiet"),
    ]
    assert counts(found) == {"raised": 1, "quiet": 2, "missed": 1}
    flat = as_json(found, rounds)
    assert flat == json.loads(json.dumps(flat)) and flat["median_delay_s"] == 1.0
