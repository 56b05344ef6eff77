// Package units has the quantities of the configuration that Go has no type for: sizes and shares of memory. Packages with
// such keys use it; it does not know the memory of the process.
package units

import (
	"fmt"
	"strconv"
	"strings"
)

// Bytes is a size, written as a whole number of B, KiB, MiB or GiB: 16KiB.
type Bytes int64

// The units of Bytes.
const (
	KiB Bytes = 1 << 10
	MiB Bytes = 1 << 20
	GiB Bytes = 1 << 30
)

var suffixes = []struct {
	name string
	size Bytes
}{{"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}, {"B", 1}}

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bytes) UnmarshalText(text []byte) error {
	s := string(text)
	for _, u := range suffixes {
		digits, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > int64(1<<50/u.size) {
			break
		}
		*b = Bytes(n) * u.size
		return nil
	}
	return fmt.Errorf("%q, want a size such as 512B, 16KiB, 64MiB or 2GiB", s)
}

// MarshalText implements encoding.TextMarshaler.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// String returns the size in the largest unit that makes it a whole number.
func (b Bytes) String() string {
	for _, u := range suffixes {
		if b != 0 && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.name
		}
	}
	return "0B"
}

// Share is a part of the process's memory: a size, or per cent of the memory limit, written as 25%.
type Share struct {
	// Percent is 1..100, or 0 if the share is a size, Bytes.
	Percent int
	Bytes   Bytes
}

// Of returns the share in bytes, given a memory limit in bytes.
func (s Share) Of(limit int64) int64 {
	if s.Percent == 0 {
		return int64(s.Bytes)
	}
	return limit / 100 * int64(s.Percent)
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Share) UnmarshalText(text []byte) error {
	if digits, ok := strings.CutSuffix(string(text), "%"); ok {
		n, err := strconv.Atoi(digits)
		if err != nil || n < 1 || n > 100 {
			return fmt.Errorf("%q, want 1%%..100%% or a size such as 512MiB", text)
		}
		*s = Share{Percent: n}
		return nil
	}
	var b Bytes
	if err := b.UnmarshalText(text); err != nil {
		return fmt.Errorf("%q, want a size such as 512MiB, or 1%%..100%% of the memory limit", text)
	}
	*s = Share{Bytes: b}
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (s Share) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String returns the share as it is written in the configuration.
func (s Share) String() string {
	if s.Percent > 0 {
		return strconv.Itoa(s.Percent) + "%"
	}
	return s.Bytes.String()
}
