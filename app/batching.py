"""Several threads ask one network: what waits at the same time goes through it as one batch.

A pass of one picture costs almost as much as one of four, and two passes at once are slower than
one after the other. So one thread asks for all that wait. Who is back for the next step in a moment
is waited for: runs that once met then stay together, where else they would take turns. The thread
stands back behind those that answer pages: what a click costs comes first.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from app import priority
from model.denoiser import Denoiser, GuidedDenoiser, Network

LARGEST = 32  # pictures that are put together; a larger request goes by itself
PATIENCE = 0.25  # for how much of the last pass's time those that it served are waited for


@dataclass(eq=False)
class _Request:
    net: Network
    x: Tensor  # (B, C, H, W)
    t: Tensor  # (B,)
    label: Tensor | None  # (B,)
    output: Tensor | None = None
    error: Exception | None = None
    over: threading.Event = field(default_factory=threading.Event)

    def goes_with(self, other: _Request) -> bool:
        same = self.net is other.net and self.x.shape[1:] == other.x.shape[1:]
        return same and (self.label is None) == (other.label is None)


class _Line:
    """Requests in the order in which they came, and the thread that serves them."""

    def __init__(self) -> None:
        self._waiting: list[_Request] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def ask(self, request: _Request) -> Tensor:
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="network", daemon=True)
                self._thread.start()
            self._waiting.append(request)
            self._changed.notify()
        request.over.wait()
        if request.error is not None:
            raise request.error
        return request.output

    def _work(self) -> None:
        priority.stand_back(priority.PASSES)
        served: list[_Request] = []
        company, patience = 0, 0.0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                if served and served[0].goes_with(self._waiting[0]) and company <= LARGEST:
                    self._meet(served[0], company, patience)
                served = self._next()
            began = time.perf_counter()
            _serve(served)  # while it does, others gather
            patience = PATIENCE * (time.perf_counter() - began)
            with self._changed:
                company = sum(len(one.x) for one in served) + self._pictures(served[0])
            for request in served:
                request.over.set()

    def _meet(self, like: _Request, company: int, patience: float) -> None:
        """Wait a moment until so many pictures are together."""
        self._changed.wait_for(lambda: self._pictures(like) >= company, patience)

    def _pictures(self, like: _Request) -> int:
        """Of those who wait and could share a pass with `like`."""
        return sum(len(one.x) for one in self._waiting if one.goes_with(like))

    def _next(self) -> list[_Request]:
        first, *others = self._waiting
        taken, room = [first], LARGEST - len(first.x)
        for other in others:
            if len(other.x) <= room and other.goes_with(first):
                taken.append(other)
                room -= len(other.x)
        self._waiting = [one for one in others if one not in taken]
        return taken


def _serve(requests: list[_Request]) -> None:
    """One pass for all; if it fails, one for each, so that each has its own error."""
    try:
        outputs = _pass(requests)
    except Exception as error:
        if len(requests) > 1:
            for request in requests:
                _serve([request])
        else:
            requests[0].error = error
        return
    for request, output in zip(requests, outputs, strict=True):
        request.output = output


@torch.no_grad()
def _pass(requests: list[_Request]) -> list[Tensor]:
    if len(requests) == 1:
        (one,) = requests
        return [one.net(one.x, one.t, one.label)]
    x = torch.cat([request.x for request in requests])
    t = torch.cat([request.t.float() for request in requests])  # some are told a fraction
    labels = [request.label for request in requests]
    label = None if labels[0] is None else torch.cat(labels)
    return list(requests[0].net(x, t, label).split([len(request.x) for request in requests]))


_line = _Line()


def _begin_anew() -> None:
    global _line
    _line = _Line()


# A process that forks while a pass is under way must not wait for a turn that nobody gives back.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


@dataclass(frozen=True)
class Shared:
    """A network as a `Denoiser` asks it, from any thread."""

    net: Network

    def __call__(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        return _line.ask(_Request(self.net, x, t, label))


def shared(denoiser: Denoiser | GuidedDenoiser) -> Denoiser | GuidedDenoiser:
    """The same denoiser, whose network others may ask at the same time."""
    if isinstance(denoiser, GuidedDenoiser):
        return replace(
            denoiser, conditional=shared(denoiser.conditional), base=shared(denoiser.base)
        )
    return replace(denoiser, net=Shared(denoiser.net))
