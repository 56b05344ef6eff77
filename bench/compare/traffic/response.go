package traffic

import (
	"bytes"
	"errors"
	"fmt"
)

// response reads the responses of a connection, one after another, and the events of those that are streams.
type response struct {
	head    head
	framing framing
	left    int // bytes of the body or of the chunk
	size    int // of the body so far
	line    []byte
	events  events
}

// framing is what the next byte of a response is.
type framing uint8

const (
	inHead    framing = iota
	inBody            // with a length
	inSize            // in the line with the size of a chunk
	inChunk           // in its data
	afterData         // in the line end after the data
	inTrailer         // after the last chunk
	ended
)

// maxLine bounds a line with the size of a chunk.
const maxLine = 64

var errSurplus = errors.New("bytes follow a response")

// take reads bytes that were received at now, and returns whether the response ends with them.
func (r *response) take(b []byte, now int64) (whole bool, err error) {
	for len(b) > 0 {
		switch r.framing {
		case inHead:
			b, err = r.takeHead(b)
		case inBody, inChunk:
			b = r.takeData(b, now)
		case inSize, afterData, inTrailer:
			b, err = r.takeLine(b)
		case ended:
			err = errSurplus
		}
		if err != nil {
			return false, err
		}
	}
	return r.framing == ended, nil
}

func (r *response) takeHead(b []byte) (rest []byte, err error) {
	rest, whole, err := r.head.take(b)
	if err != nil || !whole {
		return nil, err
	}
	if !bytes.HasPrefix(r.head.text, []byte("HTTP/1.1 200 ")) {
		status, _, _ := bytes.Cut(r.head.text, []byte("\r\n"))
		return nil, fmt.Errorf("the status line is %q", status)
	}
	if r.left, err = r.head.length(); err != nil {
		return nil, err
	}
	switch {
	case bytes.EqualFold(r.head.field("transfer-encoding"), []byte("chunked")):
		r.framing = inSize
	case r.left > 0:
		r.framing = inBody
	default:
		return nil, errors.New("a response has neither a length nor chunks")
	}
	return rest, nil
}

func (r *response) takeData(b []byte, now int64) (rest []byte) {
	n := min(r.left, len(b))
	r.left -= n
	r.size += n
	r.events.take(b[:n], now)
	if r.left == 0 {
		if r.framing == inBody {
			r.framing = ended
		} else {
			r.framing = afterData
		}
	}
	return b[n:]
}

// takeLine reads up to the end of a line: the size of a chunk, the empty line after its data, or the last line of all.
func (r *response) takeLine(b []byte) (rest []byte, err error) {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		r.line = append(r.line, b...)
		if len(r.line) > maxLine {
			return nil, errors.New("the line of a chunk is too long")
		}
		return nil, nil
	}
	line := append(r.line, b[:end]...)
	r.line = line[:0]
	line = bytes.TrimSuffix(line, []byte("\r"))
	if r.framing != inSize {
		if len(line) > 0 {
			return nil, fmt.Errorf("%q stands where a chunk ends", line)
		}
		r.framing = map[framing]framing{afterData: inSize, inTrailer: ended}[r.framing]
		return b[end+1:], nil
	}
	if r.left, err = hexadecimal(line); err != nil {
		return nil, err
	}
	if r.framing = inChunk; r.left == 0 {
		r.framing = inTrailer
	}
	return b[end+1:], nil
}

// hexadecimal reads the size of a chunk. There are no extensions in this traffic.
func hexadecimal(line []byte) (n int, err error) {
	for _, c := range line {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | int(c-'0')
		case c >= 'a' && c <= 'f':
			n = n<<4 | int(c-'a'+10)
		case c >= 'A' && c <= 'F':
			n = n<<4 | int(c-'A'+10)
		default:
			return 0, fmt.Errorf("the size of a chunk is %q", line)
		}
		if n > 1<<30 {
			return 0, fmt.Errorf("the size of a chunk is %q", line)
		}
	}
	if len(line) == 0 {
		return 0, errors.New("the size of a chunk is empty")
	}
	return n, nil
}

// next prepares for the next response.
func (r *response) next() {
	*r = response{head: head{r.head.text[:0]}, line: r.line[:0], events: events{delays: r.events.delays}}
}
