"""Which ids were seen before, in eight bytes per id however many there are."""

from collections.abc import Iterator

import numpy as np


class SeenIds:
    """Finds ids that stand in two lines.

    The ids of the latest block of lines are kept as they are, those of the blocks before as sorted
    hashes. Two different ids have the same hash of 64 bits once in ten million jobs of a million
    rows, and not in the same job again: Python hashes otherwise in every process.
    """

    def __init__(self, block: int = 25_000):
        self.count = 0
        self._block = block
        self._recent: dict[str, int] = {}
        self._earlier: list[tuple[np.ndarray, int, int]] = []
        self._far_apart: list[tuple[str, int, str]] = []

    def add(self, custom_id: str, line: int) -> str:
        """An empty string, or the line of the same block that has the same id."""
        first = self._recent.setdefault(custom_id, line)
        if first != line:
            return f"line {first}"
        self.count += 1
        if len(self._recent) == self._block:
            self._end_block()
        return ""

    def far_apart(self) -> Iterator[tuple[str, int, str]]:
        """Ids that an earlier block has as well: the id, its line, and where it was before."""
        if self._recent:
            self._end_block()
        yield from self._far_apart

    def _end_block(self) -> None:
        ids, lines = list(self._recent), list(self._recent.values())
        hashes = np.fromiter(map(hash, ids), np.int64, len(ids))
        order = np.argsort(hashes)
        hashes = hashes[order]
        for block, first, last in self._earlier:
            places = np.searchsorted(block, hashes).clip(max=len(block) - 1)
            for place in order[block[places] == hashes]:
                found = (ids[place], lines[place], f"one of the lines {first} to {last}")
                self._far_apart.append(found)
        self._earlier.append((hashes, lines[0], lines[-1]))
        self._recent = {}
