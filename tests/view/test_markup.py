"""Whatever text goes into an element comes out as text."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from flowstream.view.markup import Markup, element, joined

# What XML cannot hold at all, a page cannot show either.
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"))


@given(text=texts, value=texts)
def test_text_and_attribute_values_survive_as_they_are(text: str, value: str) -> None:
    parsed = ElementTree.fromstring(element("p", text, title=value))
    assert (parsed.text or "", parsed.attrib["title"]) == (text, value)


def test_elements_nest_and_sequences_are_written_one_after_another() -> None:
    rows = (element("b", index) for index in range(2))
    assert element("p", "a<b", [rows, [" & "]]) == "<p>a&lt;b<b>0</b><b>1</b> &amp; </p>"


def test_attribute_names_are_written_as_html_has_them() -> None:
    assert element("i", class_="x", data_value=3) == '<i class="x" data-value="3"></i>'
    assert element("meta", http_equiv="a") == '<meta http-equiv="a">'


def test_markup_is_not_escaped_twice() -> None:
    assert joined(Markup("<b>&amp;</b>")) == "<b>&amp;</b>"
