package sim

import (
	"encoding/json"
	"fmt"
	"net/http"

	"tether/sim/engine"
)

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

func (q responsesRequest) wantsStore() bool { return q.Store == nil || *q.Store }

func responses(a *answer, q responsesRequest) error {
	q.N, q.StreamOptions = nil, nil
	var messages []message
	c, err := a.begin(q.options, q.MaxOutputTokens, func() (prompts [][]engine.Token, err error) {
		if err := checkBackground(a.srv.cfg, q); err != nil {
			return nil, err
		}
		if messages, err = conversation(a, q); err != nil {
			return nil, err
		}
		system := ""
		if q.Instructions != nil {
			system = *q.Instructions
		}
		return [][]engine.Token{render(q.Tools, system, messages)}, nil
	})
	if err != nil {
		return err
	}
	if q.MaxOutputTokens == nil {
		c.stopsByItself()
	}
	run := c.newRun(q, messages)
	if q.Background {
		return run.startBackground(q.Stream) // it releases the call
	}
	defer c.release()
	if q.Stream {
		run.emit = c.event
		return c.stream(func() error {
			_, err := run.produce(c.r.Context())
			return err
		})
	}
	r, err := run.produce(c.r.Context())
	if err != nil {
		return err
	}
	c.ok("%s", encode(r))
	return nil
}

// checkBackground refuses background responses that cannot be asked for later.
func checkBackground(cfg Config, q responsesRequest) error {
	switch {
	case !q.Background:
	case !q.wantsStore():
		return badRequest("background", "background can only be used when `store` is true (parameter=background)")
	case cfg.NoStore:
		return invalidResponse(http.StatusBadRequest, "background",
			"This vLLM engine does not support `store=True` and therefore does not support the background mode. "+
				"To enable these features, set the environment variable `VLLM_ENABLE_RESPONSES_API_STORE=1` when launching "+
				"the vLLM server.")
	}
	return nil
}

// conversation returns the conversation of the previous response and, after it, the input.
func conversation(a *answer, q responsesRequest) ([]message, error) {
	var before []message
	if id := q.PreviousResponseID; id != nil {
		previous, err := a.stored(*id)
		if err != nil {
			return nil, err
		}
		_, before = previous.state()
	}
	input, err := inputMessages(q.Input)
	if err != nil {
		return nil, invalid("body.input", finding("list_type", "body.input", "Input should be a valid list", "..."))
	}
	return append(before[:len(before):len(before)], input...), nil
}

// inputMessages reads the input of a request: a text, or a list of items.
func inputMessages(input json.RawMessage) ([]message, error) {
	var text string
	if json.Unmarshal(input, &text) == nil {
		return []message{newMessage("user", text)}, nil
	}
	var items []message
	err := json.Unmarshal(input, &items)
	return items, err
}

// stored finds a response. Only the server that made a response knows it.
func (a *answer) stored(id string) (*storedResponse, error) {
	if !a.srv.cfg.NoStore {
		if r := a.srv.memory.Load().store.find(id); r != nil {
			return r, nil
		}
	}
	return nil, invalidResponse(http.StatusNotFound, "response_id", fmt.Sprintf("Response with id '%s' not found.", id))
}

func getResponse(a *answer, id string) error {
	r, err := a.stored(id)
	if err != nil {
		return err
	}
	query := a.r.URL.Query()
	if query.Get("stream") == "true" {
		return followResponse(a, r, query.Get("starting_after"))
	}
	state, _ := r.state()
	a.json(http.StatusOK, "%s", encode(state))
	return nil
}

func cancelResponse(a *answer, id string) error {
	r, err := a.stored(id)
	if err != nil {
		return err
	}
	state, ok := r.abort()
	if !ok {
		return invalidResponse(http.StatusBadRequest, "response_id", "Cannot cancel a synchronous response.")
	}
	a.json(http.StatusOK, "%s", encode(state))
	return nil
}

func invalidResponse(status int, param, message string) problem {
	return problem{status: status, kind: "invalid_request_error", param: param, message: message}
}
