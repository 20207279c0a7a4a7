"""Where things are: the project, its data, and the folder for jobs (COOKBOOK_JOBS)."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
DATA = ROOT / "data"
JOBS = Path(os.environ.get("COOKBOOK_JOBS", ROOT / "jobs")).resolve()
