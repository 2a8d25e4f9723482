"""Mistakes in what is encrypted with a key of the user's own, and in who may use it."""

from __future__ import annotations

from tests.template.mistakes.planting import COMPUTE, JOBS, OBSERVABILITY, Mistake
from tests.template.system import DEV, GUARDED, TEMPLATE

_KEY = "!If [WithKey, !Ref KmsKeyArn, !Ref AWS::NoValue]"

MISTAKES = {
    "a topic under AWS's key": Mistake(
        "everything_at_rest_is_under_the_key", OBSERVABILITY, f"      KmsMasterKeyId: {_KEY}\n", "", GUARDED
    ),
    "volumes under AWS's key": Mistake(
        "everything_at_rest_is_under_the_key",
        COMPUTE,
        f"Encrypted: true, KmsKeyId: {_KEY},",
        "Encrypted: true,",
        GUARDED,
    ),
    "a bucket under AWS's key": Mistake(
        "everything_at_rest_is_under_the_key",
        TEMPLATE,
        "{SSEAlgorithm: aws:kms, KMSMasterKeyID: !Ref KmsKeyArn}",
        "{SSEAlgorithm: aws:kms}",
        GUARDED,
    ),
    "a job that may not decrypt": Mistake(
        "roles_may_use_the_key_for_what_they_touch",
        JOBS,
        "[!Ref PreprocessRole, !Ref AnalysisRole, !Ref PostprocessRole]",
        "[!Ref PreprocessRole, !Ref AnalysisRole]",
        GUARDED,
    ),
    "an upload in parts without kms:Decrypt": Mistake(
        "roles_may_use_the_key_for_what_they_touch",
        JOBS,
        "Action: [kms:Decrypt, kms:GenerateDataKey]",
        "Action: kms:GenerateDataKey",
        GUARDED,
    ),
    "the key without its service": Mistake(
        "roles_may_use_the_key_for_what_they_touch",
        TEMPLATE,
        'Condition: {StringLike: {kms:ViaService: !Sub "sns.',
        'Condition: {StringLike: {kms:CallerAccount: !Sub "sns.',
        GUARDED,
    ),
    "permissions for a key that is not there": Mistake(
        "roles_may_use_the_key_for_what_they_touch",
        TEMPLATE,
        "  KeyToNotify:\n    Type: AWS::IAM::Policy\n    Condition: WithKey\n",
        "  KeyToNotify:\n    Type: AWS::IAM::Policy\n",
        DEV,
    ),
}
