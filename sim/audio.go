package sim

import (
	"bytes"
	"io"
	"net/http"

	"tether/sim/engine"
)

// transcribe answers a multipart upload with a text that follows from the bytes of the file. One KiB of sound is one token.
func transcribe(a *answer) error {
	sound, err := readSound(a)
	if err != nil {
		return invalid("body.file", finding("missing", "body.file", "Field required", "None"))
	}
	return a.call(options{Model: a.r.PostFormValue("model")}, nil, given(soundTokens(sound)), func(c *call) error {
		c.stopsByItself()
		return c.respond(false, format{whole: func(choices [][]engine.Token, _ engine.Tally) {
			a.json(http.StatusOK, `{"text":%s,"usage":{"type":"duration","seconds":%d}}`, quote(engine.Detokenize(choices[0])), 1+len(sound)/32000)
		}})
	})
}

// readSound reads the file of the form. The form stays in memory, as the body is.
func readSound(a *answer) ([]byte, error) {
	a.r.Body = io.NopCloser(bytes.NewReader(a.body))
	if err := a.r.ParseMultipartForm(int64(len(a.body))); err != nil {
		return nil, err
	}
	file, _, err := a.r.FormFile("file")
	if err != nil {
		return nil, err
	}
	return io.ReadAll(file)
}

// soundTokens are the tokens of a sound, which follow from its bytes.
func soundTokens(sound []byte) []engine.Token {
	h := engine.HashString(0, string(sound))
	tokens := make([]engine.Token, 1+len(sound)/1024)
	for i := range tokens {
		tokens[i] = engine.Token(engine.Mix(h, uint64(i)))
	}
	return tokens
}
