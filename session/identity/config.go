package identity

import (
	"fmt"

	"tether/http1"
)

// Config is the part of the session configuration that says how a request's session is found.
type Config struct {
	// Sources are the places to look for a session id. The first one with a valid id wins. Each is header:NAME,
	// cookie:NAME, body:FIELD (a.b is field b of object a) or opening. See defaultSources.
	Sources []string `yaml:"sources"`
	// Scope keeps the derived ids of callers apart: authorization, none, or header:NAME.
	Scope string `yaml:"scope"`
	// Subagents says whose session the requests of a sub-agent belong to: family or own.
	Subagents Subagents `yaml:"subagents"`
	// CompletionsOpening derives an id from the beginning of a prompt without messages, as text or as token ids.
	CompletionsOpening bool `yaml:"completions_opening"`
	// FinalHeaders are the header fields that end a conversation when they are true: its pin is dropped when the answer is complete.
	FinalHeaders []string `yaml:"final_headers"`
	// SecretFile holds the secret that ids are hashed with; replicas share it. "" means no secret.
	SecretFile string `yaml:"secret_file"`
}

// Default returns the default configuration.
func Default() Config {
	return Config{Sources: defaultSources(), Scope: "authorization", Subagents: Family, CompletionsOpening: true, FinalHeaders: []string{"X-Session-Final", "X-Dynamo-Session-Final"}}
}

// Validate reports every problem: its key below session, and its text.
func (c *Config) Validate(report func(key, problem string)) {
	seen := map[Source]bool{}
	for i, s := range c.Sources {
		source, err := parseSource(s)
		switch {
		case err != nil:
			report(fmt.Sprintf("sources[%d]", i), err.Error())
		case seen[source]:
			report(fmt.Sprintf("sources[%d]", i), fmt.Sprintf("%q is there twice", s))
		}
		seen[source] = true
	}
	if len(c.Sources) > maxSources {
		report("sources", fmt.Sprintf("%d sources, want at most %d", len(c.Sources), maxSources))
	}
	for i, name := range c.FinalHeaders {
		if !http1.IsToken(name) || len(name) > maxHeaderName {
			report(fmt.Sprintf("final_headers[%d]", i), fmt.Sprintf("%q, want the name of a header field of 1..%d bytes", name, maxHeaderName))
		}
	}
	if len(c.FinalHeaders) > maxSources {
		report("final_headers", fmt.Sprintf("%d names, want at most %d", len(c.FinalHeaders), maxSources))
	}
	if _, err := parseScope(c.Scope); err != nil {
		report("scope", err.Error())
	}
	if c.Subagents != Family && c.Subagents != Own {
		report("subagents", fmt.Sprintf("%q, want family or own", c.Subagents))
	}
}
