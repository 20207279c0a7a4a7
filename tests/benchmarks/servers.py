"""Cases about the replay and about a model of one's own; run as a script it is a slow model."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from inputs import request_for

ANSWER_SECONDS, AT_ONCE = 0.05, 16


def ours_walk(folder: Path, count: int = 50_000) -> Callable[[], object]:
    """A batch without one recorded line from its creation to its end, while others call as well."""
    import httpx2
    import openai

    from helpers.replay import create_app

    app = create_app(folder / "outputs" / "walk.sqlite")
    client, other = (
        openai.OpenAI(
            api_key="any",
            base_url="http://replay.invalid/v1",
            http_client=httpx2.Client(transport=httpx2.WSGITransport(app=app)),
        )
        for _ in range(2)
    )
    file = client.files.create(file=("requests.jsonl", unrecorded(count)), purpose="batch")
    ended, seconds = threading.Event(), []

    def call_meanwhile():
        while not ended.is_set():
            for call in (
                lambda: other.files.list(limit=5),
                lambda: other.models.retrieve("gpt-6-luna"),
                lambda: other.files.create(file=("a.jsonl", b"{}"), purpose="batch"),
            ):
                begun = time.perf_counter()
                call()
                seconds.append(time.perf_counter() - begun)
            time.sleep(0.02)

    def work():
        calling = threading.Thread(target=call_meanwhile)
        calling.start()
        begun = time.process_time()
        batch = finish(client, file.id)
        used = time.process_time() - begun
        ended.set()
        calling.join()
        assert batch.request_counts.failed == count
        return {"cpu": used, "slowest": max(seconds)}

    return work


def ours_clients(folder: Path, clients: int = 8, count: int = 5_000) -> Callable[[], object]:
    """Several clients at once, each with a batch of its own."""
    import httpx2
    import openai

    from helpers.replay import create_app

    app = create_app(folder / "outputs" / "clients.sqlite")
    ended = []

    def one(name: str):
        client = openai.OpenAI(
            api_key="any",
            base_url="http://replay.invalid/v1",
            max_retries=0,
            http_client=httpx2.Client(transport=httpx2.WSGITransport(app=app)),
        )
        content = unrecorded(count, name)
        file = client.files.create(file=("requests.jsonl", content), purpose="batch")
        ended.append(finish(client, file.id).request_counts.failed)

    def work():
        threads = [threading.Thread(target=one, args=[str(n)]) for n in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ended == [count] * clients
        return {}

    return work


def ours_local(folder: Path, count: int = 1_000) -> Callable[[], object]:
    """A batch in front of a model that takes 50 ms; ``ratio`` is to the least possible time."""
    from helpers.replay.clients import local_client

    process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = process.stdout.readline().strip()
    state = folder / "outputs" / "local.sqlite"
    client = local_client(f"http://127.0.0.1:{port}/v1", state, at_once=AT_ONCE)

    def work():
        begun = time.perf_counter()
        content = unrecorded(count)
        file = client.files.create(file=("requests.jsonl", content), purpose="batch")
        batch = finish(client, file.id)
        seconds = time.perf_counter() - begun
        process.kill()
        process.wait()
        assert batch.request_counts.completed == count
        least = -(-count // AT_ONCE) * ANSWER_SECONDS
        return {"ratio": seconds / least}

    return work


def unrecorded(count: int, name: str = "") -> bytes:
    """A batch file of requests as the tickets' are, none of which is recorded."""
    from helpers import DATA

    with (DATA / "recordings" / "tickets.jsonl").open("rb") as lines:
        body = json.loads(next(lines))["request"]
    requests = []
    for number in range(count):
        row = {"id": f"row-{number}", "title": f"Ticket {name}", "overview": f"Order {number}"}
        text = request_for(row)["body"]["messages"][-1]
        asked = {**body, "messages": [body["messages"][0], text]}
        line = {
            "custom_id": row["id"], "method": "POST", "url": "/v1/chat/completions", "body": asked,
        }  # fmt: skip
        requests.append(json.dumps(line).encode())
    return b"\n".join(requests)


def finish(client, file_id: str):
    """The batch of the file at its end; between looks it waits as long as it is asked to."""
    batch = client.batches.create(
        input_file_id=file_id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    while batch.status not in ("completed", "failed"):
        answer = client.batches.with_raw_response.retrieve(batch.id)
        batch = answer.parse()
        time.sleep(int(answer.headers["openai-poll-after-ms"]) / 1_000)
    return batch


async def serve() -> None:
    """A server with Chat Completions that takes its time for each, and keeps connections."""
    message = {"role": "assistant", "content": "yes"}
    body = json.dumps({
        "id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }).encode()  # fmt: skip
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.readuntil(b"\r\n\r\n"):
            length = next(
                int(line.split(b":")[1])
                for line in request.lower().splitlines()
                if line.startswith(b"content-length:")
            )
            await reader.readexactly(length)
            await asyncio.sleep(ANSWER_SECONDS)
            writer.write(f"{head}\r\n".encode() + body)
            await writer.drain()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
