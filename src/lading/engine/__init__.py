"""The parts joined: the only package that knows all of them."""
