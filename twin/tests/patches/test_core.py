"""The patch to what moto's services share: what stock moto does without it, and what it does with it."""

from __future__ import annotations

import gc
import os
import weakref
from typing import TYPE_CHECKING, Any

from moto import mock_aws
from moto.core.model_instances import reset_model_data
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import FakeKey

from clouds import clients
from twin import patches
from twin.patches import core

if TYPE_CHECKING:
    import pytest


def objects_left() -> int:
    """How many of an object's versions are in memory after it has been deleted."""
    reset_model_data()
    made = weakref.WeakSet[FakeKey]()
    with mock_aws():
        s3 = clients.client("s3")
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="a", Body=b"")
        made.update(it for it in gc.get_objects() if type(it) is FakeKey and it.name == "a")
        assert made
        s3.delete_object(Bucket="bucket", Key="a")
        gc.collect()
        return len(made)


def test_moto_remembers_what_was_deleted() -> None:
    assert objects_left() == 1


def test_what_was_deleted_is_forgotten() -> None:
    core.forget_what_is_gone()
    try:
        assert objects_left() == 0
    finally:
        patches.restore()


def listed_folders(monkeypatch: pytest.MonkeyPatch) -> int:
    """How many times a folder is listed to find the service of ten requests."""
    listed: list[Any] = []
    list_folder = os.listdir

    def noted(*path: Any) -> list[str]:
        listed.append(path)
        return list_folder(*path)

    server = DomainDispatcherApplication(create_backend_app)
    request = {"PATH_INFO": "/", "HTTP_X_AMZ_TARGET": "DynamoDB_20120810.ListTables"}
    server.get_application(dict(request))
    with monkeypatch.context() as patched:
        patched.setattr(os, "listdir", noted)
        for _ in range(10):
            server.get_application(dict(request))
    return len(listed)


def test_moto_looks_for_its_services_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    assert listed_folders(monkeypatch) >= 10


def test_services_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    core.list_services_once()
    try:
        assert listed_folders(monkeypatch) <= 1
    finally:
        patches.restore()
