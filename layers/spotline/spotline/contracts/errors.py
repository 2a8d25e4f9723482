"""What is wrong with a contract."""

from spotline.documents import DocumentError

CONTRACT = "contract"


class ContractError(DocumentError):
    """A contract is wrong, contradictory, or asks for something unknown.

    The message begins with where (`fields[2] 'price': constraints.minimum`), and ends with the way out.
    """

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(CONTRACT, problem, where)
