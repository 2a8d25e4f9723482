"""The transforms that CloudFormation runs over a template before it reads its resources.

SAM's is AWS's own, run in the process with its full feature set. Of AWS::LanguageExtensions the twin has the functions
(Fn::ToJsonString, Fn::Length, the default of Fn::FindInMap), evaluated with the other intrinsics; its loop is refused.
"""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING, Any

from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.translator.managed_policy_translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform

from twin.deployment.errors import NotModelled, TemplateError
from twin.deployment.intrinsics import LANGUAGE_EXTENSIONS
from twin.deployment.resource import as_list

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twin.deployment.template import Template

# SAM counts its own work and warns when nobody collects the numbers.
logging.getLogger("samtranslator").setLevel(logging.ERROR)

SERVERLESS = "AWS::Serverless-2016-10-31"
_SERVERLESS_TYPE = "AWS::Serverless::"


def declared(template: Template) -> list[str]:
    """Names of the transforms that a template asks for.

    Raises
    ------
    NotModelled
        One of them is neither SAM nor the language extensions.
    """
    names = as_list(template.get("Transform", []))
    for name in names:
        if name not in (SERVERLESS, LANGUAGE_EXTENSIONS):
            raise NotModelled(f"the transform {name}")
    return names


def expand(template: Template, parameters: Mapping[str, str]) -> Template:
    """Run the template's transforms; the template itself is left as it was.

    Parameters
    ----------
    template
        As read, artefacts packaged.
    parameters
        What the stack is created with; SAM adds the defaults.
    """
    names = declared(template)
    _refuse_loops(template, "")
    if SERVERLESS in names:
        return _serverless(template, parameters)
    untransformed = [
        name for name, it in template["Resources"].items() if str(it.get("Type")).startswith(_SERVERLESS_TYPE)
    ]
    if untransformed:
        raise TemplateError(f"{', '.join(untransformed)}: types {_SERVERLESS_TYPE}* need the transform {SERVERLESS}")
    return template


class _BundledPolicies(ManagedPolicyLoader):
    """SAM knows AWS's managed policies by its own list; a name that is not there stays a name."""

    def __init__(self) -> None:
        """Take no client of IAM: nothing is asked of it."""

    def load(self) -> dict[str, str]:
        return {}


def _serverless(template: Template, parameters: Mapping[str, str]) -> Template:
    try:
        # SAM writes into what it is given, and needs plain text where a number or a boolean is a parameter's value.
        expanded: Template = transform(copy.deepcopy(template), dict(parameters), _BundledPolicies())
    except InvalidDocumentException as error:
        raise TemplateError("; ".join(cause.message for cause in error.causes)) from error
    return expanded


def _refuse_loops(value: Any, where: str) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if key.startswith("Fn::ForEach"):
                raise NotModelled(f"{key} in {where or 'the template'}")
            _refuse_loops(item, f"{where}.{key}" if where else key)
    elif isinstance(value, list):
        for item in value:
            _refuse_loops(item, where)
