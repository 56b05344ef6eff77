package transport

import (
	"bytes"
	"errors"
	"io"
	"time"

	"tether/http1"
)

// ErrBodyTooLarge is the error of ReadBody for a body over its limit.
var ErrBodyTooLarge = errors.New("answer's body too large")

// ReadBody reads the rest of an answer of at most max bytes, within limit from now (or up to 1/16 more). It returns a copy
// of the body, without the chunked coding. Afterwards a.Rest holds all bytes of the body as they were received, also after an
// error.
func (c *Conn) ReadBody(a *Answer, max int, limit time.Duration) ([]byte, error) {
	if err := c.ReadWithin(time.Now(), limit); err != nil {
		return nil, err
	}
	framing := http1.NewFraming(&a.Head)
	body := make([]byte, 0, 1024)
	a.Rest = bytes.Clone(a.Rest)
	part := bytes.Clone(a.Rest)
	buf := make([]byte, 4<<10)
	for {
		payload, n, err := framing.Decode(part)
		if err != nil {
			return nil, err
		}
		if body = append(body, payload...); len(body) > max {
			return nil, ErrBodyTooLarge
		}
		if framing.Done() {
			if n < len(part) {
				a.Close = true // bytes after the answer: the connection must not be used again
			}
			return body, nil
		}
		k, err := c.Read(buf)
		part = buf[:k]
		a.Rest = append(a.Rest, part...)
		if k == 0 && err != nil {
			if framing.UntilClose() && errors.Is(err, io.EOF) {
				a.Close = true
				return body, nil
			}
			return nil, err
		}
	}
}
