"""Search finds first the section that tells what was asked for."""

import pytest
from search_terms import TERMS

ASKED = [
    (term, f"{page}.html", heading)
    for page, sections in TERMS.items()
    for heading, terms in sections.items()
    for term in terms[:2]
]


@pytest.mark.parametrize(("term", "page_name", "heading"), ASKED, ids=[a[0] for a in ASKED])
def test_what_was_asked_for_comes_first(built_book, page, term, page_name, heading):
    page.goto(f"{(built_book / 'search.html').as_uri()}?q={term}")
    first = page.locator("#search-results li a").first
    first.wait_for()
    address = first.get_attribute("href").split("?")[0].split("#")
    assert address[0].endswith(page_name), first.inner_text()
