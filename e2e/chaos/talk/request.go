package talk

import (
	"encoding/json"
	"fmt"
	"strings"
)

// question is one request that is about to be sent.
type question struct {
	style
	id      string // X-Request-Id
	session string
	history history // with the question itself
	// previous is the id of the response that the question goes on from, "" to send the whole conversation.
	previous string
	stream   bool
	tokens   int // of the answer
	choices  int // answers that are wanted, 1 but for clients that do not read
}

// bytes returns the request as it is sent.
func (q question) bytes() []byte {
	body, err := json.Marshal(q.body())
	if err != nil {
		panic("BUG: a question is no JSON: " + err.Error())
	}
	var b strings.Builder
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: chaos\r\nContent-Type: application/json\r\nX-Request-Id: %s\r\n", q.path(), q.id)
	if q.header != "" {
		fmt.Fprintf(&b, "%s: %s\r\n", q.header, q.session)
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return []byte(b.String())
}

func (q question) body() map[string]any {
	body := map[string]any{"model": "tiny", "stream": q.stream, "user": q.id} // some proxies replace X-Request-Id
	q.identify(body, q.session)
	limit := "max_tokens"
	switch q.api {
	case chat:
		body["messages"] = q.chatMessages()
	case completions:
		body["prompt"] = q.history.text()
	case messages:
		body["system"], body["messages"] = q.history.system, q.history.list()
	case responses:
		body["instructions"], body["input"], limit = q.history.system, q.input(), "max_output_tokens"
		if q.previous != "" {
			body["previous_response_id"] = q.previous
		}
	}
	body[limit] = q.tokens
	if q.choices > 1 {
		body["n"] = q.choices
	}
	return body
}

func (q question) chatMessages() []map[string]string {
	return append([]map[string]string{{"role": "system", "content": q.history.system}}, q.history.list()...)
}

// input is the input of the Responses API: the whole conversation, or the last message if a stored response has the rest.
func (q question) input() any {
	if q.previous != "" {
		return q.history.said[len(q.history.said)-1].text
	}
	return q.history.list()
}
