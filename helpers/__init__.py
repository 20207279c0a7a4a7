"""The Batch API cookbook's helpers: row, request, batch file, batch, outcome, table.

Each module is one step of that road or a side room of it; each opens with what it is for.
"""

from helpers.batchfile import Shard, check, write
from helpers.client import DATA, JOBS, ModeError, connect
from helpers.costs import BudgetError, actual, estimate
from helpers.jobs import Job, JobError, wait
from helpers.outcomes import Outcome, collect, merge, outcome_of, retry
from helpers.requests import Row, RowError, answer_format, rows, with_ids
from helpers.rules import BatchFileError
from helpers.submission import check_model, submit
from helpers.views import Progress

__all__ = [
    "DATA", "JOBS", "BatchFileError", "BudgetError", "Job", "JobError", "ModeError", "Outcome",
    "Progress", "Row", "RowError",
    "Shard", "actual", "answer_format", "check", "check_model", "collect", "connect", "estimate",
    "merge", "outcome_of", "retry", "rows", "submit", "wait", "with_ids", "write",
]  # fmt: skip
