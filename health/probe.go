package health

import (
	"context"
	"time"

	"tether/failure"
	"tether/upstream/transport"
)

// Limits of what a probe reads.
const (
	maxHead       = 16 << 10
	maxHealthBody = 64 << 10
	maxModelsBody = 8 << 20
)

// probe requests the health, and the models if the server is healthy.
func (p *prober) probe(ctx context.Context, cfg *Config) result {
	conn, hangUp, err := p.dial(ctx, cfg.Timeout)
	var answer transport.Answer
	if err == nil {
		defer hangUp()
		answer, err = p.get(conn, cfg.Path, cfg.Timeout)
	}
	switch {
	case ctx.Err() != nil:
		return noEvidence
	case err != nil:
		return result(failure.Of(err).ProbeWord())
	case answer.Status < 200 || answer.Status > 299:
		return wrongAnswer
	}
	_, err = conn.ReadBody(&answer, maxHealthBody, cfg.Timeout)
	switch {
	case err == nil && answer.Close:
		p.redialForModels(ctx, cfg.Timeout)
	case err == nil:
		p.readModels(conn, cfg.Timeout)
	}
	return succeeded
}

// dial connects until hangUp is called or ctx ends.
func (p *prober) dial(ctx context.Context, timeout time.Duration) (conn *transport.Conn, hangUp func(), err error) {
	if conn, err = p.server.Dial(ctx, timeout); err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, conn.Abort)
	return conn, func() { stop(); conn.Close() }, nil
}

func (p *prober) get(conn *transport.Conn, path string, timeout time.Duration) (transport.Answer, error) {
	address := p.server.Address()
	head := []byte("GET " + address.Prefix + path + " HTTP/1.1\r\nHost: " + address.Host + "\r\nUser-Agent: tether\r\nAccept: */*\r\n")
	if key := p.server.RequestOptions().Key; key != "" {
		head = key.AppendAuthorization(head)
	}
	conn.Send(append(head, "\r\n"...), transport.Body{}, time.Now())
	return conn.Receive(p.buf, timeout)
}
