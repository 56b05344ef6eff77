package health

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"tether/failure"
	"tether/upstream"
	"tether/upstream/models"
	"tether/upstream/transport"
)

// prober watches one server.
type prober struct {
	cfg    *Config
	server *upstream.Server
	tally  tally
	buf    []byte
	hooks  Hooks
	first  func() // called once, at the first verdict

	lookup lookup
	looked bool // for a lottery
}

// lookup is net.Resolver.LookupNetIP.
type lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

// hurry is the time between probes while something is unsettled: no verdict yet, or traffic had trouble.
const hurry = time.Second

// run probes until ctx ends.
func (p *prober) run(ctx context.Context) {
	for {
		started := time.Now()
		p.apply(p.probe(ctx), started)
		if p.tally.health == upstream.Up && !p.looked {
			p.looked = true
			p.warnOfLottery(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		if !p.wait(ctx, started) {
			return
		}
	}
}

// wait sleeps until the next probe is due, counted from the start of the last one: probes that take long make the
// next ones no rarer. It reports false when ctx ended. Trouble makes the probe due a hurry after the last one started.
func (p *prober) wait(ctx context.Context, started time.Time) bool {
	due := time.NewTimer(time.Until(started.Add(p.pause())))
	defer due.Stop()
	for {
		select {
		case <-due.C:
			return true
		case <-p.server.ProbeWanted():
			due.Reset(time.Until(started.Add(min(hurry, p.cfg.Interval))))
		case <-ctx.Done():
			return false
		}
	}
}

// spread is the part of the interval by which probes are moved at random, so that many proxies and many
// servers do not beat in time.
const spread = 0.1

func (p *prober) pause() time.Duration {
	if s := p.server.State(); s.Health() == upstream.Unknown || s.Suspect() {
		return min(hurry, p.cfg.Interval)
	}
	return time.Duration(float64(p.cfg.Interval) * (1 - spread + 2*spread*rand.Float64()))
}

// apply enters a result into the tally and the server's state.
func (p *prober) apply(r result, now time.Time) {
	if r == timedOut && now.Sub(p.server.LastDelivered()) < p.cfg.Interval {
		r = noEvidence // its answers are on their way: a busy engine is slow to say that it is well
	}
	if p.hooks.Probed != nil {
		p.hooks.Probed(p.server, words[r])
	}
	before := p.tally.health
	health := p.tally.note(r)
	p.server.ExpireLeaving(now)
	switch {
	case health != before:
		p.server.SetHealth(health, reasons[r])
	case r == succeeded:
		p.server.Cleared()
	}
	if r != succeeded && r != noEvidence {
		p.server.ProbeFailed()
	}
	if before == upstream.Unknown && health != upstream.Unknown && p.first != nil {
		p.first()
		p.first = nil
	}
}

// dial connects until hangUp is called or ctx ends.
func (p *prober) dial(ctx context.Context) (conn *transport.Conn, hangUp func(), err error) {
	if conn, err = p.server.Dial(ctx, p.cfg.Timeout); err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, conn.Abort)
	return conn, func() { stop(); conn.Close() }, nil
}

// probe asks for the health, and for the models if that is good.
func (p *prober) probe(ctx context.Context) result {
	conn, hangUp, err := p.dial(ctx)
	switch {
	case err == failure.Exhausted, err != nil && ctx.Err() != nil:
		return noEvidence
	case err == failure.Insecure:
		return insecure
	case err != nil:
		return failedConnection
	}
	defer hangUp()
	answer, err := p.get(conn, p.cfg.Path)
	switch {
	case ctx.Err() != nil:
		return noEvidence
	case err == failure.HeadTimeout:
		return timedOut
	case err == failure.BadHead:
		return wrongAnswer
	case err != nil:
		return failedConnection
	case answer.Status < 200 || answer.Status > 299:
		return wrongAnswer
	}
	_, err = conn.ReadBody(&answer, maxHealthBody, p.cfg.Timeout)
	switch {
	case err == nil && answer.Close:
		p.modelsAnew(ctx)
	case err == nil:
		p.models(conn)
	}
	return succeeded
}

func (p *prober) get(conn *transport.Conn, path string) (transport.Answer, error) {
	head := []byte("GET " + path + " HTTP/1.1\r\nHost: " + p.server.Address().Host + "\r\nUser-Agent: tether\r\nAccept: */*\r\n")
	if key := p.server.RequestOptions().Key; key != "" {
		head = key.AppendAuthorization(head)
	}
	conn.Send(append(head, "\r\n"...), transport.Body{}, time.Now())
	return conn.Receive(p.buf, p.cfg.Timeout)
}

// What a probe reads at most.
const (
	maxHead       = 16 << 10
	maxHealthBody = 64 << 10
	maxModelsBody = 8 << 20
)

// models refreshes the server's list. Where that fails the last known list stays in force.
func (p *prober) models(conn *transport.Conn) {
	answer, err := p.get(conn, "/v1/models")
	if err != nil {
		return
	}
	body, err := conn.ReadBody(&answer, maxModelsBody, p.cfg.Timeout)
	if err != nil {
		return
	}
	p.askedForKey(answer.Status == 401)
	if answer.Status != 200 {
		return
	}
	if list, ok := parseModels(body); ok {
		p.server.SetModels(list)
	}
}

// askedForKey notes whether the server wants another key than it was shown, and warns when that begins.
func (p *prober) askedForKey(asks bool) {
	if asks && !p.server.NeedsKey() && p.server.RequestOptions().Key != "" {
		p.warn("it refuses the key of api_key_file: it says 401 to /v1/models")
	}
	p.server.SetNeedsKey(asks)
}

// modelsAnew is models for a server that closes the connection on which it said that it is well.
func (p *prober) modelsAnew(ctx context.Context) {
	if conn, hangUp, err := p.dial(ctx); err == nil {
		p.models(conn)
		hangUp()
	}
}

// parseModels reads {"data":[{"id":...},...]}. Entries without an id are left out.
func parseModels(body []byte) (*models.List, bool) {
	var answer struct {
		Data []json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Data == nil {
		return nil, false
	}
	var list []models.Model
	for _, raw := range answer.Data {
		var entry struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(raw, &entry); err == nil && entry.ID != "" {
			list = append(list, models.Model{ID: entry.ID, Raw: raw})
		}
	}
	return models.New(list), true
}

func (p *prober) warn(text string) {
	if p.hooks.Warned != nil {
		p.hooks.Warned(p.server, text)
	}
}

// warnOfLottery warns of a name behind which there are several servers: each connection may reach another one, and
// with it another cache. It may take up to the timeout, so no verdict waits for it.
func (p *prober) warnOfLottery(ctx context.Context) {
	address := p.server.Address()
	host, _, err := net.SplitHostPort(address.Dial)
	if address.Network != "tcp" || err != nil || net.ParseIP(host) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	addrs, err := p.lookup(ctx, "ip", host)
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
		p.warn("the name has several addresses: affinity behind it is a lottery, configure each server by itself")
	}
}
