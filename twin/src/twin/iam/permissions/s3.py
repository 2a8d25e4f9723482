"""Permissions of S3's operations.

Source: "Actions, resources, and condition keys for Amazon S3" (Service Authorization Reference) and "Required permissions
for Amazon S3 API operations" (S3 user guide).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote
from xml.sax.saxutils import unescape

from twin.iam import resources
from twin.iam.policies import Ask

if TYPE_CHECKING:
    from twin.iam.conditions import Context
    from twin.iam.requests import Call

_BUCKET_SUBRESOURCES = {
    # query parameter: (GET, PUT, DELETE)
    "accelerate": ("GetAccelerateConfiguration", "PutAccelerateConfiguration", ""),
    "acl": ("GetBucketAcl", "PutBucketAcl", ""),
    "cors": ("GetBucketCORS", "PutBucketCORS", "PutBucketCORS"),
    "encryption": ("GetEncryptionConfiguration", "PutEncryptionConfiguration", "PutEncryptionConfiguration"),
    "intelligent-tiering": ("GetIntelligentTieringConfiguration", "PutIntelligentTieringConfiguration", ""),
    "inventory": ("GetInventoryConfiguration", "PutInventoryConfiguration", "PutInventoryConfiguration"),
    "lifecycle": ("GetLifecycleConfiguration", "PutLifecycleConfiguration", "PutLifecycleConfiguration"),
    "location": ("GetBucketLocation", "", ""),
    "logging": ("GetBucketLogging", "PutBucketLogging", ""),
    "metrics": ("GetMetricsConfiguration", "PutMetricsConfiguration", "PutMetricsConfiguration"),
    "notification": ("GetBucketNotification", "PutBucketNotification", ""),
    "object-lock": ("GetBucketObjectLockConfiguration", "PutBucketObjectLockConfiguration", ""),
    "ownershipControls": ("GetBucketOwnershipControls", "PutBucketOwnershipControls", "PutBucketOwnershipControls"),
    "policy": ("GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"),
    "policyStatus": ("GetBucketPolicyStatus", "", ""),
    "publicAccessBlock": ("GetBucketPublicAccessBlock", "PutBucketPublicAccessBlock", "PutBucketPublicAccessBlock"),
    "replication": ("GetReplicationConfiguration", "PutReplicationConfiguration", "PutReplicationConfiguration"),
    "requestPayment": ("GetBucketRequestPayment", "PutBucketRequestPayment", ""),
    "tagging": ("GetBucketTagging", "PutBucketTagging", "PutBucketTagging"),
    "uploads": ("ListBucketMultipartUploads", "", ""),
    "versioning": ("GetBucketVersioning", "PutBucketVersioning", ""),
    "versions": ("ListBucketVersions", "", ""),
    "website": ("GetBucketWebsite", "PutBucketWebsite", "DeleteBucketWebsite"),
}
_OBJECT_SUBRESOURCES = {
    # query parameter: (GET, PUT, DELETE), and whether an operation on a version has an action of its own
    "acl": (("GetObjectAcl", "PutObjectAcl", ""), True),
    "legal-hold": (("GetObjectLegalHold", "PutObjectLegalHold", ""), False),
    "retention": (("GetObjectRetention", "PutObjectRetention", ""), False),
    "tagging": (("GetObjectTagging", "PutObjectTagging", "DeleteObjectTagging"), True),
}
_METHODS = ("GET", "PUT", "DELETE")


def asks(call: Call) -> list[Ask]:
    """The permissions that an S3 call needs."""
    bucket, key = location(call)
    if not bucket:
        return [Ask("s3:ListAllMyBuckets")]
    context = _context(call)
    if not key:
        return _bucket_asks(call, bucket, context)
    asks = [Ask(f"s3:{action}", f"arn:aws:s3:::{bucket}/{key}", context) for action in _object_actions(call)]
    if call.method in ("GET", "HEAD") and not resources.object_exists(bucket, key, call.query.get("versionId", "")):
        # A caller who may not list a bucket does not learn that a key is missing: 403, not 404 (S3 API reference, GetObject).
        asks.append(Ask("s3:ListBucket", f"arn:aws:s3:::{bucket}"))
    return asks + _source(call)


def location(call: Call) -> tuple[str, str]:
    """Bucket and key that a call names in its path or, the bucket, in its host name; empty if it names none."""
    path = call.path.lstrip("/")
    if match := re.match(r"(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\.s3[.-]", call.host):
        return match["bucket"], path
    bucket, _, key = path.partition("/")
    return bucket, key


def _bucket_asks(call: Call, bucket: str, context: Context) -> list[Ask]:
    arn = f"arn:aws:s3:::{bucket}"
    if call.method == "POST" and "delete" in call.query:
        return [
            Ask("s3:DeleteObjectVersion" if version else "s3:DeleteObject", f"{arn}/{key}", context)
            for key, version in _deleted(call.body)
        ]
    for name, actions in _BUCKET_SUBRESOURCES.items():
        if name in call.query and call.method in _METHODS:
            return [Ask(f"s3:{actions[_METHODS.index(call.method)]}", arn, context)]
    plain = {
        "GET": "ListBucket",
        "HEAD": "ListBucket",
        "PUT": "CreateBucket",
        "DELETE": "DeleteBucket",
        "POST": "PutObject",
    }
    return [Ask(f"s3:{plain[call.method]}", arn, context)]


def _object_actions(call: Call) -> list[str]:
    query, version = call.query, "Version" if call.query.get("versionId") else ""
    for name, (actions, versioned) in _OBJECT_SUBRESOURCES.items():
        if name in query and call.method in _METHODS:
            action = actions[_METHODS.index(call.method)]
            return [action.replace("Object", f"Object{version}", 1) if versioned else action]
    if call.method in ("GET", "HEAD"):
        if "uploadId" in query:
            return ["ListMultipartUploadParts"]
        attributes = [f"GetObject{version}Attributes"] if "attributes" in query else []
        return [f"GetObject{version}", *attributes]
    if call.method == "DELETE":
        return ["AbortMultipartUpload"] if "uploadId" in query else [f"DeleteObject{version}"]
    if "restore" in query:
        return ["RestoreObject"]
    tagging = ["PutObjectTagging"] if "x-amz-tagging" in call.headers else []
    acl = ["PutObjectAcl"] if any(n == "x-amz-acl" or n.startswith("x-amz-grant-") for n in call.headers) else []
    return ["PutObject", *tagging, *acl]


def _source(call: Call) -> list[Ask]:
    """What CopyObject and UploadPartCopy need on the object they copy."""
    source = call.headers.get("x-amz-copy-source")
    if source is None:
        return []
    path, _, version = unquote(source).lstrip("/").partition("?versionId=")
    return [Ask("s3:GetObjectVersion" if version else "s3:GetObject", f"arn:aws:s3:::{path}")]


def _deleted(body: bytes) -> list[tuple[str, str]]:
    """Keys and version ids of a DeleteObjects request."""
    objects = re.findall(r"<Object>(.*?)</Object>", body.decode(errors="replace"), re.DOTALL)
    return [(_element("Key", text), _element("VersionId", text)) for text in objects]


def _element(name: str, text: str) -> str:
    match = re.search(f"<{name}>(.*?)</{name}>", text, re.DOTALL)
    return unescape(match[1], {"&quot;": '"', "&apos;": "'"}) if match else ""


def _context(call: Call) -> Context:
    context = {f"s3:{name}": (call.query[name],) for name in ("prefix", "delimiter", "max-keys") if name in call.query}
    if version := call.query.get("versionId"):
        context["s3:versionid"] = (version,)
    for name, value in call.headers.items():
        if name.startswith("x-amz-") or name in ("if-match", "if-none-match"):
            context[f"s3:{name}"] = (value,)
    return context
