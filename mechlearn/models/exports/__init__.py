"""A trained pair as a folder to pass on: safetensors, MONAI bundle, Hugging Face; and back."""
