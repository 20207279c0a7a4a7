"""table -> another round: what can succeed on a second try is asked again, and put in place."""

import pandas as pd

from helpers import batchfile
from helpers.jobs import Job
from helpers.outcomes import TOKENS
from helpers.state import State

# openai/types/responses/response_create_params.py
_CAP = {"/v1/responses": "max_output_tokens"}


def retry(
    job: Job,
    outcomes: pd.DataFrame,
    rounds: int = 5,
    max_completion_tokens: int | None = None,
    max_requests: int | None = None,
) -> list[batchfile.Shard]:
    """The batch files of the requests that can succeed on another try; an empty list if none can.

    They lie in folders of their own inside the job's, ready for `submit` like those of `write`.
    Outcomes merged with those of a retry that failed again make the files of the next round, up to
    ``rounds``. What was submitted for a round before is part of it again, not written anew, so no
    row is paid twice in one round.

    With ``max_completion_tokens`` the answers that were cut off are asked again as well, with that
    as their cap (in Responses as max_output_tokens). ``max_requests`` is that of `write`, by
    default that of the job's largest file.
    """
    wanted = outcomes["retry"]
    if max_completion_tokens:
        wanted = wanted | (outcomes["code"] == "truncated")
    again = outcomes[wanted & (outcomes["round"] < rounds)]
    if again.empty:
        return []
    number = int(again["round"].max()) + 1
    folder = job.folder / f"round-{number}"
    todo, earlier = {*again.index}, []
    for shard in _submitted(job, number):
        ids = {*batchfile.ids(shard.path)}
        if ids & todo:
            earlier.append(shard)
            todo -= ids
    if not todo:
        return earlier
    cut_off = {*again.index[again["code"] == "truncated"]}
    longer = {_CAP.get(job.shards[0].endpoint, "max_completion_tokens"): max_completion_tokens}
    max_requests = max_requests or max(shard.requests for shard in job.shards)
    requests = (
        request | {"body": request["body"] | longer} if request["custom_id"] in cut_off else request
        for shard in job.shards
        for request in batchfile.read(shard.path)
        if request["custom_id"] in todo
    )
    return earlier + batchfile.write(requests, folder, max_requests=max_requests, round=number)


def merge(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """The outcomes of a job with those of its retry put in place; tokens of both tries add up."""
    merged = pd.concat([first[~first.index.isin(second.index)], second]).loc[first.index]
    merged.index = first.index
    earlier = first.loc[second.index, TOKENS].reindex(first.index, fill_value=0)
    return merged.assign(**{column: merged[column] + earlier[column] for column in TOKENS})


def _submitted(job: Job, number: int) -> list[batchfile.Shard]:
    """The batch files of a round that this job's server was given before."""
    return [
        shard
        for folder in sorted(job.folder.glob(f"round-{number}-*"))
        for shard in batchfile.shards_in(folder, number)
        if State(job.server)[shard]
    ]
