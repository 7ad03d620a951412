"""What measures speed and quality, each beside a named alternative; never part of the tests."""
