"""A real HTTP server with an OpenAI-compatible endpoint, which misbehaves as a test wants it to."""

import hashlib
import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server:
    """Answers by a list: a status, a text, or an object to be sent as the model's words; then as `willing` does.

    answers: "half" is cut in the middle of its JSON, "short" in the middle of what it announced, "refused" has no words.
    asked: bodies and keys in their order. answered: how many of them got an answer.
    on_request: called with the number of a question, from 1, before it is answered.
    """

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.asked: list[dict[str, Any]] = []
        self.answered = 0
        self.on_request: Callable[[int], None] = lambda number: None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.answer(self)

            def log_message(self, *arguments: object) -> None:
                """Quiet."""

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, *arguments: object) -> None:
                """Who asked may be gone."""

        self.http = Quiet(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}/v1"

    def answer(self, to: BaseHTTPRequestHandler) -> None:
        """One question."""
        body = to.rfile.read(int(to.headers["Content-Length"]))
        self.asked.append({"body": json.loads(body), "key": to.headers["Authorization"]})
        self.on_request(len(self.asked))
        answer = self.answers.pop(0) if self.answers else willing(json.loads(body))
        if isinstance(answer, int):
            to.send_error(answer)
            return
        said = None if answer == "refused" else answer if isinstance(answer, str) else json.dumps(answer)
        usage = {"prompt_tokens": 1000, "completion_tokens": 100}
        text = json.dumps({"choices": [{"message": {"content": said}}], "usage": usage})
        sent = text[: len(text) // 2] if answer in ("half", "short") else text
        to.send_response(200)
        to.send_header("Content-Length", str(len(text if answer == "short" else sent)))
        to.end_headers()
        to.wfile.write(sent.encode())
        self.answered += 1


def willing(body: dict[str, Any]) -> Any:
    """An answer of the schema that is asked for, the same for the same question."""
    chance = int(hashlib.sha256(json.dumps(body).encode()).hexdigest(), 16)
    fields = body["response_format"]["json_schema"]["schema"]["properties"]
    if "captions" in fields:
        lines = re.findall(r"(?m)^\d+\. (.*)$", body["messages"][1]["content"])
        return {"captions": [f"someone moves: {line} ({chance % 10_000})" for line in lines]}
    if "repetitions" in fields:
        return {"repetitions": [[2 * place, 2 * place + 1] for place in range(chance % 4)]}
    names = fields["events"]["items"]["properties"]["name"]["enum"]
    seen = [bool(chance >> place & 1) for place in range(len(names))]
    return {
        "events": [
            {"name": name, "seen": there, "frames": [2 * place, 2 * place + 1] if there else None}
            for place, (name, there) in enumerate(zip(names, seen, strict=True))
        ]
    }
