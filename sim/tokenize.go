package sim

import (
	"encoding/json"
	"net/http"

	"tether/sim/engine"
)

// tokenizeRequest is the body of /tokenize: a text or a conversation.
type tokenizeRequest struct {
	options
	Prompt   string          `json:"prompt"`
	Messages []message       `json:"messages"`
	Tools    json.RawMessage `json:"tools"`
}

func tokenize(a *answer, q tokenizeRequest) error {
	return a.call(q.options, nil, given(), func(*call) error {
		tokens := engine.Tokenize(q.Prompt)
		if q.Messages != nil {
			tokens = render(q.Tools, "", q.Messages)
		}
		a.json(http.StatusOK, `{"count":%d,"max_model_len":%d,"tokens":%s,"token_strs":null}`,
			len(tokens), a.srv.cfg.MaxModelLen, idsJSON(tokens))
		return nil
	})
}

type detokenizeRequest struct {
	options
	Tokens []engine.Token `json:"tokens"`
}

func detokenize(a *answer, q detokenizeRequest) error {
	return a.call(q.options, nil, given(), func(*call) error {
		a.json(http.StatusOK, `{"prompt":%s}`, quote(engine.Detokenize(q.Tokens)))
		return nil
	})
}
