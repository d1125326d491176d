"""Export of characters with their motion, as files for game engines and other programs."""

from .options import CENTIMETRES, ENDINGS, ENGINES, ONE_EACH, ExportError, ExportOptions
from .take import characters_of, export_take, others

__all__ = [
    "CENTIMETRES",
    "ENDINGS",
    "ENGINES",
    "ONE_EACH",
    "ExportError",
    "ExportOptions",
    "characters_of",
    "export_take",
    "others",
]
