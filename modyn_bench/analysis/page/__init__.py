"""The page of a report: charts as plotly's data, sections as records, and one HTML file that shows them."""
