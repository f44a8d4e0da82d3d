"""A vision-language model behind an OpenAI-compatible `/chat/completions`, asked with one frame sheet a motion.

The address comes from `MOTIONRFT_JUDGE_URL`, the key from `MOTIONRFT_JUDGE_KEY`; the key is sent and nothing else: never
logged, never written. Answers that do not fit the schema are asked for once more with the fault named; 429 and 5xx are
waited for and asked again.
"""

import base64
import io
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

from motionrft.errors import UserError
from motionrft.preferences.judges.base import Item, Judge, Judgement
from motionrft.preferences.judges.questions import (
    INSTRUCTION,
    correction,
    question,
    schema,
    score_answer,
)
from motionrft.preferences.sheets import frame_sheet

URL, KEY = "MOTIONRFT_JUDGE_URL", "MOTIONRFT_JUDGE_KEY"
_TRIES = 5
"""Of a call that the server refuses for the moment."""


@dataclass(frozen=True)
class Limits:
    """parallel: calls at once. timeout: seconds of one. price_in, price_out: of a million tokens, None unknown."""

    parallel: int = 4
    timeout: float = 120.0
    wait: float = 1.0
    max_calls: int | None = None
    max_cost: float | None = None
    price_in: float | None = None
    price_out: float | None = None


class EndpointJudge(Judge):
    """One call a motion.

    Args:
        model: its name at the endpoint.

    Raises:
        UserError: no address is set.
    """

    name = "endpoint"

    def __init__(self, model: str, limits: Limits | None = None):
        self.url, self._key = os.environ.get(URL, ""), os.environ.get(KEY, "")
        if not self.url.startswith(("http://", "https://")):
            raise UserError(
                f"judge: set {URL} to the address of an OpenAI-compatible endpoint, and {KEY} to its key."
            )
        self.model, self.limits = model, limits or Limits()
        self.calls, self.cost = 0, 0.0

    @property
    def identity(self) -> str:
        return f"endpoint-{self.model}-1"

    def judge(self, items: Sequence[Item]) -> Iterator[tuple[int, Judgement]]:
        with ThreadPoolExecutor(self.limits.parallel) as pool:
            waiting = {pool.submit(self._one, item): place for place, item in enumerate(items)}
            try:
                for done in as_completed(waiting):
                    yield waiting[done], done.result()
            finally:
                for each in waiting:
                    each.cancel()

    def _one(self, item: Item) -> Judgement:
        began = time.perf_counter()
        messages = _messages(item)
        spent = [0, 0]
        fault = ""
        for _ in range(2):
            answer = self._ask(messages, item)
            for side, count in enumerate(("prompt_tokens", "completion_tokens")):
                spent[side] += int(answer.get("usage", {}).get(count, 0))
            said = answer["choices"][0]["message"]["content"]
            try:
                raw = json.loads(said)
                score = score_answer(item.prompt, raw, len(item.joints))
                return self._judgement(score, raw, began, spent)
            except (ValueError, TypeError) as error:
                fault = str(error)
                messages = [
                    *messages,
                    {"role": "assistant", "content": said},
                    {"role": "user", "content": correction(fault)},
                ]
        return self._judgement(None, {}, began, spent, fault)

    def _judgement(
        self,
        score: float | None,
        raw: dict[str, Any],
        began: float,
        spent: Sequence[int],
        fault: str | None = None,
    ) -> Judgement:
        seconds = time.perf_counter() - began
        return Judgement(score, raw, seconds, spent[0], spent[1], self._price(spent), fault)

    def _ask(self, messages: list[dict[str, Any]], item: Item) -> dict[str, Any]:
        """One call, asked again while the server is busy.

        Raises:
            UserError: a limit is reached, or the server refuses for good.
        """
        body = {
            "model": self.model,
            "temperature": 0,
            "messages": messages,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": True, "schema": schema(item.prompt)},
            },
        }
        for attempt in range(_TRIES):
            self._count()
            try:
                return self._post(body)
            except urllib.error.HTTPError as error:
                if error.code != 429 and error.code < 500:
                    raise UserError(f"judge: {self.url} answers {error.code} {error.reason}.") from None
                reason = f"{error.code} {error.reason}"
            except (urllib.error.URLError, TimeoutError, ConnectionError, ValueError, KeyError) as error:
                reason = str(getattr(error, "reason", error)) or type(error).__name__
            time.sleep(self.limits.wait * 2**attempt)
        raise UserError(
            f"judge: {self.url} did not answer {_TRIES} times in a row: {reason}. Go on with --resume."
        )

    def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self.url.rstrip('/')}/chat/completions",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"},
        )
        with urllib.request.urlopen(request, timeout=self.limits.timeout) as answer:
            found: dict[str, Any] = json.loads(answer.read())
        found["choices"][0]["message"]["content"]  # half an answer raises here and is asked again
        return found

    def _count(self) -> None:
        limits = self.limits
        if limits.max_calls is not None and self.calls >= limits.max_calls:
            raise UserError(
                f"judge: {limits.max_calls} calls are made, as judge.max_calls allows. Raise it to go on."
            )
        if limits.max_cost is not None and self.cost >= limits.max_cost:
            raise UserError(f"judge: {self.cost:.2f} is spent, as judge.max_cost allows. Raise it to go on.")
        self.calls += 1

    def _price(self, spent: Sequence[int]) -> float:
        prices = (self.limits.price_in or 0.0, self.limits.price_out or 0.0)
        cost = sum(count * price / 1e6 for count, price in zip(spent, prices, strict=True))
        self.cost += cost
        return cost


def _messages(item: Item) -> list[dict[str, Any]]:
    stream = io.BytesIO()
    frame_sheet(item.joints, item.fps, item.prompt.kind).save(stream, "PNG")
    picture = "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
    asked = [
        {"type": "text", "text": question(item.prompt)},
        {"type": "image_url", "image_url": {"url": picture}},
    ]
    return [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": asked}]
