"""An embedded Stream: a model of Cloudflare Stream's upload side, and a server around it.

It imports nothing of the client beside it, so that a shared misunderstanding cannot pass its own
test. The parts: `model.Stream` (the service), `switches.Switches` (what is unknown of the real
one), `faults.Faulty` (faults around it), `proxy.TcpProxy` (faults on the wire), `server.running`
(a face for real clients), `stage.staged` (the same with faults on request),
`detached.attach_or_start` (a server that outlives its parent).
"""
