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

// answerHealth says by the status alone whether tether is ready, as vLLM's /health and /ping do. Load balancers and load tools ask.
// They learn nothing about servers.
func (x *exchange) answerHealth() {
	status := 503
	if x.p.Ready() {
		status = 200
	}
	x.answer(status, nil)
}
