"""The same work by other packages, each in a venv of its own, with the fewest of their own calls.

Both get the same table, the loop over it that pandas calls fast, and a client that only hands bytes
over; neither checks a request. Run as ``python peers.py NAME FOLDER`` by `run.py`.
"""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
from inputs import SYSTEM, request_for
from measuring import main, outputs, result_files


def openai_batch_build(folder: Path) -> Callable[[], object]:
    """``Batch(path)`` and ``add_to_batch`` for every row, the only way that it has.

    It reads no results: https://github.com/parasail-ai/openai-batch
    """
    from openai_batch import Batch

    table = read_table(folder)

    def work():
        with Batch(outputs(folder) / "openai-batch.jsonl") as batch:
            for row in table.itertuples(index=False):
                batch.add_to_batch(**request_for(row._asdict())["body"])

    return work


def ondine_build(folder: Path) -> Callable[[], object]:
    """``ProviderBatchBackend.submit`` of one `PromptBatch`, without the pipeline around it.

    It knows no system message, so that is part of the prompt:
    https://github.com/ptimizeroracle/ondine
    """
    from ondine.core.models import PromptBatch, RowMetadata

    table = read_table(folder)

    def upload(file: tuple, **_: object):
        (outputs(folder) / "ondine.jsonl").write_bytes(file[1].read())
        return SimpleNamespace(id="file-1")

    backend = ondine(
        files=SimpleNamespace(create=upload),
        batches=SimpleNamespace(create=lambda **_: SimpleNamespace(id="batch_1")),
    )

    def work():
        rows = table.itertuples(index=False)
        prompts = [f"{SYSTEM}\n{row.title}: {row.overview}" for row in rows]
        backend.submit([PromptBatch(prompts, [*map(RowMetadata, range(len(prompts)))])])

    return work


def ondine_read(folder: Path) -> Callable[[], object]:
    """``ProviderBatchBackend.collect``, and a table of what it gives; error files it leaves out."""
    output, batch = result_files(folder)[-1], SimpleNamespace(status="completed")
    batch.output_file_id = "file-1"

    def content(file_id: str):
        return SimpleNamespace(content=output.read_bytes())

    backend = ondine(
        files=SimpleNamespace(content=content),
        batches=SimpleNamespace(retrieve=lambda batch_id: batch),
    )

    def work():
        rows = [
            (found.metadata["custom_id"], found.text, found.tokens_in, found.tokens_out)
            for found in backend.collect("batch_1")
        ]
        return pd.DataFrame(rows, columns=["custom_id", "answer", "prompt", "completion"])

    return work


def ondine(**client: object):
    from ondine.core.specifications import LLMProvider, LLMSpec
    from ondine.orchestration.backends import ProviderBatchBackend

    spec = LLMSpec(provider=LLMProvider.OPENAI, model="gpt-6-luna", max_tokens=100)
    return ProviderBatchBackend(spec, client=SimpleNamespace(**client))


def read_table(folder: Path) -> pd.DataFrame:
    return pd.read_json(folder / "table.jsonl", lines=True)


if __name__ == "__main__":
    main(globals())
