"""Bodies of requests and answers.

Requests are pydantic models, which name what is wrong with them. Answers are
plain dataclasses: `msgspec` encodes and decodes them without a model per
record, and the OpenAPI document is made from them. A field of an answer may be
added later, so readers should ignore what they do not know.
"""
