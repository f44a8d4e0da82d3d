"""The base generator by ordinary supervised training: first its autoencoder, then its denoiser."""
