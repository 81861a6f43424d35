"""PageControls: what the relay's page lets people change, from the declared options."""

from __future__ import annotations

from html import escape
from typing import Any

from stream.declared_option import DeclaredOption
from stream.picture_options import FRAMING, SLIDERS
from stream.rtc.relay_options import RelayOptions

MARK = "<!-- controls -->"
"""Where they are put into the page."""
STEP = 0.01
"""As it is shown, in percent. A browser moves what lies between two steps, and the page sends where
its sliders are: with larger ones a call would begin with another value than the relay has."""
FRAMING_WORDS = {"auto": "Follow me", "fixed": "Whole picture"}


def with_controls(page: str, options: RelayOptions) -> str:
    """The page with its sliders and choices, which begin with what the relay was started with.

    Raises: ValueError: the page has no place for them.
    """
    if MARK not in page:
        raise ValueError(f"the page has no {MARK}")
    sliders = [_slider(option, getattr(options, option.key)) for option in SLIDERS]
    return page.replace(MARK, "\n    ".join([*sliders, _framing(options.framing)]))


def _slider(option: DeclaredOption[float], value: float) -> str:
    name = escape(option.name)
    return (
        f'<label class="slider" title="{escape(option.help_text)}">{name.capitalize()}\n'
        f'      <input id="{name}" type="range" min="{option.least:g}" max="{option.most:g}" '
        f'step="{STEP:g}" value="{value:g}">\n'
        f"      <output>{100 * value:.0f} %</output>\n"
        "    </label>"
    )


def _framing(value: Any) -> str:
    choices = [
        f'      <label><input type="radio" name="framing" value="{choice}"'
        f"{' checked' if choice == value else ''}><span>{FRAMING_WORDS[choice]}</span></label>"
        for choice in FRAMING.choices
    ]
    return "\n".join(["<fieldset>", "      <legend>Framing</legend>", *choices, "    </fieldset>"])
