"""HIME in the sizes of the paper: table 1 says how many parameters and multiplications.

The paper gives the number of residual blocks (section 5.1), not how wide the layers are nor what
g(), which estimates offsets, is made of. With 32 channels the parts whose form it does give leave
0.3 M parameters and 0.27 million multiplications a cell and exemplar for g(): its blocks run at the
crop's full resolution. x8 has 0.03 M parameters and a tenth of a million multiplications a cell
more than x4, so its second doubling is a narrow one. The values here are one solution that gives
the table's figures; the product's network instead estimates at half resolution.
"""

from __future__ import annotations

from engines.hime.model import Config

SMALL, LARGE = "hime-small", "hime-large"
PAPER = {
    (SMALL, 4): (0.87, 1.86),
    (SMALL, 8): (0.90, 0.49),
    (LARGE, 4): (9.23, 6.06),
    (LARGE, 8): (9.26, 4.49),
}
"""(network, scale): parameters, 1e6, and GMACs with three exemplars, at 32 px x4 and 16 px x8."""


def paper_config(scale: int, alignment: str, aggregation: str = "similarity") -> Config:
    """The paper's small model ("deformable", and "none" of table 2) or its large one ("flow").

    Args: scale: 4 or 8. alignment: of `model.ALIGNMENTS`. aggregation: of table 3.
    """
    return Config(
        scale=scale,
        offset_blocks=0,
        groups=2,
        alignment=alignment,
        aggregation=aggregation,
        fine_blocks=12,
        crop_blocks=1,
        up_channels=(32, 12),
    )
