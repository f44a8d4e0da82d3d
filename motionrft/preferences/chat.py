"""A model behind an OpenAI-compatible `/chat/completions`: one question, one answer that follows a JSON schema.

The address comes from `MOTIONRFT_JUDGE_URL`, the key from `MOTIONRFT_JUDGE_KEY`; the key is sent and nothing else: never
logged, never written, not followed to another address. 429, 5xx and answers cut short are waited for and asked again.
"""

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from threading import Lock
from typing import Any, TypeVar

from motionrft.errors import UserError

URL, KEY = "MOTIONRFT_JUDGE_URL", "MOTIONRFT_JUDGE_KEY"
_TRIES = 5
"""Of a call that the server refuses for the moment."""
_LONGEST_WAIT = 60.0

Message = dict[str, Any]
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Limits:
    """parallel: calls at once. timeout, wait: seconds of one call, and before the first repetition.

    max_calls, max_cost: None for no limit. price_in, price_out: of a million tokens, None unknown.
    """

    parallel: int = 4
    timeout: float = 120.0
    wait: float = 1.0
    max_calls: int | None = None
    max_cost: float | None = None
    price_in: float | None = None
    price_out: float | None = None

    def price(self, tokens_in: int, tokens_out: int) -> float:
        """What so many tokens cost; 0 where no price is known."""
        return (tokens_in * (self.price_in or 0.0) + tokens_out * (self.price_out or 0.0)) / 1e6


@dataclass
class Spending:
    """calls and cost so far; all questions of a run share it, those of its earlier starts included."""

    calls: int = 0
    cost: float = 0.0


@dataclass(frozen=True)
class Said:
    """What a model answered, and what that took. calls: repetitions included."""

    text: str
    tokens_in: int
    tokens_out: int
    cost: float
    calls: int


class Chat:
    """Asks one model, from any number of threads.

    Args:
        model: its name at the endpoint. spending: counted against the limits.
    """

    def __init__(self, model: str, limits: Limits | None = None, spending: Spending | None = None):
        self.url, self._key = os.environ.get(URL, ""), os.environ.get(KEY, "")
        self.model, self.limits = model, limits or Limits()
        self.spending, self._lock = spending or Spending(), Lock()

    def ask(self, messages: Sequence[Message], schema: dict[str, Any], temperature: float = 0.0) -> Said:
        """One answer, asked for again while the server is busy.

        Raises:
            UserError: no address is set, a limit is reached, or the server refuses for good.
        """
        if not self.url.startswith(("http://", "https://")):
            raise UserError(
                f"set {URL} to the address of an OpenAI-compatible endpoint, and {KEY} to its key."
            )
        form = {"name": "answer", "strict": True, "schema": schema}
        body = {
            "model": self.model,
            "temperature": temperature,
            "messages": list(messages),
            "response_format": {"type": "json_schema", "json_schema": form},
        }
        reason = ""
        for attempt in range(_TRIES):
            self._count()
            pause = self.limits.wait * 2**attempt
            try:
                return self._said(self._post(body), attempt + 1)
            except urllib.error.HTTPError as error:
                if error.code != 429 and error.code < 500:
                    raise UserError(f"{self.url} answers {error.code} {error.reason}.") from None
                reason = f"{error.code} {error.reason}"
                pause = max(pause, _asked_to_wait(error))
            except (OSError, http.client.HTTPException, ValueError) as error:
                reason = str(getattr(error, "reason", error)) or type(error).__name__
            if attempt + 1 < _TRIES:
                time.sleep(pause)
        raise UserError(f"{self.url} did not answer {_TRIES} times in a row: {reason}. Go on with --resume.")

    def _post(self, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            f"{self.url.rstrip('/')}/chat/completions",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        request.add_unredirected_header("Authorization", f"Bearer {self._key}")
        with urllib.request.urlopen(request, timeout=self.limits.timeout) as answer:
            return json.loads(answer.read())

    def _said(self, answer: Any, calls: int) -> Said:
        """Raises ValueError where it is no whole answer."""
        try:
            text = answer["choices"][0]["message"]["content"]
            usage = answer.get("usage") or {}
            sent, received = (int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens"))
        except (LookupError, TypeError, AttributeError) as error:
            raise ValueError("half an answer") from error
        cost = self.limits.price(sent, received)
        with self._lock:
            self.spending.cost += cost
        return Said(text if isinstance(text, str) else "", sent, received, cost, calls)

    def _count(self) -> None:
        limits, spending = self.limits, self.spending
        with self._lock:
            if limits.max_calls is not None and spending.calls >= limits.max_calls:
                raise UserError(
                    f"{spending.calls} calls are made, judge.max_calls is {limits.max_calls}. Raise it to go on."
                )
            if limits.max_cost is not None and spending.cost >= limits.max_cost:
                raise UserError(
                    f"{spending.cost:.2f} is spent, judge.max_cost is {limits.max_cost:g}. Raise it to go on."
                )
            spending.calls += 1


def _asked_to_wait(error: urllib.error.HTTPError) -> float:
    """Seconds that the server names; 0 where it names none."""
    named = error.headers.get("Retry-After", "") if error.headers else ""
    return min(float(named), _LONGEST_WAIT) if named.isdigit() else 0.0


def in_parallel(
    work: Callable[[Item], Result], items: Sequence[Item], parallel: int
) -> Iterator[tuple[int, Result]]:
    """Results as they come, each with its place; the next item is begun when a result has been taken, so that whoever
    writes them down has them on the disk before anything else is asked. Where one fails, those on their way are still
    given: they are paid.

    Raises:
        UserError: of the first that failed, after the rest was given.
    """
    left = iter(enumerate(items))
    failure: BaseException | None = None
    with ThreadPoolExecutor(parallel) as pool:
        running = {pool.submit(work, item): place for place, item in islice(left, parallel)}
        while running:
            try:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
            except KeyboardInterrupt as interrupt:
                if failure is not None:  # asked to stop twice
                    raise
                failure = interrupt
                continue
            for each in done:
                place, error = running.pop(each), each.exception()
                if error is not None:
                    failure = failure or error
                    continue
                yield place, each.result()
                following = next(left, None) if failure is None else None
                if following is not None:
                    running[pool.submit(work, following[1])] = following[0]
    if failure is not None:
        raise failure
