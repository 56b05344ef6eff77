package proxy

import "bytes"

// generation finds where the part of an answer begins that the model generated: the moment when the server has read the prompt. In JSON
// that is the first byte. Streams may have something before it: comments that keep the connection alive, and events that say that the
// request was received, such as vLLM's response.created.
type generation struct {
	begun   bool
	stream  bool
	preface bool // the present event comes before the generated part

	line [32]byte // the present line, or its beginning: enough for any event of prefaces
	n    int
}

// prefaces are the events that servers send before they have read the prompt.
var prefaces = [][]byte{
	[]byte("response.created"), []byte("response.queued"), []byte("response.in_progress"), // of the Responses API
	[]byte("message_start"), []byte("ping"), // of the Messages API, not vLLM's
}

// see is shown the payload of an answer part by part.
func (g *generation) see(p []byte) {
	if !g.stream {
		g.begun = g.begun || len(p) > 0
		return
	}
	for len(p) > 0 && !g.begun {
		end := bytes.IndexByte(p, '\n')
		part := p
		if end >= 0 {
			part = p[:end]
		}
		g.n += copy(g.line[g.n:], part)
		if end < 0 {
			return
		}
		g.endLine()
		p = p[end+1:]
	}
}

// endLine reads a complete line of a stream (WHATWG HTML 9.2.6), or its beginning.
func (g *generation) endLine() {
	line := bytes.TrimRight(g.line[:g.n], "\r")
	g.n = 0
	if len(line) == 0 {
		g.preface = false
		return
	}
	name, value, _ := bytes.Cut(line, []byte{':'})
	switch string(name) {
	case "event":
		g.preface = isPreface(bytes.TrimLeft(value, " "))
	case "data":
		g.begun = !g.preface
	}
}

func isPreface(event []byte) bool {
	for _, p := range prefaces {
		if bytes.Equal(event, p) {
			return true
		}
	}
	return false
}
