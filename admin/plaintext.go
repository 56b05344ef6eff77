package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// jsonListener accepts connections on which net/http's own errors are in JSON. net/http answers a request that it cannot
// read before any handler sees the request, in plain text and past every http.ResponseWriter.
type jsonListener struct{ net.Listener }

func (l jsonListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return jsonConn{tcp}, nil
	}
	return c, err
}

// jsonConn embeds the concrete type for its CloseWrite, with which net/http lets a client read an error.
type jsonConn struct{ *net.TCPConn }

// Write writes b, or the JSON in place of b where b is an error of net/http. net/http writes such an error at once.
func (c jsonConn) Write(b []byte) (int, error) {
	answer, is := errorInJSON(b)
	if !is {
		return c.TCPConn.Write(b)
	}
	if _, err := c.TCPConn.Write(answer); err != nil {
		return 0, err
	}
	return len(b), nil
}

// plainError stands between the status line and the text of net/http's errors. An answer of a handler has a Date before
// Connection.
const plainError = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"

// errorInJSON returns an error of net/http as JSON, and reports whether b is one.
func errorInJSON(b []byte) (answer []byte, is bool) {
	line, text, is := bytes.Cut(b, []byte(plainError))
	number, ok := bytes.CutPrefix(line, []byte("HTTP/1.1 "))
	status, err := strconv.Atoi(string(number[:min(3, len(number))]))
	if !is || !ok || err != nil {
		return nil, false
	}
	message := strings.TrimPrefix(string(text), strconv.Itoa(status)+" ")
	body, _ := json.Marshal(errorBody(status, message)) // never fails
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n",
		status, http.StatusText(status), len(body)+1, body), true
}

// jsonErrors lets h answer errors in JSON that it writes as plain text, as net/http/pprof does.
func jsonErrors(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { h(&errorWriter{ResponseWriter: w}, r) }
}

// errorWriter replaces the plain text of an error. It takes the first Write after WriteHeader as the whole text.
type errorWriter struct {
	http.ResponseWriter
	status int // of an error whose text has not been written
}

// WriteHeader writes the head, unless it is that of an error in plain text: the text decides about its length.
func (w *errorWriter) WriteHeader(status int) {
	if status >= 400 && strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
		w.status = status
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *errorWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		return w.ResponseWriter.Write(b)
	}
	writeError(w.ResponseWriter, w.status, strings.TrimSpace(string(b)))
	w.status = 0
	return len(b), nil
}

// Unwrap returns the writer below, for http.ResponseController.
func (w *errorWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
