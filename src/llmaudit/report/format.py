"""How numbers, times and foreign text are written in a report."""

from __future__ import annotations

import datetime
import math

__all__ = ["NOTHING", "duration", "interval", "moment", "number", "p_value", "percent", "printable", "shortened"]

#: Stands where there is no value.
NOTHING = "–"

_MINUS = "−"

#: Control characters become their pictures, so that a report shows them and stays valid XML and HTML. Lone surrogates
#: have no UTF-8 form at all.
_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"}
_PICTURES |= {127: 0x2421} | dict.fromkeys([*range(0x80, 0xA0), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF], 0xFFFD)


def number(value: float | None) -> str:
    """Write a number with three significant digits, or in full from 1000 on and where it is whole."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == int(value) and abs(value) < 1e15:
        return _signed(f"{int(value):,}")
    if abs(value) < 1e-3 or abs(value) >= 1e15:
        mantissa, exponent = f"{value:.2e}".split("e")
        return _signed(f"{_trim(mantissa)}e{int(exponent)}")
    return _signed(_trim(f"{value:,.{_decimals(value)}f}"))


def interval(value: float | None, low: float | None, high: float | None) -> str:
    """Write `0.12 [0.05, 0.19]`: all three with the decimals of the value, or nearly so where its interval is wide."""
    parts = [part for part in (value, low, high) if part is not None and math.isfinite(part)]
    if len(parts) < 3:
        return number(value)
    largest = max(map(abs, parts))
    if largest < 1e-3 or largest >= 1e15:
        texts = [number(part) for part in parts]
    else:
        places = min(_decimals(parts[0] or largest), _decimals(largest) + 1)
        texts = [f"{part:,.{places}f}" for part in parts]
        while "." in texts[0] and all(text.endswith(("0", ".")) for text in texts):
            texts = [text[:-1] for text in texts]
    point, lower, upper = (_signed(text) for text in texts)
    return f"{point} [{lower}, {upper}]"


def p_value(value: float | None) -> str:
    """Write a p-value with three decimals; below that it is only said to be small."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def percent(share: float | None) -> str:
    """Write a share of one as a percentage."""
    return NOTHING if share is None else f"{number(100 * share)} %"


def duration(seconds: float) -> str:
    """Write a time span in the units that a person would use."""
    if seconds < 60:
        return f"{number(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def moment(text: str) -> str:
    """Write an ISO 8601 instant as date, time and zone; what is none of that stays as it is."""
    try:
        instant = datetime.datetime.fromisoformat(text)
    except ValueError:
        return text
    return instant.strftime("%Y-%m-%d %H:%M:%S ") + (instant.tzname() or "").replace("UTC+00:00", "UTC")


def printable(text: str) -> str:
    """Replace the characters that no page may hold by signs that show where they stood."""
    return text.translate(_PICTURES)


def shortened(label: str, length: int) -> str:
    """Write a label of a chart on one line, of so many characters at most."""
    label = " ".join(printable(label).split())
    return label if len(label) <= length else label[: length - 1] + "…"


def _decimals(value: float) -> int:
    return max(0, 2 - math.floor(math.log10(abs(value))))


def _trim(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def _signed(text: str) -> str:
    # What rounds to zero has no sign.
    return text.lstrip("-") if not text.strip("-0.") else text.replace("-", _MINUS)
