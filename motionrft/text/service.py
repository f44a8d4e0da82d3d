"""Kimodo's own text encoder service (a Gradio program on port 9550) as a text encoder: one call a prompt.

Asked is the endpoint `/DemoWrapper` with the prompt and a file name; the answer names a file on the server, a .npy of
(1, D). That file is fetched from the address that was given, whatever host the answer names.
"""

import io
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.text.base import TextEncoder, TextFeatures
from motionrft.training.fingerprints import text_hash

ENDPOINT = "DemoWrapper"
_ROOTS = ("/gradio_api", "")
"""Before the paths of Gradio 5, and of Gradio 4."""
_LARGEST = 1 << 20
"""Bytes of an answer; a vector of 4096 has 16 KB."""


@dataclass(frozen=True)
class Patience:
    """tries: of a call. timeout: seconds of one, in which the service may load its model. wait: before the second try."""

    tries: int = 5
    timeout: float = 300.0
    wait: float = 1.0


class ServiceText(TextEncoder):
    """One vector (B, 1, D) a prompt, made elsewhere; of an empty prompt zeros. Nothing is sent but the prompts.

    Args:
        url: of the service, `http://host:9550`.
        encoder: the one that runs there: its name, its width and its way of cleaning.

    Raises:
        UserError: no address.
    """

    pooled_width = None
    fixed_tokens = 1

    def __init__(self, url: str, encoder: TextEncoder, patience: Patience | None = None):
        if not url.startswith(("http://", "https://")):
            raise UserError(f"text_service: {url!r} is no address; http://localhost:9550 is one.")
        self.url, self._encoder, self._patience = url.rstrip("/"), encoder, patience or Patience()
        self.name, self.width = encoder.name, encoder.width
        self.identity = f"{encoder.name}-service-{text_hash(self.url)[:16]}"
        self._root = _ROOTS[0]

    @property
    def cost(self) -> str:
        return f"one call a prompt to {self.url}"

    def cleaned(self, text: str) -> str:
        return self._encoder.cleaned(text)

    def encode(self, texts: Sequence[str]) -> TextFeatures:
        rows = [self._vector(text) if text else torch.zeros(self.width) for text in map(self.cleaned, texts)]
        return TextFeatures(torch.stack(rows)[:, None], torch.ones(len(rows), 1, dtype=torch.bool))

    def _vector(self, text: str) -> Tensor:
        """(D,) float32 of one prompt, asked again while the service is busy or its answers make no sense.

        Raises:
            UserError: it refuses, or never answers.
        """
        reason = ""
        for attempt in range(self._patience.tries):
            if attempt:
                time.sleep(self._patience.wait * 2 ** (attempt - 1))
            try:
                return self._asked(text, time.monotonic() + self._patience.timeout)
            except urllib.error.HTTPError as error:
                reason = f"{error.code} {error.reason}"
                if error.code != 429 and error.code < 500:
                    break
            except _Failed as error:
                reason = str(error)
                break
            except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
                reason = str(getattr(error, "reason", error)) or type(error).__name__
        raise UserError(
            f"text service {self.url}: no features of {text!r}: {' '.join(reason.split())[:200]}. "
            "Is it Kimodo's text encoder service (kimodo_textencoder)? What was encoded before is kept."
        )

    def _asked(self, text: str, deadline: float) -> Tensor:
        call = self._begun({"data": [text, f"{uuid4()}.npy"]}, deadline)
        answer = json.loads(self._said(call, deadline))
        path = _file_path(answer)
        if path is None:
            raise _Failed(f"its answer names no file ({json.dumps(answer)[:80]})")
        file = f"{self.url}{self._root}/file={urllib.parse.quote(path)}"
        with self._opened(file, deadline) as stream:
            return self._checked(stream.read(_LARGEST + 1))

    def _begun(self, body: dict[str, Any], deadline: float) -> str:
        """Address at which the answer to a call will stand."""
        for root in dict.fromkeys((self._root, *_ROOTS)):
            call = f"{self.url}{root}/call/{ENDPOINT}"
            try:
                with self._opened(call, deadline, json.dumps(body).encode()) as stream:
                    event = json.loads(stream.read(_LARGEST))["event_id"]
            except urllib.error.HTTPError as error:
                if error.code in (404, 405) and root != _ROOTS[-1]:
                    continue
                raise
            self._root = root
            return f"{call}/{urllib.parse.quote(str(event), safe='')}"
        raise _Failed(f"it has no endpoint {ENDPOINT}")

    def _said(self, call: str, deadline: float) -> str:
        """What the service says at the end of a call; heartbeats before it count for nothing."""
        with self._opened(call, deadline) as stream:
            for kind, data in _events(iter(lambda: stream.readline(_LARGEST), b"")):
                if time.monotonic() > deadline:
                    raise TimeoutError("timed out")
                if kind == "error":
                    raise _Failed(f"it failed ({data[:80]})")
                if kind == "complete":
                    return data
        raise ValueError("the answer broke off")

    def _opened(self, url: str, deadline: float, body: bytes | None = None) -> Any:
        left = max(0.1, deadline - time.monotonic())
        headers = {"Content-Type": "application/json"} if body is not None else {}
        return urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=left)

    def _checked(self, data: bytes) -> Tensor:
        if len(data) > _LARGEST:
            raise _Failed(f"its file has more than {_LARGEST} bytes")
        array = np.load(io.BytesIO(data), allow_pickle=False)
        if array.size != self.width or array.dtype.kind != "f" or not np.isfinite(array).all():
            raise _Failed(
                f"its vector is {array.dtype} {array.shape}; {self.width} finite numbers are wanted, "
                f"of the encoder {self.name}"
            )
        return torch.from_numpy(array.astype(np.float32).reshape(self.width))


class _Failed(Exception):
    """The service has answered, and asking again would not change it."""


def _events(lines: Iterator[bytes]) -> Iterator[tuple[str, str]]:
    """Kind and data of each server-sent event."""
    kind = ""
    for line in lines:
        name, _, value = line.decode("utf-8", "replace").rstrip("\r\n").partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            yield kind, value


def _file_path(answer: Any) -> str | None:
    """Path, on the server, of the first .npy that an answer names, wherever it stands."""
    if isinstance(answer, dict):
        path = answer.get("path")
        if isinstance(path, str) and path.endswith(".npy"):
            return path
        answer = list(answer.values())
    found: Callable[[Any], str | None] = _file_path
    return (
        next((path for each in answer if (path := found(each))), None) if isinstance(answer, list) else None
    )
