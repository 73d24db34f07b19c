"""Settings of encryption at rest."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr

from sfm_server.setting_kinds import MODEL


class EncryptionSettings(BaseModel):
    """What stores may see."""

    model_config = MODEL

    encryption_keys_file: Path | None = Field(
        default=None,
        description="File of the keys that the truth is encrypted with; `sfm keys` edits it, and "
        "a change counts within seconds. With neither it nor SFM_ENCRYPTION_KEYS: no encryption.",
    )
    encryption_keys: SecretStr | None = Field(
        default=None,
        description="Keys instead of a file of them: id:base64, with commas, the newest last.",
    )
    encryption_plain: Literal["refuse", "accept"] = Field(
        default="refuse",
        description="What is done about values that are not encrypted though there are keys; "
        "`accept` until `sfm keys rotate` has encrypted a truth from before.",
    )
    vector_content: Literal["full", "none"] = Field(
        default="full",
        description="What the vector store holds beside vectors: payloads and words, or, with "
        "`none`, neither; then nothing is found by its words, and filters take longer.",
    )

    @property
    def encrypts(self) -> bool:
        """Whether the truth is encrypted."""
        return not (self.encryption_keys_file is None and self.encryption_keys is None)
