"""One file for each module; media are made by the tests themselves."""

import os

# Before PyTorch is imported, here and in processes that tests start. Its threads would spin while
# they wait for each other: on two cores that something else uses, too, the tests of the network
# took 13 times the processor time (122 s instead of 9 s) and 20 times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
