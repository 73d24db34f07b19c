"""What a store must hold after a crash, given what was tried and what was acknowledged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, combinations
from typing import TypeAlias

Result: TypeAlias = "int | bool | str | list[int]"


@dataclass(frozen=True, slots=True)
class Slot:
    """One key: its version, and the mark of the memory there; `None` where it is deleted."""

    version: int = 0
    mark: str | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """What a task set out to do."""

    name: str
    keys: tuple[int, ...]
    mark: str


@dataclass(frozen=True, slots=True)
class State:
    """Everything of one task: its memories, and its links as pairs of keys."""

    slots: tuple[Slot, ...]
    links: frozenset[tuple[int, int]] = frozenset()

    def visible(self) -> tuple[Slot | None, ...]:
        """Return what can be read: a deleted memory shows no version."""
        return tuple(slot if slot.mark else None for slot in self.slots)

    def apply(self, operation: Operation) -> tuple[State, Result]:  # noqa: PLR0911 - one for each operation
        """Return the state afterwards, and what the engine must have answered."""
        match operation.name:
            case "store":
                return self._stored(operation.keys[0], operation.mark)
            case "store_many":
                return self._stored_many(operation)
            case "delete":
                return self._deleted(operation.keys[0])
            case "weigh":
                mark = self.slots[operation.keys[0]].mark
                return self._stored(operation.keys[0], mark) if mark else (self, "missing")
            case "link":
                if not all(self.slots[key].mark for key in operation.keys):
                    return self, "missing"
                return replace(self, links=self.links | {_pair(operation)}), "linked"
            case "unlink":
                pair = _pair(operation)
                return replace(self, links=self.links - {pair}), pair in self.links
            case unknown:
                raise ValueError(unknown)

    def _stored(self, key: int, mark: str) -> tuple[State, int]:
        version = self.slots[key].version + 1
        return self._with(key, Slot(version, mark)), version

    def _stored_many(self, operation: Operation) -> tuple[State, list[int]]:
        state, versions = self, list[int]()
        for key in operation.keys:
            state, version = state._stored(key, operation.mark)
            versions.append(version)
        return state, versions

    def _deleted(self, key: int) -> tuple[State, bool]:
        slot = self.slots[key]
        if not slot.mark:
            return self, False
        state = self._with(key, Slot(slot.version + 1, None))
        return replace(state, links=frozenset(p for p in self.links if key not in p)), True

    def _with(self, key: int, slot: Slot) -> State:
        slots = (*self.slots[:key], slot, *self.slots[key + 1 :])
        return replace(self, slots=slots)


@dataclass(slots=True)
class Task:
    """What one task tried, and every state its keys may be in for all that is known."""

    possible: set[State]
    pending: Operation | None = None
    acknowledged: dict[int, dict[int, str]] = field(default_factory=dict[int, dict[int, str]])
    story: list[str] = field(default_factory=list[str])

    def tries(self, operation: Operation) -> None:
        """Note that an operation is under way."""
        self.pending = operation
        self.story.append(f"{operation.mark} {operation.name} {operation.keys}")

    def hears(self, result: Result) -> None:
        """Note the acknowledgement of the operation under way."""
        assert self.pending is not None
        self.story[-1] += f" -> {result}"
        outcomes = [state.apply(self.pending) for state in self.possible]
        self.possible = {state for state, expected in outcomes if expected == result}
        assert self.possible, self._told(f"{result} is none of {outcomes}")
        self._remember(self.pending, result)
        self.pending = None

    def dies(self) -> None:
        """Allow for the operation under way: it may have happened, wholly or item by item."""
        if self.pending is not None and self.pending.name != "share":
            parts = [
                replace(self.pending, keys=keys) for keys in _partial_keys(self.pending) if keys
            ]
            self.possible |= {state.apply(part)[0] for state in self.possible for part in parts}
        self.pending = None

    def reads(self, visible: Sequence[Slot | None]) -> None:
        """Compare with the memories that are really there."""
        found = {state for state in self.possible if state.visible() == tuple(visible)}
        assert found, self._told(f"found {visible}, which is none of {self.possible}")
        self.possible = found

    def follows(self, links: frozenset[tuple[int, int]]) -> None:
        """Compare with the links that are really there."""
        found = {state for state in self.possible if state.links == links}
        assert found, self._told(f"found the links {links}, which are none of {self.possible}")
        self.possible = found

    def _told(self, problem: str) -> str:
        return "\n".join([*self.story[-40:], problem])

    def _remember(self, operation: Operation, result: Result) -> None:
        if operation.name in {"store", "store_many"}:
            versions = result if isinstance(result, list) else [result]
            for key, version in zip(operation.keys, versions, strict=True):
                assert isinstance(version, int)
                self.acknowledged.setdefault(key, {})[version] = operation.mark


@dataclass(slots=True)
class SharedKeys:
    """Keys that all tasks write: a version is one write, and none may be lost or given twice."""

    tried: dict[int, set[str]] = field(default_factory=dict[int, set[str]])
    acknowledged: dict[int, dict[int, str]] = field(default_factory=dict[int, dict[int, str]])

    def tries(self, operation: Operation) -> None:
        """Note that a write is under way."""
        self.tried.setdefault(operation.keys[0], set()).add(operation.mark)

    def hears(self, operation: Operation, version: int) -> None:
        """Note the acknowledgement of a write."""
        known = self.acknowledged.setdefault(operation.keys[0], {})
        assert version not in known, f"{operation.mark} and {known[version]} got one version"
        known[version] = operation.mark

    def reads(self, key: int, slot: Slot | None) -> None:
        """Compare with the memory that is really there."""
        known = self.acknowledged.get(key, {})
        if slot is None:
            assert not known, f"shared key {key} is gone; {len(known)} writes were acknowledged"
            return
        assert slot.version >= max(known, default=0)
        assert known.get(slot.version, slot.mark) == slot.mark
        assert slot.mark in self.tried[key]


def _pair(operation: Operation) -> tuple[int, int]:
    source, target = operation.keys
    return source, target


def _partial_keys(operation: Operation) -> Iterable[tuple[int, ...]]:
    if operation.name != "store_many":
        return [operation.keys]
    sizes = range(1, len(operation.keys) + 1)
    return chain.from_iterable(combinations(operation.keys, size) for size in sizes)
