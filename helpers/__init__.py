"""The Batch API cookbook's helpers: row, request, batch file, batch, outcome, table.

The files, in the order of that road:

    request.py     row -> request: rows, with_ids, answer_format
    checks.py      what the API refuses, and the limits of a batch file
    batchfile.py   request -> batch file: check, write, assemble, Shard
    job.py         a job, and all that is known of its batches on disk
    batch.py       batch file -> batch -> its end: submit, wait
    account.py     the batches and files at the server: list_batches, cancel, clean_up
    reuse.py       what was answered before is not sent again: reuse
    outcome.py     one line of a result file -> outcome: answered, outcome_of
    table.py       outcomes -> table: collect, retry, merge
    pipeline.py    all of these steps in one call: run

    costs.py       before and after: price, estimate, actual
    images.py      pictures as parts of a request
    client.py      the OpenAI client for replay, live, record or local: connect
    paths.py       where things are
    bars.py        how far long work on this machine is

Folders that may be skipped:

    formats/       tables, pictures, requests and answers of every kind, in detail
    display/       what Jupyter and a terminal show: jobs, progress, gallery, tables
    replay/        the Batch API as a server, for the replay and for models of one's own
"""

from helpers.account import cancel, clean_up, list_batches
from helpers.batch import check_model, submit, wait
from helpers.batchfile import Shard, assemble, check, write
from helpers.checks import BatchFileError
from helpers.client import ModeError, connect
from helpers.costs import BudgetError, actual, estimate, price
from helpers.display.gallery import Gallery
from helpers.display.jobs import list_jobs
from helpers.display.pictures import contact_sheet, size_table
from helpers.display.progress import Progress
from helpers.display.tables import ResultsBrowser, for_spreadsheet, readable_tables
from helpers.images import PictureError, image_part, image_parts, image_tokens
from helpers.job import Job, JobError
from helpers.outcome import Outcome, answered, outcome_of
from helpers.paths import DATA, JOBS
from helpers.pipeline import run
from helpers.request import Row, RowError, answer_format, id_from, rows, with_ids
from helpers.reuse import reuse
from helpers.table import collect, merge, retry

__all__ = [
    "DATA", "JOBS", "BatchFileError", "BudgetError", "Gallery", "Job", "JobError", "ModeError",
    "Outcome", "PictureError", "Progress", "ResultsBrowser", "Row", "RowError", "Shard", "actual",
    "answer_format", "answered", "assemble", "cancel", "check", "check_model", "clean_up",
    "collect", "connect", "contact_sheet", "estimate", "for_spreadsheet", "id_from", "image_part",
    "image_parts", "image_tokens", "list_batches", "list_jobs", "merge", "outcome_of", "price",
    "readable_tables", "retry", "reuse", "rows", "run", "size_table", "submit", "wait", "with_ids",
    "write",
]  # fmt: skip
