"""The contract of the vector port."""

from __future__ import annotations

from sfm_core.testing.contracts._vector_filters import FilterTests
from sfm_core.testing.contracts._vector_points import PointTests
from sfm_core.testing.contracts._vector_search import SearchTests


class VectorStoreContract(PointTests, SearchTests, FilterTests):
    """Everything that `VectorStore` promises.

    Override `make`. What your store cannot do is said in `persistent`,
    `scores_both_arms` and `unsupported_operators`.
    """
