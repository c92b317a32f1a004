"""The format page of the documentation shows what the code declares."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flowstream.store.header import MOST_PIXELS
from flowstream.store.index import END_BYTES
from flowstream.store.page import header_table, items_table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "format.md"


@pytest.mark.parametrize(("name", "table"), [("items", items_table), ("header", header_table)])
def test_the_tables_of_the_page_are_generated(name: str, table: object) -> None:
    assert callable(table)
    found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- end -->", PAGE.read_text(), flags=re.DOTALL)
    assert found is not None
    # to renew it: python -c "from flowstream.store import page; print(page.items_table())"
    assert found[1] == table()


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    text = PAGE.read_text()
    assert f"at most {MOST_PIXELS:,} pixels" in text
    assert f"end, {END_BYTES} bytes" in text
