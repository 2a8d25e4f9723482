from __future__ import annotations

import json

import pytest

from spotline.manifests import (
    AnalysisManifest,
    CleanManifest,
    ManifestError,
    Part,
    RejectedPart,
    ResultManifest,
    Shard,
)

CLEAN = CleanManifest(
    source={"bucket": "b", "key": "k", "version_id": "v", "etag": "e"},
    rows_read=3,
    rows_clean=2,
    rows_rejected=1,
    shards=(Shard("clean/shard-0000.parquet", 2, 99, "ab"),),
    rejected=(RejectedPart("rejected/part-0000.parquet", 1),),
    categories={"carrier": ["AA", "Ünited"]},
    contract="contract.json",
    quality="quality.json",
    analyse=True,
)
ANALYSIS = AnalysisManifest(
    clean="s3://b/runs/r/preprocess/manifest.json",
    clean_digest="cd",
    members=2,
    rounds=100,
    resumed_from=None,
    parts=(Part("j/parts/part-0000.parquet", "j/parts/part-0000.json", 2),),
    model="j/model.ubj",
    job_id="j",
    generation=1,
)
RESULT = ResultManifest(clean="c", analysis=None, metrics="j/metrics.json", report="j/report.html")


@pytest.mark.parametrize("manifest", [CLEAN, ANALYSIS, RESULT])
def test_a_manifest_survives_being_written_and_read(
    manifest: CleanManifest | AnalysisManifest | ResultManifest,
) -> None:
    assert type(manifest).from_json(manifest.to_json()) == manifest


def test_the_clean_manifest_keeps_the_shape_that_others_read() -> None:
    document = json.loads(CLEAN.to_json())
    assert document["schema"] == "spotline/clean/1"
    assert document["shards"] == [{"path": "clean/shard-0000.parquet", "rows": 2, "bytes": 99, "sha256": "ab"}]
    assert document["rejected"] == [{"path": "rejected/part-0000.parquet", "rows": 1}]
    assert document["categories"] == {"carrier": ["AA", "Ünited"]}


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"{", "not JSON: .* at line 1"),
        (b"[]", "expected a JSON object, found \\[\\]"),
        (b"{}", "found null"),
        (ANALYSIS.to_json(), 'found "spotline/analysis/1"'),
        (b'{"schema": "spotline/clean/1", "rows_read": 1}', "source: missing"),
    ],
)
def test_what_is_no_manifest_of_the_kind_is_refused(body: bytes, complaint: str) -> None:
    with pytest.raises(ManifestError, match=complaint):
        CleanManifest.from_json(body)
