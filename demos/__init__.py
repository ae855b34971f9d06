"""Gradio demos, one a file. ``rnn-hub demo`` shows all of them; ``python -m demos.translation`` shows one."""
