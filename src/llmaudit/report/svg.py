"""Charts as SVG that a page can hold: named, described, in the page's own colours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree import ElementTree as ET

__all__ = ["SvgText", "describe", "embed"]

#: The text of an SVG document.
SvgText = str

_XLINK = "{http://www.w3.org/1999/xlink}href"


def describe(svg: SvgText, title: str, description: str) -> SvgText:
    """Return an SVG as a file of its own: without prolog, with its text alternative."""
    root = _parse(svg)
    _add_text_alternative(root, "", title, description)
    root.set("xmlns", "http://www.w3.org/2000/svg")
    root.set("xmlns:xlink", "http://www.w3.org/1999/xlink")
    return ET.tostring(root, encoding="unicode") + "\n"


def embed(svg: SvgText, prefix: str, title: str, description: str, colours: Mapping[str, str]) -> SvgText:
    """Return an SVG as an element of a page.

    Its ids are prefixed, so that many charts share a page; its size, its font and, by `colours` (hexadecimal colour
    -> CSS value), its colours are left to the page's style sheet, which knows light from dark.
    """
    root = _parse(svg)
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    for element in root.iter():
        element.attrib.update({key: _adapt(key, value, prefix, colours) for key, value in element.attrib.items()})
        if element.tag == "use" and "xlink:href" in element.attrib:
            element.set("href", element.attrib.pop("xlink:href"))
    _add_text_alternative(root, prefix, title, description)
    return ET.tostring(root, encoding="unicode")


def _parse(svg: SvgText) -> ET.Element:
    """Read a chart, without its metadata and without its style sheet, which would apply to the whole page."""
    root = ET.fromstring(svg)  # noqa: S314 - made by matplotlib a moment ago, not by a stranger
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        if _XLINK in element.attrib:
            element.set("xlink:href", element.attrib.pop(_XLINK))
    for child in list(root):
        if child.tag == "metadata" or (child.tag == "defs" and child.find("style") is not None):
            root.remove(child)
    root.set("style", "stroke-linejoin: round; stroke-linecap: butt")
    return root


def _adapt(key: str, value: str, prefix: str, colours: Mapping[str, str]) -> str:
    if key == "id":
        return prefix + value
    value = re.sub(r"url\(#", f"url(#{prefix}", value)
    if key == "xlink:href":
        return value.replace("#", f"#{prefix}", 1)
    if key != "style":
        return value
    value = re.sub(r"font-family:[^;]*;?\s*", "", value)
    for colour, replacement in colours.items():
        value = value.replace(colour, replacement)
    return value


def _add_text_alternative(root: ET.Element, prefix: str, title: str, description: str) -> None:
    for place, (tag, text) in enumerate([("title", title), ("desc", description)]):
        element = ET.Element(tag, {"id": f"{prefix}{tag}"})
        element.text = text
        root.insert(place, element)
    root.set("role", "img")
    root.set("aria-labelledby", f"{prefix}title {prefix}desc")
