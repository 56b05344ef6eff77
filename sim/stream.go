package sim

import (
	"fmt"

	"tether/sim/engine"
)

// format is how an API writes the answers of a call.
type format struct {
	// whole sends the answer as one body. The texts are those of the choices.
	whole func(choices [][]engine.Token, t engine.Tally)
	// begin sends the events before the first token. It may be nil.
	begin func() error
	// token sends the event of a token.
	token func(engine.Step) error
	// end sends the events after the last token.
	end func(engine.Tally) error
}

func (c *call) respond(stream bool, f format) error {
	if stream {
		return c.stream(func() error { return c.events(f) })
	}
	choices, t, err := c.collect()
	if err != nil {
		return err
	}
	f.whole(choices, t)
	return nil
}

func (c *call) events(f format) error {
	begun := f.begin == nil
	t, err := c.run(func(s engine.Step) error {
		if !begun {
			begun = true
			if err := f.begin(); err != nil {
				return err
			}
		}
		return f.token(s)
	})
	if err != nil {
		return err
	}
	return f.end(t)
}

// endOpenAI sends the usage chunk, where the request asks for it, and [DONE].
func (c *call) endOpenAI(usage []byte) error {
	if c.usage {
		if err := c.event("", usage); err != nil {
			return err
		}
	}
	return c.done()
}

// done sends the event that ends OpenAI's streams.
func (w *writer) done() error { return w.event("", []byte("[DONE]")) }

// chunkHead is the part of OpenAI's chunks before their choices.
func (c *call) chunkHead(prefix, object string) string {
	return fmt.Sprintf(`{"id":%s,"object":"%s","created":%d,"model":%s,"choices":[`, quote(prefix+c.id), object, c.created, quote(c.model))
}

// usageChunk is the chunk of OpenAI's streams that has the usage. details are its prompt_tokens_details.
func usageChunk(head string, t engine.Tally, details string) []byte {
	return fmt.Appendf(nil, `%s],"usage":%s,"system_fingerprint":"%s"}`, head, streamUsageJSON(t, details), fingerprint)
}

// signature is the system_fingerprint of a last chunk. It moves to the usage chunk where there is one.
func (c *call) signature(last bool) string {
	if !last || c.usage {
		return ""
	}
	return `,"system_fingerprint":"` + fingerprint + `"`
}

// usageJSON is the usage object of OpenAI's JSON answers; created is a number or null.
func usageJSON(t engine.Tally, created string) string {
	return fmt.Sprintf(`{"prompt_tokens":%d,"total_tokens":%d,"completion_tokens":%d,"prompt_tokens_details":`+
		`{"cached_tokens":%d,"created_cache_tokens":%s,"multimodal_tokens":null},"completion_tokens_details":null}`,
		t.Prompt, t.Prompt+t.Completion, t.Completion, t.Cached, created)
}

func plainUsageJSON(prompt, completion int) string {
	return fmt.Sprintf(`{"prompt_tokens":%d,"total_tokens":%d,"completion_tokens":%d,"prompt_tokens_details":null,`+
		`"completion_tokens_details":null}`, prompt, prompt+completion, completion)
}

// streamUsageJSON is the usage object of the last chunk; details are its prompt_tokens_details.
func streamUsageJSON(t engine.Tally, details string) string {
	return fmt.Sprintf(`{"prompt_tokens":%d,"total_tokens":%d,"completion_tokens":%d,"prompt_tokens_details":{%s}}`,
		t.Prompt, t.Prompt+t.Completion, t.Completion, details)
}
