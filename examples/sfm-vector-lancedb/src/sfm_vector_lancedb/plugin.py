from urllib.parse import urlsplit

from sfm_core.hookspecs import hookimpl
from sfm_core.protocols.vector import VectorStore
from sfm_core.registry import LOCAL, BackendContext, Register
from sfm_vector_lancedb.store import Database, LanceVectorStore


def create(url: str, context: BackendContext) -> LanceVectorStore:
    folder = context.data_folder / (urlsplit(url).path or "lancedb")
    return LanceVectorStore(context.share(f"lancedb {folder}", lambda: Database(folder)))


@hookimpl
def sfm_register_vector_stores(register: Register[VectorStore]) -> None:
    register("lancedb", create, summary="Vectors in LanceDB.", capabilities=frozenset({LOCAL}))
