package wire

import (
	"net"
	"time"
)

// Tap sees the bytes that are pumped, and has the rules about them.
type Tap interface {
	// Take receives the bytes of one read from the source. It returns the bytes to pass on, often p itself, valid until the next
	// call, and whether more are to come. Take may be called on the thread of an event loop that serves many streams: it must
	// not block and must not panic. So it must not close an upstream connection in a way that waits for the connection's
	// sender.
	Take(now time.Time, p []byte) (out []byte, more bool)
}

// End is why a Pump ended.
type End uint8

const (
	// Finished says that the tap wants no more.
	Finished End = iota
	// SourceEnded says that the source was closed, reset or aborted; the error is io.EOF for a clean close.
	SourceEnded
	// SourceIdle says that the source sent nothing for the idle limit.
	SourceIdle
	// TargetFailed says that the target could not be written to.
	TargetFailed
)

// Pump moves bytes from src to dst as they arrive, every read as one write, until the tap wants no more or a side fails.
// Between two reads src may be silent for idle. buf is the read buffer; no more than its length is held at a time.
func Pump(dst net.Conn, src *Conn, buf []byte, idle time.Duration, tap Tap) (End, error) {
	now := time.Now()
	for {
		if err := src.ReadWithin(now, idle); err != nil {
			return SourceEnded, err
		}
		n, err := src.Read(buf)
		now = time.Now()
		if n > 0 {
			out, more := tap.Take(now, buf[:n])
			if len(out) > 0 {
				if _, err := dst.Write(out); err != nil {
					return TargetFailed, err
				}
			}
			if !more {
				return Finished, nil
			}
		}
		if IsTimeout(err) {
			return SourceIdle, err
		}
		if err != nil {
			return SourceEnded, err
		}
	}
}
