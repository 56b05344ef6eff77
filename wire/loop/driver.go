package loop

import (
	"errors"
	"time"
)

// errUnasked ends a connection on which something arrived before the request that was to be sent: it is no answer to that.
var errUnasked = errors.New("bytes that no request asked for")

// Driver has the rules of a connection that an event loop drives. The loop calls it on its own thread, which serves many
// connections: no method may block or panic.
type Driver interface {
	// Received gets the bytes of one read at now. They are valid until it returns.
	Received(now time.Time, p []byte)
	// Ended says that no more is received, or that nothing more can be sent. The error is io.EOF for a clean close,
	// os.ErrDeadlineExceeded at the limit, net.ErrClosed if the connection was closed on this side.
	Ended(now time.Time, err error)
	// Drained says that the kernel has taken all that was pushed. It follows Refused without an error, and Sending if that was true.
	Drained(now time.Time)
	// Refused says that the kernel has not taken all that was pushed. It takes the rest later if err is nil: Drained follows. Otherwise
	// nothing more can be sent.
	Refused(now time.Time, err error)
}

// Driven is a connection that an event loop can drive. At first it is driven by goroutines: Read and Write wait. Between Drive and
// Release it belongs to the loop's thread, and only Drive may be called on other threads. Only the sender of a large
// request may go on to write.
type Driven interface {
	// Drive makes d the driver, with a limit as Limit sets it. No goroutine may be in Read. onLoop says that the caller is the loop's thread.
	// On any other thread the caller must not touch the connection, nor what d works with, once it has called Drive.
	Drive(d Driver, limit time.Time, onLoop bool)
	// Release gives the connection back to goroutines, and returns the bytes that were pushed and not sent, nil for none. The caller may keep
	// them. Their number may be 0: the loop is sending the last of them, and Write waits for that, even to write nothing.
	Release() (unsent []byte)
	// Limit makes Ended follow if nothing was received before limit, or soon after it. The zero time is no limit.
	Limit(limit time.Time)
	// Hold makes the loop read no more, until Resume.
	Hold()
	Resume()
	// Push sends b, which it does not keep, once the loop has handled the events that there are. What the kernel does not take then is sent
	// as soon as the kernel takes it, and Refused follows.
	//
	// Without a driver, the connection is idle and b begins a request. If something has arrived there before the loop received what made the caller
	// push, b is not sent, and Ended follows.
	Push(b []byte)
	// Sending reports whether the loop has yet to learn that the kernel has taken all that was pushed. If so, Drained or Refused follows.
	Sending() bool
}
