"""Pictures of motion: figures, strips, video, the 3D page, the report, the user study.

    write_picture("walk.gif", [joints], ["a person walks"], fps=20)   # gif, mp4, png, html by the name's ending
    write_report("report.html", ReportData("my run", rows=..., prompts=...))

Joints are numpy (T, 22, 3) or (T, 21, 3) everywhere, metres, Y up. Nothing here imports torch.
"""

from motionrft.pictures.report import Prompt, ReportData, Series
from motionrft.pictures.report_page import write_report
from motionrft.pictures.verdict import Interval, Row
from motionrft.pictures.write import FORMATS, write_picture, write_strip

__all__ = [
    "FORMATS",
    "Interval",
    "Prompt",
    "ReportData",
    "Row",
    "Series",
    "write_picture",
    "write_report",
    "write_strip",
]
