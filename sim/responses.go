package sim

import (
	"encoding/json"
	"net/http"

	"tether/sim/engine"
)

// responsesRequest is the body of /v1/responses.
type responsesRequest struct {
	options
	Input              json.RawMessage `json:"input"`
	Instructions       *string         `json:"instructions"`
	MaxOutputTokens    *int            `json:"max_output_tokens"`
	PreviousResponseID *string         `json:"previous_response_id"`
	Background         bool            `json:"background"`
	Store              *bool           `json:"store"`
	Metadata           json.RawMessage `json:"metadata"`
	Temperature        json.RawMessage `json:"temperature"`
	TopP               json.RawMessage `json:"top_p"`
	ToolChoice         json.RawMessage `json:"tool_choice"`
	Tools              json.RawMessage `json:"tools"`
	User               *string         `json:"user"`
}

func (a *answer) responses() {
	var q responsesRequest
	if !a.decode(&q, "input") {
		return
	}
	q.N, q.StreamOptions = nil, nil
	c, ok := a.check(q.options, q.MaxOutputTokens)
	if !ok || !a.storable(q) {
		return
	}
	if q.MaxOutputTokens == nil {
		c.stops()
	}
	messages, ok := a.conversationOf(q)
	if !ok || !a.admit() {
		return
	}
	system := ""
	if q.Instructions != nil {
		system = *q.Instructions
	}
	if !c.prompt(engine.Tokenize(render(q.Tools, system, messages))) {
		a.life.release()
		return
	}
	c.respond(q, messages)
}

// storable refuses background responses that nobody could ask for later.
func (a *answer) storable(q responsesRequest) bool {
	switch wanted := q.Store == nil || *q.Store; {
	case !q.Background:
	case !wanted:
		a.fail(badRequest("background", "background can only be used when `store` is true (parameter=background)"))
		return false
	case a.srv.cfg.NoStore:
		a.fail(problem{
			status: http.StatusBadRequest, kind: "invalid_request_error", param: "background",
			message: "This vLLM engine does not support `store=True` and therefore does not support the background mode. " +
				"To enable these features, set the environment variable `VLLM_ENABLE_RESPONSES_API_STORE=1` when launching " +
				"the vLLM server.",
		})
		return false
	}
	return true
}

// conversationOf is the previous response's conversation with the input behind it. An unknown response is answered.
func (a *answer) conversationOf(q responsesRequest) ([]message, bool) {
	var before []message
	if id := q.PreviousResponseID; id != nil {
		previous := a.stored(*id)
		if previous == nil {
			return nil, false
		}
		before = previous.conversation()
	}
	input, err := inputMessages(q.Input)
	if err != nil {
		a.fail(invalid("body.input", finding("list_type", "body.input", "Input should be a valid list", "...")))
		return nil, false
	}
	return append(before[:len(before):len(before)], input...), true
}

// inputMessages reads input: a text, or a list of items.
func inputMessages(input json.RawMessage) ([]message, error) {
	var text string
	if json.Unmarshal(input, &text) == nil {
		return []message{said("user", text)}, nil
	}
	var items []message
	err := json.Unmarshal(input, &items)
	return items, err
}

// respond answers in one of three ways; the admission goes with the run.
func (c *call) respond(q responsesRequest, messages []message) {
	run := c.newRun(q, messages)
	if q.Background {
		c.respondLater(run, q.Stream)
		return
	}
	defer c.a.life.release()
	if q.Stream {
		run.emit = c.a.event
		c.whole(func() error {
			_, err := run.produce(c.a.r.Context())
			return err
		})
		return
	}
	r, err := run.produce(c.a.r.Context())
	if err != nil {
		c.a.abandon(err)
		return
	}
	c.ok("%s", encode(r))
}

// stored finds a response, or answers that there is none: it is only where it was made.
func (a *answer) stored(id string) *stored {
	if !a.srv.cfg.NoStore {
		if r := a.srv.memory.Load().store.find(id); r != nil {
			return r
		}
	}
	a.fail(unknownResponse(id))
	return nil
}

func (a *answer) getResponse(id string) {
	r := a.stored(id)
	if r == nil {
		return
	}
	query := a.r.URL.Query()
	if query.Get("stream") == "true" {
		a.follow(r, query.Get("starting_after"))
		return
	}
	a.json(http.StatusOK, "%s", encode(r.state()))
}

func (a *answer) cancelResponse(id string) {
	r := a.stored(id)
	if r == nil {
		return
	}
	state, ok := r.abort()
	if !ok {
		a.fail(problem{
			status: http.StatusBadRequest, kind: "invalid_request_error", param: "response_id",
			message: "Cannot cancel a synchronous response.",
		})
		return
	}
	a.json(http.StatusOK, "%s", encode(state))
}
