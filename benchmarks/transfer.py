"""What carries over from simulated to real pictures: small runs that differ in one thing each.

uv run --all-extras python benchmarks/transfer.py SIM REAL --out DIR [--epochs 5] [--only NAME ...]

SIM and REAL are prepared sets. Every run trains on SIM alone, from random weights and the same seed, and is
judged on the validation scenes of SIM and on all of REAL, which nothing is chosen on. A finished run is kept
in DIR and not made again.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import machine
from jikimi import sampling
from jikimi.bundle import Scorer
from jikimi.data.manifest import Manifest, read_manifest
from jikimi.metrics import clip_report, pool_windows
from jikimi.train import alarms, score
from jikimi.train.calibrate import truth_of_clip
from jikimi.train.checkpoint import BEST, TorchScorer, load_checkpoint
from jikimi.train.fit import fit
from jikimi.train.recipes import edge, with_options

# The recipe itself first: every other row differs from it in what is named.
VARIANTS: dict[str, dict[str, Any]] = {
    "motion": {},
    "rgb": {"inputs": "rgb", "lags": ()},
    "rgb+motion": {"inputs": "rgb+motion"},
    "mean, no LSTM": {"head": "mean"},
    "last frame alone, rgb": {"head": "last", "inputs": "rgb", "lags": ()},
    "whole picture": {"pool": "catavgmax"},
    "96x128 px": {"height_px": 96, "width_px": 128},
    "no augmentation": {"augment": False},
    "one lag": {"lags": (1,)},
    "three lags": {"lags": (1, 3, 8)},
    "160x224 px": {"height_px": 160, "width_px": 224},
    "8 frames": {"window": 8, "warm_up": 8},
    "mobilenetv3_small_050": {"backbone": "mobilenetv3_small_050", "pool": "catavgmax"},
    "lcnet_050": {"backbone": "lcnet_050", "pool": "catavgmax"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sim", type=Path)
    parser.add_argument("real", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=list(VARIANTS))
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/transfer.json"))
    options = parser.parse_args()
    rows = []
    for name in options.only:
        row = run(
            name, options.sim, options.real, options.out / name.replace(" ", "-"), epochs=options.epochs
        )
        rows.append(row)
        print(json.dumps(row), flush=True)
    options.json.write_text(json.dumps({"machine": machine.describe(), "rows": rows}, indent=1) + "\n")


def run(name: str, sim: Path, real: Path, out: Path, *, epochs: int) -> dict[str, Any]:
    """Train one variant and judge it, or read what was found."""
    done = out / "found.json"
    if done.exists():
        found: dict[str, Any] = json.loads(done.read_text())
        return found
    recipe = replace(with_options(edge(weights="none"), epochs=epochs), **VARIANTS[name])
    start = time.monotonic()
    fit(
        sim,
        out,
        recipe,
        resume=(out / "last.pth").exists(),
        say=lambda line: print(f"  {name}: {line}", flush=True),
    )
    seconds = time.monotonic() - start
    scorer = TorchScorer(load_checkpoint(out / BEST))
    found = {"name": name, "epochs": epochs, "train_s": round(seconds)}
    found |= judge_sim(scorer, read_manifest(sim)) | judge_real(scorer, read_manifest(real))
    done.write_text(json.dumps(found))
    return found


def judge_sim(scorer: Scorer, manifest: Manifest) -> dict[str, Any]:
    """Accuracy and macro-F1 on the validation scenes of the simulation."""
    rows = manifest.select("val")
    normal = scorer.card.normal_index
    pooled = [
        pool_windows(score.score_clip(scorer, manifest, row, stride=2).logits_WC, normal) for row in rows
    ]
    labels = [score.class_index(scorer.card, row) for row in rows]
    report = clip_report(
        np.stack(pooled), labels, behaviors=scorer.card.keys, groups=[row.group for row in rows]
    )
    accident = [int(np.argmax(p) != normal) == int(y != normal) for p, y in zip(pooled, labels, strict=True)]
    return {
        "sim_clips": len(rows),
        "sim_accuracy": round(report.accuracy.value or 0.0, 3),
        "sim_macro_f1": round(report.macro_f1.value or 0.0, 3),
        "sim_accident_accuracy": round(float(np.mean(accident)), 3),
    }


def judge_real(scorer: Scorer, manifest: Manifest) -> dict[str, Any]:
    """How well falls stand out from normal life in real clips: AUROC of windows, and alarms.

    `real_falls_found` counts falls raised within 10 s, as whatever accident, at the threshold that finds most
    while all normal clips together raise at most one false alarm.
    """
    card, streams, truths = scorer.card, [], []
    falls, normals = [], []
    for row in manifest.rows:
        features = score.encode_clip(scorer, manifest, row)
        watched = score.watch_clip(scorer, row, features, step_s=0.0)
        stream = alarms.scored(row.clip_id, watched, card)
        streams.append(stream)
        truths += truth_of_clip(row, normal=card.keys[card.normal_index])
        accident = 1 - stream.probabilities_NC[:, card.normal_index]
        if row.event is None:
            normals.append(accident)
            continue
        ends = np.rint(stream.times_s * row.rate_hz).astype(int)
        shows = [
            sampling.shows_event(row.event, last=int(end), length=card.window, rate_hz=row.rate_hz)
            for end in ends
        ]
        falls.append(accident[[bool(s) for s in shows]])
    found = [
        report.n_found
        for theta in alarms.THETAS
        if (report := alarms.judge(streams, truths, card.rule.with_theta(theta), by_behavior=False)).n_false
        <= 1
    ]
    return {
        "real_auroc": round(auroc(np.concatenate(falls), np.concatenate(normals)), 3),
        "real_falls_found": max(found, default=0),
        "real_falls": len(truths),
    }


def auroc(positive: Any, negative: Any) -> float:
    """The share of pairs that are in the right order; ties count half (Mann-Whitney U)."""
    order = np.searchsorted(np.sort(negative), positive, side="left")
    ties = np.searchsorted(np.sort(negative), positive, side="right")
    return float((order + ties).mean() / 2 / len(negative))


if __name__ == "__main__":
    main()
