package proxy

import "bytes"

// events finds two places in an answer. The generated part begins when the server has read the prompt. The terminal event of a stream is the
// last one that a client waits for: many clients close the connection at once when they have it, before the end of the stream arrives.
//
// In JSON the generated part begins with the first byte, and there are no events. Streams may have something before it: comments that keep
// the connection alive, and events that say that the request was received, such as vLLM's response.created.
type events struct {
	begun    bool // the generated part has begun to arrive
	ended    bool // the terminal event has arrived
	stream   bool
	preface  bool // the present event comes before the generated part
	terminal bool // the present event is the terminal one

	line [32]byte // the present line, or its beginning: enough for any event of prefaces and terminals
	n    int
}

var (
	// prefaces are the events that servers send before they have read the prompt.
	prefaces = [][]byte{
		[]byte("response.created"), []byte("response.queued"), []byte("response.in_progress"), // of the Responses API
		[]byte("message_start"), []byte("ping"), // of the Messages API, not vLLM's
	}
	// terminals are the events after which servers send no other event, except for done.
	terminals = [][]byte{
		[]byte("response.completed"), []byte("response.incomplete"), []byte("response.failed"), // of the Responses API
		[]byte("message_stop"), // of the Messages API
		[]byte("error"),        // of both
	}
	// done is the data of the terminal event of all other APIs.
	done = []byte("[DONE]")
)

// maxTerminal is the length of the longest line that makes an event the terminal one.
const maxTerminal = len("event: response.incomplete\r")

// see is shown the payload of an answer part by part.
func (e *events) see(p []byte) {
	if !e.stream {
		e.begun = e.begun || len(p) > 0
		return
	}
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			e.n += copy(e.line[e.n:], p)
			return
		}
		line := p[:end]
		if e.n > 0 {
			e.n += copy(e.line[e.n:], line)
			line, e.n = e.line[:e.n], 0
		}
		e.endLine(line)
		p = p[end+1:]
	}
}

// endLine reads a line of a stream (WHATWG HTML 9.2.6), or its beginning.
func (e *events) endLine(line []byte) {
	if e.begun && len(line) > maxTerminal { // by far most lines
		return
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	if len(line) == 0 {
		e.ended = e.ended || e.terminal
		e.preface, e.terminal = false, false
		return
	}
	if event, is := fieldOf(line, "event:"); is {
		e.preface, e.terminal = isOneOf(prefaces, event), isOneOf(terminals, event)
	} else if data, is := fieldOf(line, "data:"); is {
		e.begun = e.begun || !e.preface
		e.terminal = e.terminal || bytes.Equal(data, done)
	}
}

// fieldOf returns the value of a line whose field has that name, which ends with a colon.
func fieldOf(line []byte, name string) (value []byte, is bool) {
	if len(line) < len(name) || string(line[:len(name)]) != name {
		return nil, false
	}
	value = line[len(name):]
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	return value, true
}

func isOneOf(list [][]byte, event []byte) bool {
	for _, e := range list {
		if bytes.Equal(e, event) {
			return true
		}
	}
	return false
}
