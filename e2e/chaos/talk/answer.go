package talk

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"tether/e2e/chaos/ledger"
)

// answer is what a client got.
type answer struct {
	result   ledger.Result
	head     http.Header
	status   int
	message  string // of an error
	text     string // of the model
	response string // the id of a response of the Responses API
	id       string // of the answer
	ended    bool   // the answer said itself that it is complete
	last     bool   // the server closes the connection
}

// read reads one answer. Its error is that of the connection.
func (q question) read(r *bufio.Reader) (a answer, err error) {
	res, err := http.ReadResponse(r, &http.Request{Method: http.MethodPost})
	if err != nil {
		a.result = ledger.NoAnswer
		return a, err
	}
	defer res.Body.Close()
	a.head, a.status, a.last = res.Header, res.StatusCode, res.Close
	body, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		a.result = ledger.Cut
		return a, err
	case res.StatusCode >= 400:
		a.result, a.message = ledger.Failed, errorMessage(body)
	case strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream"):
		a.result = ledger.Whole
		a.readEvents(q.api, body)
	default:
		a.result = ledger.Whole
		a.readWhole(q.api, body)
	}
	return a, nil
}

// errorMessage returns the message of an error in any of its forms, or the body.
func errorMessage(body []byte) string {
	var form struct {
		Error json.RawMessage `json:"error"`
	}
	var object struct {
		Message string `json:"message"`
	}
	var text string
	switch {
	case json.Unmarshal(body, &form) != nil || form.Error == nil:
		return string(body[:min(len(body), 200)])
	case json.Unmarshal(form.Error, &object) == nil:
		return object.Message
	case json.Unmarshal(form.Error, &text) == nil:
		return text
	}
	return string(form.Error)
}

// piece has the members of all four APIs' answers and events that matter here.
type piece struct {
	ID      string
	Type    string
	Choices []struct {
		Text    string
		Message struct{ Content string }
		Delta   struct{ Content string }
	}
	Content  []struct{ Text string }
	Output   []struct{ Content []struct{ Text string } }
	Response struct{ ID string }
	Delta    json.RawMessage
	Error    json.RawMessage
}

func (a *answer) readWhole(api string, body []byte) {
	var p piece
	if err := json.Unmarshal(body, &p); err != nil {
		a.message = "the answer is no JSON: " + err.Error()
		return
	}
	a.id, a.ended = p.ID, true
	switch {
	case api == messages && len(p.Content) > 0:
		a.text = p.Content[0].Text
	case api == responses && len(p.Output) > 0 && len(p.Output[0].Content) > 0:
		a.text, a.response = p.Output[0].Content[0].Text, p.ID
	case len(p.Choices) > 0:
		a.text = p.Choices[0].Message.Content + p.Choices[0].Text
	}
}

func (a *answer) readEvents(api string, body []byte) {
	for event := range bytes.SplitSeq(body, []byte("\n\n")) {
		_, data, has := bytes.Cut(event, []byte("data: "))
		if !has {
			continue
		}
		if a.ended {
			a.message = "an event comes after the end: " + string(data)
			return
		}
		if string(data) == "[DONE]" {
			a.ended = true
			continue
		}
		var p piece
		if err := json.Unmarshal(data, &p); err != nil {
			a.message = "an event is no JSON: " + string(data)
			return
		}
		a.take(api, p)
	}
}

// take adds an event to the answer.
func (a *answer) take(api string, p piece) {
	if p.Error != nil {
		a.message = string(p.Error)
		return
	}
	switch api {
	case messages, responses:
		a.takeNamed(p)
	default:
		a.id = p.ID
		if len(p.Choices) > 0 {
			a.text += p.Choices[0].Delta.Content + p.Choices[0].Text
		}
	}
}

// takeNamed adds an event of an API whose events have types.
func (a *answer) takeNamed(p piece) {
	switch p.Type {
	case "content_block_delta":
		var delta struct{ Text string }
		_ = json.Unmarshal(p.Delta, &delta) // a wrong delta shows in the text
		a.text += delta.Text
	case "response.output_text.delta":
		var text string
		_ = json.Unmarshal(p.Delta, &text)
		a.text += text
	case "response.created":
		a.response = p.Response.ID
	case "message_stop", "response.completed":
		a.ended = true
	}
}

// wrong says what is wrong with a whole answer, "" if it is right.
func (q question) wrong(a answer) string {
	want := q.history.answer(q.api, q.tokens)
	switch {
	case a.message != "":
		return a.message
	case !a.ended:
		return "the answer ends without its last event"
	case q.choices > 1:
		return ""
	case a.text != want:
		return fmt.Sprintf("the text is %q, want %q", a.text, want)
	case (q.api == chat || q.api == completions) && !strings.HasSuffix(a.id, q.id):
		return fmt.Sprintf("the answer is that of the request %s", a.id)
	}
	return ""
}

// wrongHead says what is wrong with the fields that tether adds to every answer.
func (q question) wrongHead(a answer) string {
	echoed := a.head.Get("X-Session-Id")
	switch {
	case len(a.head.Values("X-Session-Id")) != 1:
		return "the answer has no X-Session-Id"
	case strings.HasPrefix(q.source(), "header:") && echoed != q.session:
		return fmt.Sprintf("X-Session-Id is %q, want %q", echoed, q.session)
	case a.head.Get("X-Tether-Affinity") == "":
		return "the answer has no X-Tether-Affinity"
	}
	return ""
}

// overdue reports whether the client's patience ended the reading.
func overdue(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}
