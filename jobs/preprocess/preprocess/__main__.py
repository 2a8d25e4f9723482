"""`python -m preprocess`: with arguments on local paths, without any from the environment of a Batch job."""

import gc
import sys

from preprocess.allocation import keep_pages
from spotline.exits import leave_on_sigterm

gc.disable()  # what is imported stays: no use in going through it again and again
keep_pages()
leave_on_sigterm()

from preprocess.command import main  # noqa: E402  loads polars, which reads how to allocate once

gc.freeze()
gc.enable()
sys.exit(main(sys.argv[1:]))
