package health

import (
	"context"
	"time"

	"tether/failure"
	"tether/upstream"
	"tether/upstream/transport"
)

// Limits of what a probe reads.
const (
	maxHead       = 16 << 10
	maxHealthBody = 64 << 10
	maxModelsBody = 8 << 20
)

// probe requests the health. If the server is healthy, probe also asks whether it sleeps, and then for its models.
func (p *prober) probe(ctx context.Context, cfg *Config) result {
	v := visit{p: p, ctx: ctx, timeout: cfg.Timeout}
	defer v.hangUp()
	status, _, err := v.get(cfg.Path, maxHealthBody)
	switch {
	case ctx.Err() != nil:
		return noEvidence
	case status == 0:
		return result(failure.Of(err).ProbeWord())
	case status < 200 || status > 299:
		return wrongAnswer
	case err != nil:
		return succeeded // but the connection cannot be used again: where the answer ends is unknown
	case p.sleeps(&v):
		return asleep
	}
	p.readModels(&v)
	return succeeded
}

// visit is the connection of one probe to a server. If the server closes it after an answer, visit opens another one.
type visit struct {
	p       *prober
	ctx     context.Context // the prober's: its end cuts the connection
	timeout time.Duration

	conn   *transport.Conn // nil without one
	unbind func() bool
}

// get requests a path, and reads a body of at most limit bytes. The status is 0 without a response head. An error means that
// the body is not whole.
func (v *visit) get(path string, limit int) (status int, body []byte, err error) {
	if v.conn == nil {
		if v.conn, err = v.p.server.Dial(v.ctx, v.timeout); err != nil {
			return 0, nil, err
		}
		v.unbind = context.AfterFunc(v.ctx, v.conn.Abort)
	}
	v.conn.Send(headOf(v.p.server, path), transport.Body{}, time.Now())
	answer, err := v.conn.Receive(v.p.buf, v.timeout, nil)
	if err != nil {
		v.hangUp()
		return 0, nil, err
	}
	body, err = v.conn.ReadBody(&answer, limit, v.timeout)
	if err != nil || answer.Close {
		v.hangUp()
	}
	return answer.Status, body, err
}

// hangUp closes the connection, if there is one.
func (v *visit) hangUp() {
	if v.conn != nil {
		v.unbind()
		v.conn.Close()
		v.conn = nil
	}
}

// headOf is the head of a GET to a server.
func headOf(s *upstream.Server, path string) []byte {
	address := s.Address()
	head := []byte("GET " + address.Prefix + path + " HTTP/1.1\r\nHost: " + address.Host + "\r\nUser-Agent: tether\r\nAccept: */*\r\n")
	if key := s.RequestOptions().Key; key != "" {
		head = key.AppendAuthorization(head)
	}
	return append(head, "\r\n"...)
}
