"""Photographs the furniture: `python -m furniture [ID ...]`, from data/make/.

Needs Blender as a Python module and Pillow (pip install "bpy==4.5.*" pillow, Python 3.11). Pictures
go to data/furniture/. A picture takes about a minute of one core; without an ID all are made.
"""

import sys
from pathlib import Path

from . import (
    classics,
    rooms,
    seats,
    seats_more,
    soft_seats,
    storage,
    storage_more,
    storage_soft,
    studio,
    tables,
    tables_more,
)

FOLDER = Path(__file__).parents[2] / "furniture"
MODULES = (
    classics, rooms, seats, seats_more, soft_seats, storage, storage_more, storage_soft, tables,
    tables_more,
)  # fmt: skip
ITEMS = {name: item for module in MODULES for name, item in module.ITEMS.items()}


def main() -> None:
    for name in sys.argv[1:] or ITEMS:
        build, view = ITEMS[name]
        studio.clear()
        build()
        studio.photograph(str(FOLDER / f"{name}.jpg"), **view)
        print(name)


if __name__ == "__main__":
    main()
