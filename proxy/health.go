package proxy

// Ready reports whether tether wants requests and has an upstream for them.
func (p *Proxy) Ready() bool {
	select {
	case <-p.verdicts:
		return !p.closing.Load() && p.router.Ready()
	default:
		return false
	}
}

// healthStatus is the status of vLLM's /health and /ping, which say by it alone whether tether is ready. Load balancers and load tools
// send these requests. They learn nothing about servers.
func healthStatus(ready bool) int {
	if ready {
		return 200
	}
	return 503
}
