"""Hard and see-through materials: metal, glass, stone, fibre, light."""

import bpy

from .materials import Colour, Graph, rgba

METALS = {  # colour, roughness, metallic
    "brushed steel": ("#c4c4c2", 0.30, 1.0),
    "chrome": ("#e2e3e5", 0.06, 1.0),
    "brass": ("#c9a45c", 0.22, 1.0),
    "aged brass": ("#9a7a45", 0.34, 1.0),
    "copper": ("#cf8a66", 0.24, 1.0),
    "black": ("#1b1b1c", 0.48, 0.0),
    "white": ("#ecebe7", 0.42, 0.0),
}


def metal(
    kind: str = "brushed steel", colour: Colour | None = None, roughness: float | None = None
) -> bpy.types.Material:
    """Metal; 'black' and 'white' are powder coats and take any colour."""
    tone, rough, metallic = METALS[kind]
    g = Graph(f"metal {kind}")
    rough = rough if roughness is None else roughness
    g.principled(Base_Color=rgba(colour or tone), Metallic=metallic)
    if kind == "brushed steel":
        raw = g.add("Attribute", out="Vector", attribute_name="grain")
        lines = g.noise(g.add("VectorMath", {0: raw, 1: (8, 700, 700)}, operation="MULTIPLY"))
        g.principled(Anisotropic=0.5, Roughness=g.math("MULTIPLY_ADD", lines, 0.2, rough - 0.1))
        g.bump(lines, 0.0001, 0.15)
    elif not metallic:
        g.principled(Roughness=rough)
        g.bump(g.noise(g.coords(), 600.0), 0.0003, 0.3)
    else:
        smudge = g.noise(g.coords(), 14.0, 4.0)
        g.principled(Roughness=g.math("MULTIPLY_ADD", smudge, rough * 0.5, rough * 0.75))
    return g.material


def glass(colour: Colour = "#f4faf8", roughness: float = 0.0) -> bpy.types.Material:
    """Clear or tinted glass that lets light through to what is behind it."""
    g = Graph("glass")
    g.principled(Base_Color=rgba(colour), Transmission_Weight=1.0, Roughness=roughness, IOR=1.48)
    clear = g.add("BsdfTransparent", {"Color": rgba(colour)})
    shadow = g.add("LightPath", out="Is Shadow Ray")
    g.set(g.output, {"Surface": g.add("MixShader", {0: shadow, 1: g.shader.outputs[0], 2: clear})})
    return g.material


def mirror(colour: Colour = "#eceff0") -> bpy.types.Material:
    """Silvered glass."""
    g = Graph("mirror")
    g.principled(Base_Color=rgba(colour), Metallic=1.0, Roughness=0.01)
    return g.material


def ceramic(colour: Colour = "#e9e4da", speckles: float = 0.3) -> bpy.types.Material:
    """Glazed ceramic with faint speckles (0..1)."""
    g = Graph("ceramic")
    dots = g.add("MapRange", {0: g.noise(g.coords(), 170.0), 1: 0.66, 2: 0.72, 3: 0.0, 4: speckles})
    g.principled(
        Base_Color=g.mix(dots, rgba(colour), rgba("#5d4a3a")),
        Roughness=0.24,
        Coat_Weight=0.4,
        Coat_Roughness=0.08,
    )
    g.bump(g.noise(g.coords(), 22.0), 0.001, 0.25)
    return g.material


def plastic(colour: Colour = "#e8e6e1", roughness: float = 0.35) -> bpy.types.Material:
    """Moulded plastic with a very fine texture."""
    g = Graph("plastic")
    g.principled(
        Base_Color=rgba(colour), Roughness=roughness, Subsurface_Weight=0.04, Subsurface_Scale=0.01
    )
    g.bump(g.noise(g.coords(), 450.0), 0.0002, 0.2)
    return g.material


def rattan(colour: Colour = "#c79a62") -> bpy.types.Material:
    """Cane for single strands (parts.rod or parts.tube): streaks along the strand."""
    g = Graph("rattan")
    raw = g.add("Attribute", out="Vector", attribute_name="grain")
    streak = g.noise(
        g.add("VectorMath", {0: raw, 1: (7, 300, 300)}, operation="MULTIPLY"), 1.0, 3.0
    )
    streak = g.add("MapRange", {0: streak, 1: 0.3, 2: 0.7})
    g.principled(Base_Color=g.mix(streak, rgba(colour, 0.65), rgba(colour, 1.15)), Roughness=0.5)
    g.bump(streak, 0.0006, 0.5)
    return g.material


def wicker(
    colour: Colour = "#b98a55", size: float = 0.012, plane: str = "xy"
) -> bpy.types.Material:
    """Basket weave (cane, coir, paper cord) as a bump over a surface that lies in the given plane."""
    g = Graph("wicker")
    axes = g.add("SeparateXYZ", {0: g.coords((1 / size,) * 3)}).node.outputs
    u, v = axes["XYZ".index(plane[0].upper())], axes["XYZ".index(plane[1].upper())]
    over = g.add(
        "TexChecker", {"Vector": g.add("CombineXYZ", {0: u, 1: v, 2: 0.5}), "Scale": 1.0}, out="Fac"
    )
    arch = [g.math("ABSOLUTE", g.math("SINE", g.math("MULTIPLY", a, 3.14159))) for a in (u, v)]
    height = g.mix(over, arch[0], arch[1])
    fibre = g.noise(g.coords(), 260.0, 3.0)
    dark = g.add("MapRange", {0: height, 1: 0.0, 2: 0.55, 3: 0.35, 4: 1.05})
    base = g.mix(fibre, rgba(colour, 0.7), rgba(colour, 1.2))
    g.principled(Base_Color=g.add("HueSaturation", {"Color": base, "Value": dark}), Roughness=0.6)
    g.bump(height, size * 0.35, 0.9)
    return g.material


def marble(
    colour: Colour = "#efedea", vein: Colour = "#7f7c79", scale: float = 3.0
) -> bpy.types.Material:
    """Polished stone with drifting veins."""
    g = Graph("marble")
    bent = g.add(
        "TexNoise", {"Vector": g.coords(), "Scale": scale, "Detail": 7.0, "Distortion": 1.3}
    )
    thin = g.math("ABSOLUTE", g.math("SUBTRACT", bent, 0.5))
    lines = g.add("MapRange", {0: thin, 1: 0.0, 2: 0.035, 3: 0.75, 4: 0.0})
    lines = g.math("MULTIPLY", lines, g.noise(g.coords(), scale * 1.7))
    cloud = g.add(
        "MapRange", {0: g.noise(g.coords(), scale * 0.8, 6.0), 1: 0.4, 2: 0.8, 3: 0.0, 4: 0.3}
    )
    base = g.mix(cloud, rgba(colour), rgba(vein, 1.5))
    g.principled(Base_Color=g.mix(lines, base, rgba(vein)), Roughness=0.16)
    return g.material


def concrete(colour: Colour = "#a7a5a1") -> bpy.types.Material:
    """Cast concrete: clouded, matt."""
    g = Graph("concrete")
    cloud = g.add("MapRange", {0: g.noise(g.coords(), 2.2, 8.0), 1: 0.3, 2: 0.7})
    g.principled(Base_Color=g.mix(cloud, rgba(colour, 0.82), rgba(colour, 1.12)), Roughness=0.75)
    g.bump(g.noise(g.coords(), 60.0, 5.0), 0.001, 0.25)
    return g.material


def lampshade(colour: Colour = "#f1e7d3", thickness: float = 0.4) -> bpy.types.Material:
    """Linen or paper that light shines through; thickness 0..1 is the opaque share."""
    g = Graph("lampshade")
    linen = g.noise(g.coords((1, 1, 0.12)), 420.0, 2.0)
    cross = g.noise(g.coords((0.08, 0.08, 1)), 420.0, 2.0)
    threads = g.add("MapRange", {0: g.math("ADD", linen, cross), 1: 0.75, 2: 1.25, 3: 0.0, 4: 1.0})
    base = g.mix(threads, rgba(colour, 0.82), rgba(colour, 1.05))
    through = g.add("BsdfTranslucent", {"Color": base})
    solid = g.add("BsdfDiffuse", {"Color": base})
    g.set(g.output, {"Surface": g.add("MixShader", {0: thickness, 1: through, 2: solid})})
    return g.material


def glow(colour: Colour = "#ffd9a8", strength: float = 12.0) -> bpy.types.Material:
    """A light bulb's own light."""
    g = Graph("glow")
    g.principled(Base_Color=rgba(colour), Emission_Color=rgba(colour), Emission_Strength=strength)
    return g.material
