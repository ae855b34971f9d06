"""The one exception that the library raises for mistakes a user can mend."""


class RnnHubError(ValueError):
    """A wrong argument, file, config or dataset; the message names the value and the remedy.

    The command line prints the message in one line and exits with status 2; a traceback
    therefore always means a defect of the library itself.
    """
