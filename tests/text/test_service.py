"""Kimodo's text encoder service, acted by a local HTTP server that may misbehave."""

import io
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
import torch

from motionrft.errors import UserError
from motionrft.text.cache import CachedTextEncoder
from motionrft.text.cost import text_cost
from motionrft.text.service import Patience, ServiceText
from tests.text.vectors import OneVector, vector

HANG_UP, DRIP = 0, 1
"""Instead of a status: no answer at all, and the body again and again."""
PATIENT = Patience(tries=3, timeout=5, wait=0.01)


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


class Acting:
    """What the server does, and what it was asked. Each fault is used up by one request of its kind."""

    def __init__(self, root: str = "/gradio_api") -> None:
        self.root, self.texts, self.faults = root, [], dict[str, list[Any]]()

    def fault(self, kind: str) -> Any:
        waiting = self.faults.get(kind, [])
        return waiting.pop(0) if waiting else None

    def post(self, request: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        body = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        if request.path != f"{self.root}/call/DemoWrapper":
            return 404, b"{}"
        if (fault := self.fault("post")) is not None:
            return fault
        text, name = body["data"]
        assert name.endswith(".npy")
        self.texts.append(text)
        return 200, json.dumps({"event_id": f"{len(self.texts) - 1}"}).encode()

    def get(self, request: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        if request.path.startswith(f"{self.root}/call/DemoWrapper/"):
            if (fault := self.fault("events")) is not None:
                return fault
            place = f"/tmp/text encoder/{request.path.rsplit('/', 1)[1]}.npy"
            # As Gradio says a button's new value; the address it gives is the server's own idea of itself.
            file = {
                "path": place,
                "url": f"http://0.0.0.0:1/file={place}",
                "meta": {"_type": "gradio.FileData"},
            }
            done = json.dumps(
                [{"visible": True, "value": file, "__type__": "update"}, {"value": "Text"}, None]
            )
            return 200, f"event: heartbeat\ndata: null\n\nevent: complete\ndata: {done}\n\n".encode()
        if (fault := self.fault("file")) is not None:
            return fault
        number = int(Path(unquote(request.path)).stem)
        assert unquote(request.path).startswith(f"{self.root}/file=/tmp/text encoder/")
        return 200, npy(vector(self.texts[number]).numpy()[None])


@contextmanager
def serving(acting: Acting) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self, how: Callable[[BaseHTTPRequestHandler], tuple[int, bytes]]) -> None:
            code, body = how(self)
            if code == DRIP:
                self.send_response(200)
                self.end_headers()
                with suppress(OSError):
                    for _ in range(100):
                        self.wfile.write(body)
                        time.sleep(0.1)
            if code in (DRIP, HANG_UP):
                return
            self.send_response(code)
            self.send_header("Content-Length", str(len(body) + (10 if code == 206 else 0)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.answer(acting.post)

        def do_GET(self) -> None:
            self.answer(acting.get)

        def log_message(self, format: str, *arguments: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("root", ["/gradio_api", ""])
def test_prompts_are_cleaned_sent_one_by_one_and_kept(root: str, tmp_path: Path) -> None:
    acting = Acting(root)
    with serving(acting) as url:
        service = ServiceText(url + "/", OneVector(), PATIENT)
        cached = CachedTextEncoder(service, tmp_path)
        assert (
            text_cost(cached, ["a", "A."]) == f"1 of 1 texts to encode with one: one call a prompt to {url}"
        )
        found = cached.encode(["waves", "a person walks", ""])
        assert sorted(acting.texts) == ["A person walks.", "Waves."], "an empty prompt is no question"
        torch.testing.assert_close(found.tokens[1, 0], vector("A person walks."))
        assert not found.tokens[2].any()
    again = CachedTextEncoder(ServiceText(url, OneVector(), PATIENT), tmp_path)
    torch.testing.assert_close(again.encode(["Waves"]).tokens, found.tokens[:1])


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("post", (503, b"busy")),
        ("post", (429, b"slow down")),
        ("post", (200, b"no json")),
        ("post", (200, b'{"id": 1}')),
        ("post", (HANG_UP, b"")),
        ("events", (200, b"event: heartbeat\ndata: null\n\n")),
        ("events", (200, b"event: complete\ndata: [{\n\n")),
        ("file", (500, b"")),
        ("file", (206, npy(np.zeros((1, 8), np.float32))[:-8])),
    ],
)
def test_a_fault_that_passes_is_asked_past(kind: str, fault: tuple[int, bytes]) -> None:
    acting = Acting()
    acting.faults[kind] = [fault]
    with serving(acting) as url:
        found = ServiceText(url, OneVector(), PATIENT).encode(["waves"])
    torch.testing.assert_close(found.tokens[0, 0], vector("Waves."))


@pytest.mark.parametrize(
    ("kind", "fault", "said"),
    [
        ("post", (401, b""), "401"),
        ("events", (200, b"event: error\ndata: null\n\n"), "it failed"),
        ("events", (200, b'event: complete\ndata: ["hello"]\n\n'), "names no file"),
        ("file", (200, npy(np.zeros((1, 9), np.float32))), r"\(1, 9\); 8 finite numbers"),
        ("file", (200, npy(np.full((1, 8), np.nan, np.float32))), "finite"),
        ("file", (200, b"x" * (2 << 20)), "more than"),
    ],
)
def test_a_fault_that_stays_is_said_once(kind: str, fault: tuple[int, bytes], said: str) -> None:
    acting = Acting()
    acting.faults[kind] = [fault] * 2
    with serving(acting) as url, pytest.raises(UserError, match=said) as caught:
        ServiceText(url, OneVector(), PATIENT).encode(["waves"])
    assert "'Waves.'" in str(caught.value) and "\n" not in str(caught.value)
    assert len(acting.faults[kind]) == 1, "asked once"


def test_a_pickle_is_never_opened() -> None:
    acting = Acting()
    trap = io.BytesIO()
    np.save(trap, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    acting.faults["file"] = [(200, trap.getvalue())] * 3
    with serving(acting) as url, pytest.raises(UserError, match="allow_pickle"):
        ServiceText(url, OneVector(), PATIENT).encode(["waves"])


def test_a_service_that_is_not_there_or_another_is_said() -> None:
    with serving(Acting(root="/elsewhere")) as url, pytest.raises(UserError, match="404"):
        ServiceText(url, OneVector(), PATIENT).encode(["waves"])
    with pytest.raises(UserError, match="refused"):
        ServiceText(url, OneVector(), PATIENT).encode(["waves"])


def test_heartbeats_do_not_keep_a_call_alive() -> None:
    acting = Acting()
    acting.faults["events"] = [(DRIP, b"event: heartbeat\ndata: null\n\n")] * 2
    patience = Patience(tries=2, timeout=0.5, wait=0.01)
    with serving(acting) as url, pytest.raises(UserError, match="timed out"):
        ServiceText(url, OneVector(), patience).encode(["waves"])
