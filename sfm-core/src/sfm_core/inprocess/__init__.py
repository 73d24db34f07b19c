"""The reference backend of every port, inside the process; also the oracle of the tests."""
