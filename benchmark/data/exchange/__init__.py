"""Other people's data: importers, exporters and relabelling."""
