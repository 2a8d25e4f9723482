"""Checkpoints survive interruptions and damage, and only the newest gang writes them."""

import json
from pathlib import Path

import pytest

from analysis.checkpoints import Lease, Pointer, compute_fingerprint
from analysis.outcomes import AnalysisError, FencedOff
from spotline.layout import MANIFEST, POINTER
from spotline.manifests import AnalysisManifest
from spotline.objects import LocalObjects

HISTORY = tuple((float(round_), float(round_)) for round_ in range(1, 31))


@pytest.fixture
def results(tmp_path: Path) -> LocalObjects:
    return LocalObjects(tmp_path)


def lease(results: LocalObjects, generation: int = 1, job: str = "", prints: str = "same") -> Lease:
    return Lease.claim(results, generation, job or f"job-{generation}", prints)


def files(results: LocalObjects) -> dict[str, bytes]:
    return {key: results.read(key).body for key in results.keys()}  # noqa: SIM118  not a mapping


def bodies(results: LocalObjects) -> list[str]:
    return [key for key in results.keys("checkpoints/") if key.endswith(".ubj")]


def test_a_first_gang_starts_from_nothing(results: LocalObjects) -> None:
    assert lease(results).resume().round == 0


def test_the_next_gang_goes_on_from_the_newest_checkpoint(results: LocalObjects) -> None:
    first = lease(results)
    first.save(10, b"ten", HISTORY[:10])
    first.save(20, b"twenty", HISTORY[:20])

    resumed = lease(results, 2).resume()

    assert (resumed.round, resumed.body, resumed.history) == (20, b"twenty", HISTORY[:20])


def test_the_last_two_checkpoints_are_kept(results: LocalObjects) -> None:
    held = lease(results)
    for done in (10, 20, 30):
        held.save(done, f"model {done}".encode(), HISTORY[:done])
    assert [results.read(key).body for key in bodies(results)] == [b"model 20", b"model 30"]


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(results: LocalObjects, damage: str) -> None:
    held = lease(results)
    held.save(10, b"ten", HISTORY[:10])
    held.save(20, b"twenty", HISTORY[:20])
    newest = bodies(results)[-1]
    if damage == "changed":
        results.write(newest, b"twentx")
    else:
        results.delete(newest)

    resumed = lease(results, 2).resume()

    assert (resumed.round, resumed.body, resumed.history) == (10, b"ten", HISTORY[:10])
    assert newest in resumed.skipped[0]


def test_when_no_checkpoint_is_sound_a_person_decides(results: LocalObjects) -> None:
    held = lease(results)
    held.save(10, b"ten", HISTORY[:10])
    results.write(bodies(results)[0], b"tem")
    with pytest.raises(AnalysisError, match=r"no checkpoint can be used: .*Delete .*pointer.json"):
        lease(results, 2).resume()


def test_another_training_starts_afresh(results: LocalObjects) -> None:
    lease(results, 1, prints="these").save(10, b"ten", HISTORY[:10])
    assert lease(results, 2, prints="those").resume().round == 0


def test_checkpoints_of_another_training_are_swept_away(results: LocalObjects) -> None:
    lease(results, 1, prints="these").save(10, b"ten", HISTORY[:10])
    assert lease(results, 2, prints="those").resume().round == 0
    assert [results.read(key).body for key in bodies(results)] == []


def test_an_older_gang_cannot_claim(results: LocalObjects) -> None:
    lease(results, 2)
    before = files(results)
    with pytest.raises(FencedOff, match="generation 2"):
        lease(results, 1)
    assert files(results) == before


def test_another_job_of_the_same_generation_cannot_claim(results: LocalObjects) -> None:
    lease(results, 1, "job-a")
    with pytest.raises(FencedOff, match="job job-a"):
        lease(results, 1, "job-b")


def test_a_job_may_claim_again_what_it_holds(results: LocalObjects) -> None:
    lease(results).save(10, b"ten", HISTORY[:10])
    assert lease(results).resume().round == 10


def test_a_gang_that_was_fenced_off_changes_nothing_any_more(results: LocalObjects) -> None:
    old = lease(results, 1)
    old.save(10, b"ten", HISTORY[:10])
    lease(results, 2)
    before = files(results)

    with pytest.raises(FencedOff):
        old.save(20, b"twenty", HISTORY[:20])
    with pytest.raises(FencedOff):
        old.publish(b"{}")

    assert files(results) == before


def test_of_two_gangs_that_claim_at_once_one_wins(results: LocalObjects) -> None:
    class Slow(LocalObjects):
        """Whatever the second gang wants to write, the first one wrote a moment before."""

        def write(self, key: str, body: bytes, **condition: object) -> str:
            if key == POINTER and not results_written:
                results_written.append(lease(results, 2))
            return super().write(key, body, **condition)  # type: ignore[arg-type]

    results_written: list[Lease] = []
    with pytest.raises(FencedOff, match="another gang has claimed"):
        Lease.claim(Slow(results._root), 3, "job-3", "same")
    results_written[0].check()


def test_publishing_replaces_only_the_manifest_that_was_there_at_the_claim(results: LocalObjects) -> None:
    results.write(MANIFEST, b"of an older clean manifest")
    held = lease(results)
    held.publish(b"new")
    assert results.read(MANIFEST).body == b"new"


def test_a_manifest_that_appeared_meanwhile_is_not_overwritten(results: LocalObjects) -> None:
    held = lease(results)
    results.write(MANIFEST, b"somebody was faster")
    with pytest.raises(FencedOff, match="published"):
        held.publish(b"mine")
    assert results.read(MANIFEST).body == b"somebody was faster"


@pytest.mark.parametrize("body", [b"", b"[]", b'{"schema": "spotline/pointer/1"}'])
def test_a_pointer_that_is_none_is_named(results: LocalObjects, body: bytes) -> None:
    results.write(POINTER, body)
    with pytest.raises(AnalysisError, match=r"pointer.json is not a spotline/pointer/1 pointer"):
        lease(results)


def test_a_pointer_reads_back_as_it_was_written(results: LocalObjects) -> None:
    held = lease(results, 7)
    held.save(1, b"one", ((0.5, None),))
    pointer = Pointer.from_json(results.read(POINTER).body)
    assert pointer.history == ((0.5, None),)
    assert json.loads(results.read(POINTER).body)["generation"] == 7


def test_a_fingerprint_depends_on_the_content_not_on_the_order() -> None:
    assert compute_fingerprint({"a": 1, "b": 2}) == compute_fingerprint({"b": 2, "a": 1})
    assert compute_fingerprint({"a": 1}) != compute_fingerprint({"a": 2})


def analysis_of(clean: str, generation: int = 1) -> bytes:
    return AnalysisManifest(
        clean="clean",
        clean_digest=clean,
        members=2,
        rounds=1,
        resumed_from=None,
        parts=(),
        model="model",
        job_id=f"job-{generation}",
        generation=generation,
    ).to_json()


def test_a_gang_does_not_repeat_what_an_older_one_published_unseen(results: LocalObjects) -> None:
    lease(results, 1).publish(analysis_of("these rows"))

    with pytest.raises(FencedOff, match=r"generation 1 .* has published"):
        Lease.claim(results, 2, "job-2", "same", "these rows")

    # But it analyses other rows, and whoever published may go over them again
    Lease.claim(results, 1, "job-1", "same", "these rows")
    Lease.claim(results, 2, "job-2", "same", "other rows")
