"""The endpoint judge against a real server that misbehaves."""

import http.server
import threading
import time
from collections.abc import Iterator

import pytest

from motionrft.errors import UserError
from motionrft.preferences.chat import KEY, URL, Chat, Limits, Spending, in_parallel
from motionrft.preferences.judges.base import Item
from motionrft.preferences.judges.endpoint import EndpointJudge
from motionrft.preferences.prompts import EventPrompt
from tests.preferences.acting import stand
from tests.preferences.serving import Server

PROMPT = EventPrompt("frequency-0", "frequency", "a person bows twice", ("bow",), 2.0, 2)
ITEM = Item(PROMPT, 0, stand(40), 20.0)
GOOD = {"repetitions": [[0, 5], [20, 30]]}
QUICK = Limits(parallel=1, timeout=2.0, wait=0.01)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    running = Server()
    monkeypatch.setenv(URL, running.url)
    monkeypatch.setenv(KEY, "secret")
    yield running
    running.http.shutdown()


def answer(limits: Limits = QUICK):  # type: ignore[no-untyped-def]
    return next(iter(EndpointJudge(Chat("m", limits)).judge([ITEM])))[1]


def test_the_model_sees_a_sheet_and_its_answer_is_scored(server: Server) -> None:
    server.answers = [GOOD]
    judgement = answer(Limits(parallel=1, wait=0.01, price_in=2.0, price_out=10.0))
    assert judgement.score == 1.0 and judgement.cost == pytest.approx(1000 * 2e-6 + 100 * 10e-6)
    content = server.asked[0]["body"]["messages"][1]["content"]
    assert content[1]["image_url"]["url"].startswith("data:image/png;base64,")
    assert server.asked[0]["key"] == "Bearer secret"


@pytest.mark.parametrize("trouble", [429, 500, "half", "short"])
def test_a_busy_or_broken_server_is_asked_again(server: Server, trouble: object) -> None:
    server.answers = [trouble, trouble, GOOD]
    assert answer().score == 1.0 and len(server.asked) == 3


@pytest.mark.parametrize("wrong", ["no JSON", "refused", {"repetitions": [[0, 99]]}, {"events": []}])
def test_a_wrong_answer_is_asked_for_once_more_and_then_left_out(server: Server, wrong: object) -> None:
    server.answers = [wrong, GOOD]
    assert answer().score == 1.0
    assert "does not fit" in server.asked[1]["body"]["messages"][-1]["content"]
    server.answers = [wrong, wrong]
    judgement = answer()
    assert judgement.score is None and judgement.error


def test_a_refusal_for_good_ends_the_run_without_the_key(server: Server) -> None:
    server.answers = [401]
    with pytest.raises(UserError, match="401") as caught:
        answer()
    assert "secret" not in str(caught.value)


def test_no_more_calls_are_made_than_allowed(server: Server) -> None:
    server.answers = [GOOD, GOOD]
    judge = EndpointJudge(Chat("m", Limits(parallel=1, wait=0.01, max_calls=1)))
    assert next(iter(judge.judge([ITEM])))[1].score == 1.0
    with pytest.raises(UserError, match="max_calls"):
        list(judge.judge([ITEM]))


def test_no_more_money_is_spent_than_allowed_however_often_it_is_started(server: Server) -> None:
    limits = Limits(parallel=1, wait=0.01, max_cost=0.005, price_in=2.0, price_out=10.0)
    judge = EndpointJudge(Chat("m", limits, Spending(cost=0.004)))
    with pytest.raises(UserError, match=r"max_cost is 0.005"):
        list(judge.judge([ITEM, ITEM, ITEM]))
    assert len(server.asked) == 1


def test_answers_on_their_way_when_another_call_fails_are_given(server: Server) -> None:
    limits = Limits(parallel=2, wait=0.01, timeout=10.0)
    arrived = threading.Barrier(2)
    server.on_request = lambda number: arrived.wait() and None if number <= 2 else None
    server.answers = [401]
    given = []
    with pytest.raises(UserError, match="401"):
        for place, judgement in EndpointJudge(Chat("m", limits)).judge([ITEM, ITEM]):
            given.append((place, judgement.score is not None))
    assert len(given) == server.answered == 1 and given[0][1]


def test_the_key_does_not_follow_to_another_address(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(302)
            self.send_header("Location", server.url)
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *arguments: object) -> None:
            """Quiet."""

    other = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    monkeypatch.setenv(URL, f"http://127.0.0.1:{other.server_port}/v1")
    with pytest.raises(UserError, match=r"501|405"):
        answer()
    other.shutdown()
    assert all(each["key"] is None for each in server.asked)


def test_nothing_is_asked_before_the_answer_to_the_last_is_taken() -> None:
    taken: list[int] = []
    when_asked: list[int] = []
    for place, _ in in_parallel(lambda item: when_asked.append(len(taken)), range(20), 1):
        time.sleep(0.002)  # as long as writing it down takes
        taken.append(place)
    assert when_asked == taken == list(range(20))


def test_without_an_address_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URL, raising=False)
    with pytest.raises(UserError, match=URL):
        Chat("m").ask([], {})
