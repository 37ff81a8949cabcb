"""The offline data: behaviour policies, recording, storage, cache, sampling."""
