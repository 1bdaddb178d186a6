"""HTML and SVG from elements: every text is escaped where the page is written, none is trusted."""

from __future__ import annotations

from xml.etree.ElementTree import Element, tostring

Content = Element | str


def element(tag: str, *content: Content, **attributes: str | int | float) -> Element:
    """Return an element of HTML or SVG.

    ``class_`` stands for ``class``, and ``stroke_width`` for ``stroke-width``.
    """
    names = {name.rstrip("_").replace("_", "-"): f"{value}" for name, value in attributes.items()}
    made = Element(tag, names)
    for each in content:
        if isinstance(each, Element):
            made.append(each)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + each
        else:
            made.text = (made.text or "") + each
    return made


def page(root: Element) -> str:
    """Return a whole page as text, with a newline at its end."""
    return "<!DOCTYPE html>\n" + tostring(root, "unicode", method="html") + "\n"
