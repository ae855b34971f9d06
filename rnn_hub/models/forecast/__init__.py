"""The forecast family: the next values of a time series, each with its distribution."""
