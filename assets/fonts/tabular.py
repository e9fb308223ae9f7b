"""Makes tabular figures the default ones in an Inter font file.

egui and ab_glyph apply no OpenType features of choice, so the glyphs of `tnum` are put in the character map for the
ten digits; everything else stays. Run once per file, with fontTools: python tabular.py IN.otf OUT.otf
"""

import sys

from fontTools.ttLib import TTFont

font = TTFont(sys.argv[1])
table = font["GSUB"].table
lookups = {
    index
    for record in table.FeatureList.FeatureRecord
    if record.FeatureTag == "tnum"
    for index in record.Feature.LookupListIndex
}
tabular = {}
for index in lookups:
    for subtable in table.LookupList.Lookup[index].SubTable:
        tabular.update(getattr(subtable, "ExtSubTable", subtable).mapping)
for cmap in font["cmap"].tables:
    for digit in range(ord("0"), ord("9") + 1):
        if digit in cmap.cmap:
            cmap.cmap[digit] = tabular.get(cmap.cmap[digit], cmap.cmap[digit])
font.save(sys.argv[2])
