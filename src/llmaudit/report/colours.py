"""The colours of figures: those that the page's style sheet decides, and further ones that read on light and dark."""

from __future__ import annotations

__all__ = ["DATA", "INK", "MARK", "OF_PAGE", "SERIES"]

INK, DATA, MARK = "#010203", "#0072b2", "#c4500a"

#: What the page's style sheet decides.
OF_PAGE = {INK: "currentColor", DATA: f"var(--figure-data, {DATA})", MARK: f"var(--figure-mark, {MARK})"}

#: One colour per curve, told apart by people who see few colours too (Okabe and Ito 2008), with a marker and a dash.
SERIES = (
    (DATA, "o", "-"),
    ("#cc79a7", "s", "--"),
    ("#009e73", "^", "-."),
    ("#e69f00", "D", ":"),
    ("#56b4e9", "v", "-"),
    ("#8a7a5c", "P", "--"),
)
