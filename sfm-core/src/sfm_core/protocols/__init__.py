"""The ports: what the engine needs from the outside, and no more.

Rules that hold for every port, and that the contract classes of
`sfm_core.testing` check:

- A port is opened with `async with` and is unusable before and after
  (`ClosedError`). A client that was handed in is never closed.
- A bulk method takes a sequence, answers in its order, and does nothing on an
  empty one. At most `MAX_BATCH` elements (`LimitExceededError`); a `limit` is
  from 1 to `MAX_BATCH`.
- Errors are those of `sfm_core.errors`, with the driver's exception as cause.
  `BackendUnavailableError` and `DeadlineExceededError` may come from any
  method that speaks to a service; they leave open whether a write took effect.
- Methods may be called concurrently from tasks of one event loop. A cancelled
  call leaves the backend usable; whether its write took effect is open.
"""

MAX_BATCH = 10_000
"""Most elements that any bulk method accepts in one call."""
