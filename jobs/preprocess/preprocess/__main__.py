"""`python -m preprocess`: with arguments on local paths, without any from the environment of a Batch job."""

import sys

from preprocess.command import main

sys.exit(main(sys.argv[1:]))
