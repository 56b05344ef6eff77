package sim

import (
	"errors"
	"fmt"
	"time"

	"tether/sim/engine"
)

// Config says what one simulated server is like. The zero value of a field means its default, which Default shows.
type Config struct {
	// Name is sent in the header X-Sim-Server of every answer, so that tests and people see who answered.
	// Default: empty, no header, as vLLM.
	Name string
	// Models are the names served; the first one serves requests that name none. Default: "tiny".
	Models []string
	// MaxModelLen is the longest prompt plus answer, in tokens. Longer prompts get vLLM's 400. Default: 16777216, which
	// 64 MiB of text fit into.
	MaxModelLen int
	// BlockSize is the number of tokens of a cache block. Default: 16.
	BlockSize int
	// CacheBlocks is the size of the prefix cache of each rank, in blocks. Default: 16384.
	CacheBlocks int
	// MaxSeqs is the number of requests that run at once on each rank; the others wait. Default: 256.
	MaxSeqs int
	// Ranks is the number of engines behind the port (--data-parallel-size), each with a cache of its own. A request picks
	// one by the header X-data-parallel-rank, else the least loaded one gets it. Default: 1.
	Ranks int
	// AnswerTokens is the length of an answer whose request sets no limit. Default: 16.
	AnswerTokens int
	// PrefillPerToken is the time that a prompt token takes which is not cached. Default: 0, as fast as possible.
	PrefillPerToken time.Duration
	// DecodePerToken is the time between two tokens of an answer. Default: 0, as fast as possible.
	DecodePerToken time.Duration
	// KeepAlive is how long an idle connection stays open; then it is closed without a word. A connection that never sent
	// a request stays. Negative: for ever. Default: 5s, as uvicorn.
	KeepAlive time.Duration
	// RefuseAfter is the time from the end of the last request in flight to the moment when a draining server's port
	// refuses. Negative: none. Default: 4s; real vLLM took 4.7 s.
	RefuseAfter time.Duration
	// StopTimeout is how long Stop lets requests finish before it cuts them. Negative: not at all. Default: 1s.
	StopTimeout time.Duration
	// ShutdownTimeout is how long Run lets requests finish once its end is wanted (--shutdown-timeout). Negative: not at
	// all. Default: 30s.
	ShutdownTimeout time.Duration
	// APIKey guards /v1, /v2, /inference and /cohere, as vLLM's --api-key: 401 without "Authorization: Bearer KEY".
	// Default: empty, no guard.
	APIKey string
	// AllowedOrigins are the origins that CORS lets pass; "*" is all. Default: none, as vLLM 0.32.0.
	AllowedOrigins []string
	// NoStore turns the store of responses off (VLLM_ENABLE_RESPONSES_API_STORE unset): every response id is unknown.
	NoStore bool
	// Record is the number of requests that Requests remembers, the newest ones. Default: 0, none.
	Record int
	// OnRequest is called when a request was read, before anything is answered, in the request's goroutine. It must not
	// change what it is handed, nor call Stop, Kill, Drain or Start, which wait for the request. Default: not called.
	OnRequest func(Seen)
	// OnDone is called when a request ended, under the same rules. Default: not called.
	OnDone func(Seen)
}

// Default is the configuration that the zero value stands for.
func Default() Config {
	return Config{}.withDefaults()
}

func (c Config) withDefaults() Config {
	if len(c.Models) == 0 {
		c.Models = []string{"tiny"}
	}
	orDefault(&c.MaxModelLen, 1<<24)
	orDefault(&c.BlockSize, 16)
	orDefault(&c.CacheBlocks, 16384)
	orDefault(&c.MaxSeqs, 256)
	orDefault(&c.Ranks, 1)
	orDefault(&c.AnswerTokens, 16)
	orDefault(&c.KeepAlive, 5*time.Second)
	orDefault(&c.RefuseAfter, 4*time.Second)
	orDefault(&c.StopTimeout, time.Second)
	orDefault(&c.ShutdownTimeout, 30*time.Second)
	return c
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// engine returns the part of the configuration that each engine has.
func (c Config) engine() engine.Config {
	return engine.Config{
		BlockSize: c.BlockSize, CacheBlocks: c.CacheBlocks, MaxSeqs: c.MaxSeqs,
		PrefillPerToken: c.PrefillPerToken, DecodePerToken: c.DecodePerToken,
	}
}

// Validate names every field that has no meaning, in one error.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	for _, f := range []struct {
		name       string
		value, min int
	}{
		{"MaxModelLen", c.MaxModelLen, 2},
		{"BlockSize", c.BlockSize, 1},
		{"CacheBlocks", c.CacheBlocks, 1},
		{"MaxSeqs", c.MaxSeqs, 1},
		{"Ranks", c.Ranks, 1},
		{"AnswerTokens", c.AnswerTokens, 1},
		{"Record", c.Record, 0},
	} {
		if f.value < f.min {
			errs = append(errs, fmt.Errorf("%s: %d, want %d or more", f.name, f.value, f.min))
		}
	}
	for _, f := range []struct {
		name  string
		value time.Duration
	}{
		{"PrefillPerToken", c.PrefillPerToken},
		{"DecodePerToken", c.DecodePerToken},
	} {
		if f.value < 0 {
			errs = append(errs, fmt.Errorf("%s: %v, want 0s or more", f.name, f.value))
		}
	}
	return errors.Join(errs...)
}
