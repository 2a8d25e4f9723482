"""Mistakes in how a gang forms, in what its members talk over, and in the folder that they share."""

from __future__ import annotations

from tests.template.mistakes.planting import JOBS, Mistake
from tests.template.system import ANALYSIS_IMAGE, PROD, SHARED, TEMPLATE

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
    "a shared folder that is mounted in the clear": Mistake(
        "only_gangs_share_a_folder", JOBS, "                TransitEncryption: ENABLED\n", "", SHARED
    ),
    "a shared folder that only root may write to": Mistake(
        "only_gangs_share_a_folder",
        JOBS,
        "                AuthorizationConfig: {AccessPointId: !Ref SharedAccessPointId, Iam: DISABLED}\n",
        "",
        SHARED,
    ),
    "a directory beside the access point's": Mistake(
        "only_gangs_share_a_folder",
        JOBS,
        "                TransitEncryption: ENABLED\n",
        "                TransitEncryption: ENABLED\n                RootDirectory: /gangs\n",
        SHARED,
    ),
    "IAM authorization without an action": Mistake(
        "only_gangs_share_a_folder", JOBS, "Iam: DISABLED", "Iam: ENABLED", SHARED
    ),
    "a shared folder that no program finds": Mistake(
        "only_gangs_share_a_folder", JOBS, "{Name: SHARED_FOLDER, Value: /shared}", "!Ref AWS::NoValue", SHARED
    ),
    "a shared folder that is never mounted": Mistake(
        "only_gangs_share_a_folder",
        JOBS,
        "{SourceVolume: shared, ContainerPath: /shared, ReadOnly: false}",
        "!Ref AWS::NoValue",
        SHARED,
    ),
    "a shared folder without a file system": Mistake(
        "only_gangs_share_a_folder",
        JOBS,
        'WithSharedFolder: !Not [!Equals [!Ref SharedFileSystemId, ""]]',
        'WithSharedFolder: !Equals [!Ref SharedFileSystemId, ""]',
    ),
    "an image without libfabric": Mistake(
        "programs_use_the_efa_that_is_paid_for", ANALYSIS_IMAGE, "FROM plain AS efa\n", "FROM plain AS unused\n"
    ),
    "an image without EFA's installer": Mistake(
        "programs_use_the_efa_that_is_paid_for", ANALYSIS_IMAGE, "    && ./efa_installer.sh ", "    && true "
    ),
}
