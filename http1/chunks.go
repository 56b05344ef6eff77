package http1

import "errors"

// Errors of Chunks.
var (
	ErrChunkSize      = errors.New("malformed chunk size")
	ErrChunkEnd       = errors.New("chunk data not ended by CRLF")
	ErrChunkExtension = errors.New("malformed or too long chunk extension")
	ErrTrailer        = errors.New("malformed or too long trailer")
)

// maxChunkLine bounds the extensions of a chunk, maxTrailers all trailer lines together, in bytes.
const (
	maxChunkLine = 256
	maxTrailers  = 8 << 10
)

// Chunks reads the chunked coding (RFC 9112 7.1), split anywhere. The zero value stands before the first chunk. It is strict: sizes
// of 1..15 hex digits with nothing around them, extensions by their grammar without white space, and CRLF alone as line end.
type Chunks struct {
	state  chunkState
	digits uint8
	size   int    // bytes of the extensions or the trailers so far
	left   uint64 // bytes of the chunk's data that are still to be read
	part   bool   // a byte of this extension's name or value was read
	colon  bool   // this trailer line has had its colon
}

type chunkState uint8

const (
	chunkSize chunkState = iota // at the start of a chunk, or in its size
	extensionName
	extensionValue
	extensionQuoted
	extensionEscape
	extensionQuoteEnd
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	trailerStart
	trailerLine
	trailerLF
	chunksEndLF
	chunksEnd
)

// Done reports whether the last chunk and the trailers were read to their end.
func (c *Chunks) Done() bool { return c.state == chunksEnd }

// Between reports whether the bytes read so far end between two chunks.
func (c *Chunks) Between() bool { return c.state == chunkSize && c.digits == 0 }

// Next reads the next bytes: it consumes n of them, up to the end of the first run of data or of the whole coding, and returns
// that run, a part of p. With an error, the n bytes before the offence were accepted.
func (c *Chunks) Next(p []byte) (n int, data []byte, err error) {
	for n < len(p) && c.state != chunksEnd {
		if c.state == chunkData {
			k := int(min(c.left, uint64(len(p)-n)))
			if c.left -= uint64(k); c.left == 0 {
				c.state = chunkDataCR
			}
			return n + k, p[n : n+k], nil
		}
		if err = c.step(p[n]); err != nil {
			return n, nil, err
		}
		n++
	}
	return n, nil, nil
}

func (c *Chunks) step(b byte) error {
	switch c.state {
	case chunkSize:
		return c.sizeByte(b)
	case extensionName, extensionValue, extensionQuoted, extensionEscape, extensionQuoteEnd:
		return c.extensionByte(b)
	case trailerStart, trailerLine:
		return c.trailerByte(b)
	case chunkDataCR:
		if b != '\r' {
			return ErrChunkEnd
		}
		c.state = chunkDataLF
		return nil
	}
	if b != '\n' {
		return ErrLineEnd
	}
	switch c.state {
	case chunkSizeLF:
		c.begin()
	case chunkDataLF:
		*c = Chunks{}
	case trailerLF:
		c.state = trailerStart
	case chunksEndLF:
		c.state = chunksEnd
	}
	return nil
}

func (c *Chunks) sizeByte(b byte) error {
	if d, ok := hexDigit(b); ok {
		if c.digits++; c.digits > 15 {
			return ErrChunkSize
		}
		c.left = c.left<<4 | d
		return nil
	}
	switch {
	case c.digits == 0:
		return ErrChunkSize
	case b == '\r':
		c.state = chunkSizeLF
	case b == ';':
		c.state = extensionName
	default:
		return ErrChunkSize
	}
	return nil
}

// extensionByte reads any number of ;name, ;name=token and ;name="quoted", up to the CR after them.
func (c *Chunks) extensionByte(b byte) error {
	if c.size++; c.size > maxChunkLine {
		return ErrChunkExtension
	}
	switch {
	case c.state == extensionQuoted || c.state == extensionEscape:
		return c.quotedByte(b)
	case class[b]&isToken != 0 && c.state != extensionQuoteEnd:
		c.part = true
	case b == '=' && c.part && c.state == extensionName:
		c.state, c.part = extensionValue, false
	case b == '"' && !c.part && c.state == extensionValue:
		c.state = extensionQuoted
	case b == ';' && c.part:
		c.state, c.part = extensionName, false
	case b == '\r' && c.part:
		c.state, c.part = chunkSizeLF, false
	default:
		return ErrChunkExtension
	}
	return nil
}

func (c *Chunks) quotedByte(b byte) error {
	switch {
	case class[b]&isValue == 0:
		return ErrChunkExtension
	case c.state == extensionEscape:
		c.state = extensionQuoted
	case b == '\\':
		c.state = extensionEscape
	case b == '"':
		c.state, c.part = extensionQuoteEnd, true
	}
	return nil
}

// begin enters the chunk whose size line is complete.
func (c *Chunks) begin() {
	c.size = 0
	c.state = chunkData
	if c.left == 0 {
		c.state = trailerStart
	}
}

func (c *Chunks) trailerByte(b byte) error {
	if c.size++; c.size > maxTrailers {
		return ErrTrailer
	}
	switch {
	case b == '\r' && c.state == trailerStart:
		c.state = chunksEndLF
	case b == '\r' && c.colon:
		c.state, c.colon = trailerLF, false
	case b == ':' && c.state == trailerLine:
		c.colon = true
	case class[b]&isValue != 0 && c.colon, class[b]&isToken != 0:
		c.state = trailerLine
	default:
		return ErrTrailer
	}
	return nil
}

func hexDigit(b byte) (uint64, bool) {
	switch {
	case b >= '0' && b <= '9':
		return uint64(b - '0'), true
	case b >= 'a' && b <= 'f':
		return uint64(b-'a') + 10, true
	case b >= 'A' && b <= 'F':
		return uint64(b-'A') + 10, true
	}
	return 0, false
}
