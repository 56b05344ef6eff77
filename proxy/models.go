package proxy

import (
	"tether/upstream"
)

// asksForKeys reports whether upstreams want the client's API key before they list their models: then the client's
// request goes to one of them.
func (p *Proxy) asksForKeys() bool {
	for _, m := range p.registry.Table().Members {
		if m.AsksKey() {
			return true
		}
	}
	return false
}

// listModels answers with the models of all upstreams that are up, each once, as the first of them describes it.
func (x *exchange) listModels() *fault {
	body := []byte(`{"object":"list","data":[`)
	seen := map[string]bool{}
	up := false
	for _, m := range x.p.registry.Table().Members {
		if m.State().Health() != upstream.Up {
			continue
		}
		up = true
		for _, model := range m.Models().All() {
			if seen[model.ID] {
				continue
			}
			if len(seen) > 0 {
				body = append(body, ',')
			}
			seen[model.ID] = true
			body = append(body, model.Raw...)
		}
	}
	if !up {
		return errNobodyUp
	}
	body = append(body, "]}"...)
	x.search.Identify(&x.identity, false)
	x.rec.Status = 200
	x.closing = x.closing || x.p.closing.Load()
	x.rec.BytesOut = int64(len(body))
	x.reply = append(appendOwnHead(x.reply[:0], 200, len(body), x.fields()), "\r\n"...)
	x.write(append(x.reply, body...))
	return nil
}
