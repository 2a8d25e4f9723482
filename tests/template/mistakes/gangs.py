"""Mistakes in how a gang forms, and in what its members talk over."""

from __future__ import annotations

from tests.template.mistakes.planting import JOBS, Mistake
from tests.template.system import ANALYSIS_IMAGE, PROD, TEMPLATE

MISTAKES = {
    "300 seconds for nodes that start after the first": Mistake(
        "members_have_time_to_start", TEMPLATE, "Default: 900 #", "Default: 300 #"
    ),
    "300 seconds for children that start one by one": Mistake(
        "members_have_time_to_start", TEMPLATE, "Default: 600 # Batch starts", "Default: 300 # Batch starts"
    ),
    "EFA that no program uses": Mistake(
        "programs_use_the_efa_that_is_paid_for",
        JOBS,
        "          - !If [WithEfa, {Name: FI_PROVIDER, Value: efa}, !Ref AWS::NoValue]",
        "          #",
        PROD,
    ),
    "an image without libfabric": Mistake(
        "programs_use_the_efa_that_is_paid_for", ANALYSIS_IMAGE, "FROM plain AS efa\n", "FROM plain AS unused\n"
    ),
    "an image without EFA's installer": Mistake(
        "programs_use_the_efa_that_is_paid_for", ANALYSIS_IMAGE, "    && ./efa_installer.sh ", "    && true "
    ),
}
