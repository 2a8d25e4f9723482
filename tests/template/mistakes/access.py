"""Mistakes in who may do what, and in what things are called."""

from __future__ import annotations

from tests.template.mistakes.planting import COMPUTE, JOBS, Mistake
from tests.template.system import FARGATE, TEMPLATE

MISTAKES = {
    "a role's name where its ARN belongs": Mistake(
        "roles_stand_as_arns", JOBS, "!GetAtt PreprocessRole.Arn", "!Ref PreprocessRole"
    ),
    "a full-access policy": Mistake(
        "policies_of_aws_are_the_ones_it_needs",
        COMPUTE,
        "service-role/AmazonEC2ContainerServiceforEC2Role",
        "AmazonS3FullAccess",
    ),
    "an action with a wildcard": Mistake(
        "no_action_is_a_wildcard", JOBS, "[s3:DeleteObject, s3:PutObjectTagging]", "s3:*"
    ),
    "everything instead of a table": Mistake(
        "every_resource_is_named_where_it_can_be",
        TEMPLATE,
        '              Action: dynamodb:Query\n              Resource: [!GetAtt RunsTable.Arn, !Sub "${RunsTable.Arn}/index/open-gangs"]',
        '              Action: dynamodb:Query\n              Resource: "*" # reasons',
    ),
    "a wildcard without a reason": Mistake(
        "every_wildcard_gives_its_reason", TEMPLATE, 'Resource: "*" # the action knows no resource', 'Resource: "*"'
    ),
    "a role for two jobs": Mistake(
        "nobody_shares_a_role", JOBS, "!GetAtt PostprocessRole.Arn", "!GetAtt PreprocessRole.Arn"
    ),
    "a definition that may not be submitted": Mistake(
        "whoever_submits_may_submit",
        TEMPLATE,
        "job-definition/${Jobs.Outputs.SpotGangJobDefinition}:*",
        "job-definition/${Jobs.Outputs.PreprocessJobDefinition}:*",
        every=True,  # both functions that submit gangs name it
    ),
    "a queue that may not be submitted to": Mistake(
        "whoever_submits_may_submit",
        TEMPLATE,
        "                - !GetAtt Compute.Outputs.MainQueue\n",
        "",
        FARGATE,  # else postprocess's queue is the same one
    ),
    "a named bucket": Mistake(
        "only_job_definitions_have_fixed_names",
        TEMPLATE,
        "  IngestBucket:\n    Type: AWS::S3::Bucket\n    DeletionPolicy: Retain\n    UpdateReplacePolicy: Retain\n    Properties:\n",
        "  IngestBucket:\n    Type: AWS::S3::Bucket\n    Properties:\n      BucketName: files\n",
    ),
    "a schedule named by SAM": Mistake(
        "only_job_definitions_have_fixed_names", TEMPLATE, "            OmitName: true", "            OmitName: false"
    ),
    "a definition without the stack's name": Mistake(
        "only_job_definitions_have_fixed_names",
        JOBS,
        "JobDefinitionName: !Sub ${NamePrefix}-preprocess",
        "JobDefinitionName: preprocess",
    ),
}
