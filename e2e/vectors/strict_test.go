package vectors

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"
)

// The upstream of these tests accepts only this strictest form of a request. It shares no code with tether.
var (
	requestLine = regexp.MustCompile(`^([A-Z]+) (/[!-~]*) HTTP/1\.[01]$`)
	fieldLine   = regexp.MustCompile("^([0-9A-Za-z!#$%&'*+\\-.^_`|~]+):[\t ]*([^\\x00-\\x08\\x0a-\\x1f\\x7f]*)$")
	lengthValue = regexp.MustCompile(`^[0-9]{1,9}$`)
	sizeLine    = regexp.MustCompile(`^[0-9a-fA-F]{1,8}$`)
)

// request is a request as it was received, well-formed or not.
type request struct {
	raw          string // every byte of it
	wrong        error  // why it is malformed; nil if it is not
	method, path string
	fields       []field
	body         string
}

type field struct{ name, value string }

// values returns the values of all fields with this name.
func (r *request) values(name string) (values []string) {
	for _, f := range r.fields {
		if textproto.CanonicalMIMEHeaderKey(f.name) == textproto.CanonicalMIMEHeaderKey(name) {
			values = append(values, f.value)
		}
	}
	return values
}

// strictReader reads requests. It keeps every byte of the request that it reads.
type strictReader struct {
	from *bufio.Reader
	raw  strings.Builder
}

// next reads a request.
func (s *strictReader) next() *request {
	s.raw.Reset()
	r := new(request)
	r.wrong = s.read(r)
	r.raw = s.raw.String()
	return r
}

func (s *strictReader) read(r *request) error {
	line, err := s.line()
	if err != nil {
		return noEnd(err)
	}
	m := requestLine.FindStringSubmatch(line)
	if m == nil {
		return fmt.Errorf("request line %q", line)
	}
	r.method, r.path = m[1], m[2]
	if r.fields, err = s.fields(); err != nil {
		return err
	}
	if hosts := r.values("Host"); len(hosts) != 1 {
		return fmt.Errorf("hosts %q", hosts)
	}
	r.body, err = s.body(r)
	return err
}

func (s *strictReader) fields() (fields []field, err error) {
	for {
		line, err := s.line()
		if err != nil {
			return nil, noEnd(err)
		}
		if line == "" {
			return fields, nil
		}
		m := fieldLine.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("field %q", line)
		}
		fields = append(fields, field{m[1], strings.TrimRight(m[2], "\t ")})
	}
}

func (s *strictReader) body(r *request) (string, error) {
	lengths, codings := r.values("Content-Length"), r.values("Transfer-Encoding")
	switch {
	case len(lengths)+len(codings) > 1:
		return "", fmt.Errorf("lengths %q with codings %q", lengths, codings)
	case len(codings) == 1 && !strings.EqualFold(codings[0], "chunked"):
		return "", fmt.Errorf("coding %q", codings[0])
	case len(codings) == 1:
		return s.chunks()
	case len(lengths) == 1 && !lengthValue.MatchString(lengths[0]):
		return "", fmt.Errorf("length %q", lengths[0])
	case len(lengths) == 1:
		n, _ := strconv.Atoi(lengths[0])
		return s.bytes(n)
	}
	return "", nil
}

func (s *strictReader) chunks() (body string, err error) {
	for {
		line, err := s.line()
		if err != nil {
			return "", noEnd(err)
		}
		if !sizeLine.MatchString(line) {
			return "", fmt.Errorf("chunk size %q", line)
		}
		n, _ := strconv.ParseUint(line, 16, 32)
		if n == 0 {
			_, err := s.fields() // trailers
			return body, err
		}
		data, err := s.bytes(int(n) + 2)
		if err != nil {
			return "", err
		}
		if data[n:] != "\r\n" {
			return "", fmt.Errorf("chunk ended by %q", data[n:])
		}
		body += data[:n]
	}
}

// line reads a line that ends with CRLF and has no other CR or LF.
func (s *strictReader) line() (string, error) {
	line, err := s.from.ReadString('\n')
	s.raw.WriteString(line)
	if err != nil {
		return "", err
	}
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok || strings.ContainsRune(text, '\r') {
		return "", fmt.Errorf("line %q", line)
	}
	return text, nil
}

func (s *strictReader) bytes(n int) (string, error) {
	b := make([]byte, n)
	k, err := io.ReadFull(s.from, b)
	s.raw.Write(b[:k])
	return string(b), noEnd(err)
}

// noEnd turns the error of an end within a request into io.ErrUnexpectedEOF.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
