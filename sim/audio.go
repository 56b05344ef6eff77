package sim

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/http"

	"tether/sim/engine"
)

// maxFormValue is the longest form value that is looked at, in bytes.
const maxFormValue = 1 << 10

// transcribe takes a multipart upload and answers a text that the file's bytes decide. One KiB of sound is one token.
func (a *answer) transcribe() {
	form, ok := a.upload()
	if !ok {
		a.fail(invalid("body.file", finding("missing", "body.file", "Field required", "None")))
		return
	}
	c, ok := a.check(options{Model: form.model}, nil)
	if !ok || !a.admit() {
		return
	}
	defer a.life.release()
	c.stops()
	if !c.prompt(form.tokens()) {
		return
	}
	if texts, _, ok := c.collect(); ok {
		a.json(http.StatusOK, `{"text":%s,"usage":{"type":"duration","seconds":%d}}`, quote(texts[0]), 1+len(form.file)/32000)
	}
}

// upload is what the simulator looks at of a multipart form.
type upload struct {
	model string
	file  []byte
}

func (a *answer) upload() (u upload, ok bool) {
	media, params, err := mime.ParseMediaType(a.r.Header.Get("Content-Type"))
	if err != nil || media != "multipart/form-data" {
		return u, false
	}
	parts := multipart.NewReader(bytes.NewReader(a.body), params["boundary"])
	for {
		p, err := parts.NextPart()
		if err != nil {
			return u, u.file != nil && err == io.EOF
		}
		if err := u.read(p); err != nil {
			return u, false
		}
	}
}

func (u *upload) read(p *multipart.Part) (err error) {
	switch p.FormName() {
	case "file":
		u.file, err = io.ReadAll(p)
	case "model":
		var value []byte
		value, err = io.ReadAll(io.LimitReader(p, maxFormValue))
		u.model = string(value)
	}
	return err
}

func (u upload) tokens() []engine.Token {
	h := engine.HashString(0, string(u.file))
	tokens := make([]engine.Token, 1+len(u.file)/1024)
	for i := range tokens {
		tokens[i] = engine.Token(engine.Mix(h, uint64(i)))
	}
	return tokens
}
