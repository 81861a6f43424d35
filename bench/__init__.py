"""Bench: calls with known truth through the whole pipeline, and what the viewer gets of them.

python -m bench --quick
python -m bench --clips FOLDER --out out/bench
"""
