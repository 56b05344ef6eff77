package store

import (
	"context"
	"crypto/tls"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"tether/session/shared"
)

// Sizes of a connection's buffers: batches are small.
const (
	bufferSize = 64 << 10
	ringScale  = 8
)

// sentinelsEvery is how often the sentinels are asked for the server, besides when they tell.
const sentinelsEvery = 2 * time.Second

// connection is a client of the store until it fails.
type connection struct {
	rueidis.Client
	key     string // of the stream
	channel string // of reports
	timeout time.Duration
	cancel  context.CancelFunc // ends what reads
}

// dial connects to the store. The connections end with ctx.
func dial(ctx context.Context, a *Address, cfg *Config, secure *tls.Config) (*connection, error) {
	o := rueidis.ClientOption{
		InitAddress: slices.Clone(a.Hosts), Username: a.User, Password: a.Password, SelectDB: a.Database, ClientName: "tether",
		TLSConfig: secure, ConnWriteTimeout: cfg.Timeout, Dialer: net.Dialer{Timeout: cfg.Timeout, KeepAlive: 5 * time.Second},
		RingScaleEachConn: ringScale, ReadBufferEachConn: bufferSize, WriteBufferEachConn: bufferSize, PipelineMultiplex: -1, BlockingPoolSize: 4,
		DisableRetry: true, DisableCache: true, ClientSetInfo: rueidis.DisableClientSetInfo,
		DialCtxFn: func(dialing context.Context, addr string, d *net.Dialer, secure *tls.Config) (net.Conn, error) {
			return dialUntil(ctx, dialing, addr, d, secure)
		},
	}
	if a.Master != "" {
		o.Sentinel = rueidis.SentinelOption{
			MasterSet: a.Master, Dialer: o.Dialer, TLSConfig: secure, TopologyRefreshInterval: sentinelsEvery, Password: a.SentinelPassword,
		}
	}
	client, err := rueidis.NewClient(o)
	if err != nil {
		return nil, err
	}
	return &connection{Client: client, key: streamKey(cfg.Prefix), channel: loadChannel(cfg.Prefix), timeout: cfg.Timeout}, nil
}

// dialUntil dials. The connection is closed with ctx.
func dialUntil(ctx, dialing context.Context, addr string, d *net.Dialer, secure *tls.Config) (net.Conn, error) {
	dialing, cancel := context.WithTimeout(dialing, d.Timeout)
	defer cancel()
	stop := context.AfterFunc(ctx, cancel)
	defer stop()
	conn, err := d.DialContext(dialing, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if secure != nil {
		over := tls.Client(conn, serverName(secure, addr))
		if err := over.HandshakeContext(dialing); err != nil {
			_ = conn.Close()
			return nil, err
		}
		conn = over
	}
	return &endingConn{Conn: conn, stop: context.AfterFunc(ctx, func() { _ = conn.Close() })}, nil
}

// serverName returns the configuration with the name of the host, if it names none: a cluster has many hosts.
func serverName(secure *tls.Config, addr string) *tls.Config {
	if secure.ServerName != "" {
		return secure
	}
	host, _, _ := net.SplitHostPort(addr)
	named := secure.Clone()
	named.ServerName = host
	return named
}

// endingConn is a connection that stop keeps from being closed twice.
type endingConn struct {
	net.Conn
	stop func() bool
}

// Close closes the connection.
func (c *endingConn) Close() error {
	c.stop()
	return c.Conn.Close()
}

// streamKey is the key of the stream. All keys of a prefix are in one slot of a cluster.
func streamKey(prefix string) string { return "{" + prefix + "}:sessions" }

// loadChannel is the channel of reports.
func loadChannel(prefix string) string { return "{" + prefix + "}:load" }

// publish sends a report to all processes that listen.
func (c *connection) publish(ctx context.Context, report []byte) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.Do(ctx, c.B().Publish().Channel(c.channel).Message(rueidis.BinaryString(report)).Build()).Error()
}

// listen calls heard with each report until the connection fails or ctx ends.
func (c *connection) listen(ctx context.Context, heard func(report string)) error {
	return c.Receive(ctx, c.B().Subscribe().Channel(c.channel).Build(), func(m rueidis.PubSubMessage) { heard(m.Message) })
}

// clock returns the store's time in Unix milliseconds.
func (c *connection) clock(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	parts, err := c.Do(ctx, c.B().Time().Build()).AsStrSlice()
	if err != nil {
		return 0, err
	}
	seconds, _ := strconv.ParseInt(parts[0], 10, 64)
	micros, _ := strconv.ParseInt(parts[min(1, len(parts)-1)], 10, 64)
	return seconds*1000 + micros/1000, nil
}

// add appends texts of batches to the stream, which keeps nothing from before the time oldest.
func (c *connection) add(ctx context.Context, texts [][]byte, oldest int64) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	commands := make([]rueidis.Completed, len(texts))
	for i, text := range texts {
		commands[i] = c.B().Xadd().Key(c.key).Minid().Almost().Threshold(strconv.FormatInt(oldest, 10)).Id("*").
			FieldValue().FieldValue(shared.Version, rueidis.BinaryString(text)).Build()
	}
	for _, answer := range c.DoMulti(ctx, commands...) {
		if err := answer.Error(); err != nil {
			return err
		}
	}
	return nil
}

// pageSize is how many entries are read at a time.
const pageSize = 500

// after returns entries of the stream after an id, at once or as soon as there are some within block.
func (c *connection) after(ctx context.Context, id string, block time.Duration) ([]rueidis.XRangeEntry, error) {
	ctx, cancel := context.WithTimeout(ctx, block+c.timeout)
	defer cancel()
	command := c.B().Xread().Count(pageSize)
	var answer rueidis.RedisResult
	if block > 0 {
		answer = c.Do(ctx, command.Block(block.Milliseconds()).Streams().Key(c.key).Id(id).Build())
	} else {
		answer = c.Do(ctx, command.Streams().Key(c.key).Id(id).Build())
	}
	streams, err := answer.AsXRead()
	if rueidis.IsRedisNil(err) {
		return nil, nil
	}
	return streams[c.key], err
}

// has reports whether the stream has the entry with an id.
func (c *connection) has(ctx context.Context, id string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	entries, err := c.Do(ctx, c.B().Xrange().Key(c.key).Start(id).End(id).Build()).AsXRange()
	return len(entries) > 0, err
}

// arrival returns the time of an entry's id in Unix milliseconds, 0 for an id that has none.
func arrival(id string) int64 {
	text, _, _ := strings.Cut(id, "-")
	ms, _ := strconv.ParseInt(text, 10, 64)
	return ms
}

// idAt is the lowest id of a time.
func idAt(ms int64) string { return strconv.FormatInt(max(0, ms), 10) + "-0" }
