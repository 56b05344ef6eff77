package health

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net"
	"time"

	"tether/upstream"
)

// prober watches one upstream.
type prober struct {
	cfg   *Config
	up    *upstream.Upstream
	tally tally
	buf   []byte
	warn  func(u *upstream.Upstream, text string)
	first func() // called once, at the first verdict
}

// hurry is the time between probes while something is unsettled: no verdict yet, or traffic had trouble.
const hurry = time.Second

// run probes until ctx ends.
func (p *prober) run(ctx context.Context) {
	p.warnOfLottery(ctx)
	for {
		started := time.Now()
		p.apply(p.probe(ctx), started)
		if ctx.Err() != nil {
			return
		}
		if !p.wait(ctx, started) {
			return
		}
	}
}

// wait sleeps until the next probe is due, and reports false when ctx ended. Trouble makes it due a hurry after the
// last one started.
func (p *prober) wait(ctx context.Context, started time.Time) bool {
	due := time.NewTimer(p.pause())
	defer due.Stop()
	for {
		select {
		case <-due.C:
			return true
		case <-p.up.Trouble():
			due.Reset(time.Until(started.Add(min(hurry, p.cfg.Interval))))
		case <-ctx.Done():
			return false
		}
	}
}

// spread is the part of the interval by which probes are moved at random, so that many proxies and many
// upstreams do not beat in time.
const spread = 0.1

func (p *prober) pause() time.Duration {
	if s := p.up.State(); s.Health() == upstream.Unknown || s.Suspect() {
		return min(hurry, p.cfg.Interval)
	}
	return time.Duration(float64(p.cfg.Interval) * (1 - spread + 2*spread*rand.Float64()))
}

// apply enters a result into the tally and the upstream's state.
func (p *prober) apply(r result, now time.Time) {
	if r == timedOut && now.Sub(p.up.LastDelivered()) < p.cfg.Interval {
		r = noEvidence // its answers are on their way: a busy engine is slow to say that it is well
	}
	before := p.tally.health
	health := p.tally.note(r)
	p.up.ExpireLeaving(now)
	switch {
	case health != before:
		p.up.SetHealth(health, reasons[r])
	case r == succeeded:
		p.up.Cleared()
	}
	if r != succeeded && r != noEvidence {
		p.up.ProbeFailed()
	}
	if before == upstream.Unknown && health != upstream.Unknown && p.first != nil {
		p.first()
		p.first = nil
	}
}

// probe asks for the health, and on the same connection for the models.
func (p *prober) probe(ctx context.Context) result {
	conn, err := p.up.Dial(ctx, p.cfg.Timeout)
	if err == upstream.Exhausted || ctx.Err() != nil {
		return noEvidence
	}
	if err != nil {
		return failedConnection
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, conn.Abort)
	defer stop()
	answer, err := p.get(conn, p.cfg.Path)
	switch {
	case ctx.Err() != nil:
		return noEvidence
	case err == upstream.HeadTimeout:
		return timedOut
	case err == upstream.BadHead:
		return wrongAnswer
	case err != nil:
		return failedConnection
	case answer.Status < 200 || answer.Status > 299:
		return wrongAnswer
	}
	if _, err := conn.ReadBody(&answer, maxHealthBody, p.cfg.Timeout); err == nil && !answer.Close {
		p.models(conn)
	}
	return succeeded
}

func (p *prober) get(conn *upstream.Conn, path string) (upstream.Answer, error) {
	conn.Send([]byte("GET "+path+" HTTP/1.1\r\nHost: "+p.up.Address().Host+"\r\nUser-Agent: tether\r\nAccept: */*\r\n\r\n"), nil, time.Now())
	return conn.Receive(p.buf, p.cfg.Timeout)
}

// What a probe reads at most.
const (
	maxHead       = 16 << 10
	maxHealthBody = 64 << 10
	maxModelsBody = 8 << 20
)

// models refreshes the upstream's list. Where that fails the last known list stays in force.
func (p *prober) models(conn *upstream.Conn) {
	answer, err := p.get(conn, "/v1/models")
	if err != nil {
		return
	}
	body, err := conn.ReadBody(&answer, maxModelsBody, p.cfg.Timeout)
	if err != nil {
		return
	}
	p.up.SetAsksKey(answer.Status == 401)
	if answer.Status != 200 {
		return
	}
	if list, ok := parseModels(body); ok {
		p.up.SetModels(list)
	}
}

// parseModels reads {"data":[{"id":...},...]}. Entries without an id are left out.
func parseModels(body []byte) (*upstream.Models, bool) {
	var answer struct {
		Data []json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Data == nil {
		return nil, false
	}
	var list []upstream.Model
	for _, raw := range answer.Data {
		var entry struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(raw, &entry); err == nil && entry.ID != "" {
			list = append(list, upstream.Model{ID: entry.ID, Raw: raw})
		}
	}
	return upstream.NewModels(list), true
}

// warnOfLottery warns once of a name behind which there are several servers: each connection may reach another
// one, and with it another cache.
func (p *prober) warnOfLottery(ctx context.Context) {
	address := p.up.Address()
	host, _, err := net.SplitHostPort(address.Dial)
	if address.Network != "tcp" || err != nil || net.ParseIP(host) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return
	}
	v4, v6 := 0, 0
	for _, a := range addrs {
		if a.Unmap().Is4() {
			v4++
		} else {
			v6++
		}
	}
	if v4 > 1 || v6 > 1 {
		p.warn(p.up, "the name has several addresses: affinity behind it is a lottery, configure each server by itself")
	}
}
