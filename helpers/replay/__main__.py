"""Serve the replay on a port, for any client: ``python -m helpers.replay --port 8000``."""

import argparse
from pathlib import Path

from werkzeug.serving import run_simple

from helpers.paths import DATA, JOBS
from helpers.replay.app import create_app


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m helpers.replay", description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--state", type=Path, default=JOBS / "replay.sqlite")
    parser.add_argument("--recordings", type=Path, default=DATA / "recordings")
    parser.add_argument("--queue-tokens", type=int, help="prompt tokens that fit in the queue")
    parser.add_argument("--expire-after", type=int, help="lines a batch finishes before expiring")
    parser.add_argument("--seconds", type=float, help="how long a batch runs")
    options = parser.parse_args()
    app = create_app(
        options.state,
        options.queue_tokens,
        options.expire_after,
        options.recordings,
        seconds=options.seconds,
    )
    print(f"OPENAI_BASE_URL=http://127.0.0.1:{options.port}/v1  (any OPENAI_API_KEY)", flush=True)
    run_simple("127.0.0.1", options.port, app, threaded=True)


if __name__ == "__main__":
    main()
