"""A coder's day at a real browser on the real server: keys only, from the queue to the decision."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from shared import LONG

from desk.console.office import PANCREAS, Office, office, sample, served, unseen
from desk.console.person import READY, Person, person, staff
from stream.desk.values import Coder, Past
from stream.web.application import front_of_app


@pytest.fixture
def pages(desk_office: Office) -> Iterator[str]:
    staff(desk_office.app)
    with served(desk_office.app) as url:
        yield url


def decided(made: Office, login: str = "c1") -> tuple[Past, ...]:
    """Decisions of somebody, the newest first."""
    who = front_of_app(made.app).people.pseudonym_of(login)
    return made.desk.recent(Coder(who, senior=login.startswith("s")), 20)


def opened(one: Person, certificate_id: str) -> None:
    """A certificate from the list, by the arrows."""
    one.page.wait_for_selector("#start:focus")
    for _ in range(60):
        if one.page.evaluate("document.activeElement.textContent.trim()") == certificate_id:
            break
        one.press("ArrowDown")
    one.press("Enter")
    assert one.task() == certificate_id


def test_the_proposal_right_is_one_key_for_each_certificate(desk_office: Office, chromium: Browser, pages: str) -> None:
    desk_office.came(*({**PANCREAS, "certificate_id": f"P{n}"} for n in range(3)))
    with person(chromium, pages, "c1") as one:
        one.press("Enter")
        seen = [one.task()]
        before = one.keys
        for _ in range(2):
            one.press("Enter")
            one.until(
                lambda: one.page.query_selector("#task[data-ready]") and one.page.inner_text(".which .mono") not in seen
            )
            seen.append(one.task())
        one.press("Enter")
        one.page.wait_for_url("**/queue?said=EMPTY")
        assert one.keys - before == 3
    made = decided(desk_office)
    assert [past.certificate_id for past in reversed(made)] == seen
    assert all(past.reason == "ACCEPTED" and not past.changed for past in made)


def test_codes_are_replaced_added_moved_removed_and_undone_by_keys(
    desk_office: Office, chromium: Browser, pages: str
) -> None:
    desk_office.came(PANCREAS)
    with person(chromium, pages, "c1") as one:
        opened(one, "P1")
        assert one.focused() == "0:text" and one.cause() == "C25.9"
        one.press("d")
        assert one.focused() == "0:0"
        one.press("r")
        one.find("detresse resp aigue du nouveau ne")
        one.after("z")
        assert one.codes(0) == ["J96.0"]
        one.press("ArrowDown", "ArrowDown", "ArrowRight")
        assert one.focused() == "2:0"
        one.press("r")
        one.find("C25.0")
        assert one.codes(2) == ["C25.0"] and one.cause() == "C25.0"
        assert "au lieu de C25.9" in one.page.inner_text("[data-row='2']")
        one.after("1")  # the machine's code again, one key away
        assert one.codes(2) == ["C25.9"] and "proposition de la machine" in one.page.inner_text("#cause")
        one.press("a")
        one.find("cachexie")
        assert one.codes(2) == ["C25.9", "R64"] and one.focused() == "2:1"
        one.after("Shift+ArrowUp")
        assert one.codes(2) == ["C25.9"] and one.codes(1)[-1] == "R64" and one.focused().startswith("1:")
        one.after("Delete")
        assert "R64" not in one.codes(1)
        one.press("ArrowDown", "ArrowUp")
        assert one.focused() == "1:text"
        one.press("ArrowRight", "ArrowRight")
        assert one.focused() == "1:gap0"  # words that nobody could read
        one.press("a")
        one.page.wait_for_selector("#typed:focus")
        assert one.page.input_value("#typed") == "zxqv"
        one.press("Escape")
        assert one.focused() == "1:gap0"
        one.press("ArrowDown", "ArrowDown")
        assert one.focused() == "3:text"
        one.press("ArrowRight")
        one.after("Shift+ArrowRight")
        assert one.codes(3)[1] == "I10"
        one.after("t")
        assert "dû à" in one.page.inner_text("[data-row='3']")
        one.press("Enter")
        one.page.wait_for_selector("#why-change[open]")
        one.press("6")
        one.page.wait_for_url("**/queue?said=EMPTY")
    past = decided(desk_office)[0]
    assert past.changed and past.reason == "SEQUENCE" and past.underlying == "C25.9"
    assert past.after[3][1] == "I10" and past.after[2] == ("C25.9",)


def test_the_cause_may_be_chosen_and_given_back_to_the_rules(
    desk_office: Office, chromium: Browser, pages: str
) -> None:
    desk_office.came(PANCREAS)
    with person(chromium, pages, "c1") as one:
        opened(one, "P1")
        one.press("c")
        one.find("J96.0")
        assert one.cause() == "J96.0" and "choisie par vous" in one.page.inner_text("#cause")
        one.press("Enter")
        one.page.wait_for_selector("#why-change[open]")
        one.press("Escape")
        one.page.wait_for_selector("#why-change", state="hidden")
        one.press("c")
        one.page.wait_for_selector("#typed:focus")
        one.press("Delete")
        one.after("Escape")
        assert one.cause() == "C25.9"


def test_a_reject_is_asked_about_and_a_warning_is_not(desk_office: Office, chromium: Browser, pages: str) -> None:
    desk_office.came(PANCREAS)
    with person(chromium, pages, "c1") as one:
        opened(one, "P1")
        one.press("ArrowDown", "ArrowDown", "ArrowRight", "r")
        one.find("cancer de l'ovaire")
        assert one.page.query_selector("#cause .warnings .bad")
        one.press("Enter", "1")
        one.page.wait_for_selector("#confirm[open]")
        one.press("Escape")
        assert not decided(desk_office)
        one.page.wait_for_timeout(100)
        one.press("Enter", "2")
        one.page.wait_for_selector("#confirm[open]")
        one.press("1")
        one.page.wait_for_url("**/queue?said=EMPTY")
    assert decided(desk_office)[0].underlying == "C56"


def test_the_draft_is_there_again_after_a_reload_and_after_a_crash(
    desk_office: Office, chromium: Browser, pages: str
) -> None:
    desk_office.came(PANCREAS, sample(0))
    with person(chromium, pages, "c1") as one:
        opened(one, "P1")
        one.press("a")
        one.find("cachexie")
        one.page.reload()
        assert one.task() == "P1" and one.codes(0) == ["J96.0", "R64"]
    with person(chromium, pages, "c1") as again:  # another browser: the first one is gone
        assert "Reprendre" in again.page.inner_text("#start")
        again.press("Enter")
        assert again.task() == "P1" and again.codes(0) == ["J96.0", "R64"]
        again.press("Enter")
        again.page.wait_for_selector("#why-change[open]")
        again.press("1")
        again.until(lambda: decided(desk_office))


def test_two_coders_never_hold_one_certificate(desk_office: Office, chromium: Browser, pages: str) -> None:
    desk_office.came(PANCREAS, sample(0))
    with person(chromium, pages, "c1") as one, person(chromium, pages, "c2") as two:
        one.press("Enter")
        two.press("Enter")
        assert {one.task(), two.task()} == {"P1", "s0001"}


def test_an_amendment_and_a_void_are_told_while_one_works(desk_office: Office, chromium: Browser, pages: str) -> None:
    desk_office.came(PANCREAS)
    with person(chromium, pages, "c1") as one:
        opened(one, "P1")
        desk_office.came({**PANCREAS, "version": 2, "status": "AMENDED", "part2": ["HTA"]})
        one.page.wait_for_selector("#banner .notice")
        assert "version 2" in one.page.inner_text("#banner")
        one.press("Enter")  # nothing is decided on an old version by habit
        one.page.wait_for_timeout(300)
        assert not decided(desk_office)
        assert one.page.evaluate("document.activeElement.closest('#banner') !== null")
        one.press("Enter")
        one.until(lambda: "version 2" in one.page.inner_text("main"))
        one.task()
        one.until(lambda: one.codes(3) == ["I10"])
        desk_office.came({"certificate_id": "P1", "version": 3, "status": "VOID"})
        one.page.wait_for_selector("#banner .notice.bad")
        assert "retiré" in one.page.inner_text("#banner")


def test_a_new_proposal_is_told_while_one_works(desk_office: Office, chromium: Browser, pages: str) -> None:
    coded = desk_office.came(PANCREAS)[0]
    with person(chromium, pages, "c1") as one:
        opened(one, "P1")
        first = one.cause()
        coded = desk_office.recoded(coded, "C25.0")
        one.page.wait_for_selector("#banner .notice.warn")
        one.press("Enter")  # nothing is decided on a proposal that is none any more
        one.page.wait_for_timeout(300)
        assert not decided(desk_office)
        one.press("Enter")  # see it
        one.until(lambda: one.page.query_selector("#task[data-revision='1']"))
        one.task()
        assert (one.cause(), first) == ("C25.0", "C25.9")
        desk_office.recoded(coded, "C25.1")
        one.page.wait_for_selector("#banner .notice.warn")
        one.press("Enter", "Tab", "Enter")  # the shown codes all the same: a change, seen from the new proposal
        one.page.wait_for_selector("#why-change[open]")
        one.press("1")
        one.until(lambda: decided(desk_office))
    (made,) = decided(desk_office)
    assert (made.underlying, made.changed) == ("C25.0", True)


def test_skip_escalate_second_opinion_and_undo_by_keys(desk_office: Office, chromium: Browser, pages: str) -> None:
    desk_office.came(PANCREAS, sample(0), sample(2))
    with person(chromium, pages, "c1") as one:
        opened(one, "P1")
        one.press("p")
        one.page.wait_for_selector("#why-skip[open]")
        one.press("1")
        one.until(lambda: one.page.query_selector("#task") and one.page.inner_text(".which .mono") != "P1")
        first = one.task()
        one.press("e")
        one.page.wait_for_selector("#why-escalate[open]")
        one.press("1")
        one.until(lambda: one.page.query_selector("#task") and one.page.inner_text(".which .mono") not in ("P1", first))
        second = one.task()
        one.press("o")
        one.until(lambda: decided(desk_office))
        one.until(lambda: one.page.query_selector("#task") and one.page.inner_text(".which .mono") == "P1")
        assert one.task() == "P1"
        one.press("z")
        one.page.wait_for_selector("#why-undo[open]")
        one.press("1")
        one.until(lambda: one.page.query_selector("#task") and one.page.inner_text(".which .mono") == second)
        one.task()
        assert not decided(desk_office)[1].standing
        one.press("q")
        one.page.wait_for_url("**/queue")
    with person(chromium, pages, "s1") as senior:
        opened(senior, first)
        assert "Transmis" in senior.page.inner_text("aside")


def test_single_keys_act_in_the_lines_only_and_a_held_key_decides_nothing(
    desk_office: Office, chromium: Browser, pages: str
) -> None:
    desk_office.came(PANCREAS, sample(0))
    with person(chromium, pages, "c1") as one:
        opened(one, "P1")
        one.press("Tab")  # out of the lines in one step
        assert one.page.evaluate("document.activeElement.closest('.actions') !== null")
        one.press("p", "q", "Delete", "1")
        assert not one.page.query_selector("dialog[open]") and one.codes(0) == ["J96.0"]
        one.press("Escape")
        assert one.focused() == "0:text"
        one.quiet()
        one.page.keyboard.down("d")
        one.page.evaluate(
            "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', repeat: true, bubbles: true}))"
        )
        one.page.keyboard.up("d")
        one.page.wait_for_timeout(200)
        assert not decided(desk_office)
        one.press("?")
        one.page.wait_for_selector("#keys[open]")
        assert one.page.evaluate(
            "(() => { const d = document.getElementById('keys'); return d.scrollHeight <= d.clientHeight; })()"
        )
        one.press("Escape")
        one.page.wait_for_selector("#keys:not([open])", state="attached")
        one.press("w")
        assert one.page.evaluate("document.activeElement.id") == "cause-title"
        one.press("Escape", "Control+Enter")
        one.until(lambda: decided(desk_office))


def test_blind_nothing_of_the_proposal_reaches_the_browser(tmp_path: Path, chromium: Browser) -> None:
    blind = office(tmp_path, core=unseen())
    coded = blind.came(PANCREAS)[0]
    staff(blind.app)
    with served(blind.app) as url, person(chromium, url, "c1", keeps=True) as one:
        opened(one, "P1")
        assert "en aveugle" in one.page.inner_text("main") and one.cause() == ""
        one.press("a")
        one.find("arret respiratoire")
        one.press("a")
        one.find("R64")
        one.press("h", "w", "Escape", "d")
        one.page.wait_for_timeout(1_200)  # a heartbeat
        one.collect()
        one.press("Enter")
        one.page.wait_for_url("**/queue?said=EMPTY")
        one.page.wait_for_load_state()
        one.collect()
        sent = "\n".join(one.sent)
    for path in ("/queue", "/task/", "/edit", "/search", "/beat"):
        assert f"{path}" in sent, path
    assert "R09.2" in sent and "Audit : codez" in sent
    for code in {entity.code for entity in coded.entities()} | {coded.underlying.code}:
        assert str(code) not in sent, code
    assert "lexique ch02:7" not in sent
    past = decided(blind)[0]
    assert past.blind and past.reason == "BLIND"
    blind.engine.dispose()


def test_a_server_that_is_away_costs_nothing_that_was_typed(desk_office: Office, chromium: Browser, pages: str) -> None:
    desk_office.came(PANCREAS)
    with person(chromium, pages, "c1") as one:
        opened(one, "P1")
        one.page.route("**/edit", lambda route: route.abort())
        one.press("ArrowRight", "Delete")
        one.until(lambda: "ne répond pas" in one.page.inner_text("#state"))
        one.page.unroute("**/edit")
        one.until(lambda: one.codes(0) == [], "the edit is not tried again")
        one.faults.clear()


@pytest.mark.parametrize(("language", "scheme"), [("fr-FR", "light"), *([("en-GB", "dark")] if LONG else [])])
def test_no_page_breaks_wcag(desk_office: Office, chromium: Browser, pages: str, language: str, scheme: str) -> None:
    desk_office.came(PANCREAS, *map(sample, range(6)))
    with person(chromium, pages, "c1", locale=language, color_scheme=scheme) as one:
        found = {"queue": one.violations()}
        opened(one, "P1")
        found["task"] = one.violations()
        one.press("d", "r")
        one.page.wait_for_selector("#hit-0")
        found["search"] = one.violations()
        one.press("Escape", "Delete")
        one.page.wait_for_timeout(300)
        one.press("Enter")
        one.page.wait_for_selector("#why-change[open]")
        found["reason"] = one.violations()
        one.press("1")
        one.until(lambda: one.page.query_selector(READY) and one.page.inner_text(".which .mono") != "P1")
        one.press("?")
        one.page.wait_for_selector("#keys[open]")
        found["keys"] = one.violations()
        one.page.goto(f"{pages}/decisions")
        found["decisions"] = one.violations()
    with person(chromium, pages, "s1", locale=language, color_scheme=scheme) as senior:
        senior.page.goto(f"{pages}/supervisor")
        found["supervisor"] = senior.violations()
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_an_adjudication_takes_a_side_line_by_line(desk_office: Office, chromium: Browser, pages: str) -> None:
    desk_office.came(PANCREAS)
    with person(chromium, pages, "c1") as one:
        opened(one, "P1")
        one.press("o")
        one.page.wait_for_url("**/queue?said=EMPTY")
    with person(chromium, pages, "c2") as two:
        opened(two, "P1")
        two.press("ArrowDown", "ArrowDown", "ArrowRight", "r")
        two.find("C25.0")
        two.press("Enter")
        two.page.wait_for_url("**/queue?said=EMPTY")
    with person(chromium, pages, "s1") as senior:
        opened(senior, "P1")
        assert senior.codes(2) == [] and senior.codes(0) == ["J96.0"]
        senior.press("ArrowDown", "ArrowDown")
        senior.after("1")
        assert senior.codes(2) == ["C25.9"] and "lexique" in senior.page.inner_text("[data-row='2']")
        senior.after("2")
        assert senior.codes(2) == ["C25.0"] and senior.cause() == "C25.0"
        assert senior.violations() == []
        senior.press("Enter")
        senior.until(lambda: decided(desk_office, "s1"))
    past = decided(desk_office, "s1")[0]
    assert (past.kind, past.underlying) == ("ADJUDICATION", "C25.0")
