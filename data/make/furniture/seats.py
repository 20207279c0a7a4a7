"""Chairs, stools and benches with plain seats."""

from .materials import leather, wood
from .parts import board, cylinder, ellipse, lathe, leg, panel
from .seats_shapes import bar, bolt, moulded, ring, sawn, twice
from .soft import bent, cushion
from .surfaces import metal, plastic
from .sweeps import around, mirrored, place, repeated, tube


def dining_chairs_black() -> None:
    """Two dining chairs of black steel tube with moulded walnut seat and back: 0.82 m high."""
    steel, walnut, rubber = metal("black"), wood("walnut"), plastic("#151515")
    front = tube(
        [(0.198, -0.222, 0.012), (0.18, -0.195, 0.436), (0.168, 0.2, 0.424)],
        0.010,
        steel,
        bend=0.045,
    )
    back = tube(
        [(0.198, 0.275, 0.012), (0.168, 0.205, 0.40), (0.168, 0.212, 0.50), (0.168, 0.285, 0.815)],
        0.010,
        steel,
        bend=0.12,
    )
    feet = [cylinder(0.0125, 0.026, (0.1985, y, 0.013), rubber, 0.003) for y in (-0.2225, 0.277)]
    mirrored([front, back, *feet])
    for y, z, half in ((-0.14, 0.434, 0.178), (0.13, 0.426, 0.169), (0.209, 0.30, 0.174)):
        bar((-half, y, z), (half, y, z), 0.008, steel)
    moulded(
        0.425,
        0.42,
        0.085,
        lambda x, y: (
            x * (1 - 0.18 * y),
            y - 0.02,
            0.4545
            + 0.22 * x * x
            - 0.014 * max(0.0, 1 - ((y + 0.02) / 0.19) ** 2)
            - 0.28 * max(0.0, -y - 0.13) ** 1.5,
        ),
        0.012,
        walnut,
    )
    moulded(
        0.425,
        0.20,
        0.075,
        lambda x, y: (x, 0.277 + 0.23 * y - 1.15 * x * x, 0.725 + y),
        0.011,
        walnut,
    )
    mirrored([bolt((0.168, 0.236 + 0.23 * d, 0.725 + d), 0.0055) for d in (-0.04, 0.04)])
    twice(((-0.33, -0.05, 0), 24), ((0.36, 0.16, 0), -38))


def pine_stool() -> None:
    """Low round pine stool with three legs wedged through the seat: 0.40 m high."""
    pine = wood("pine")
    panel(ellipse(0.33, 0.33), 0.038, (0, 0, 0.381), pine, 0.009)
    post = leg((0.088, 0, 0.385), (0.155, 0, 0), 0.038, 0.027, pine)
    tenon = cylinder(0.0155, 0.01, (0.086, 0, 0.3962), wood("pine", tone=0.72), 0.001)
    wedge = board((0.003, 0.029, 0.01), (0.086, 0, 0.3966), wood("walnut"), 0.0003)
    around([post, tenon, wedge], 3)


def bar_stools() -> None:
    """Two bar stools of square black steel with scooped walnut seats and a footrest: 0.68 m high."""
    steel, walnut = metal("black"), wood("walnut")
    mirrored(
        [
            leg((0.135, -0.125, 0.636), (0.195, -0.19, 0.004), 0.020, 0.020, steel, False, 0.0025),
            cylinder(0.012, 0.008, (0.195, -0.19, 0.004), plastic("#111111"), 0.001),
        ],
        "xy",
    )

    def wide(z: float) -> tuple[float, float]:
        """Half distance of the legs across and in depth at height z."""
        return 0.195 - 0.06 * z / 0.636, 0.19 - 0.065 * z / 0.636

    for z, y in ((0.23, -1), (0.33, 1), (0.626, -1), (0.626, 1)):
        board((2 * wide(z)[0] - 0.018, 0.018, 0.018), (0, y * wide(z)[1], z), steel, 0.002)
    for z in (0.33, 0.626):
        mirrored(board((0.018, 2 * wide(z)[1] - 0.018, 0.018), (wide(z)[0], 0, z), steel, 0.002))
    board((0.30, 0.020, 0.002), (0, -wide(0.23)[1], 0.240), metal("brushed steel"), 0.0008)
    moulded(
        0.385,
        0.345,
        0.07,
        lambda x, y: (
            x,
            y,
            0.652 + 2.0 * max(0.0, abs(x) - 0.09) ** 2 - 0.25 * max(0.0, -y - 0.09) ** 1.4,
        ),
        0.030,
        walnut,
    )
    twice(((-0.31, -0.08, 0), 12), ((0.31, 0.12, 0), -24))


def bar_stool_white() -> None:
    """Swivel bar stool: white leather bucket seat on a chrome pedestal: 0.92 m high."""
    hide, chrome, dark = leather("#b7b5af", 0.40), metal("chrome", "#a9adb1"), plastic("#161616")
    lathe(
        [
            (0, 0.03),
            (0.035, 0.028),
            (0.06, 0.022),
            (0.15, 0.016),
            (0.2, 0.011),
            (0.206, 0.006),
            (0.204, 0.001),
            (0, 0.001),
        ],
        (0, 0, 0),
        chrome,
    )
    lathe([(0.06, 0.019), (0.042, 0.03), (0.034, 0.06), (0.0305, 0.10)], (0, 0, 0), chrome)
    bar((0, 0, 0.03), (0, 0, 0.46), 0.030, chrome)
    cylinder(0.033, 0.018, (0, 0, 0.46), dark, 0.003)
    bar((0, 0, 0.45), (0, 0, 0.64), 0.018, chrome)
    cylinder(0.037, 0.05, (0, 0, 0.28), chrome, 0.004)
    tube(ring(0.165, 0.28, -0.05), 0.0115, chrome, closed=True)
    for x, y in ((0.13, -0.15), (-0.13, -0.15), (0.0, 0.115)):
        bar((x * 0.2, y * 0.2, 0.28), (x, y, 0.28), 0.009, chrome)
    board((0.17, 0.17, 0.035), (0, 0, 0.643), dark, 0.008)
    bar((0.05, -0.03, 0.638), (0.20, -0.06, 0.628), 0.005, chrome)
    bar((0.19, -0.058, 0.6285), (0.235, -0.067, 0.626), 0.009, dark)
    grain = hide.node_tree.nodes
    grain["Voronoi Texture"].inputs["Scale"].default_value = 150
    grain["Bump"].inputs["Strength"].default_value = 1
    pan = [(0, 0.656), (0.13, 0.656), (0.183, 0.659), (0.195, 0.667), (0.198, 0.684)]
    pan += [(0.196, 0.696), (0.19, 0.699), (0.18, 0.699), (0.16, 0.699), (0.1, 0.699)]
    lathe([*pan, (0, 0.699)], (0, 0, 0), hide, sides=96)
    seat = [(0, 0.692), (0.1, 0.692), (0.15, 0.692), (0.172, 0.692), (0.187, 0.694)]
    seat += [(0.1945, 0.703), (0.197, 0.718)]
    seat += [(0.1955, 0.734), (0.189, 0.747), (0.178, 0.7535), (0.16, 0.757), (0.138, 0.7575)]
    seat += [(0.130, 0.756), (0.125, 0.751), (0.121, 0.757), (0.112, 0.7615), (0.06, 0.7665)]
    lathe([*seat, (0, 0.768)], (0, 0, 0), hide, sides=96)
    for radius, height in ((0.1875, 0.7495), (0.1945, 0.6985)):
        tube(ring(radius, height), 0.0036, hide, closed=True)
    length, tall, radius = 0.735, 0.258, 0.2145
    parts = cushion(
        (length, tall, 0.046),
        (0, 0, 0.662 + tall / 2),
        hide,
        0.2,
        0.022,
        0.0025,
        piping=0.0034,
        turn=(90, 0, 0),
        detail=72,
    )
    for x in (-0.117, 0.117):  # welts on the inside
        near = [v.co for v in parts[0].data.vertices if abs(v.co.x - x) < 0.006 and v.co.z > 0.008]
        parts.append(tube(sorted(near, key=lambda co: co.y), 0.003, hide))
        parts[-1].matrix_basis = parts[0].matrix_basis
    for thing in parts:  # the top sweeps down to the arms and leans out a little
        for vert in thing.data.vertices:
            out = min(1.0, max(0.0, abs(vert.co.x) / length * 2 - 0.2) / 0.8)
            lift = (vert.co.y + tall / 2) * (1 - 0.55 * out * out * (3 - 2 * out))
            vert.co.y = lift - tall / 2
            vert.co.z -= 0.7 * max(0.0, lift - 0.094) ** 2
    bent(parts, radius)
    place(parts, (0, radius, 0))


def oak_bench() -> None:
    """Entry bench in oak with a slatted shelf: 1.05 m wide, 0.46 m high."""
    oak = wood("oak")
    for y in (-0.0885, 0.0885):
        board((1.05, 0.175, 0.026), (0, y, 0.447), oak, 0.003)
    mirrored(leg((0.48, -0.145, 0.434), (0.48, -0.145, 0), 0.046, 0.034, oak, False, 0.003), "xy")
    mirrored(board((0.916, 0.02, 0.06), (0, -0.147, 0.402), oak, 0.003), "y")
    mirrored(
        [
            board((0.02, 0.246, 0.06), (0.482, 0, 0.402), oak, 0.003),
            board((0.026, 0.252, 0.032), (0.48, 0, 0.132), oak, 0.003),
        ]
    )
    repeated(board((0.985, 0.034, 0.016), (0, -0.098, 0.156), oak, 0.003), 5, (0, 0.049, 0))
    mirrored(
        [
            bolt((0.48, -0.098 + 0.049 * i, 0.1640), 0.0045, (0, 0, 0), "aged brass")
            for i in range(5)
        ]
    )


def folding_chair() -> None:
    """Open folding chair in beech with slats in seat and back: 0.80 m high."""
    beech = wood("beech")
    long = sawn(
        [(-0.235, 0), (-0.08, 0.235), (0.07, 0.46), (0.165, 0.62), (0.245, 0.80)],
        0.036,
        0.021,
        0.212,
        beech,
        0.028,
        True,
    )
    short = sawn(
        [(0.275, 0), (0.055, 0.215), (-0.165, 0.43)], 0.034, 0.021, 0.187, beech, floor=True
    )
    rail = board((0.018, 0.40, 0.032), (0.166, -0.02, 0.434), beech, 0.004, (1.5, 0, 0))
    screws = [bolt((0.2245, y, z), 0.008, (0, 90, 0)) for y, z in ((-0.033, 0.304), (0.052, 0.432))]
    mirrored([long, short, rail, *screws])
    for y, z in ((-0.165, 0.105), (0.155, 0.118)):
        bar((-0.207, y, z), (0.207, y, z), 0.0105, beech)
    for i in range(6):
        y = -0.207 + 0.0715 * i
        board(
            (0.39 if i < 5 else 0.37, 0.056, 0.014),
            (0, y, 0.4585 + 0.026 * (y + 0.02) + (0.22 * (y + 0.02) ** 2)),
            beech,
            0.004,
            (1.5 + 20 * (y + 0.02), 0, 0),
        )
        mirrored(
            bolt(
                (0.166, y, 0.4660 + 0.026 * (y + 0.02) + 0.22 * (y + 0.02) ** 2), 0.0035, (0, 0, 0)
            )
        )
    for z, y, tall in ((0.575, 0.140, 0.05), (0.66, 0.187, 0.05), (0.752, 0.225, 0.062)):
        moulded(
            0.412,
            tall,
            0.006,
            lambda x, v: (x, y + 0.42 * v + 0.016 * (1 - (x / 0.2) ** 2), z + v),
            0.013,
            beech,
        )


ITEMS = {
    "dining-chairs-set-black": (
        dining_chairs_black,
        {"background": "warm", "azimuth": 6, "elevation": 12},
    ),
    "stool-pine": (
        pine_stool,
        {"background": "green", "azimuth": 20, "elevation": 20, "gap": 0.5, "zoom": 0.93},
    ),
    "bar-stools-set": (
        bar_stools,
        {"background": "concrete", "azimuth": 10, "elevation": 11, "gap": 0.5},
    ),
    "bar-stool-white": (
        bar_stool_white,
        {"background": "blue", "azimuth": -30, "elevation": 10, "gap": 0.5},
    ),
    "bench-oak": (oak_bench, {"background": "beige", "azimuth": -14, "elevation": 19, "gap": 0.02}),
    "folding-chair": (folding_chair, {"background": "white", "azimuth": 38, "elevation": 14}),
}
