"""`python -m rnn_hub` and `accelerate launch -m rnn_hub` are the command `rnn-hub`."""

import sys

from rnn_hub.cli import main

if __name__ == "__main__":
    sys.exit(main())
