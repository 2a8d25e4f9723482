"""The faults that kept the system from running in a real account stay caught, each as it once stood.

A rule that was written for one fault would only repeat the note that named it. So each rule here rests on something outside of this
project as well: data that AWS publishes, a page of AWS, or what somebody saw in an account.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

import pytest

from tests.template.mistakes import MISTAKES
from tests.template.rules.sources import SOURCES, Choice
from tests.template.system import ROOT


@dataclass(frozen=True)
class Fault:
    """One kind of fault: the mistakes that plant it in the templates, and tests of what no template shows.

    `ours` is a fault against a choice of this project, of which AWS says nothing.
    """

    planted: tuple[str, ...]
    shown_by: tuple[str, ...] = ()
    ours: bool = False


FAULTS = {
    "1 nobody may tag a job on submission": Fault(
        ("tags allowed on the job only", "a submission without the job"),
        ("twin/tests/test_iam_enforced.py::test_a_tagged_job_needs_both_actions_on_job_queue_and_definition",),
    ),
    "2 security groups beside network interfaces": Fault(
        ("security groups beside interfaces", "the default group without a rule")
    ),
    "3 no place on card 0 for the multi-node task": Fault(("two interfaces on card 0 of a p5 beside the task's",)),
    "4 no route to a service that a job calls": Fault(
        ("no route to Batch, which postprocess calls",),
        (
            "tests/unit/postprocess/test_job.py::test_a_service_that_only_the_cost_needs_costs_seconds_when_it_does_not_answer",
        ),
    ),
    "5 an AMI that never moves": Fault(("an AMI that never moves", "an update that ends gangs")),
    "6 instance families that a region lacks": Fault(
        ("On-Demand families that some regions lack", "Spot families that most regions lack")
    ),
    "7 EFA that no image can use": Fault(
        ("an image without libfabric", "an image without EFA's installer", "EFA that no program uses"),
        ("tests/unit/analysis/test_hardware.py::test_a_member_that_is_to_use_efa_and_cannot_leaves_with_78",),
    ),
    "8 a job cancelled while its instance boots": Fault(
        ("a job cancelled while its instance boots",),
        ("tests/unit/layer/test_failures.py::test_a_reason_that_batch_also_gives_while_it_starts_instances_says_so",),
    ),
    "9 no time to form": Fault(
        (
            "300 seconds for nodes that start after the first",
            "300 seconds for children that start one by one",
        ),
        ("tests/unit/layer/test_gang_submission.py::test_members_are_given_the_time_to_form_of_their_market",),
    ),
    "10 stack tags that replace resources": Fault(
        ("tags that replace an environment", "tags that replace a placement group")
    ),
    "10 a partition written out": Fault(("an integration of the partition aws",)),
    "10 task tokens in a log": Fault(("task tokens in the state machine's log",)),
    "10 an alarm with FILL": Fault(("an alarm on a value that nobody measured",)),
    "10 prices of types that differ": Fault(("a dearer type beside the gang's on Spot",), ours=True),
    "10 scratch files that stay": Fault(
        ("scratch volumes that stay for three hours",),
        (
            "tests/unit/analysis/test_scratch.py::test_a_gang_that_is_done_leaves_no_scratch_files",
            "tests/unit/preprocess/test_leaving.py::test_sigterm_ends_preprocess_and_its_scratch_files",
        ),
    ),
}

# What no template can do: what docs/deploy.md must say, by heading, as the command that does it.
COMMANDS = {
    "Once per account": ("for service in batch ecs spot", "create-service-linked-role"),
    "Upgrade and roll back": ("--include-nested-stacks", "delete-change-set"),
    "Tear down": ("--no-deletion-protection-enabled", "delete-layer-version", "ecr delete-repository"),
}


def list_tests(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_all_ten_have_a_planted_mistake() -> None:
    planted = {int(name.split(" ", 1)[0]) for name, fault in FAULTS.items() if fault.planted}
    assert planted == set(range(1, 11))


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_planted_or_tested(name: str) -> None:
    fault = FAULTS[name]
    assert fault.planted or fault.shown_by
    assert set(fault.planted) <= set(MISTAKES)
    for test in fault.shown_by:
        path, _, function = test.partition("::")
        assert function in list_tests(path)


@pytest.mark.parametrize(
    "mistake", [mistake for fault in FAULTS.values() if not fault.ours for mistake in fault.planted]
)
def test_what_catches_it_rests_on_more_than_a_choice_of_ours(mistake: str) -> None:
    sources = SOURCES[MISTAKES[mistake].rule]
    assert [source for source in sources if not isinstance(source, Choice)], sources


@pytest.mark.parametrize("heading", COMMANDS)
def test_what_an_account_is_asked_by_hand_stands_where_it_is_looked_for(heading: str) -> None:
    sections = re.split(r"^## ", (ROOT / "docs/deploy.md").read_text(), flags=re.MULTILINE)
    (section,) = [text for text in sections if text.startswith(f"{heading}\n")]
    assert [command for command in COMMANDS[heading] if command not in section] == []
