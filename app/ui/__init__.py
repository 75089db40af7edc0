"""What several pages share: header, pickers of place and time, filters, tables, exports, empty states."""
