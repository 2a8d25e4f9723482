"""Local artefacts of a template, uploaded as ``sam build`` and ``sam package`` would: code, definitions, nested templates.

Nothing is built: a function's or layer's sources are taken as they are, also where the template names a makefile, and
third-party packages come from the environment that the twin runs in.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from twin.deployment import template as templates
from twin.deployment.errors import TemplateError

if TYPE_CHECKING:
    from pathlib import Path

    from twin.deployment.template import Template

Upload = Callable[[bytes], str]
"""Stores a body and returns its address, ``s3://bucket/key``."""

_NOT_SHIPPED = frozenset({"__pycache__", "Makefile", "requirements.in", "requirements.txt"})
_EPOCH = (1980, 1, 1, 0, 0, 0)
_ARTEFACTS = {
    "AWS::Serverless::Function": "CodeUri",
    "AWS::Serverless::LayerVersion": "ContentUri",
    "AWS::Serverless::StateMachine": "DefinitionUri",
    "AWS::Serverless::Application": "Location",
    "AWS::Lambda::Function": "Code",
    "AWS::Lambda::LayerVersion": "Content",
    "AWS::StepFunctions::StateMachine": "DefinitionS3Location",
    "AWS::CloudFormation::Stack": "TemplateURL",
}
_LAYERS = frozenset({"AWS::Serverless::LayerVersion", "AWS::Lambda::LayerVersion"})
_TEMPLATES = frozenset({"AWS::Serverless::Application", "AWS::CloudFormation::Stack"})
_OBJECTS = {
    "AWS::Lambda::Function": ("S3Bucket", "S3Key"),
    "AWS::Lambda::LayerVersion": ("S3Bucket", "S3Key"),
    "AWS::StepFunctions::StateMachine": ("Bucket", "Key"),
}


def package(path: Path, upload: Upload) -> Template:
    """Read a template and replace each local path in it by the address of what was uploaded from there.

    Parameters
    ----------
    path
        The template's file; paths in it are relative to its folder.
    upload
        Where artefacts go.

    Raises
    ------
    TemplateError
        A path does not exist, named with the resource that gives it.
    """
    template = copy.deepcopy(templates.read(path.read_text()))
    code_of_all = template.get("Globals", {}).get("Function", {}).pop("CodeUri", None)
    for logical_id, resource in template["Resources"].items():
        kind = resource.get("Type")
        prop = _ARTEFACTS.get(kind)
        if prop is None:
            continue
        properties = resource.setdefault("Properties", {})
        if kind == "AWS::Serverless::Function" and code_of_all is not None and "InlineCode" not in properties:
            properties.setdefault(prop, code_of_all)
        local = properties.get(prop)
        if not isinstance(local, str) or "://" in local:
            continue
        source = (path.parent / local).resolve()
        if not source.exists():
            raise TemplateError(f"{logical_id} ({kind}): {prop} names {local}, which does not exist in {path.parent}")
        if kind in _TEMPLATES:
            body = json.dumps(package(source, upload)).encode()
        elif source.is_dir():
            body = archive(source, under="python/" if kind in _LAYERS and _is_built(resource) else "")
        else:
            body = source.read_bytes()
        properties[prop] = _address(kind, upload(body))
    return template


def archive(folder: Path, *, under: str = "") -> bytes:
    """A folder as a zip file that depends on nothing but the files' names and contents.

    Parameters
    ----------
    folder
        What to ship; caches, makefiles and requirements stay behind.
    under
        A prefix for names in the archive: Lambda looks for a layer's packages under ``python/``.
    """
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as file:
        for source in _shipped(folder):
            entry = zipfile.ZipInfo(under + source.relative_to(folder).as_posix(), _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (source.stat().st_mode & 0o777) << 16
            file.writestr(entry, source.read_bytes())
    return body.getvalue()


def template_url(uploaded: str) -> str:
    """The address of a stored template as CloudFormation takes it."""
    return uploaded.replace("s3://", "https://s3.amazonaws.com/", 1)


def build_key(body: bytes) -> str:
    """The key an artefact is stored under: what is unchanged keeps its address, so that a redeployment leaves it alone."""
    return hashlib.sha256(body).hexdigest()


def _shipped(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.name in _NOT_SHIPPED or entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _shipped(entry)
        else:
            yield entry


def _is_built(resource: dict[str, Any]) -> bool:
    """Whether ``sam build`` would build this layer: then its sources are packages, else its folder is a layer already."""
    return "BuildMethod" in resource.get("Metadata", {})


def _address(kind: str, uploaded: str) -> Any:
    if kind in _TEMPLATES:
        return template_url(uploaded)
    if kind in _OBJECTS:
        bucket, key = uploaded.removeprefix("s3://").split("/", 1)
        return dict(zip(_OBJECTS[kind], (bucket, key), strict=True))
    return uploaded
