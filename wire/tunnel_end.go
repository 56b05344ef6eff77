package wire

import (
	"cmp"
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// carried is how one direction of a tunnel ended.
type carried struct {
	read, write error // one of them
	panicked    error
}

// outcome judges the end of a tunnel by how its two directions ended: the first row that holds counts. If a deadline ended a
// direction, t.why says why the deadline was set.
func (t *Tunnel) outcome(down, up carried) (End, error) {
	for _, row := range [...]struct {
		holds bool
		end   End
		err   error
	}{
		// The client took nothing for too long.
		{t.clientStalled(down.write, up.read), TargetFailed, unix.ETIMEDOUT},
		// The client left: a write to it failed.
		{down.write != nil && !IsTimeout(down.write), TargetFailed, down.write},
		// The upstream was cut. The kernel reports a socket error once: the goroutine that wrote got it, the one that read sees EOF.
		{down.read == io.EOF && isCut(up.write), SourceEnded, up.write},
		// The upstream closed its side, in order or without close_notify.
		{down.read == io.EOF || down.read == errNoCloseNotify, SourceEnded, down.read},
		// A read from the upstream failed while the tunnel went on.
		{t.why == Finished, SourceEnded, down.read},
	} {
		if row.holds {
			return row.end, row.err
		}
	}
	return t.why, cmp.Or(down.read, down.write)
}

// clientStalled reports whether the client took nothing for too long, after both directions ended. If the kernel found that, it
// reported it once: to a write, to a read, or to no call yet.
func (t *Tunnel) clientStalled(write, read error) bool {
	return t.clientStuck || Stalled(write) || Stalled(read) || Stalled(t.Client.pendingError())
}

// isCut reports whether a failed write shows that the connection was cut. If the peer had closed it, the error is EPIPE.
func isCut(err error) bool { return err != nil && !IsTimeout(err) && !errors.Is(err, unix.EPIPE) }
