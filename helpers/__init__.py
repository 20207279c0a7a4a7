"""The Batch API cookbook's helpers: row, request, batch file, batch, outcome, table.

Each module is one step of that road or a side room of it; each opens with what it is for.
"""

from helpers.account import cancel, clean_up, list_batches
from helpers.batch import check_model, submit, wait
from helpers.batchfile import Shard, check, write
from helpers.checks import BatchFileError
from helpers.client import ModeError, connect
from helpers.costs import BudgetError, actual, estimate, price
from helpers.display.gallery import Gallery
from helpers.display.pictures import contact_sheet, size_table
from helpers.display.progress import Progress
from helpers.display.tables import ResultsBrowser, readable_tables
from helpers.images import PictureError, image_part, image_parts, image_tokens
from helpers.job import Job, JobError
from helpers.outcome import Outcome, answered, outcome_of
from helpers.paths import DATA, JOBS
from helpers.pipeline import run
from helpers.request import Row, RowError, answer_format, id_from, rows, with_ids
from helpers.table import collect, merge, retry

__all__ = [
    "DATA", "JOBS", "BatchFileError", "BudgetError", "Gallery", "Job", "JobError", "ModeError",
    "Outcome", "PictureError", "Progress", "ResultsBrowser", "Row", "RowError", "Shard",
    "actual", "answer_format", "answered", "cancel", "check", "check_model", "clean_up", "collect",
    "connect", "contact_sheet", "estimate", "id_from", "image_part", "image_parts", "image_tokens",
    "list_batches", "merge", "outcome_of", "price", "readable_tables", "retry", "rows", "run",
    "size_table", "submit", "wait", "with_ids", "write",
]  # fmt: skip
