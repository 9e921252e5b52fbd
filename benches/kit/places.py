"""Paths of the benchmark."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCHES = ROOT / "benches"
CACHE = BENCHES / ".cache"
PLANS = BENCHES / "plans"
LOGS = CACHE / "logs"
TARGETS = CACHE / "target"
RUNNER = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "dist" / "runner"
RESPONDER = TARGETS / "responder" / "release" / "responder"
GOOSE = TARGETS / "goose" / "release" / "goose-user"
OHA = CACHE / "oha" / "bin" / "oha"
LOCUST = CACHE / "venv" / "bin" / "locust"
RESULTS = BENCHES / "results.md"
RAW = CACHE / "raw.json"
