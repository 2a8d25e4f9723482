"""What is wrong with a contract."""


class ContractError(ValueError):
    """A contract is wrong, contradictory, or asks for something unknown.

    The message begins with where (`fields[2] 'price': constraints.minimum`), and ends with the way out.
    """

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"contract: {where}: {problem}" if where else f"contract: {problem}")
        self.where = where
