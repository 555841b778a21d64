"""Cut Latin Modern Math down to what formulas need, for book/_static/fonts.

    python tools/subset_math_font.py .../latinmodern-math.otf

The font comes with Debian's fonts-lmodern and with TeX Live. Browsers draw MathML with whatever
font they find, and without one that has a MATH table their brackets and roots do not grow. The
characters kept are those of school and of this field, so that a new formula seldom needs a new
cut; a test names any that is missing. Needs fonttools and Brotli.
"""

import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

OUT = Path(__file__).parents[1] / "book" / "_static" / "fonts" / "book-math.woff2"
NAME = "LayerNorm Book Math"  # the licence asks that a changed font not keep the original's name
KEPT = (
    "".join(map(chr, range(0x20, 0x7F)))
    + "".join(map(chr, range(0x1D434, 0x1D468)))  # italic Latin
    + "𝛼𝛽𝛾𝛿𝜀𝜖𝜂𝜃𝜅𝜆𝜇𝜈𝜋𝜌𝜎𝜏𝜙𝜑𝜓𝜔𝜕ΔΣε"
    + "ℎℝ𝔼𝟏𝟎𝐈𝒩𝒪ℒ∇∞"
    + "±×⋅⊙⊗⊕−=≠≈≡∼∝≤≥≪≫→⟶⇒↦∈⊤⊥‖⟨⟩⌊⌋…⋯⋮⋱∑∏√⏟ˆ˜¯′’\u0302\u0303\u0304\u0305\u0332"
)

LARGE = {"summation", "product"}  # larger in a display
GROWING = "()[]{}|‖√⏟\u0302\u0305\u0332"  # all others keep one size


def keep_one_size(font):
    """Forget the larger drawings of every character that is not in GROWING."""
    names = {font.getBestCmap()[ord(c)] for c in GROWING}
    variants = font["MATH"].table.MathVariants
    for way in ("Vert", "Horiz"):
        coverage = getattr(variants, f"{way}GlyphCoverage")
        grown = getattr(variants, f"{way}GlyphConstruction")
        kept = [i for i, name in enumerate(coverage.glyphs) if name in names or name in LARGE]
        coverage.glyphs = [coverage.glyphs[i] for i in kept]
        setattr(variants, f"{way}GlyphConstruction", [grown[i] for i in kept])
        setattr(variants, f"{way}GlyphCount", len(kept))


def main(source):
    """Write the subset and say what it weighs."""
    # No layout features: drawings of their own for small sizes would triple the file.
    options = subset.Options(layout_features=[], desubroutinize=True, flavor="woff2", hinting=False)
    font = TTFont(source)
    keep_one_size(font)
    missing = sorted({c for c in KEPT if ord(c) not in font.getBestCmap()})
    cut = subset.Subsetter(options)
    cut.populate(text=KEPT)
    cut.subset(font)
    for record in font["name"].names:
        if record.nameID in (1, 3, 4, 6, 16):
            record.string = NAME.replace(" ", "") if record.nameID == 6 else NAME
    if "CFF " in font:
        font["CFF "].cff.fontNames = [NAME.replace(" ", "")]
    subset.save_font(font, OUT, options)
    print(
        f"{OUT.name}: {OUT.stat().st_size} bytes; not in the source: {' '.join(missing) or 'none'}"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
