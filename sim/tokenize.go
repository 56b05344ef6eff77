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

func (a *answer) tokenize() {
	var q tokenizeRequest
	if !a.decode(&q) {
		return
	}
	if _, ok := a.check(q.options, nil); !ok || !a.admit() {
		return
	}
	defer a.life.release()
	text := q.Prompt
	if q.Messages != nil {
		text = render(q.Tools, "", q.Messages)
	}
	tokens := engine.Tokenize(text)
	a.json(http.StatusOK, `{"count":%d,"max_model_len":%d,"tokens":%s,"token_strs":null}`,
		len(tokens), a.srv.cfg.MaxModelLen, idsJSON(tokens))
}

func (a *answer) detokenize() {
	var q struct {
		options
		Tokens []engine.Token `json:"tokens"`
	}
	if !a.decode(&q, "tokens") {
		return
	}
	if _, ok := a.check(q.options, nil); !ok || !a.admit() {
		return
	}
	defer a.life.release()
	a.json(http.StatusOK, `{"prompt":%s}`, quote(engine.Detokenize(q.Tokens)))
}
