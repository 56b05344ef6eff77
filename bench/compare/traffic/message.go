package traffic

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// maxHead bounds a head. The heads of this traffic have a few hundred bytes, and proxies add a few hundred more.
const maxHead = 8 << 10

// head collects the bytes of a head until it is complete.
type head struct{ text []byte }

// take adds received bytes and returns those after the head, and whether the head is complete.
func (h *head) take(b []byte) (rest []byte, whole bool, err error) {
	searched := max(len(h.text)-3, 0)
	h.text = append(h.text, b...)
	end := bytes.Index(h.text[searched:], []byte("\r\n\r\n"))
	if end < 0 {
		if len(h.text) > maxHead {
			return nil, false, errors.New("a head is too long")
		}
		return nil, false, nil
	}
	size := searched + end + 4
	rest = b[len(b)-(len(h.text)-size):]
	h.text = h.text[:size]
	return rest, true, nil
}

// field returns the value of a header field, which is empty if the head has none. name is in lower case.
func (h *head) field(name string) []byte {
	for line := range bytes.Lines(h.text) {
		if len(line) > len(name) && line[len(name)] == ':' && bytes.EqualFold(line[:len(name)], []byte(name)) {
			return bytes.TrimSpace(line[len(name)+1:])
		}
	}
	return nil
}

// length returns the value of Content-Length, or -1 if the head has none.
func (h *head) length() (int, error) {
	value := h.field("content-length")
	if value == nil {
		return -1, nil
	}
	n, err := strconv.Atoi(string(value))
	if err != nil || n < 0 {
		return 0, fmt.Errorf("Content-Length is %q", value)
	}
	return n, nil
}

// request reads the requests of a connection, one after another. Their bodies have a length.
type request struct {
	head head
	left int // of the body
	body bool
}

// take reads received bytes, and returns whether a request ends with them. Clients send no request before the last one was answered.
func (r *request) take(b []byte) (whole bool, err error) {
	if !r.body {
		rest, whole, err := r.head.take(b)
		if err != nil || !whole {
			return false, err
		}
		if r.left, err = r.head.length(); err != nil {
			return false, err
		}
		if r.head.field("transfer-encoding") != nil {
			return false, errors.New("a request has a Transfer-Encoding")
		}
		r.left, r.body, b = max(r.left, 0), true, rest
	}
	if r.left -= len(b); r.left < 0 {
		return false, errors.New("bytes follow a request")
	}
	return r.left == 0, nil
}

// path returns the target of the request.
func (r *request) path() []byte {
	words := bytes.SplitN(r.head.text, []byte(" "), 3)
	if len(words) < 3 {
		return nil
	}
	return words[1]
}

// next prepares for the next request.
func (r *request) next() { *r = request{head: head{r.head.text[:0]}} }
