"""A layer as data: tar streams, changes, packing, unpacking, compression."""
