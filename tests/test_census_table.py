"""The census table: what it shows is what Python finds, and a row says what census.json says."""

import json
import random
import re

import pytest
from browser import open_lab, type_in, values, write_page

from layernorm_book.chapters.census import VERDICTS, find, in_order, largest_effect, load
from layernorm_book.widgets import CensusTable
from layernorm_book.widgets.census import NAMES, SORTS

ROWS = load()["rows"]
SHOWN = """() => [...document.querySelectorAll("[data-row]:not([hidden])")].map(
    row => Number(row.dataset.row))"""
WORDS = ("", "lucid", "RMS", "layernorm", "transformers", "bug", "documented choice", "-eps", "mlx")
WORDS += ("keras right", "1.26", "  flax   layernorm ", "nothing at all", "é", "wrong-eps rms", "_")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("census")
    write_page(folder, "census", CensusTable())
    return (folder / "census.html").as_uri()


@pytest.fixture
def table(page, address):
    return open_lab(page, address)


def numbers(rows):
    """Return where rows stand in census.json."""
    places = {id(row): i for i, row in enumerate(ROWS)}
    return [places[id(row)] for row in rows]


def drawn_states(count):
    draw = random.Random(0)
    verdicts = ("all", *VERDICTS)
    return [(draw.choice(WORDS), draw.choice(verdicts), draw.choice(SORTS)) for _ in range(count)]


def test_javascript_finds_and_sorts_what_python_finds_and_sorts(run_module):
    census = CensusTable().census
    script = """given[1].map(([query, verdict, sort]) => {
        const fits = m.fitting(m.searched(given[0]), query);
        return m.ordered(given[0], sort).filter(i => fits[i] && (
            verdict === "all" || given[2][given[0].rows[i].v] === verdict));
    })"""
    states = drawn_states(400)
    found = run_module("picks.js", script, census, states, VERDICTS)
    wanted = [
        numbers(in_order(find(ROWS, query, verdict), sort)) for query, verdict, sort in states
    ]
    assert found == wanted
    assert len({len(rows) for rows in wanted}) > 20


def test_the_page_shows_what_python_shows(table):
    for query, verdict, sort in drawn_states(40):
        state = f"lab=0&query={query}&verdict={verdict}&chosen=-1&sort={sort}"
        table.evaluate("state => { location.hash = state; }", state)
        lab = CensusTable(query=query, verdict=verdict, sort=sort)
        wanted = numbers(in_order(find(ROWS, query, verdict), sort))
        table.wait_for_function(
            f"wanted => String(({SHOWN})()) === wanted", arg=str(wanted)[1:-1].replace(" ", "")
        )
        assert [row["class"] for row in lab.shown] == [ROWS[i]["class"] for i in wanted]
        counts = [len(find(ROWS, query, v)) for v in ("all", *VERDICTS)]
        assert values(table, "count") == counts
        assert values(table, "shown") == [len(wanted)]


def test_a_header_sorts_and_once_more_turns_the_order_round(table):
    for column in ("class", "verdict", "effect", "package"):
        for sort, says in ((column, "ascending"), (f"-{column}", "descending")):
            table.click(f"[data-sort={column}]")
            assert table.evaluate(SHOWN) == numbers(in_order(ROWS, sort))
            sorts = table.eval_on_selector_all("th[aria-sort]", "all => all.map(th => th.ariaSort)")
            assert sorted(sorts, key=("none").__ne__) == ["none"] * 3 + [says]
            assert table.get_attribute(f"[data-column={column}]", "aria-sort") == says
    sizes = [largest_effect(row)[0] for row in in_order(ROWS, "-effect")]
    without = sizes.count(-1)
    assert sizes == sorted(sizes[:-without], reverse=True) + [-1] * without


def test_a_row_says_what_census_json_says(table):
    for number, row in random.Random(1).sample(list(enumerate(ROWS)), 30):
        label = table.locator(f"[data-row='{number}'] label")
        label.click()
        opened = table.locator(".ln-opened")
        text = re.sub(r"\s+", " ", opened.inner_text())
        assert opened.evaluate("node => node.previousSibling.dataset.row") == str(number)
        assert NAMES[row["verdict"]] in text
        wanted = [row["package"], row["version"], row["class"], row["framework"]]
        wanted += [*row.get("message", {}).values(), *row.get("effect", {}).values()]
        wanted += [row.get("reason", ""), row.get("call", "")]
        links = [row["link"]]
        if confirmation := row.get("confirmation"):
            wanted += [f"Read as a {confirmation['kind']}: {confirmation['sentence']}"]
            links = [confirmation["link"], *links]
        for part in wanted:
            assert re.sub(r"\s+", " ", part) in text
        shown = opened.locator("a:visible")
        assert [a.get_attribute("href") for a in shown.all()] == links
        asked = "asked in float32 and float16" if "dtypes" in row else "asked in float64"
        assert (asked in text) == ("call" in row)
        assert table.get_attribute(f"[data-row='{number}'] a", "href") == row["link"]


def test_every_link_of_the_packed_rows_is_whole():
    census = CensusTable().census
    for row, small in zip(ROWS, census["rows"], strict=True):
        start = census["packages"][small["p"]][3]
        assert start + small.get("f", "") == row["link"]
        assert start.startswith("https://github.com/")
        assert VERDICTS[small["v"]] == row["verdict"]
        if "confirmation" in row:
            assert start + small.get("r", small.get("f", "")) == row["confirmation"]["link"]
    assert len(json.dumps(census)) < 70_000


def test_keys_alone_find_open_read_and_close_a_row(table):
    table.focus("[name=query]")
    table.keyboard.type("flax layernorm")
    assert values(table, "shown") == [4]
    for _ in range(6):  # the verdict, four headers, and the first row
        table.keyboard.press("Tab")
    table.keyboard.press("Space")
    rows = table.evaluate(SHOWN)
    assert table.evaluate("document.activeElement.value") == str(rows[0])
    assert "use_fast_variance=True is the default" in table.text_content(".ln-why")
    table.keyboard.press("ArrowDown")
    assert "use_fast_variance=False" in table.text_content(".ln-built")
    assert table.locator(".ln-why").is_hidden()
    table.keyboard.press("Tab")
    assert table.evaluate("document.activeElement.className") == "ln-source"
    table.keyboard.press("Tab")
    table.keyboard.press("Enter")
    assert table.locator(".ln-opened").is_hidden()
    assert table.evaluate("document.activeElement.value") == str(rows[1])


def test_a_tap_beside_the_name_opens_a_row_and_the_next_one_closes_it(table):
    table.click("[data-row='3'] td:nth-child(3)")
    assert table.locator(".ln-opened").is_visible()
    table.click("[data-row='3'] td:nth-child(3)")
    assert table.locator(".ln-opened").is_hidden()


def test_a_row_that_the_filter_hides_is_not_open(table):
    table.click("[data-row='0'] label")
    type_in(table, "[name=query]", "flax")
    assert table.locator(".ln-opened").is_hidden()
    assert not table.is_checked("[name=chosen][value='0']")
    type_in(table, "[name=query]", "")
    assert table.locator(".ln-opened").is_visible()


def test_a_phone_shows_the_effect_below_class_and_verdict(table):
    table.set_viewport_size({"width": 390, "height": 800})
    type_in(table, "[name=query]", "flax")
    row = table.locator("[data-row='253']")
    seen = row.locator(":is(th, td):visible").all_inner_texts()
    assert len(seen) == 4
    assert seen[0].startswith("flax 0.12.8")
    assert seen[1:3] == ["LayerNorm", "differs"]
    assert seen[3].startswith("everything at n = 4")
    verdict, effect = (row.locator("td").nth(at).bounding_box() for at in (1, 2))
    assert effect["y"] >= verdict["y"] + verdict["height"] - 1
    assert effect["width"] > verdict["width"]
    assert table.locator("[data-sort=effect]").is_visible()
    row.locator("label").click()
    assert "6.51% at n = 768" in table.locator(".ln-effects").inner_text()


def test_every_link_leads_somewhere(table):
    assert table.locator("a:not([href])").count() == 0


def test_reset_shows_all_rows_in_the_order_of_the_beginning(table):
    table.get_by_role("button", name="bugs", exact=True).click()
    table.click("[data-sort=effect]")
    table.get_by_role("button", name="reset", exact=True).click()
    assert table.evaluate(SHOWN) == numbers(in_order(ROWS))


def test_paper_has_every_row_that_is_shown(table):
    type_in(table, "[name=query]", "keras")
    table.emulate_media(media="print")
    clipped = "node => node.scrollHeight - node.clientHeight"
    assert table.eval_on_selector(".ln-list", clipped) <= 2
    assert table.locator(".ln-list th:visible").all_inner_texts()[0].strip() == "package"


def test_without_a_script_the_whole_census_is_a_table():
    told = CensusTable(query="flax").to_html()
    assert told.count("<tr>") == len(ROWS) + 1
    assert all(f'href="{row["link"]}"' in told for row in ROWS)


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ([0, 0, 0, 0, 0], "No layer fits. Shorten the text, or choose “all”."),
        ([0, 0, 0, 2, 1], "3 of 9 layers. The judge compared none of them with PyTorch."),
        ([1, 0, 0, 0, 0], "1 of 9 layers: 1 agrees with PyTorch, 0 more with a limit, 0 differ."),
        ([0, 0, 1, 0, 0], "1 of 9 layers: 0 agree with PyTorch, 0 more with a limit, 1 differs."),
        (
            [1, 1, 1, 1, 0],
            "4 of 9 layers, 3 of them judged: "
            "1 agrees with PyTorch, 1 more with a limit, 1 differs.",
        ),
        (
            [2, 1, 3, 2, 1],
            "All 9 layers, 6 of them judged: 2 agree with PyTorch, 1 more with a limit, 3 differ.",
        ),
    ],
)
def test_the_sentence_counts_what_is_shown(run_module, counts, says):
    assert run_module("picks.js", "m.tableSays(given[0], 9)", counts) == says
