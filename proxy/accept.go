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
		socket, err := l.Accept()
		if err != nil {
			return
		}
		c, f := p.accept(socket)
		if f != nil {
			p.turnAway(socket, f)
			continue
		}
		if !c.park() {
			go p.run(c)
		}
	}
}

// firstRequestTime is by how much later a new connection counts as waiting. Its first request is probably under way, so that kept
// connections that wait for no longer give way first.
const firstRequestTime = time.Second

// accept makes a client of an accepted connection, or says why there cannot be another one.
func (p *Proxy) accept(socket *wire.Client) (*client, *fault) {
	address, s := addressOf(socket), p.settings.Load()
	c := &client{
		Client: socket, p: p, parser: s.parser, address: address, peer: address.AppendTo(nil), proto: []byte("http"),
		relays: contains(s.trusted, address), account: p.budget.account(address),
	}
	if socket.Secure() {
		c.proto = []byte("https")
	}
	now := time.Now()
	c.next(now)
	c.waitingSince.Store(now.Add(firstRequestTime).UnixNano())
	if f := p.clients.add(c, &s.Config); f != nil {
		p.budget.release(c.account)
		return nil, f
	}
	return c, nil
}

// addressOf is the client's address as others know it: without the name of an interface of this host.
func addressOf(socket *wire.Client) netip.Addr {
	a, _ := socket.RemoteAddr().(*net.TCPAddr) // nil is no address
	return a.AddrPort().Addr().Unmap().WithZone("")
}

// turnAway answers a connection that is one too many.
func (p *Proxy) turnAway(socket *wire.Client, f *fault) {
	if socket.Secure() || !p.clients.addRefused(maxRefused(p.settings.Load().MaxConnections)) { // under TLS an answer would need a handshake first
		p.refused(f)
		_ = socket.Drop()
		return
	}
	go p.answerRefused(&client{Client: socket, p: p}, f)
}

func (p *Proxy) answerRefused(c *client, f *fault) {
	defer p.clients.all.Done()
	c.refuse(f, nil)
	_ = c.Close() // the answer was sent, or the client is gone
	p.clients.removeRefused()
}

func (p *Proxy) refused(f *fault) {
	if p.onRefused != nil {
		p.onRefused(f.status, f.reason)
	}
}

// run serves one client until its connection ends or a loop drives it.
func (p *Proxy) run(c *client) {
	away := false
	defer func() { left(c, away, recover()) }()
	if err := c.Handshake(headTime); err != nil {
		p.refused(faultHandshake)
		if err == wire.ErrPlainHTTP {
			_ = c.send([]byte(plainHTTP)) // the connection ends either way
			c.linger()
		}
		return
	}
	away = p.serve(c)
}

// left is the end of a goroutine that served c. away says that a loop drives c.
func left(c *client, away bool, panicked any) {
	if panicked != nil {
		c.p.log.Error("panic in a connection", zap.Any("panic", panicked), zap.Stack("stack"))
	}
	if !away {
		closeClient(c)
	}
}

// closeClient is the end of a connection. It does not wait, except under TLS.
func closeClient(c *client) {
	p := c.p
	_ = c.Close() // it may be closed already
	c.freeBuffer()
	freeGuard(c)
	p.clients.remove(c)
	p.budget.release(c.account)
	p.clients.all.Done()
}

// serve serves the requests of a client until its connection ends. It reports true if another thread goes on with the client.
func (p *Proxy) serve(c *client) (away bool) {
	if c.sendUnsent() != nil {
		return false
	}
	buf := c.parser.buffers.Get().(*[]byte)
	defer c.parser.buffers.Put(buf)
	for {
		if len(c.rest) == 0 && c.park() {
			return true
		}
		n, more := c.readHead(*buf)
		if !more {
			return false
		}
		x := p.exchanges.Get().(*exchange)
		h, err := c.parser.parse((*buf)[:n], c.guard.Lines, &x.text)
		if err != nil {
			c.refuse(faultMalformed, nil)
			p.exchanges.Put(x)
			return false
		}
		switch x.serve(c, h) {
		case closed:
			return false
		case handed:
			return true
		}
	}
}

// plainHTTP answers an HTTP request where clients must speak TLS.
const plainHTTP = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 60\r\nConnection: close\r\n\r\n" +
	"This port speaks HTTPS, and the client sent an HTTP request\n"

// Connections is the number of clients' connections.
func (p *Proxy) Connections() int { return p.clients.len() }

// Displaced is the number of clients' connections without a whole request that were closed in favour of others.
func (p *Proxy) Displaced() int64 { return p.clients.displaced.Load() }

// IdleClosed is the number of clients' connections that were closed because they were idle for too long.
func (p *Proxy) IdleClosed() int64 { return p.clients.idleClosed.Load() }
