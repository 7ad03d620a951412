"""The Gradio front end of Unnoise."""
