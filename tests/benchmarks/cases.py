"""One measured piece of work per function; run as ``python cases.py NAME FOLDER`` by `run.py`.

``ours_`` goes through the public helpers with all their checks. ``loop_`` is the loop that the
well-known notebooks teach, ``stdlib_`` streams with the standard library alone, ``limit_`` does
nothing but the bare work with the fastest libraries and checks nothing. ``floor_`` is the part of
ours that cannot be left out, ``bare_`` the shortest loop with orjson that somebody might write;
``ours_bare`` and its like are the CPU time of ours against such a loop. `peers.py` has what other
packages take.
"""

import base64
import gc
import io
import json
import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import pandas as pd
from inputs import KINDS, request_for
from measuring import main, outputs, result_files
from PIL import Image
from servers import ours_clients, ours_local, ours_walk  # noqa: F401 (named on the command line)

SIDE = 512


# rows to a batch file


def ours_build(folder: Path) -> Callable[[], object]:
    import helpers

    table = read_table(folder)

    def work():
        rows = helpers.rows(table)
        return helpers.write((request_for(row) for row in rows), outputs(folder) / "ours")

    return work


def loop_build(folder: Path) -> Callable[[], object]:
    table = read_table(folder)

    def work():
        tasks = []
        for _, row in table.iterrows():
            tasks.append(request_for(row))
        with (outputs(folder) / "loop.jsonl").open("w") as file:
            for task in tasks:
                file.write(json.dumps(task) + "\n")

    return work


def stdlib_build(folder: Path) -> Callable[[], object]:
    table = read_table(folder)

    def work():
        names = list(table.columns)
        with (outputs(folder) / "stdlib.jsonl").open("w") as file:
            for values in zip(*[table[name] for name in names], strict=True):
                row = dict(zip(names, values, strict=True))
                file.write(json.dumps(request_for(row)) + "\n")

    return work


def limit_build(folder: Path) -> Callable[[], object]:
    """A dict per row and orjson."""
    import orjson

    table = read_table(folder)

    def work():
        names = list(table.columns)
        with (outputs(folder) / "limit.jsonl").open("wb") as file:
            for values in zip(*[table[name].tolist() for name in names], strict=True):
                row = dict(zip(names, values, strict=True))
                file.write(orjson.dumps(request_for(row), option=orjson.OPT_APPEND_NEWLINE))

    return work


def template_build(folder: Path) -> Callable[[], object]:
    """All that never changes encoded once, and orjson for the rest."""
    import orjson

    table = read_table(folder)

    def work():
        marks = {"id": "\x01", "title": "\x02", "overview": "\x03"}
        line = orjson.dumps(request_for(marks)).decode()
        a, rest = line.split('"\\u0001"')
        b, c = rest.split('"\\u0002: \\u0003"')
        a, b, c = a.encode(), b.encode(), c.encode() + b"\n"
        columns = [table[name].tolist() for name in ("id", "title", "overview")]
        with (outputs(folder) / "template.jsonl").open("wb") as file:
            for i, t, o in zip(*columns, strict=True):
                file.write(b"".join([a, orjson.dumps(i), b, orjson.dumps(f"{t}: {o}"), c]))

    return work


def floor_build(folder: Path) -> Callable[[], object]:
    """Only what cannot be left out: the reader's own function, called for every row."""
    import helpers

    table = read_table(folder)

    def work():
        for row in helpers.rows(table):
            request_for(row)

    return work


# result lines to a table


def ours_read(folder: Path) -> Callable[[], object]:
    import helpers

    job, client = finished_job(folder)
    return lambda: helpers.collect(client, job)


def loop_read(folder: Path) -> Callable[[], object]:
    table = read_table(folder)

    def work():
        results, answers = [], {}
        for path in sorted(folder.glob("*-output.jsonl")):
            with path.open() as file:
                for line in file:
                    results.append(json.loads(line.strip()))
        for result in results:
            index = int(result["custom_id"].split("-")[-1])
            answer = result["response"]["body"]["choices"][0]["message"]["content"]
            answers[table.iloc[index]["id"]] = answer
        return table.assign(answer=table["id"].map(answers))

    return work


def stdlib_read(folder: Path) -> Callable[[], object]:
    table = read_table(folder)

    def work():
        answers = {}
        for path in result_files(folder):
            with path.open() as file:
                for line in file:
                    result = json.loads(line)
                    response = result["response"]
                    if response["status_code"] == 200:
                        content = response["body"]["choices"][0]["message"]["content"]
                        answers[result["custom_id"]] = content
        return table.assign(answer=table["id"].map(answers))

    return work


def limit_read(folder: Path) -> Callable[[], object]:
    """Typed decoding of the fields that are needed."""
    import msgspec

    table = read_table(folder)

    class Message(msgspec.Struct):
        content: str | None = None

    class Choice(msgspec.Struct):
        message: Message

    class Body(msgspec.Struct):
        choices: list[Choice] = []

    class Response(msgspec.Struct):
        status_code: int
        body: Body

    class Line(msgspec.Struct):
        custom_id: str
        response: Response

    def work():
        decode, answers = msgspec.json.Decoder(Line).decode, {}
        for path in result_files(folder):
            with path.open("rb") as file:
                for text in file:
                    line = decode(text)
                    if line.response.status_code == 200:
                        answers[line.custom_id] = line.response.body.choices[0].message.content
        return table.assign(answer=table["id"].map(answers))

    return work


def bare_read(folder: Path) -> Callable[[], object]:
    return lambda: bare_table(folder, lambda content: content)


def ours_answers(folder: Path) -> Callable[[], object]:
    import helpers

    (job, client), model = finished_job(folder), answer_model()
    return lambda: helpers.collect(client, job, model)


def bare_answers(folder: Path) -> Callable[[], object]:
    """Every answer validated by pydantic, while Python's collector of cycles is off."""
    model = answer_model()

    def work():
        gc.disable()
        try:
            return bare_table(folder, model.model_validate_json)
        finally:
            gc.enable()

    return work


def bare_table(folder: Path, read: Callable[[str], object]) -> pd.DataFrame:
    """Four lists of what orjson reads, and a table of them; no request that failed is in it."""
    import orjson

    ids, answers, prompts, completions = [], [], [], []
    for path in result_files(folder):
        with path.open("rb") as file:
            for text in file:
                line = orjson.loads(text)
                response = line["response"]
                if response["status_code"] == 200:
                    body = response["body"]
                    ids.append(line["custom_id"])
                    answers.append(read(body["choices"][0]["message"]["content"]))
                    prompts.append(body["usage"]["prompt_tokens"])
                    completions.append(body["usage"]["completion_tokens"])
    columns = {"answer": answers, "prompt": prompts, "completion": completions}
    return pd.DataFrame({"custom_id": ids, **columns})


def answer_model():
    from pydantic import create_model

    return create_model("Answer", categories=list[Literal[*KINDS]], summary=str)


def floor_read(folder: Path) -> Callable[[], object]:
    """Only the reading of the lines."""
    import orjson

    def work():
        for path in result_files(folder):
            with path.open("rb") as file:
                for text in file:
                    orjson.loads(text)

    return work


# photographs to data URLs


def ours_images(folder: Path) -> Callable[[], object]:
    import helpers

    return lambda: helpers.image_parts(photographs(folder), long_side=SIDE)


def loop_images(folder: Path) -> Callable[[], object]:
    def work():
        urls = []
        for path in photographs(folder):
            image = Image.open(path)
            image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
            urls.append(_url(_jpeg(image)))
        return urls

    return work


def limit_images(folder: Path) -> Callable[[], object]:
    import simplejpeg

    def one(path):
        content = path.read_bytes()
        pixels = simplejpeg.decode_jpeg(content, min_width=SIDE, min_height=SIDE, min_factor=1)
        image = Image.fromarray(pixels)
        image.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
        return _url(_jpeg(image))

    def work():
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(one, photographs(folder)))

    return work


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _url(content: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(content).decode()


# what the cases share


def read_table(folder: Path) -> pd.DataFrame:
    return pickle.loads((folder / "table.pickle").read_bytes())


def photographs(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jpg"))


def finished_job(folder: Path):
    """A job of the table whose batches have ended and whose result files are on disk."""
    import openai

    import helpers
    from helpers.job import Records, result_path, server_of

    client = openai.OpenAI(api_key="none", base_url="http://nowhere.invalid/v1", max_retries=0)
    rows = helpers.rows(read_table(folder))
    shards = helpers.write((request_for(row) for row in rows), folder / "job")
    server = server_of(client)
    for number, shard in enumerate(shards, start=1):
        batch = {
            "id": f"batch_{number:03}",
            "object": "batch",
            "endpoint": shard.endpoint,
            "input_file_id": "file-1",
            "completion_window": "24h",
            "created_at": 1,
            "status": "completed",
            "output_file_id": f"file-{number}",
            "error_file_id": f"file-{number}",
        }
        for kind in ("output", "errors"):
            path = result_path(shard, server, batch["id"], f"file-{number}", kind)
            if not path.exists():
                path.symlink_to(folder / f"{number:03}-{kind}.jsonl")
        with Records(server).change(shard) as record:
            record.batch = batch
    ids = [f"batch_{number:03}" for number in range(1, len(shards) + 1)]
    return helpers.Job(shards, ids, server), client


# CPU time against a bare loop


def ours_bare(folder: Path) -> Callable[[], object]:
    return in_turns(ours_build(folder), limit_build(folder))


def ours_bareread(folder: Path) -> Callable[[], object]:
    return in_turns(ours_read(folder), bare_read(folder))


def ours_bareanswers(folder: Path) -> Callable[[], object]:
    return in_turns(ours_answers(folder), bare_answers(folder))


def in_turns(ours: Callable[[], object], bare: Callable[[], object]) -> Callable[[], object]:
    """How many times the CPU time of a bare loop ours takes, with all checks, in this process."""

    def work():
        used: dict[str, list[float]] = {"ours": [], "bare": []}
        for _ in range(5):
            for name, way in (("ours", ours), ("bare", bare)):
                # No way works off what another has left.
                gc.collect()
                begun = time.process_time()
                made = way()
                used[name].append(time.process_time() - begun)
                del made
        # The least of each: what else the machine does can only add to it.
        return {"ratio": min(used["ours"]) / min(used["bare"])}

    return work


# many batch files


def ours_shards(folder: Path, count: int = 250) -> Callable[[], object]:
    """The local work of a job of so many batch files of one request, at a server of its own."""
    import openai

    import helpers

    requests = [
        request_for({"id": f"row-{n}", "title": "A", "overview": f"{n}"}) for n in range(count)
    ]
    process, url = served(folder, requests)
    client = openai.OpenAI(api_key="any", base_url=url)

    def work():
        shards = helpers.write(requests, outputs(folder) / "shards", max_requests=1)
        begun = time.process_time()
        job = helpers.submit(client, shards)
        helpers.wait(client, job, show=lambda batches: None)
        outcomes = helpers.collect(client, job)
        used = time.process_time() - begun
        process.kill()
        assert outcomes["outcome"].eq("ok").all()
        return {"cpu": used, "count": count}

    return work


def ours_manyshards(folder: Path) -> Callable[[], object]:
    return ours_shards(folder, 2_000)


def served(folder: Path, requests: list[dict]):
    """A replay on a port, in a process of its own, that has an answer to these requests."""
    body = {
        "id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{
            "index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "a"},
        }],
        "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
    }  # fmt: skip
    place = outputs(folder)
    (place / "recordings").mkdir()
    answers = [{"status_code": 200, "body": body}]
    lines = [
        {"custom_id": r["custom_id"], "request": r["body"], "answers": answers} for r in requests
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (place / "recordings" / "own.jsonl").write_text(text)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "helpers.replay", "--port", str(port)]
    command += ["--state", str(place / "r.sqlite"), "--recordings", str(place / "recordings")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    process.stdout.readline()
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process, f"http://127.0.0.1:{port}/v1"
        time.sleep(0.05)


if __name__ == "__main__":
    main(globals())
