"""A short conversation over some months, in the form that `sfm import` reads."""

from __future__ import annotations

import json
from pathlib import Path

from sfm_core.model.payload import Payload

NAMESPACE = "allotment"
_SESSIONS = (
    (
        "2025-03-02T10:15:00",
        """
        Ruth: Tariq, you are back! How was the winter at the lighthouse?
        Tariq: Long and loud. But I finished the wooden rowing boat at last.
        Ruth: The one your grandfather began? What have you called her?
        Tariq: Heron, after the bird that sat on the workshop roof all January.
        Ruth: Lovely. I got the letter on Friday: plot nineteen is mine now.
        Tariq: The allotment by the canal? You waited four years for that.
        Ruth: Four years and two months. The shed needs a new roof though.
        Tariq: I have cedar shingles left from the boathouse. Take them.
        """,
    ),
    (
        "2025-05-18T16:40:00",
        """
        Tariq: What is that smell? It is wonderful.
        Ruth: Rhubarb and ginger jam. The first harvest of plot nineteen.
        Tariq: Are you still allergic to strawberries?
        Ruth: Sadly yes, hives all over. So it is rhubarb and gooseberries for me.
        Tariq: My sister Noor is moving to Bergen in August to study glaciers.
        Ruth: Glaciers! She was always the one who jumped into cold water.
        Tariq: She wants me to sail there with Heron. I said only with a proper motor.
        """,
    ),
    (
        "2025-09-07T09:05:00",
        """
        Ruth: You look tired. Is the night ferry as bad as ever?
        Tariq: Worse. But Noor's flat looks over the fjord, so I cannot complain.
        Ruth: Did she start at the institute yet?
        Tariq: On the first of September. Her supervisor plays the accordion.
        Ruth: I must tell you: a fox has dug its den beneath my shed.
        Tariq: Under the cedar shingles? She has good taste.
        Ruth: Three cubs. I shall wait with the foundations until they have left.
        Tariq: What does the committee say?
        Ruth: Mister Okafor wants them gone, everybody else brings them names.
        """,
    ),
)
LINES: list[Payload] = [
    {
        "namespace": NAMESPACE,
        "coord": [session, turn],
        "type": "episodic",
        "payload": {
            "speaker": line.strip().partition(": ")[0],
            "text": line.strip().partition(": ")[2],
            "said_at": said_at,
        },
    }
    for session, (said_at, text) in enumerate(_SESSIONS, start=1)
    for turn, line in enumerate(text.strip().splitlines(), start=1)
]
QUESTIONS = {
    "What is the boat called?": [1, 4],
    "Which fruit is Ruth allergic to?": [2, 4],
    "Where is Noor moving to?": [2, 5],
    "Which animal lives beneath the shed?": [3, 5],
    "What instrument does the supervisor play?": [3, 4],
}
"""Questions, each with the coordinate of the turn that answers it or that it is about."""


def write_lines(path: Path, namespace: str = NAMESPACE) -> Path:
    """Write the conversation as JSON Lines, in a namespace."""
    lines = [json.dumps({**line, "namespace": namespace}) + "\n" for line in LINES]
    path.write_text("".join(lines), encoding="utf-8")
    return path
