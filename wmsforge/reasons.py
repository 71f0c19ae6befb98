"""Why a model call gave nothing usable: the codes that all chat models, steps and reports share.

A provider's plugin maps what its API says to these; a code of its own is allowed where none fits.
"""

from __future__ import annotations

from typing import Final

TRANSPORT: Final = "transport"
"""No connection, or it broke."""
TIMEOUT: Final = "timeout"
"""No answer in time."""
RATE_LIMIT: Final = "rate_limit"
"""Too many requests or tokens a minute (429)."""
OVERLOADED: Final = "overloaded"
"""The server has no capacity at the moment (503, 529)."""
SERVER_ERROR: Final = "server_error"
"""The server failed (other 5xx)."""
QUOTA: Final = "quota"
"""The day's quota or the account's credit is used up: the run parks."""
AUTHENTICATION: Final = "authentication"
"""The key is missing, wrong or not allowed: the run stops."""
REFUSAL: Final = "refusal"
"""The model, or its provider's safety rules, refused the question or the answer."""
TRUNCATED: Final = "truncated"
"""The answer reached max_tokens."""
EMPTY: Final = "empty"
"""The answer holds no text."""
MALFORMED_RESPONSE: Final = "malformed_response"
"""The reply is not what the API promises, or was cut off on its way."""
MALFORMED_JSON: Final = "malformed_json"
"""JSON was asked for and the answer is none."""
SCHEMA_MISMATCH: Final = "schema_mismatch"
"""The answer is JSON, but not of the schema that was asked for."""
PROMPT_TOO_LONG: Final = "prompt_too_long"
"""The prompt does not fit the model's context."""
BAD_REQUEST: Final = "bad_request"
"""The server does not accept the request."""

THROTTLED: Final = frozenset({RATE_LIMIT, OVERLOADED})
"""Codes that say: fewer calls at once."""
UNBILLED: Final = frozenset({RATE_LIMIT, OVERLOADED, SERVER_ERROR, BAD_REQUEST, PROMPT_TOO_LONG})
"""Codes after which providers charge nothing; other failed tries without a token count may have been charged."""
