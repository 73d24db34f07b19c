"""Random operations on a backend, with the in-process backend beside it as the model.

Each function raises at the first answer that differs, after Hypothesis has
found the shortest way to it::

    from hypothesis import settings

    def test_mine_is_like_the_model(tmp_path_factory):
        def fresh(clock):
            folder = tmp_path_factory.mktemp("mine")
            return lambda: MyStore(folder, clock=clock)

        check_key_value_store(fresh, settings(max_examples=20))

`fresh` begins new, empty data and returns what makes a backend on them; it is
called once per example.
"""

from __future__ import annotations

from sfm_core.testing.machines.graph import check_graph_store
from sfm_core.testing.machines.kv import check_key_value_store
from sfm_core.testing.machines.vector import check_vector_store

__all__ = ["check_graph_store", "check_key_value_store", "check_vector_store"]
