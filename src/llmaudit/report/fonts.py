"""A lean copy of the charts' font, since each PDF carries the letters that it shows."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from llmaudit.cachedir import cache_folder

__all__ = ["lean_font"]

_NAME = "llmaudit Sans"
#: Tables that compose complex scripts or fit letters to pixels: no chart needs them.
_TABLES = ("GSUB", "GPOS", "GDEF", "kern", "FFTM", "fpgm", "prep", "cvt ", "gasp")
#: Letters of Latin, Greek and Cyrillic, punctuation and the usual signs; matplotlib's own font has the rest.
_LETTERS = (range(0x20, 0x530), range(0x1E00, 0x2000), range(0x2010, 0x2070), range(0x2190, 0x2270))
#: Records of the name table that hold a font's name: family, unique name, full name, PostScript name.
_NAMES = {1, 3, 4, 6, 16}


@cache
def lean_font() -> str:
    """Return the name of a font that looks like DejaVu Sans, matplotlib's own, and is embedded in less of the time.

    matplotlib cuts the font for every PDF anew, and most of that work goes into tables and letters that charts do not
    use. The copy without them lies in the cache folder; where that cannot be written, the font itself has to do.
    """
    from matplotlib import __version__, font_manager  # noqa: PLC0415 - needed where charts are drawn

    file = cache_folder() / "fonts" / f"lean-2-{__version__}.ttf"
    try:
        if not file.is_file():
            _write(file)
        font_manager.fontManager.addfont(file)
    except (OSError, RuntimeError):  # the second is FreeType's word for a damaged file
        with suppress(OSError):
            file.unlink(missing_ok=True)
        return "DejaVu Sans"
    return _NAME


def _write(file: Path) -> None:
    from fontTools.subset import Options, Subsetter  # noqa: PLC0415 - needed once a machine
    from fontTools.ttLib import TTFont  # noqa: PLC0415 - likewise
    from matplotlib import get_data_path  # noqa: PLC0415 - needed where charts are drawn

    font = TTFont(Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), recalcTimestamp=False)
    for table in _TABLES:
        if table in font:
            del font[table]
    subsetter = Subsetter(Options(name_IDs=["*"], notdef_outline=True))
    subsetter.populate(unicodes=[letter for letters in _LETTERS for letter in letters])
    subsetter.subset(font)
    # Its licence asks for another name where the font is changed.
    for record in font["name"].names:
        if record.nameID in _NAMES:
            record.string = _NAME.replace(" ", "") if record.nameID == 6 else _NAME
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as own:  # another run may be writing it as well
        half = Path(own, file.name)
        font.save(half)
        half.replace(file)
