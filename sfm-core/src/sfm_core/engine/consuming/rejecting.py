"""Which deliveries of a batch are to be set aside, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from sfm_core.errors import CorruptDataError, SfmError
from sfm_core.protocols.source import Delivery, Rejection


class Rejections:
    """What was rejected in one batch: by handlers, or because it is no event."""

    def __init__(self, deliveries: Sequence[Delivery]) -> None:
        """Begin with those of `deliveries` that are no events."""
        self._found: dict[str, tuple[Delivery, list[Rejection]]] = {}
        for delivery in deliveries:
            if delivery.event is None:
                self._add(delivery, _no_event(delivery))

    def __iter__(self) -> Iterator[tuple[Delivery, Rejection]]:
        """Go through the deliveries, each with one rejection that says everything."""
        for delivery, rejections in self._found.values():
            yield delivery, _together(rejections)

    @property
    def counted(self) -> Counter[tuple[str, str]]:
        """How many there are, by handler and code."""
        return Counter(
            (one.handler, one.code) for _, several in self._found.values() for one in several
        )

    def add(self, delivery: Delivery, handler: str, error: SfmError) -> None:
        """Note that a handler cannot take a delivery.

        Args:
            delivery: Which.
            handler: Whose outcome it is.
            error: The outcome.
        """
        self._add(delivery, Rejection(handler=handler, code=error.code, reason=str(error)))

    def _add(self, delivery: Delivery, rejection: Rejection) -> None:
        self._found.setdefault(delivery.place, (delivery, []))[1].append(rejection)


def _together(rejections: Sequence[Rejection]) -> Rejection:
    # A place has one letter, whoever could not take it.
    first, *others = rejections
    if not others:
        return first
    return Rejection(
        handler=", ".join(one.handler for one in rejections),
        code=first.code,
        reason="; ".join(f"{one.handler}: {one.reason}" for one in rejections),
    )


def _no_event(delivery: Delivery) -> Rejection:
    return Rejection(handler="", code=CorruptDataError.code, reason=delivery.problem)
