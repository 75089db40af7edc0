"""Frame in, figure or deck out: no Streamlit, no input or output."""
