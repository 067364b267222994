"""The parts that come with s2s, registered through the same entry points as anybody's."""
