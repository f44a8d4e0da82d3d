"""report.html: a reader sees within five seconds whether it helped, where, and at what cost."""

import numpy as np
import pytest

from motionrft.intervals import Interval
from motionrft.report.content import Mark, Prompt, ReportData, Series
from motionrft.report.page import report_html, write_report
from motionrft.report.verdict import Row


def example(walk, **changes):
    before, after = np.array([0.60, 0.62, 0.61, 0.63]), np.array([0.70, 0.71, 0.72, 0.71])
    updates = np.arange(120)
    data = {
        "title": "mini-easytune, seed 0",
        "rows": [
            Row.paired("R@1 label", before, after, headline=True),
            Row.paired("FID", before * 2, before * 2 + [0.01, -0.01, 0.01, -0.01], good="down"),
            Row.paired(
                "jitter", before * 100, after * 92, good="down", role="physics", unit="m/s³", reference=58.0
            ),
            Row.paired("semantic reward", before / 2, after / 2, role="reward"),
        ],
        "series": [
            Series("Reward", "training", updates, np.sin(updates / 50)),
            Series(
                "Bytes held for backward", "graph", updates, updates * 0 + 200.0, unit="MiB", from_zero=True
            ),
        ],
        "prompts": [
            Prompt(f"prompt {gain:+}", (walk(10), walk(12, speed=0.4)), gain, (0.4, 0.4 + gain))
            for gain in (-0.2, 0.3, 0.1, 0.05, 0.02, 0.01, -0.01)
        ],
        "cost": {"time": "4 min 10 s", "peak memory": "612 MiB"},
        "command": 'motionrft finetune --preset mini-easytune --set "a<b"',
        "environment": {"torch": "2.13.0"},
        "notes": ["The weights are CC BY-NC 4.0."],
    }
    return ReportData(**{**data, **changes})


@pytest.fixture
def opened(browser, walk, tmp_path):
    def open_page(data=None, **window):
        browser.open(write_report(tmp_path / "report.html", data or example(walk)), **window)
        return browser

    return open_page


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
def test_verdict_and_cost_are_in_the_first_screen_everywhere(opened, dark, phone):
    page = opened(width=390 if phone else 1200, height=844, dark=dark, phone=phone)
    words = page.evaluate("document.querySelector('.verdict .word').textContent")
    assert words == "It helped"
    assert page.evaluate("document.querySelector('.cost').getBoundingClientRect().bottom") < 844
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.complaints == [] and len(page.requests) == 1


def test_events_are_told_one_by_one_in_every_column(opened, walk):
    seen = ((Mark("bows", True), Mark("kicks", False)), (Mark("bows", True), Mark("kicks", True)))
    prompt = Prompt("a man bows and kicks", (walk(10), walk(10)), 0.5, (0.5, 1.0), seen)
    page = opened(example(walk, prompts=[prompt]))
    words = page.evaluate(
        "[...document.querySelectorAll('.marks')].map(list => [...list.children].map(e => e.firstChild.textContent))"
    )
    assert words == [["\u2713 bows", "\u2717 kicks"], ["\u2713 bows", "\u2713 kicks"]]
    assert "judge of events" in page.evaluate("document.querySelector('.prompts .about').textContent")


def test_marks_that_do_not_fit_the_columns_are_refused(walk):
    prompt = Prompt("x", (walk(4), walk(4)), 0.0, (), ((Mark("bows", True),),))
    with pytest.raises(ValueError, match="marks of 1"):
        report_html(example(walk, prompts=[prompt]))


def test_table_colours_only_what_is_beyond_chance(opened):
    page = opened()
    signs = page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('.rows tbody tr:not(.group)')].map(row =>"
        "[row.querySelector('th').firstChild.textContent.trim(), row.querySelector('[data-label=change]').className]))"
    )
    assert signs == {"R@1 label": "better", "FID": "same", "jitter": "worse", "semantic reward": "better"}


def test_what_was_paid_is_always_among_the_first_numbers(opened):
    good = [Row.paired(f"metric {i}", [0.1, 0.2], [0.3, 0.4001], headline=i < 2) for i in range(9)]
    price = Row.paired("jitter", [80.0, 81.0], [85.0, 86.1], good="down", role="physics")
    page = opened(ReportData("x", rows=[*good, price]))
    chips = page.evaluate(
        "[...document.querySelectorAll('.chips li')].map(chip => [chip.className, chip.firstChild.textContent])"
    )
    assert len(chips) == 6 and ["worse", "jitter"] in chips


def test_prompts_are_sorted_by_gain_and_worst_first_on_demand(opened):
    page = opened()
    shown = (
        "[...document.querySelectorAll('.prompt')].filter(card => card.offsetHeight)"
        ".map(card => card.querySelector('.text').textContent)"
    )
    assert page.evaluate(shown) == [
        "prompt +0.3",
        "prompt +0.1",
        "prompt +0.05",
        "prompt +0.02",
        "prompt +0.01",
        "prompt -0.01",
    ]
    page.click(".worst")
    assert page.evaluate(shown)[:2] == ["prompt -0.2", "prompt -0.01"]
    page.click(".more")
    assert len(page.evaluate(shown)) == 7


def test_before_and_after_turn_together_and_other_prompts_stay(opened):
    page = opened()
    x, y = page.centre(".prompt canvas")
    page.drag((x, y), (x + 60, y))
    yaws = page.evaluate("player.stages.map(stage => stage.view.yaw - stage.view.scene.yaw)")
    turned = [yaw for yaw in yaws if abs(yaw) > 0.3]
    assert len(turned) == 2 and turned[0] == turned[1]


def test_the_wheel_scrolls_the_page_and_does_not_zoom(opened):
    page = opened()
    spot = page.centre(".prompt canvas")
    before = page.evaluate("scrollY")
    page.wheel(spot, 200)
    page.wait(f"scrollY > {before}")
    assert page.evaluate("player.stages.every(stage => stage.view.zoom === 1)")


def test_charts_answer_to_the_pointer(opened):
    page = opened()
    page.hover(page.centre(".chart svg"))
    page.wait("!document.querySelector('.tip').hidden")
    assert page.evaluate("document.querySelector('.tip').textContent").startswith("update ")
    assert page.evaluate(
        "(() => { const tip = document.querySelector('.tip').getBoundingClientRect();"
        "const chart = document.querySelector('.chart').getBoundingClientRect();"
        "return tip.left > chart.left && tip.right < chart.right && tip.top > chart.top"
        " && tip.bottom < chart.bottom; })()"
    )


def test_paper_gets_every_prompt_and_no_buttons(opened):
    page = opened(dark=True)
    page.call("Emulation.setEmulatedMedia", media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("[...document.querySelectorAll('.prompt')].every(card => card.offsetHeight > 0)")
    assert page.evaluate("document.querySelector('.player').offsetHeight") == 0
    assert page.evaluate("getComputedStyle(document.body).colorScheme") in ("light", "light dark")
    assert page.evaluate("themeName()") == "light"
    page.call("Emulation.setEmulatedMedia", media="")


def test_a_comparison_has_a_verdict_for_every_column(opened, walk):
    def row(name, *means):
        changes = tuple(
            Interval(mean - means[0], mean - means[0] - 0.01, mean - means[0] + 0.01) for mean in means[1:]
        )
        return Row(name, tuple(Interval(mean, mean - 0.01, mean + 0.01) for mean in means), changes)

    data = ReportData(
        "comparison", columns=("base", "easytune", "draft"), rows=[row("R@1", 0.6, 0.7, 0.5)],
        prompts=[Prompt("a person walks", (walk(8), walk(8), walk(8)), 0.1)],
    )  # fmt: skip
    page = opened(data)
    assert page.evaluate(
        "[...document.querySelectorAll('.verdict .word')].map(word => word.textContent)"
    ) == [
        "It helped",
        "It hurt",
    ]
    assert page.evaluate("document.querySelectorAll('.prompt canvas').length") == 3
    assert page.complaints == []


def test_many_metrics_are_folded_behind_those_that_decide(opened):
    rows = [Row.paired(f"metric {i}", [0.1, 0.2], [0.1, 0.2], headline=i < 2) for i in range(9)]
    page = opened(ReportData("x", rows=rows))
    shown = (
        "[...document.querySelectorAll('.rows tbody tr:not(.group)')].filter(row => row.offsetHeight).length"
    )
    assert page.evaluate(shown) == 2
    assert page.evaluate("document.querySelector('.more-rows').textContent") == "7 more"
    page.click(".more-rows")
    assert page.evaluate(shown) == 9


def test_further_tables_are_folded_under_their_own_verdict(opened, walk):
    worse = [Row.paired("R@1", [0.6, 0.61, 0.62], [0.5, 0.51, 0.52])]
    page = opened(example(walk, further={"guidance 2.5": worse}))
    assert page.evaluate("document.querySelector('.verdict .word').textContent") == "It helped"
    assert page.evaluate("document.querySelector('summary').textContent") == "guidance 2.5 It hurt"
    assert page.evaluate("document.querySelector('details').open") is False
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("document.querySelector('details .rows').offsetHeight") > 0


def test_without_gains_there_is_no_order_to_choose(opened, walk):
    page = opened(
        ReportData("x", prompts=[Prompt("a", (walk(3), walk(3)), 0.0), Prompt("b", (walk(3), walk(3)), 0.0)])
    )
    assert page.evaluate("document.querySelector('.order, .gain') === null")


def test_one_result_alone_has_numbers_and_motions_but_no_verdict(opened, walk):
    rows = [Row("R@1", (Interval(0.6, 0.59, 0.61),))]
    data = ReportData(
        "one result", columns=("base",), rows=rows, prompts=[Prompt("a person walks", (walk(8),), 0.0)]
    )
    page = opened(data)
    assert page.evaluate("document.querySelector('.verdict, .order, .gain, .key-line') === null")
    assert page.evaluate("document.querySelector('.rows td').textContent").startswith("0.60")
    assert page.evaluate("document.querySelectorAll('.prompt canvas').length") == 1
    assert page.complaints == []


def test_a_gain_that_is_not_a_number_goes_last(opened, walk):
    prompts = [
        Prompt(text, (walk(3), walk(3)), gain) for text, gain in (("a", np.nan), ("b", -0.2), ("c", 0.1))
    ]
    page = opened(ReportData("x", prompts=prompts))
    texts = page.evaluate("[...document.querySelectorAll('.prompt .text')].map(text => text.textContent)")
    assert texts == ["c", "b", "a"] and page.complaints == []


def test_a_broken_motion_is_named_and_the_report_still_written(opened, walk):
    broken = walk(4)
    broken[2] = np.nan
    page = opened(
        ReportData(
            "x",
            prompts=[Prompt("fell apart", (walk(4), broken), -1.0), Prompt("fine", (walk(4), walk(4)), 0.1)],
        )
    )
    assert page.evaluate("document.querySelectorAll('.prompt').length") == 1
    assert "'fell apart'" in page.evaluate("document.querySelector('.notes').textContent")
    assert page.complaints == []


def test_a_metric_that_is_not_a_number_is_shown_as_such(opened):
    page = opened(
        ReportData("x", rows=[Row.paired("FID", [1.0, 2.0, np.nan], [1.0, np.nan, 2.0], good="down")])
    )
    assert "n/a" in page.evaluate("document.querySelector('.rows').textContent")
    assert page.complaints == []


def test_a_run_without_evaluation_still_has_a_page(opened):
    page = opened(ReportData("bare run", series=[Series("Reward", "training", [0, 1], [0.1, 0.2])]))
    assert page.evaluate("document.querySelector('.verdict .word').textContent") == "Not compared"
    assert page.evaluate("document.querySelector('table, .prompts') === null")
    assert page.complaints == []


def test_whatever_people_write_stays_text(opened, walk):
    evil = "<img src=x onerror=alert(1)>"
    data = example(
        walk, title=evil, notes=[evil], environment={evil: evil}, cost={evil: evil}, command=evil,
        prompts=[Prompt(evil, (walk(3), walk(3)), 0.1)],
    )  # fmt: skip
    page = opened(data)
    assert page.evaluate("document.querySelector('img') === null")
    assert page.complaints == []


def test_the_same_data_give_the_same_page(walk):
    assert report_html(example(walk)) == report_html(example(walk))


def test_columns_that_do_not_fit_are_said(walk):
    with pytest.raises(ValueError, match="has 1 values for the columns"):
        report_html(ReportData("x", rows=[Row("R@1", (Interval(1.0),))]))
    with pytest.raises(ValueError, match="has 1 motions for the columns"):
        report_html(ReportData("x", prompts=[Prompt("a", (walk(2),), 0.0)]))
