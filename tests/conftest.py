"""How properties are searched: the same examples every time in `make test`, few of them in `make mutants`, new ones in `make soak`.

There is no deadline: how long one example takes says more about the machine than about the code.
"""

import os

from hypothesis import settings

settings.register_profile("test", deadline=None, derandomize=True, database=None)
settings.register_profile("soak", deadline=None, max_examples=5000, print_blob=True)
settings.register_profile("mutants", deadline=None, derandomize=True, database=None, max_examples=50)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "test"))
