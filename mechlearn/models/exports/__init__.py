"""Export of a trained pair as a folder (safetensors, MONAI bundle, Hugging Face), and import."""
