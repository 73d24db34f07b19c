"""What a schema consists of, read from the catalogues of a database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import psycopg

_QUESTIONS: Final[Mapping[str, bytes]] = {
    "columns": b"""
        SELECT c.relname, c.relkind::text, c.relpersistence::text, a.attname,
            format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity::text,
            (SELECT collname FROM pg_collation WHERE oid = a.attcollation),
            pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)
        FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'sfm'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
            AND c.relkind <> 'S'
        ORDER BY c.relname, a.attnum""",
    "relations": b"""
        SELECT relname, relkind::text, reloptions, obj_description(oid, 'pg_class')
        FROM pg_class WHERE relnamespace = 'sfm'::regnamespace ORDER BY relname""",
    "indexes": b"""
        SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'sfm' ORDER BY indexname""",
    "constraints": b"""
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'sfm'::regnamespace ORDER BY 1, 2""",
    "views": b"""
        SELECT viewname, definition FROM pg_views WHERE schemaname = 'sfm' ORDER BY viewname""",
    "functions": b"""
        SELECT oid::regprocedure::text, pg_get_functiondef(oid) FROM pg_proc
        WHERE pronamespace = 'sfm'::regnamespace ORDER BY 1""",
    "sequences": b"""
        SELECT sequencename, start_value, increment_by, cycle FROM pg_sequences
        WHERE schemaname = 'sfm' ORDER BY sequencename""",
    "schema": b"SELECT obj_description('sfm'::regnamespace, 'pg_namespace')",
    "rows": b"SELECT single, position FROM sfm.event_head",
}


def catalogue(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Read the schema `sfm` of a database, without what numbers and times differ by."""
    with psycopg.connect(url) as connection:
        return {
            name: connection.execute(question).fetchall() for name, question in _QUESTIONS.items()
        }
