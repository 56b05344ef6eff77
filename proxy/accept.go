package proxy

import (
	"net"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"tether/wire"
)

// Serve accepts and serves clients until l is closed.
func (p *Proxy) Serve(l *wire.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		c, f := p.open(client)
		if f != nil {
			p.turnAway(client, f)
			continue
		}
		go p.run(c)
	}
}

// open makes a conn of the client, unless there are too many or no more are wanted.
func (p *Proxy) open(client *wire.Client) (*conn, *fault) {
	address := addressOf(client)
	p.mu.Lock()
	defer p.mu.Unlock()
	held, trusted := p.budget.holder(address), contains(p.trusted, address)
	if f := p.full(held, trusted); f != nil {
		p.budget.release(held)
		return nil, f
	}
	held.conns++
	c := &conn{Client: client, p: p, address: address, peer: address.AppendTo(nil), trusted: trusted, held: held}
	if c.proto = []byte("http"); client.Secure() {
		c.proto = []byte("https")
	}
	c.next(time.Now())
	p.conns[c] = true
	p.all.Add(1)
	return c, nil
}

// full reports why there is no room for one more connection of an address, if so. p.mu is held.
func (p *Proxy) full(held *holder, trusted bool) *fault {
	most := p.cfg.MaxConnectionsPerAddress
	switch {
	case p.stopping.Load():
		return errTooManyClients
	case most > 0 && held.conns >= most && !trusted:
		return errAddressClients
	case len(p.conns) >= p.cfg.MaxConnections && !p.makeRoom():
		return errTooManyClients
	}
	return nil
}

// addressOf is the client's address as others know it: without the name of an interface of ours.
func addressOf(client *wire.Client) netip.Addr {
	a, _ := client.RemoteAddr().(*net.TCPAddr) // nil has none
	return a.AddrPort().Addr().Unmap().WithZone("")
}

// makeRoom closes a connection on which no whole request has come, and reports whether there was one. Of some that it looks
// at it takes one of the address that has the most, so that one address cannot keep the others out, and the one that waits
// longest of these. p.mu is held.
func (p *Proxy) makeRoom() bool {
	const some = 64
	var least *conn
	var since int64
	looked := 0
	for c := range p.conns {
		if waits := c.waits.Load(); waits != 0 {
			if least == nil || c.share() > least.share() || c.share() == least.share() && waits < since {
				least, since = c, waits
			}
		}
		if looked++; looked == some {
			break
		}
	}
	if least == nil || !least.waits.CompareAndSwap(since, 0) { // its request came in this moment
		return false
	}
	p.displaced.Add(1)
	_ = least.Drop() // its goroutine ends with it
	return true
}

// share is how many connections the client has; trusted proxies bring many clients over theirs. p.mu is held.
func (c *conn) share() int {
	if c.trusted {
		return 1
	}
	return c.held.conns
}

// maxTurned bounds the connections that are answered that there is no room for them.
const maxTurned = 64

// turnAway answers a client that there is no room for it.
func (p *Proxy) turnAway(client *wire.Client, f *fault) {
	if client.Secure() || !p.mayAnswer() { // in TLS an answer would take a handshake first
		p.refused(f)
		_ = client.Drop()
		return
	}
	go p.answerAway(&conn{Client: client, p: p}, f)
}

func (p *Proxy) mayAnswer() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.turned == maxTurned || p.stopping.Load() {
		return false
	}
	p.turned++
	p.all.Add(1)
	return true
}

func (p *Proxy) answerAway(c *conn, f *fault) {
	defer p.all.Done()
	c.refuse(f)
	_ = c.Close() // the answer was sent, or nobody is there
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turned--
}

func (p *Proxy) refused(f *fault) {
	if p.onRefused != nil {
		p.onRefused(f.status, f.reason)
	}
}

// run serves one client until its connection ends.
func (p *Proxy) run(c *conn) {
	defer p.all.Done()
	defer func() {
		if r := recover(); r != nil {
			p.log.Error("panic in a connection", zap.Any("panic", r), zap.Stack("stack"))
		}
		_ = c.Close() // it may be closed already
		c.freeRoom()
		p.forget(c)
	}()
	if c.Handshake(headTime) != nil {
		p.refused(errHandshake)
		return
	}
	_ = p.server.ServeConn(c) // its errors are those of clients, and answered
}

// forget lets go of a connection that has ended.
func (p *Proxy) forget(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	c.held.conns--
	p.budget.release(c.held)
}

// Connections is the number of clients' connections.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// Displaced is the number of clients' connections that were closed, without a whole request, to make room for others.
func (p *Proxy) Displaced() int64 { return p.displaced.Load() }

// IdleClosed is the number of clients' connections that were closed because nothing came.
func (p *Proxy) IdleClosed() int64 { return p.idled.Load() }
