package sim

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"tether/sim/engine"
)

// Config describes one simulated server. The zero value of a field stands for its default, which Default returns.
type Config struct {
	// Name is sent in the header X-Sim-Server of every answer, so that tests and people see which server answered.
	// Default: empty, no header, as vLLM.
	Name string
	// Models are the names of the served models. Requests that name no model get the first one. Default: "tiny".
	Models []string
	// MaxModelLen is the limit of prompt and answer together, in tokens. Longer prompts get vLLM's 400. Default: 16777216,
	// enough for 64 MiB of text.
	MaxModelLen int
	// BlockSize is the number of tokens of a cache block. Default: 16.
	BlockSize int
	// CacheBlocks is the size of the prefix cache of each rank, in blocks. Default: 16384.
	CacheBlocks int
	// MaxSeqs is the number of requests that run at once on each rank; the others wait. Default: 256.
	MaxSeqs int
	// Ranks is the number of engines behind the port (--data-parallel-size), each with a cache of its own. The header
	// X-data-parallel-rank of a request picks one; without it the least loaded one gets the request. Default: 1.
	Ranks int
	// AnswerTokens is the length of an answer whose request sets no limit. Default: 16.
	AnswerTokens int
	// PrefillPerToken is the time that an uncached prompt token takes. Default: 0, as fast as possible.
	PrefillPerToken time.Duration
	// DecodePerToken is the time between two tokens of an answer. Default: 0, as fast as possible.
	DecodePerToken time.Duration
	// KeepAlive is the time after which an idle connection is closed without warning. A connection that never sent a request
	// stays open. Negative: never. Default: 5s, as uvicorn.
	KeepAlive time.Duration
	// RefuseAfter is the time from the end of the last request in flight until the port of a draining server refuses.
	// Negative: none. Default: 4s; a real vLLM took 4.7 s.
	RefuseAfter time.Duration
	// StopTimeout is the time for which Stop lets requests finish before it cuts them. Negative: none. Default: 1s.
	StopTimeout time.Duration
	// APIKey protects /v1, /v2, /inference and /cohere, as vLLM's --api-key: 401 without "Authorization: Bearer KEY".
	// Default: empty, no protection.
	APIKey string
	// AllowedOrigins are the origins that CORS allows; "*" is all. Default: none, as vLLM 0.32.0.
	AllowedOrigins []string
	// SleepMode adds the calls /sleep, /wake_up and /is_sleeping (--enable-sleep-mode in development mode). Default: off.
	SleepMode bool
	// NoStore turns the store of responses off (VLLM_ENABLE_RESPONSES_API_STORE unset): every response id is unknown.
	// Default: off, there is a store.
	NoStore bool
	// Record is the number of requests that Requests returns, the newest ones. Default: 0, none.
	Record int
	// OnRequest is called when a request was read and before it is answered, in the request's goroutine. It must not change
	// its argument, nor call Stop, Kill, Drain or Start, which wait for the request. Default: not called.
	OnRequest func(Seen)
	// OnDone is called when a request has ended, under the same rules. Default: not called.
	OnDone func(Seen)
}

// Default returns the configuration that the zero value stands for.
func Default() Config {
	return Config{}.withDefaults()
}

func (c Config) withDefaults() Config {
	if len(c.Models) == 0 {
		c.Models = []string{"tiny"}
	}
	c.MaxModelLen = cmp.Or(c.MaxModelLen, 1<<24)
	c.BlockSize = cmp.Or(c.BlockSize, 16)
	c.CacheBlocks = cmp.Or(c.CacheBlocks, 16384)
	c.MaxSeqs = cmp.Or(c.MaxSeqs, 256)
	c.Ranks = cmp.Or(c.Ranks, 1)
	c.AnswerTokens = cmp.Or(c.AnswerTokens, 16)
	c.KeepAlive = cmp.Or(c.KeepAlive, 5*time.Second)
	c.RefuseAfter = cmp.Or(c.RefuseAfter, 4*time.Second)
	c.StopTimeout = cmp.Or(c.StopTimeout, time.Second)
	return c
}

// engine returns the part of the configuration that each engine has.
func (c Config) engine() engine.Config {
	return engine.Config{
		BlockSize: c.BlockSize, CacheBlocks: c.CacheBlocks, MaxSeqs: c.MaxSeqs,
		PrefillPerToken: c.PrefillPerToken, DecodePerToken: c.DecodePerToken,
	}
}

// Validate returns one error that names every field with an invalid value.
func (c Config) Validate() error {
	c = c.withDefaults()
	return errors.Join(
		atLeast("MaxModelLen", c.MaxModelLen, 2),
		atLeast("BlockSize", c.BlockSize, 1),
		atLeast("CacheBlocks", c.CacheBlocks, 1),
		atLeast("MaxSeqs", c.MaxSeqs, 1),
		atLeast("Ranks", c.Ranks, 1),
		atLeast("AnswerTokens", c.AnswerTokens, 1),
		atLeast("Record", c.Record, 0),
		atLeast("PrefillPerToken", c.PrefillPerToken, 0),
		atLeast("DecodePerToken", c.DecodePerToken, 0),
	)
}

func atLeast[T int | time.Duration](name string, value, least T) error {
	if value < least {
		return fmt.Errorf("%s: %v, want %v or more", name, value, least)
	}
	return nil
}
