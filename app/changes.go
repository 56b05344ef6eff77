package app

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"go.uber.org/zap"

	"tether/session/pins"
	"tether/session/snapshot"
)

// A process that has handed over answers the requests that it has, and so learns where sessions and stored responses are. It tells the new
// process, which the next turns reach, through the connection of the hand-over, until it ends.

const (
	// openingsEvery is how often what was learned of openings is told. Pins are told at once.
	openingsEvery = 50 * time.Millisecond
	// batchTime limits the time for a batch. After that, the new process gets no more.
	batchTime = 5 * time.Second
	// maxBatch bounds a batch that is received: the maps of 10 million sessions, in bytes.
	maxBatch = 1 << 30
)

// successor is the connection to the new process, and when the snapshot that it has was written.
type successor struct {
	conn  *net.UnixConn
	since time.Time
}

// sendChanges tells a new process what this one learns, until ctx ends, which is when no request is left.
func (h *handover) sendChanges(ctx context.Context) error {
	var to successor
	select {
	case to = <-h.successors:
	case <-ctx.Done():
		return nil
	}
	defer to.conn.Close()
	changed := make(chan struct{}, 1)
	for _, m := range []*pins.Map{h.app.pins, h.stored} {
		pins.Watch(m, changed)
		defer pins.Watch(m, nil)
	}
	tick := time.NewTicker(openingsEvery)
	defer tick.Stop()
	since := snapshot.Since{Pins: to.since, Openings: to.since}
	for last := false; !last; {
		next := since
		now := time.Now()
		select {
		case <-changed:
			since.Openings, next.Pins = time.Time{}, now
		case <-tick.C:
			next = snapshot.Since{Pins: now, Openings: now}
		case <-ctx.Done():
			last = true
		}
		if err := h.sendBatch(to.conn, since); err != nil {
			h.log.Warn("the new process gets no more of what this one learns", zap.Error(err))
			return nil
		}
		since = next
	}
	return nil
}

// sendBatch sends a batch, unless there is nothing to tell.
func (h *handover) sendBatch(c *net.UnixConn, since snapshot.Since) error {
	batch := snapshot.AppendChanges(make([]byte, 4), snapshot.Check(h.settings.Load().identifier), h.registry.Table(), h.saved.maps(), since, time.Now())
	if len(batch) == 4 {
		return nil
	}
	binary.LittleEndian.PutUint32(batch, uint32(len(batch)-4))
	if err := c.SetWriteDeadline(time.Now().Add(batchTime)); err != nil {
		return err
	}
	_, err := c.Write(batch)
	return err
}

// receiveChanges takes over what the old process tells, until that ends or ctx does.
func (h *inheritance) receiveChanges(ctx context.Context, a *app) error {
	stop := context.AfterFunc(ctx, func() { _ = h.conn.Close() })
	defer stop()
	defer func() { _ = h.conn.Close() }()
	r := bufio.NewReader(h.conn)
	total := 0
	for {
		n, err := receiveBatch(r, a)
		total += n
		switch {
		case err == nil:
			continue
		case ctx.Err() == nil && !errors.Is(err, io.EOF):
			a.log.Warn("the old process tells what cannot be used", zap.Error(err))
		}
		a.log.Info("the old process has told all that it learned", zap.Int("pins", total))
		return nil
	}
}

// receiveBatch takes over one batch, and returns the number of pins that are others now.
func receiveBatch(r io.Reader, a *app) (int, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return 0, err
	}
	n := binary.LittleEndian.Uint32(size[:])
	if n > maxBatch {
		return 0, fmt.Errorf("a batch of %d bytes, want at most %d", n, maxBatch)
	}
	batch, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err != nil {
		return 0, err
	}
	if len(batch) < int(n) {
		return 0, io.ErrUnexpectedEOF
	}
	return snapshot.ApplyChanges(batch, snapshot.Check(a.settings.Load().identifier), a.registry.Table(), a.saved.maps(), time.Now())
}
