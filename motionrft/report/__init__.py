"""Pages and tables about a run: charts, verdict, the report, the user study. Nothing here imports torch."""
