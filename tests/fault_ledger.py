"""What a store must hold when some requests were never answered, or answered with "perhaps".

A request without a clear answer may have been carried out, and if not, its last packet may still
be on its way. Its effect counts as possible from then on: until a later write to the same memory
was acknowledged, which the late one cannot overtake, or until all is quiet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from tests.crash_oracle import Operation, Result, Slot, State

_WRITES = frozenset({"store", "delete", "weigh"})

World: TypeAlias = "tuple[State, frozenset[Operation]]"


@dataclass(slots=True)
class Ledger:
    """Everything that one client knows about memories that only it writes.

    Attributes:
        acknowledged: The mark of each version that was acknowledged, by key.
        answers: How many operations were answered.
        doubts: How many were not.
    """

    keys: int
    acknowledged: dict[int, dict[int, str]] = field(default_factory=dict[int, dict[int, str]])
    answers: int = 0
    doubts: int = 0
    _worlds: set[World] = field(default_factory=set["World"])
    _story: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self._worlds = {(State((Slot(),) * self.keys), frozenset())}

    def hears(self, operation: Operation, result: Result) -> None:
        """Take down what an operation was answered with."""
        self.answers += 1
        self._note(f"{operation} -> {result}")
        worlds = self._spread()
        outcomes = [(state.apply(operation), open_) for state, open_ in worlds]
        kept = {(after, open_) for (after, said), open_ in outcomes if said == result}
        assert kept, self._told(f"{result} is none of {[said for (_, said), _ in outcomes]}")
        overtaken = _overtaken(operation, result)
        self._worlds = {
            (state, frozenset(late for late in open_ if not overtaken(late)))
            for state, open_ in kept
        }
        if operation.name == "store":
            assert isinstance(result, int)
            self.acknowledged.setdefault(operation.keys[0], {})[result] = operation.mark

    def doubts_about(self, operation: Operation) -> None:
        """Take down an operation that may have happened, or may happen yet."""
        self.doubts += 1
        self._note(f"{operation} -> ?")
        late = frozenset(each_of(operation))
        self._worlds = {(state, open_ | late) for state, open_ in self._worlds}

    @property
    def open(self) -> list[Operation]:
        """Operations that may happen yet."""
        return sorted({late for _, open_ in self._worlds for late in open_}, key=str)

    def settles(self) -> None:
        """Take down that nothing is on its way any more."""
        self._worlds = {(state, frozenset()) for state, _ in self._spread()}

    def reads(self, visible: Sequence[Slot | None]) -> None:
        """Compare with the memories that are really there."""
        found = {world for world in self._spread() if world[0].visible() == tuple(visible)}
        assert found, self._told(f"found {visible}, which is none of {self._states()}")
        self._worlds = found

    def follows(self, links: frozenset[tuple[int, int]]) -> None:
        """Compare with the links that are really there."""
        found = {world for world in self._spread() if world[0].links == links}
        assert found, self._told(f"found the links {links}, which are none of {self._states()}")
        self._worlds = found

    def may_show(self, key: int, mark: str) -> None:
        """Compare with a memory that was shown."""
        marks = {state.slots[key].mark for state in self._states()}
        assert mark in marks, self._told(f"{mark} was shown at {key}; possible is {marks}")

    def may_list(self, keys: Iterable[int]) -> None:
        """Compare with a list of the memories that there are."""
        listed = frozenset(keys)
        possible = {
            frozenset(key for key, slot in enumerate(state.slots) if slot.mark)
            for state in self._states()
        }
        assert listed in possible, self._told(f"{listed} was listed; possible is {possible}")

    def _states(self) -> set[State]:
        return {state for state, _ in self._spread()}

    def _spread(self) -> set[World]:
        """Return also the worlds in which some of what is on its way has arrived."""
        known = set(self._worlds)
        waiting = list(known)
        while waiting:
            state, open_ = waiting.pop()
            for late in open_:
                world = (state.apply(late)[0], open_ - {late})
                if world not in known:
                    known.add(world)
                    waiting.append(world)
        return known

    def _note(self, line: str) -> None:
        self._story.append(line)

    def _told(self, problem: str) -> str:
        return "\n".join([*self._story[-40:], problem])


class _Overtaken:
    """Whether a write comes too late because of one that was acknowledged."""

    def __init__(self, keys: frozenset[int], *, links_too: bool) -> None:
        self._keys = keys
        self._links_too = links_too

    def __call__(self, late: Operation) -> bool:
        if late.name in _WRITES:
            return late.keys[0] in self._keys
        return self._links_too and not self._keys.isdisjoint(late.keys)


def _overtaken(operation: Operation, result: Result) -> _Overtaken:
    written = operation.name in _WRITES and result not in (False, "missing")
    keys = frozenset(operation.keys) if written else frozenset[int]()
    # A link belongs to the life of its ends, so none is late for another life.
    return _Overtaken(keys, links_too=operation.name == "delete")


def each_of(operation: Operation) -> list[Operation]:
    """Return the parts of an operation that happen each by itself."""
    if operation.name != "store_many":
        return [operation]
    return [replace(operation, name="store", keys=(key,)) for key in operation.keys]
