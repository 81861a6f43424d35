"""One file for each module; media are made by the tests themselves."""
