"""Questions to the real Cloudflare Stream; see docs/live.md."""
