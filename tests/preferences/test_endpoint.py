"""The endpoint judge against a real server that misbehaves."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from motionrft.errors import UserError
from motionrft.preferences.judges.base import Item
from motionrft.preferences.judges.endpoint import KEY, URL, EndpointJudge, Limits
from motionrft.preferences.prompts import EventPrompt
from tests.preferences.acting import stand

PROMPT = EventPrompt("frequency-0", "frequency", "a person bows twice", ("bow",), 2.0, 2)
ITEM = Item(PROMPT, 0, stand(40), 20.0)
GOOD = {"repetitions": [[0, 5], [20, 30]]}
QUICK = Limits(parallel=1, timeout=2.0, wait=0.01)


class Server:
    """Answers by a list: a status, a text, or an object to be sent as the model's words."""

    def __init__(self) -> None:
        self.answers: list[object] = []
        self.asked: list[dict] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.asked.append({"body": json.loads(body), "key": self.headers["Authorization"]})
                answer = outer.answers.pop(0)
                if isinstance(answer, int):
                    self.send_error(answer)
                    return
                said = answer if isinstance(answer, str) else json.dumps(answer)
                usage = {"prompt_tokens": 1000, "completion_tokens": 100}
                text = json.dumps({"choices": [{"message": {"content": said}}], "usage": usage})
                text = text[: len(text) // 2] if answer == "half" else text
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *arguments: object) -> None:
                """Quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    running = Server()
    monkeypatch.setenv(URL, f"http://127.0.0.1:{running.http.server_port}/v1")
    monkeypatch.setenv(KEY, "secret")
    yield running
    running.http.shutdown()


def answer(limits: Limits = QUICK):  # type: ignore[no-untyped-def]
    return next(iter(EndpointJudge("m", limits).judge([ITEM])))[1]


def test_the_model_sees_a_sheet_and_its_answer_is_scored(server: Server) -> None:
    server.answers = [GOOD]
    judgement = answer(Limits(parallel=1, wait=0.01, price_in=2.0, price_out=10.0))
    assert judgement.score == 1.0 and judgement.cost == pytest.approx(1000 * 2e-6 + 100 * 10e-6)
    content = server.asked[0]["body"]["messages"][1]["content"]
    assert content[1]["image_url"]["url"].startswith("data:image/png;base64,")
    assert server.asked[0]["key"] == "Bearer secret"


@pytest.mark.parametrize("trouble", [429, 500, "half"])
def test_a_busy_or_broken_server_is_asked_again(server: Server, trouble: object) -> None:
    server.answers = [trouble, trouble, GOOD]
    assert answer().score == 1.0 and len(server.asked) == 3


@pytest.mark.parametrize("wrong", ["no JSON", {"repetitions": [[0, 99]]}, {"events": []}])
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
    judge = EndpointJudge("m", Limits(parallel=1, wait=0.01, max_calls=1))
    assert next(iter(judge.judge([ITEM])))[1].score == 1.0
    with pytest.raises(UserError, match="max_calls"):
        list(judge.judge([ITEM]))


def test_without_an_address_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URL, raising=False)
    with pytest.raises(UserError, match=URL):
        EndpointJudge("m")
