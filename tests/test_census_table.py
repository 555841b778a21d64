"""The census table: what it shows is what Python finds, and a row says what census.json says."""

import json
import random
import re

import pytest
from browser import open_lab, type_in, values, write_page

from layernorm_book.chapters.census import (
    GROUPS,
    INPUTS,
    find,
    group_of,
    in_order,
    load,
    off_on,
    told,
)
from layernorm_book.widgets import CensusTable
from layernorm_book.widgets.census import NAN, SORTS, packed

ROWS = load()["rows"]
SHOWN = """() => [...document.querySelectorAll("[data-row]:not([hidden])")].map(
    row => Number(row.dataset.row))"""
NEXT_FRAME = "() => new Promise(requestAnimationFrame)"  # in which the list is scrolled
WORDS = (
    "",
    "lucid",
    "RMS",
    "layernorm",
    "transformers",
    "slip",
    "documented choice",
    "-eps",
    "mlx",
)
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
    choices = WORDS, ("all", *GROUPS), tuple(INPUTS), SORTS
    return [tuple(map(draw.choice, choices)) for _ in range(count)]


def test_javascript_finds_and_sorts_what_python_finds_and_sorts(run_module):
    census = CensusTable().census
    script = """given[1].map(([query, group, input, sort]) => {
        const fits = m.fitting(m.searched(given[0]), query);
        return m.ordered(given[0], sort, given[3].indexOf(input)).filter(i => fits[i] && (
            group === "all" || given[2][given[0].rows[i].g] === group));
    })"""
    states = drawn_states(400)
    found = run_module("picks.js", script, census, states, list(GROUPS), list(INPUTS))
    wanted = [
        numbers(in_order(find(ROWS, query, group), sort, given))
        for query, group, given, sort in states
    ]
    assert found == wanted
    assert len({len(rows) for rows in wanted}) > 20


def test_javascript_tells_a_size_as_python_does(run_module):
    sizes = sorted({off_on(row, given) for row in ROWS for given in INPUTS} | {12.4, 999.6})
    given = [min(size, NAN) for size in sizes]
    assert run_module("picks.js", "given[0].map(m.told)", given) == [told(size) for size in sizes]


def test_every_measured_layer_has_a_place_in_a_pile(run_module):
    census = CensusTable().census
    script = "given[1].map((_, at) => m.piled(given[0].rows, at))"
    for given, piles in zip(INPUTS, run_module("picks.js", script, census, [*INPUTS]), strict=True):
        assert sorted(i for i, *_ in piles) == [
            i for i, row in enumerate(ROWS) if off_on(row, given) >= 0
        ]
        assert len({(pile, place) for _, pile, place in piles}) == len(piles)
        tops = [1e-5, 1e-3, 1e-2, 0.1, 1, NAN, float("inf")]
        for i, pile, _ in piles:
            size = min(off_on(ROWS[i], given), NAN)
            assert ([0, *tops][pile]) <= size < tops[pile]


def test_the_page_shows_what_python_shows(table):
    for query, group, given, sort in drawn_states(40):
        state = f"lab=0&query={query}&group={group}&given={given}&chosen=-1&sort={sort}"
        table.evaluate("state => { location.hash = state; }", state)
        lab = CensusTable(query=query, group=group, given=given, sort=sort)
        wanted = numbers(in_order(find(ROWS, query, group), sort, given))
        table.wait_for_function(
            f"wanted => String(({SHOWN})()) === wanted", arg=str(wanted)[1:-1].replace(" ", "")
        )
        assert [row["class"] for row in lab.shown] == [ROWS[i]["class"] for i in wanted]
        counts = [len(find(ROWS, query, key)) for key in ("all", *GROUPS)]
        assert values(table, "count") == counts
        assert values(table, "shown") == [len(wanted)]
        sizes = table.locator("[data-row]:not([hidden]) td:last-child").all_text_contents()
        assert sizes == [told(off_on(ROWS[i], given)) for i in wanted]
        lit = table.eval_on_selector_all(
            "circle:not(.ln-away)", "all => all.map(c => +c.dataset.at)"
        )
        assert sorted(lit) == sorted(i for i in wanted if "off" in ROWS[i])


def test_a_header_sorts_and_once_more_turns_the_order_round(table):
    for column in ("class", "group", "off", "package"):
        for sort, says in ((column, "ascending"), (f"-{column}", "descending")):
            table.click(f"[data-sort={column}]")
            assert table.evaluate(SHOWN) == numbers(in_order(ROWS, sort))
            sorts = table.eval_on_selector_all("th[aria-sort]", "all => all.map(th => th.ariaSort)")
            assert sorted(sorts, key=("none").__ne__) == ["none"] * 3 + [says]
            assert table.get_attribute(f"[data-column={column}]", "aria-sort") == says
    table.click("[data-sort=off]")
    table.click("[name=given][value=loud]")
    assert table.evaluate(SHOWN) == numbers(in_order(ROWS, "off", "loud"))
    sizes = [off_on(row, "loud") for row in in_order(ROWS, "-off", "loud")]
    without = sizes.count(-1)
    assert sizes == sorted(sizes[:-without], reverse=True) + [-1] * without


def test_a_row_says_what_census_json_says(table):
    slips = [i for i, row in enumerate(ROWS) if "witness" in row.get("confirmation", {})]
    assert len(slips) == 2
    for number in random.Random(1).sample(range(len(ROWS)), 30) + slips:
        row = ROWS[number]
        table.locator(f"[data-row='{number}'] label").click()
        opened = table.locator(".ln-opened")
        text = re.sub(r"\s+", " ", opened.inner_text())
        assert opened.evaluate("node => node.previousSibling.dataset.row") == str(number)
        wanted = [row["package"], row["version"], row["class"], row["framework"]]
        wanted += [says.partition(". It shows in")[0] for says in row.get("message", {}).values()]
        wanted += [] if "off" in row else [GROUPS[group_of(row)][0]]
        wanted += [row.get("reason", ""), row.get("call", "")]
        if "off" in row:
            wanted += [f"{told(off_on(row, key))} on {name}" for key, (name, _) in INPUTS.items()]
        links = [row["link"]]
        if confirmation := row.get("confirmation"):
            wanted += [f"Read as: {confirmation['kind']}. {confirmation['sentence']}"]
            witness = [confirmation["witness"]] if "witness" in confirmation else []
            links = [confirmation["link"], *witness, *links]
        for part in wanted:
            assert re.sub(r"\s+", " ", part) in text
        shown = opened.locator("a:visible")
        assert [a.get_attribute("href") for a in shown.all()] == links
        asked = "asked in float32 and float16" if "dtypes" in row else "asked in float64"
        assert (asked in text) == ("call" in row)
        assert table.get_attribute(f"[data-row='{number}'] a", "href") == row["link"]


def test_a_layer_of_a_fixed_eps_says_what_it_does_at_that_eps(table):
    said = {}
    for number, row in enumerate(ROWS):
        if "own_eps" in row:
            table.locator(f"[data-row='{number}'] label").click()
            said[row["package"], row["class"]] = table.inner_text(".ln-found").partition(". ")[2]
    assert said["espnet", "LayerNorm"] == (
        "With eps=1e-12, PyTorch’s own layer gives the same bits."
    )
    assert said["speechbrain", "ChannelwiseLayerNorm"] == (
        "Compared at eps=1e-08, it agrees in float64, float32 and bfloat16."
    )
    assert "eps=0.001 or 1e-05" in said["imagen-pytorch", "LayerNorm"]


def test_each_slip_names_both_lines(table):
    table.get_by_role("button", name="slips", exact=True).click()
    assert table.locator("[data-row]:visible").count() == 2
    for row in table.locator("[data-row]:visible").all():
        row.locator("label").click()
        assert table.inner_text(".ln-why").startswith("Read as: slip. ")
        opened = table.inner_text(".ln-opened")  # what a reader found, the sizes, the judge's line
        assert opened.index("Read as: ") < opened.index("Off by ") < opened.index("The judge: ")
        for link in (".ln-cause", ".ln-witness"):
            assert "#L" in table.get_attribute(link, "href")
            assert table.locator(link).is_visible()


def test_a_dot_opens_its_row_and_the_list_scrolls_to_it(table):
    number = next(i for i, row in reversed(list(enumerate(ROWS))) if "off" in row)
    table.locator(f"circle[data-at='{number}']").dispatch_event("click")
    assert values(table, "open") == [number]
    table.evaluate(NEXT_FRAME)
    line, list_ = (table.locator(s).bounding_box() for s in (f"[data-row='{number}']", ".ln-list"))
    assert list_["y"] <= line["y"] < list_["y"] + list_["height"]
    assert table.locator("circle.ln-here").count() == 1


def test_a_phone_piles_the_dots_higher_and_nothing_leaves_the_picture(table):
    box = "node => node.getAttribute('viewBox').split(' ').map(Number)"
    wide = table.eval_on_selector(".ln-dots", box)
    table.set_viewport_size({"width": 390, "height": 800})
    narrow = table.eval_on_selector(".ln-dots", box)
    assert narrow[2] < wide[2]
    assert narrow[3] > wide[3]
    places = table.eval_on_selector_all(
        "circle", "all => all.map(c => c.style.transform.match(/[\\d.]+/g).map(Number))"
    )
    assert len({tuple(place) for place in places}) == len(places)
    assert all(0 < x < narrow[2] and 0 < y < narrow[3] for x, y in places)


def test_every_link_of_the_packed_rows_is_whole():
    census = CensusTable().census
    for row, small in zip(ROWS, census["rows"], strict=True):
        start = census["packages"][small["p"]][3]
        assert start + small.get("f", "") == row["link"]
        assert start.startswith("https://github.com/")
        assert list(GROUPS)[small["g"]] == group_of(row)
        if "confirmation" in row:
            assert start + small.get("r", small.get("f", "")) == row["confirmation"]["link"]
    assert len(json.dumps(census)) < 70_000


def test_keys_alone_find_open_read_and_close_a_row(table):
    table.focus("[name=query]")
    table.keyboard.type("flax layernorm")
    assert values(table, "shown") == [4]
    for _ in range(7):  # two presets, four headers, and the first row
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


def test_a_phone_shows_the_size_beside_the_verdict_and_below_its_header(table):
    table.set_viewport_size({"width": 390, "height": 800})
    type_in(table, "[name=query]", "flax")
    row = table.locator("[data-row='253']")
    seen = row.locator(":is(th, td):visible").all_inner_texts()
    assert len(seen) == 4
    assert seen[0].startswith("flax 0.12.8")
    assert seen[1:] == ["LayerNorm", "differs: another way", "under 0.001%"]
    verdict, size = (row.locator("td").nth(at).bounding_box() for at in (1, 2))
    assert abs(size["y"] - verdict["y"]) < 1
    assert size["x"] >= verdict["x"] + verdict["width"] - 1
    assert table.locator("[data-sort=off]").is_visible()
    head = table.locator("[data-column=off]").bounding_box()
    assert abs(head["x"] - size["x"]) < 1  # above the sizes
    heads = [table.locator("[data-column]").nth(at).bounding_box() for at in range(4)]
    assert max(each["y"] for each in heads) - min(each["y"] for each in heads) < 1
    wide = "node => node.scrollWidth - node.clientWidth"
    assert table.locator(".ln-list").evaluate(wide) <= 0


def test_every_link_leads_somewhere(table):
    assert table.locator("a:not([href])").count() == 0


def test_reset_returns_to_the_input_and_the_order_of_the_beginning(page, tmp_path):
    write_page(tmp_path, "opening", CensusTable(given="quiet", sort="-off"))
    table = open_lab(page, (tmp_path / "opening.html").as_uri())
    table.get_by_role("button", name="slips", exact=True).click()
    table.click("[data-sort=class]")
    table.click("[name=given][value=loud]")
    table.get_by_role("button", name="reset", exact=True).click()
    assert table.is_checked("[name=given][value=quiet]")
    assert table.evaluate(SHOWN) == numbers(in_order(ROWS, "-off", "quiet"))


@pytest.mark.parametrize(
    "change",
    [
        "[name=group][value=limit]",
        "[data-sort=off]",
        "[data-preset='1']",
        "[name=query]",
    ],
)
def test_other_rows_are_shown_from_their_beginning(table, change):
    table.click("[data-sort=class]")
    scrolled = "node => { node.scrollTop = 396; return node.scrollTop; }"
    assert table.eval_on_selector(".ln-list", scrolled) == 396
    if change == "[name=query]":
        type_in(table, change, "e")
    else:
        table.click(change)
    table.evaluate(NEXT_FRAME)
    assert table.eval_on_selector(".ln-list", "node => node.scrollTop") == 0


def test_an_open_row_stays_in_sight_when_the_order_changes(table):
    table.click("[data-row='3'] td:nth-child(3)")
    table.click("[data-sort=off]")
    table.evaluate(NEXT_FRAME)
    line, list_ = (table.locator(s).bounding_box() for s in ("[data-row='3']", ".ln-list"))
    assert list_["y"] <= line["y"] < list_["y"] + list_["height"]


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


def test_a_group_says_what_it_means(run_module, table):
    groups = CensusTable().census["groups"]
    for group, (key, name, means) in enumerate(groups):
        counts = [int(at == group) for at in range(len(groups))]
        says = f"1 layer of “{name.removeprefix('differs: ')}”: {means}."
        assert (
            run_module("picks.js", "m.groupSays(given[0], given[1])", counts, groups[group]) == says
        )
        table.click(f"[name=group][value={key}]")
        assert table.inner_text("[data-quantity=shown]").endswith(f": {means}.")
    empty = run_module("picks.js", "m.groupSays(given[0], given[1])", [0] * 8, groups[0])
    assert empty.startswith("No layer fits.")


def test_an_opened_row_fits_into_the_list(table):
    tall = """number => {
        document.querySelector(`[data-row="${number}"] input`).click();
        const height = selector => document.querySelector(selector).offsetHeight;
        return height(`[data-row="${number}"]`) + height("thead") + height(".ln-opened");
    }"""
    table.set_viewport_size({"width": 1280, "height": 800})
    table.evaluate("document.querySelector('.ln-lab').parentNode.style.width = '688px'")
    room = table.evaluate("document.querySelector('.ln-list').clientHeight")
    heights = [table.evaluate(tall, number) for number in range(len(ROWS))]
    assert max(heights) <= room


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ([0, 0, 0, 0, 0, 0, 0, 0], "No layer fits. Shorten the text, or choose “all”."),
        ([0, 0, 0, 0, 0, 0, 2, 1], "3 of 9 layers. The judge compared none of them with PyTorch."),
        (
            [1, 0, 0, 0, 0, 0, 0, 0],
            "1 of 9 layers: 1 agrees with PyTorch, 0 more with a limit, 0 differ.",
        ),
        (
            [0, 0, 0, 1, 0, 0, 0, 0],
            "1 of 9 layers: 0 agree with PyTorch, 0 more with a limit, 1 differs.",
        ),
        (
            [1, 1, 0, 0, 0, 1, 1, 0],
            "4 of 9 layers, 3 of them judged: "
            "1 agrees with PyTorch, 1 more with a limit, 1 differs.",
        ),
        (
            [2, 1, 1, 0, 1, 1, 2, 1],
            "All 9 layers, 6 of them judged: 2 agree with PyTorch, 1 more with a limit, 3 differ.",
        ),
    ],
)
def test_the_sentence_counts_what_is_shown(run_module, counts, says):
    assert run_module("picks.js", "m.tableSays(given[0], 9)", counts) == says


def test_the_sentence_above_the_dots_counts_from_a_thousandth_on(run_module):
    given = ["quiet", "quiet rows", "σ = 0.01"], [6e-8, 9.9e-4, 1e-3, 2.5, NAN]
    says = "Quiet rows (σ = 0.01): 3 of 5 layers are off by 0.1% or more."
    assert run_module("picks.js", "m.inputSays(given[0], given[1])", *given) == says


def test_a_row_packs_nan_apart_from_a_layer_that_was_not_measured():
    row = next(row for row in ROWS if "off" in row)
    small = packed([row | {"off": {"usual": None, "quiet": 0.5}}])["rows"][0]
    assert small["m"] == [NAN, 0.5, -1, -1, -1]
