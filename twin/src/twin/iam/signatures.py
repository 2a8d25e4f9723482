"""Whether a request was signed with the secret key that belongs to its access key.

Source: "AWS Signature Version 4 for API requests" (IAM user guide); the computation is botocore's own.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twin.iam.requests import Call, Signature


def matches(signed: Signature, secret: str, call: Call, environ: Mapping[str, Any]) -> bool:
    """Whether the signature is right. One in a presigned URL is not computed again: its access key is enough."""
    if signed.in_query:
        return True
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI") or call.path
    request = AWSRequest(
        method=call.method,
        url=f"http://{call.host}{raw}",
        headers={name: call.headers[name] for name in signed.signed_headers if name in call.headers},
        data=call.body,
    )
    request.context["timestamp"] = signed.date
    keys = Credentials(signed.access_key, secret, signed.session_token)
    auth = (S3SigV4Auth if signed.service == "s3" else SigV4Auth)(keys, signed.service, signed.region)
    text = auth.string_to_sign(request, auth.canonical_request(request))
    return hmac.compare_digest(auth.signature(text, request), signed.value)
