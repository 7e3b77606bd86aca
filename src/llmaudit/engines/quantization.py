"""The names of the ways to store weights in fewer bits, as a suite and the command line write them."""

from __future__ import annotations

import difflib
import re

__all__ = ["BITSANDBYTES", "MAX_BITS", "ROUNDING", "ROUNDING_EXAMPLES", "check_quantization"]

#: What bitsandbytes does.
BITSANDBYTES = ("int8", "nf4", "fp4", "nf4-double")
#: Round-to-nearest, simulated: bits, what shares a scale, and whether there is an offset.
ROUNDING = re.compile(r"rtn(?P<bits>[1-9]\d*)(?:-(?P<size>tensor|channel|g[1-9]\d*))?(?P<lopsided>-asym)?")
MAX_BITS = 8
ROUNDING_EXAMPLES = "rtn4, rtn8-tensor, rtn4-channel, rtn3-g64 or rtn2-g32-asym (1 to 8 bits)"


def check_quantization(name: str) -> str:
    """Return the name. Raises ValueError, with the nearest one, where it is not known."""
    if name in BITSANDBYTES:
        return name
    found = ROUNDING.fullmatch(name)
    if found is not None and int(found["bits"]) <= MAX_BITS:
        return name
    if name.startswith("rtn"):
        raise ValueError(f"{name!r}: round-to-nearest is written {ROUNDING_EXAMPLES}")
    close = difflib.get_close_matches(name, [*BITSANDBYTES, "rtn4"], n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise ValueError(
        f"unknown quantization {name!r}{hint} (known: {', '.join(BITSANDBYTES)}; simulated: {ROUNDING_EXAMPLES})"
    )
