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
// process, which the next turns reach, through the connection of the hand-over, until it ends. If the process before it still does the same, it
// passes on what that one tells, and ends after it.

const (
	// openingsEvery is how often what was learned of openings is told. Pins are told at once.
	openingsEvery = 50 * time.Millisecond
	// lateUse is how late a use of a pin may be noted: its time is read before, and the machine may be busy. lateAtEnd is the same for the first
	// and the last batch, because no other batch makes up for them.
	lateUse, lateAtEnd = 2 * time.Second, 10 * time.Second
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
	defer close(h.toldAll)
	changed := make(chan struct{}, 1)
	for _, m := range []*pins.Map{h.app.pins, h.stored} {
		pins.Watch(m, changed)
		defer pins.Watch(m, nil)
	}
	tick := time.NewTicker(openingsEvery)
	defer tick.Stop()
	since := snapshot.Since{Pins: to.since.Add(-lateAtEnd), Openings: to.since.Add(-lateAtEnd)}
	for last := false; !last; {
		next := since
		now := time.Now()
		select {
		case <-changed:
			since.Openings, next.Pins = time.Time{}, now
		case <-tick.C:
			since.Pins = since.Pins.Add(-lateUse)
			next = snapshot.Since{Pins: now, Openings: now}
		case batch := <-h.relayed:
			if err := send(to.conn, append(make([]byte, sizeOfSize), batch...)); err != nil {
				h.log.Warn("the new process gets no more of what the process before this one learns", zap.Error(err))
				return nil
			}
			continue
		case <-ctx.Done():
			last, since.Pins, since.Openings = true, since.Pins.Add(-lateAtEnd), since.Openings.Add(-lateAtEnd)
		}
		if err := h.sendBatch(to.conn, since); err != nil {
			h.log.Warn("the new process gets no more of what this one learns", zap.Error(err))
			return nil
		}
		since = next
	}
	return nil
}

// sizeOfSize is the length of the size before each batch.
const sizeOfSize = 4

// sendBatch sends a batch, unless there is nothing to tell.
func (h *handover) sendBatch(c *net.UnixConn, since snapshot.Since) error {
	batch := snapshot.AppendChanges(make([]byte, sizeOfSize), snapshot.Check(h.settings.Load().identifier), h.registry.Table(), h.saved.maps(), since, time.Now())
	if len(batch) == sizeOfSize {
		return nil
	}
	return send(c, batch)
}

// send sends a batch, which begins with space for its size.
func send(c *net.UnixConn, batch []byte) error {
	binary.LittleEndian.PutUint32(batch, uint32(len(batch)-sizeOfSize))
	if err := c.SetWriteDeadline(time.Now().Add(batchTime)); err != nil {
		return err
	}
	_, err := c.Write(batch)
	return err
}

// relay gives a new process a batch of the process before this one, if there is a new process.
func (h *handover) relay(ctx context.Context, batch []byte) {
	select {
	case <-h.given:
	default:
		return
	}
	select {
	case h.relayed <- batch:
	case <-h.toldAll:
	case <-ctx.Done():
	}
}

// awaitOld waits for the end of the old process if there is a new one that wants to know what it learns, until ctx ends.
func (h *inheritance) awaitOld(ctx context.Context, a *app) error {
	select {
	case <-a.handover.given:
	default:
		return nil
	}
	select {
	case <-h.ended:
	default:
		a.log.Info("the process before this one still has requests: this one passes on what it learns")
	}
	select {
	case <-h.ended:
	case <-a.handover.toldAll:
	case <-ctx.Done():
	}
	return nil
}

// receiveChanges takes over what the old process tells, until that ends or ctx does.
func (h *inheritance) receiveChanges(ctx context.Context, a *app) error {
	stop := context.AfterFunc(ctx, func() { _ = h.conn.Close() })
	defer stop()
	defer close(h.ended)
	defer func() { _ = h.conn.Close() }()
	r := bufio.NewReader(h.conn)
	total := 0
	for {
		n, err := receiveBatch(ctx, r, a)
		total += n
		switch {
		case err == nil:
			continue
		case ctx.Err() == nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed): // closed if this process does not start
			a.log.Warn("the old process tells what cannot be used", zap.Error(err))
		}
		a.log.Info("the old process has told all that it learned", zap.Int("pins", total))
		return nil
	}
}

// receiveBatch takes over one batch and passes it on. It returns the number of pins that are others now.
func receiveBatch(ctx context.Context, r io.Reader, a *app) (pins int, err error) {
	var size [sizeOfSize]byte
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
	if pins, err = snapshot.ApplyChanges(batch, snapshot.Check(a.settings.Load().identifier), a.registry.Table(), a.saved.maps(), time.Now()); err == nil {
		a.handover.relay(ctx, batch)
	}
	return pins, err
}
