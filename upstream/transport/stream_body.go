package transport

import (
	"errors"
	"io"
	"time"

	"tether/http1"
)

// StreamBody reads the rest of an answer of at most max bytes, within limit from now (or up to 1/16 more). take gets the body in pieces,
// without the chunked coding; a piece is valid until take returns. buf receives the bytes, and may be the buffer that was given to Receive.
// The error of a larger body is ErrBodyTooLarge.
func (c *Conn) StreamBody(a *Answer, buf []byte, max int, limit time.Duration, take func(piece []byte)) error {
	return eachPiece(c, a, a.Rest, buf, max, limit, take, func([]byte) {})
}

// eachPiece is StreamBody of c for an answer whose body begins with part. received gets what was read after that, as it was received, before it
// is decoded in place.
func eachPiece(c *Conn, a *Answer, part, buf []byte, max int, limit time.Duration, take, received func(piece []byte)) error {
	if err := c.ReadWithin(time.Now(), limit); err != nil {
		return err
	}
	framing := http1.NewFraming(&a.Head)
	for {
		payload, n, err := framing.Decode(part)
		if err != nil {
			return err
		}
		if max -= len(payload); max < 0 {
			return ErrBodyTooLarge
		}
		take(payload)
		if framing.Done() {
			if n < len(part) {
				a.Close = true // bytes after the answer: the connection must not be used again
			}
			return nil
		}
		k, err := c.Read(buf)
		part = buf[:k]
		received(part)
		if k == 0 && err != nil {
			if framing.UntilClose() && errors.Is(err, io.EOF) {
				a.Close = true
				return nil
			}
			return err
		}
	}
}
