"""Clients of a server that each do one thing wrong when the server cannot be reached.

Each is listed with the test that has to fail.
"""

from __future__ import annotations

import asyncio
import pickle
from typing import Self

from remote import RemoteBackend, receive, send

from sfm_core.errors import BackendUnavailableError


class WaitsForever(RemoteBackend):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.seconds = 3600.0


class WaitsForeverToOpen(RemoteBackend):
    async def __aenter__(self) -> Self:
        patience, self.seconds = self.seconds, 3600.0
        await super().__aenter__()
        self.seconds = patience
        return self


class SaysGoodbye(RemoteBackend):
    async def __aexit__(self, *_: object) -> None:
        self._open = False
        try:
            await self.exchange(pickle.dumps(("ping", (), {})))
        finally:
            self.hang_up()


class LetsErrorsOfTheDriverPass(RemoteBackend):
    async def reach(self, method: str, *arguments: object, **options: object) -> object:
        try:
            return await super().reach(method, *arguments, **options)
        except BackendUnavailableError as error:
            raise error.__cause__ or error from None


class OpensBlindly(RemoteBackend):
    async def __aenter__(self) -> Self:
        self._open = True
        return self

    async def ping(self) -> None:
        return


class AnswersWithNothing(RemoteBackend):
    async def call(self, method: str, *arguments: object, **options: object) -> object:
        try:
            return await super().call(method, *arguments, **options)
        except BackendUnavailableError:
            if method in {"get_many", "scan", "counters", "namespaces", "read_events"}:
                return []
            raise


class TakesHalfAnAnswer(RemoteBackend):
    async def call(self, method: str, *arguments: object, **options: object) -> object:
        try:
            return await super().call(method, *arguments, **options)
        except BackendUnavailableError as error:
            if method == "get_many" and isinstance(error.__cause__, EOFError):
                return [None]
            raise


class NeverReconnects(RemoteBackend):
    async def exchange(self, message: bytes) -> object:
        if self._open and self._streams is None:
            raise ConnectionResetError
        return await super().exchange(message)


class RepeatsCommits(RemoteBackend):
    async def reach(self, method: str, *arguments: object, **options: object) -> object:
        try:
            return await super().reach(method, *arguments, **options)
        except BackendUnavailableError:
            return await super().reach(method, *arguments, **options)


class TakesALostReplyForSuccess(RemoteBackend):
    async def call(self, method: str, *arguments: object, **options: object) -> object:
        try:
            return await super().call(method, *arguments, **options)
        except BackendUnavailableError as error:
            if method in {"acknowledge", "release"} and isinstance(error.__cause__, OSError):
                return None
            raise


class KeepsAConnectionHalfRead(RemoteBackend):
    async def exchange(self, message: bytes) -> object:
        async with self._turn:
            if self._streams is None:
                self._streams = await asyncio.open_connection(self.host, self.port)
            reader, writer = self._streams
            try:
                await send(writer, message)
                answer: object = pickle.loads(await receive(reader))  # noqa: S301 - both ends are this test
            except (OSError, EOFError):
                self.hang_up()
                raise
            return answer


class FallsSilentWhenSlow(RemoteBackend):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.seconds = 0.01


KEY_VALUE_OUTAGE_MUTANTS: dict[type, str] = {
    WaitsForever: "test_every_call_fails_in_time_while_nothing_arrives",
    WaitsForeverToOpen: "test_a_silent_server_is_given_up_in_time",
    SaysGoodbye: "test_closing_does_not_wait_for_a_silent_server",
    LetsErrorsOfTheDriverPass: "test_every_call_fails_while_nobody_listens",
    OpensBlindly: "test_a_server_that_refuses_is_unavailable",
    AnswersWithNothing: "test_every_call_fails_while_nobody_listens",
    TakesHalfAnAnswer: "test_an_answer_that_is_cut_anywhere_is_not_taken_for_a_whole_one",
    NeverReconnects: "test_it_works_again_after",
    RepeatsCommits: "test_a_write_that_is_cut_anywhere_can_be_repeated",
    TakesALostReplyForSuccess: "test_every_call_fails_while_nobody_listens",
    KeepsAConnectionHalfRead: "test_a_cancelled_call_ends_and_leaves_it_usable",
    FallsSilentWhenSlow: "test_a_slow_network_is_no_outage",
}


class RepeatsIncrements(RemoteBackend):
    async def reach(self, method: str, *arguments: object, **options: object) -> object:
        try:
            return await super().reach(method, *arguments, **options)
        except BackendUnavailableError:
            return await super().reach(method, *arguments, **options)


CACHE_OUTAGE_MUTANTS: dict[type, str] = {
    RepeatsIncrements: "test_an_increment_is_not_repeated_behind_the_callers_back",
}
