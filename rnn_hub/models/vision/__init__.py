"""The vision family: frames through a convolutional network, then through a recurrent one."""
