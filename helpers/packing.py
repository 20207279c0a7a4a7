"""How requests are packed into batch files: the limits of one file, and when the next begins."""

from typing import Any

# openai/types/batch_create_params.py in the SDK ("50,000 requests", "200 MB", "50,000 embedding
# inputs across all requests"). Whether a MB is 10^6 or 2^20 bytes is not documented; the smaller
# one is safe.
MAX_REQUESTS = 50_000
MAX_BYTES = 200_000_000
MAX_INPUTS = 50_000


class Packing:
    """Requests go into files in order, each file within its limits."""

    def __init__(self, max_requests: int = MAX_REQUESTS, max_bytes: int = MAX_BYTES):
        self.max_requests, self.max_bytes = max_requests, max_bytes
        self.files = self._count = self._bytes = self._inputs = 0

    def begins_a_file(self, size: int, inputs: int = 0) -> bool:
        """Whether the next request, of so many bytes and embedding inputs, goes into a new file."""
        full = (
            self._count >= self.max_requests
            or self._bytes + size > self.max_bytes
            or self._inputs + inputs > MAX_INPUTS
        )
        if begins := full or not self.files:
            self.files += 1
            self._count = self._bytes = self._inputs = 0
        self._count += 1
        self._bytes += size
        self._inputs += inputs
        return begins


def embedding_inputs(request: Any) -> int:
    """How many texts the request asks embeddings of; 0 for other requests.

    One text, a list of texts, one text as a list of tokens, or a list of those:
    openai/types/embedding_create_params.py.
    """
    url = request.get("url") if isinstance(request, dict) else None
    if not isinstance(url, str) or url != "/v1/embeddings":
        return 0
    body = request.get("body")
    texts = body.get("input") if isinstance(body, dict) else None
    several = isinstance(texts, list) and texts and not isinstance(texts[0], int)
    return len(texts) if several else 1
