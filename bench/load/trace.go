package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// record is a line of a trace in the format of Mooncake.
type record struct {
	Timestamp float64  `json:"timestamp"` // milliseconds
	Delay     float64  `json:"delay"`     // milliseconds after the answer before
	Input     int      `json:"input_length"`
	Output    int      `json:"output_length"`
	Blocks    []uint64 `json:"hash_ids"` // of 512 tokens; equal ids have equal content up to their end
	Session   string   `json:"session_id"`
}

// readTrace returns the conversations of a trace in a file, in the order of their beginnings.
func readTrace(path string) ([]conversation, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := parseTrace(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

func parseTrace(r io.Reader) ([]conversation, error) {
	var records []record
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var one record
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			return nil, fmt.Errorf("line %d: %w", len(records)+1, err)
		}
		if one.Input < 1 {
			return nil, fmt.Errorf("line %d: input_length %d, want at least 1", len(records)+1, one.Input)
		}
		one.Output = max(1, one.Output)
		records = append(records, one)
	}
	switch {
	case lines.Err() != nil:
		return nil, lines.Err()
	case len(records) == 0:
		return nil, errors.New("no records")
	}
	if records[0].Session != "" {
		return bySession(records), nil
	}
	return byPrefix(records), nil
}

// bySession reads a trace that names its sessions. A turn after the first one has only what it adds to its conversation.
func bySession(records []record) (all []conversation) {
	numbers := map[string]int{}
	for _, r := range records {
		i, known := numbers[r.Session]
		if !known {
			i = len(all)
			numbers[r.Session] = i
			all = append(all, nil)
		}
		next := turn{prompt: r.Input, answer: r.Output, think: milliseconds(r.Delay), at: milliseconds(r.Timestamp)}
		if n := len(all[i]); n > 0 {
			last := all[i][n-1]
			next.kept = last.prompt
			next.prompt += last.prompt + last.answer
		}
		all[i] = append(all[i], next)
	}
	return all
}

const (
	// commonShare is the share of all requests from which on a block belongs to a system prompt, and connects no turns.
	commonShare = 0.05
	// longestThink bounds the time between an answer and the next turn: a user who takes longer has come back later.
	longestThink = 120 * time.Second
)

// byPrefix finds the conversations of a trace that does not name them: a request continues the conversation whose last
// prompt shares the longest prefix with it.
func byPrefix(records []record) (all []conversation) {
	uses := map[uint64]int{}
	for _, r := range records {
		for _, b := range r.Blocks {
			uses[b]++
		}
	}
	latest := map[uint64]int{} // the conversation that last had the block
	for _, r := range records {
		next := turn{prompt: r.Input, answer: r.Output, at: milliseconds(r.Timestamp)}
		i := len(all)
		for n, b := range r.Blocks {
			of, known := latest[b]
			if !known {
				break
			}
			if float64(uses[b]) <= commonShare*float64(len(records)) {
				i, next.kept = of, min((n+1)*blockTokens, r.Input)
			}
		}
		if i == len(all) {
			all = append(all, nil)
		} else {
			last := all[i][len(all[i])-1]
			next.kept = min(next.kept, last.prompt)
			next.think = min(longestThink, max(0, next.at-last.at-nominal(&last)))
		}
		all[i] = append(all[i], next)
		for _, b := range r.Blocks {
			latest[b] = i
		}
	}
	return all
}

// nominal is how long a turn takes on a server that is hardly busy. A recorded trace does not tell how long its turns took.
func nominal(t *turn) time.Duration {
	return time.Duration(t.prompt-t.kept)*time.Second/16_000 + time.Duration(t.answer)*time.Second/30
}

func milliseconds(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
