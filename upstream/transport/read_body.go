package transport

import (
	"bytes"
	"errors"
	"time"
)

// ErrBodyTooLarge is the error of ReadBody for a body over its limit.
var ErrBodyTooLarge = errors.New("answer's body too large")

// ReadBody reads the rest of an answer of at most max bytes, within limit from now (or up to 1/16 more). It returns a copy
// of the body, without the chunked coding. Afterwards a.Rest holds all bytes of the body as they were received, also after an
// error.
func (c *Conn) ReadBody(a *Answer, max int, limit time.Duration) ([]byte, error) {
	body := make([]byte, 0, 1024)
	a.Rest = bytes.Clone(a.Rest)
	err := eachPiece(c, a, bytes.Clone(a.Rest), make([]byte, 4<<10), max, limit,
		func(piece []byte) { body = append(body, piece...) },
		func(part []byte) { a.Rest = append(a.Rest, part...) })
	if err != nil {
		return nil, err
	}
	return body, nil
}
