"""The engine for programs that do not use asyncio.

`BlockingMemory` runs an engine on an event loop of its own, in a thread of its
own, and waits for the answers. It may be used from many threads at once, and
their calls then share commits and searches as concurrent tasks do. It may be
used where an event loop is running, but it blocks that loop for as long as a
call takes: a program that has a loop should use `open_engine`.
"""

from sfm_core.blocking.facade import BlockingMemory

__all__ = ["BlockingMemory"]
