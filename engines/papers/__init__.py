"""The other networks of the papers, for comparison: nothing in the product uses them."""
