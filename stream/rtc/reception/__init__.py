"""Reception: what aiortc lacks to show the newest picture over a network that loses and delays."""
