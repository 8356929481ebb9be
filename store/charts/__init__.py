"""Charts of the report, as plain Plotly figures. Nothing is drawn here."""
